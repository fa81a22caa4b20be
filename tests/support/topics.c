/* topics.c: an independent reader of the topics. */
#include "topics.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define TOPICS_BATCH 1000
#define TOPICS_TIMEOUT_MS 10000
#define ASK_AGAIN_MS 100

const char *const topics_all[] = {"inventory.failed",
                                  "inventory.released",
                                  "inventory.reserved",
                                  "order.cancel_requested",
                                  "order.cancelled",
                                  "order.completed",
                                  "order.created",
                                  "payment.done",
                                  "payment.failed",
                                  "payment.refunded",
                                  "shipping.failed",
                                  "order.shipped",
                                  NULL};

struct topics {
    rd_kafka_t *kafka;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_partition_list_t *next; /* the offset that is expected next, for each */
    struct range {
        int64_t low, high;
    } * opened;    /* in the same order */
    bool assigned; /* it reads */
    int last;      /* whose record came last: the next one is most likely of the same */
    topics_each each;
    void *opaque;
    char *text; /* key, value and headers of one record */
    size_t text_size;
    rd_kafka_message_t *batch[TOPICS_BATCH];
};

const char *topics_header(const struct topics_record *record, const char *name)
{
    for (size_t i = record->headers_count; i-- > 0;) {
        if (strcmp(record->headers[i].name, name) == 0)
            return record->headers[i].value;
    }
    return NULL;
}

size_t topics_header_count(const struct topics_record *record, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < record->headers_count; i++)
        count += strcmp(record->headers[i].name, name) == 0;
    return count;
}

/* What is fetched ahead is bounded by the number of records: the client's other bound, of bytes,
 * counts only their values, and the headers and the client's own part of a record are ten times
 * that. A client at its bound looks again after a second: it is wide enough for that not to be
 * felt. */
static rd_kafka_t *make_consumer(const char *bootstrap)
{
    static const char *const settings[][2] = {
        {"group.id", "an-independent-reader"}, {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "error"},
        {"fetch.wait.max.ms", "10"},           {"fetch.error.backoff.ms", "50"},
        {"socket.nagle.disable", "true"},      {"reconnect.backoff.max.ms", "500"},
        {"queued.min.messages", "100000"},     {"queued.max.messages.kbytes", "65536"},
        {"fetch.max.bytes", "2000000"},        {"log_level", "2"}};
    char why[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof why);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why) != 0)
            fprintf(stderr, "%s\n", why);
    }
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (kafka == NULL) {
        fprintf(stderr, "%s\n", why);
        rd_kafka_conf_destroy(conf);
    }
    return kafka;
}

static bool add_partitions(struct topics *topics, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(topics->kafka, name, NULL);
    rd_kafka_resp_err_t error =
        rd_kafka_metadata(topics->kafka, 0, topic, &metadata, TOPICS_TIMEOUT_MS);

    rd_kafka_topic_destroy(topic);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fprintf(stderr, "%s: %s\n", name, rd_kafka_err2str(error));
        return false;
    }
    int count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    if (count == 0) {
        fprintf(stderr, "%s: there is no such topic\n", name);
        return false;
    }
    if (topics->next->cnt + count > TOPICS_PARTITIONS_MAX) {
        fprintf(stderr, "%s: more than %d partitions in all\n", name, TOPICS_PARTITIONS_MAX);
        return false;
    }
    rd_kafka_topic_partition_list_add_range(topics->next, name, 0, count - 1);
    return true;
}

/* The first or last offset (RD_KAFKA_OFFSET_BEGINNING, _END) of each partition, in the order of
 * next; to be destroyed. NULL: an error. */
static rd_kafka_topic_partition_list_t *ask(const struct topics *topics, int64_t which,
                                            rd_kafka_resp_err_t *ret_error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(topics->next);
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = which; /* what the protocol takes in place of a time */
    rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(topics->kafka, list, TOPICS_TIMEOUT_MS);
    for (int i = 0; i < list->cnt && error == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        error = list->elems[i].err;
    *ret_error = error;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return list;
    rd_kafka_topic_partition_list_destroy(list);
    return NULL;
}

static void tell_offsets(rd_kafka_resp_err_t error)
{
    fprintf(stderr, "offsets: %s\n", rd_kafka_err2str(error));
}

static bool ask_ranges(struct topics *topics, bool from_beginning)
{
    rd_kafka_resp_err_t error;
    rd_kafka_topic_partition_list_t *lows = ask(topics, RD_KAFKA_OFFSET_BEGINNING, &error);
    rd_kafka_topic_partition_list_t *highs = lows ? ask(topics, RD_KAFKA_OFFSET_END, &error) : NULL;
    bool good = highs != NULL;

    if (!good)
        tell_offsets(error);
    for (int i = 0; good && i < topics->next->cnt; i++) {
        topics->opened[i] = (struct range){lows->elems[i].offset, highs->elems[i].offset};
        topics->next->elems[i].offset =
            from_beginning ? topics->opened[i].low : topics->opened[i].high;
    }
    if (lows != NULL)
        rd_kafka_topic_partition_list_destroy(lows);
    if (highs != NULL)
        rd_kafka_topic_partition_list_destroy(highs);
    return good;
}

static struct topics *find_topics(const char *bootstrap, const char *const *names,
                                  bool from_beginning, topics_each each, void *opaque)
{
    struct topics *topics = calloc(1, sizeof *topics);
    if (topics == NULL)
        abort();
    topics->each = each;
    topics->opaque = opaque;
    topics->next = rd_kafka_topic_partition_list_new(0);
    topics->kafka = make_consumer(bootstrap);
    bool good = topics->kafka != NULL;
    for (size_t i = 0; good && names[i] != NULL; i++)
        good = add_partitions(topics, names[i]);
    topics->opened = calloc((size_t)topics->next->cnt + 1, sizeof *topics->opened);
    if (topics->opened == NULL)
        abort();
    if (good && ask_ranges(topics, from_beginning))
        return topics;
    topics_close(topics);
    return NULL;
}

static bool begin_to_read(struct topics *topics)
{
    rd_kafka_poll_set_consumer(topics->kafka);
    topics->queue = rd_kafka_queue_get_consumer(topics->kafka);
    topics->assigned = true;
    return rd_kafka_assign(topics->kafka, topics->next) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

struct topics *topics_open(const char *bootstrap, const char *const *names, bool from_beginning,
                           topics_each each, void *opaque)
{
    struct topics *topics = find_topics(bootstrap, names, from_beginning, each, opaque);
    if (topics == NULL || begin_to_read(topics))
        return topics;
    topics_close(topics);
    return NULL;
}

struct topics *topics_mark(const char *bootstrap, const char *const *names, topics_each each,
                           void *opaque)
{
    return find_topics(bootstrap, names, false, each, opaque);
}

/* A copy with a NUL behind it, in the text of this record. */
static const char *keep(struct topics *topics, size_t *used, const void *at, size_t len)
{
    char *copy = topics->text + *used;

    if (at == NULL)
        return NULL;
    memcpy(copy, at, len);
    copy[len] = '\0';
    *used += len + 1;
    return copy;
}

static void tell(struct topics *topics, const rd_kafka_message_t *message, int64_t now_us,
                 bool before)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name;
    const void *value;
    size_t size, used = 0, need = message->key_len + message->len + 2;
    struct topics_record record = {.topic = rd_kafka_topic_name(message->rkt),
                                   .partition = message->partition,
                                   .offset = message->offset,
                                   .before = before,
                                   .time_ms = rd_kafka_message_timestamp(message, NULL),
                                   .seen_us = now_us,
                                   .key_len = message->key_len,
                                   .value_len = message->len};

    rd_kafka_message_headers(message, &headers);
    for (size_t i = 0;
         headers != NULL && rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0; i++)
        need += size + 1;
    if (need > topics->text_size) {
        topics->text_size = need * 2;
        topics->text = realloc(topics->text, topics->text_size);
        if (topics->text == NULL)
            abort();
    }
    record.key = keep(topics, &used, message->key, message->key_len);
    record.value = keep(topics, &used, message->payload, message->len);
    for (size_t i = 0; headers != NULL && i < TOPICS_HEADERS_MAX &&
                       rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0;
         i++) {
        record.headers[i].name = name;
        record.headers[i].value = keep(topics, &used, value, size);
        record.headers_count++;
    }
    topics->each(topics->opaque, &record);
}

static rd_kafka_topic_partition_t *next_of(struct topics *topics, const rd_kafka_message_t *message)
{
    const char *name = rd_kafka_topic_name(message->rkt);
    rd_kafka_topic_partition_t *next = &topics->next->elems[topics->last];

    if (next->partition != message->partition || strcmp(next->topic, name) != 0)
        next = rd_kafka_topic_partition_list_find(topics->next, name, message->partition);
    topics->last = (int)(next - topics->next->elems);
    return next;
}

size_t topics_poll(struct topics *topics, int timeout_ms)
{
    size_t told = 0;
    if (!topics->assigned && !begin_to_read(topics))
        return 0;
    ssize_t count =
        rd_kafka_consume_batch_queue(topics->queue, timeout_ms, topics->batch, TOPICS_BATCH);
    int64_t now_us = clock_us();

    for (ssize_t i = 0; i < count; i++) {
        rd_kafka_message_t *message = topics->batch[i];
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            next_of(topics, message)->offset = message->offset + 1;
            tell(topics, message, now_us, message->offset < topics->opened[topics->last].high);
            told++;
        }
        rd_kafka_message_destroy(message);
    }
    return told;
}

bool topics_catch_up(struct topics *topics, int seconds)
{
    const int64_t patience_us = (int64_t)seconds * 1000000;
    int64_t end_us = clock_us() + patience_us;
    rd_kafka_resp_err_t error;
    rd_kafka_topic_partition_list_t *ends = ask(topics, RD_KAFKA_OFFSET_END, &error);

    /* A broker that has just come back knows no topics yet: the client remembers that for a while,
     * and answers at once. */
    while (ends == NULL && clock_us() < end_us) {
        topics_poll(topics, ASK_AGAIN_MS);
        ends = ask(topics, RD_KAFKA_OFFSET_END, &error);
    }
    bool good = ends != NULL;
    if (!good)
        tell_offsets(error);
    for (int i = 0; good && i < topics->next->cnt; i++) {
        while (good && topics->next->elems[i].offset < ends->elems[i].offset) {
            if (topics_poll(topics, 100) > 0)
                end_us = clock_us() + patience_us;
            good = clock_us() < end_us;
        }
    }
    if (ends != NULL)
        rd_kafka_topic_partition_list_destroy(ends);
    return good;
}

bool topics_range(const struct topics *topics, const char *name, int32_t partition,
                  int64_t *ret_low, int64_t *ret_next)
{
    for (int i = 0; i < topics->next->cnt; i++) {
        const rd_kafka_topic_partition_t *next = &topics->next->elems[i];
        if (strcmp(next->topic, name) != 0 || next->partition != partition)
            continue;
        *ret_low = topics->opened[i].low;
        *ret_next = next->offset;
        return true;
    }
    return false;
}

void topics_close(struct topics *topics)
{
    if (topics == NULL)
        return;
    if (topics->queue != NULL)
        rd_kafka_queue_destroy(topics->queue);
    if (topics->kafka != NULL) {
        rd_kafka_consumer_close(topics->kafka);
        rd_kafka_destroy(topics->kafka);
    }
    rd_kafka_topic_partition_list_destroy(topics->next);
    free(topics->opened);
    free(topics->text);
    free(topics);
}
