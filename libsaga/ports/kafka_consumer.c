/* kafka_consumer.c: records in, offsets by hand; see kafka.h. */
#include "ports/kafka.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TOPICS_MAX 64
#define PARTITIONS_MAX 1024
#define COMMITTED_MS 5000 /* one look-up of committed offsets, ... */
#define COMMITTED_TRIES 12
#define CLOSE_MS 5000
#define CLOSE_POLL_MS 50
#define LAST_COMMIT_MS 3000 /* when partitions go: then they come again, which is harmless */

struct position {
    bool assigned;
    int64_t stored;    /* next offset to read; -1: nothing was stored since the assignment */
    int64_t committed; /* handed to rd_kafka_commit, and not failed since */
    int64_t start;     /* where reading began: for the lag; -1: at the beginning */
};

struct topic {
    const char *name;
    struct position *positions; /* by partition number */
    size_t count;
};

struct kafka_consumer {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    int fd;
    pthread_mutex_t lock; /* guards topics' positions: lags are read by another thread */
    struct topic topics[TOPICS_MAX];
    size_t topics_count, assigned;
    rd_kafka_message_t **messages; /* in hand */
    size_t messages_count, messages_size;
    struct arena arena; /* their headers */
    char error[200];
};

static const char *const settings[][2] = {
    /* A first start is told apart from an offset that has gone (see on_assign): so never silently
     * skip or repeat. */
    {"auto.offset.reset", "error"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"allow.auto.create.topics", "false"},
    {"partition.assignment.strategy", "range"}, /* partition n of every topic on one member */
    {"session.timeout.ms", "6000"},
    {"heartbeat.interval.ms", "1500"},
    {"max.poll.interval.ms", "300000"},
    {"fetch.min.bytes", "1"},
    {"fetch.wait.max.ms", "500"},
    {"fetch.error.backoff.ms", "50"},
    {"topic.metadata.refresh.interval.ms", "30000"},
    {"reconnect.backoff.ms", "50"},
    {"reconnect.backoff.max.ms", "1000"},
    {"socket.nagle.disable", "true"},
    {NULL, NULL},
};

static void quiet(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    (void)level;
    (void)facility;
    (void)text;
}

static struct topic *find_topic(struct kafka_consumer *consumer, struct saga_text name)
{
    for (size_t i = 0; i < consumer->topics_count; i++)
        if (saga_text_equal(saga_text(consumer->topics[i].name), name))
            return &consumer->topics[i];
    return NULL;
}

/* NULL if the topic is not ours or the partition number is beyond every bound. */
static struct position *find_position(struct kafka_consumer *consumer, struct saga_text name,
                                      int32_t partition)
{
    struct topic *topic = find_topic(consumer, name);
    if (topic == NULL || partition < 0 || partition >= PARTITIONS_MAX)
        return NULL;
    size_t needed = (size_t)partition + 1;
    if (needed > topic->count) {
        topic->positions = realloc(topic->positions, needed * sizeof *topic->positions);
        if (topic->positions == NULL)
            abort();
        for (size_t i = topic->count; i < needed; i++)
            topic->positions[i] = (struct position){.stored = -1, .committed = -1, .start = -1};
        topic->count = needed;
    }
    return &topic->positions[partition];
}

/* ---- commits ---- */

/* What is stored and not yet committed; NULL if there is nothing. */
static rd_kafka_topic_partition_list_t *pending_offsets(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    pthread_mutex_lock(&consumer->lock);
    for (size_t i = 0; i < consumer->topics_count; i++) {
        struct topic *topic = &consumer->topics[i];
        for (size_t n = 0; n < topic->count; n++) {
            struct position *position = &topic->positions[n];
            if (!position->assigned || position->stored <= position->committed)
                continue;
            if (list == NULL)
                list = rd_kafka_topic_partition_list_new(16);
            rd_kafka_topic_partition_list_add(list, topic->name, (int32_t)n)->offset =
                position->stored;
            position->committed = position->stored;
        }
    }
    pthread_mutex_unlock(&consumer->lock);
    return list;
}

/* A commit that failed is owed again. */
static void on_commit(rd_kafka_t *client, rd_kafka_resp_err_t err,
                      rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
    (void)client;
    struct kafka_consumer *consumer = opaque;
    pthread_mutex_lock(&consumer->lock);
    for (int i = 0; offsets != NULL && i < offsets->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &offsets->elems[i];
        struct position *position = find_position(consumer, saga_text(one->topic), one->partition);
        if ((err != 0 || one->err != 0) && position != NULL && position->committed == one->offset)
            position->committed = -1;
    }
    pthread_mutex_unlock(&consumer->lock);
}

void kafka_consumer_commit(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = pending_offsets(consumer);
    if (list == NULL)
        return;
    if (rd_kafka_commit(consumer->client, list, 1) != 0)
        on_commit(consumer->client, RD_KAFKA_RESP_ERR__FAIL, list, consumer);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Waits for the answer, but not for a broker that is away. */
static void commit_and_wait(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = pending_offsets(consumer);
    if (list == NULL)
        return;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->client);
    if (rd_kafka_commit_queue(consumer->client, list, queue, NULL, NULL) == 0)
        rd_kafka_event_destroy(rd_kafka_queue_poll(queue, LAST_COMMIT_MS));
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_partition_list_destroy(list);
}

/* ---- rebalances: served within take and free, so on the engine's thread between batches ---- */

/* Where to begin: at the committed offset; a group that has none begins at the beginning. Asked
 * here because only here "none" and "gone" can be told apart. */
static bool find_starts(struct kafka_consumer *consumer, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (int i = 0; i < COMMITTED_TRIES && err != 0; i++) {
        err = rd_kafka_committed(consumer->client, list, COMMITTED_MS);
        for (int n = 0; err == 0 && n < list->cnt; n++)
            err = list->elems[n].err;
    }
    if (err != 0) {
        snprintf(consumer->error, sizeof consumer->error, "committed offsets: %s",
                 rd_kafka_err2str(err));
        return false;
    }
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].offset < 0)
            list->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
    return true;
}

static void on_assign(struct kafka_consumer *consumer, rd_kafka_topic_partition_list_t *list)
{
    if (!find_starts(consumer, list))
        return;
    pthread_mutex_lock(&consumer->lock);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &list->elems[i];
        struct position *position = find_position(consumer, saga_text(one->topic), one->partition);
        if (position != NULL)
            *position = (struct position){
                .assigned = true,
                .stored = -1,
                .committed = -1,
                .start = one->offset == RD_KAFKA_OFFSET_BEGINNING ? -1 : one->offset};
    }
    consumer->assigned = (size_t)list->cnt;
    pthread_mutex_unlock(&consumer->lock);
    rd_kafka_assign(consumer->client, list);
}

static void on_revoke(struct kafka_consumer *consumer)
{
    if (!rd_kafka_assignment_lost(consumer->client))
        commit_and_wait(consumer);
    pthread_mutex_lock(&consumer->lock);
    for (size_t i = 0; i < consumer->topics_count; i++)
        for (size_t n = 0; n < consumer->topics[i].count; n++)
            consumer->topics[i].positions[n].assigned = false;
    consumer->assigned = 0;
    pthread_mutex_unlock(&consumer->lock);
    rd_kafka_assign(consumer->client, NULL);
}

static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    (void)client;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        on_assign(opaque, list);
    else
        on_revoke(opaque);
}

static void on_error(rd_kafka_t *client, int err, const char *reason, void *opaque)
{
    struct kafka_consumer *consumer = opaque;
    char why[160];
    (void)reason;
    if (err == RD_KAFKA_RESP_ERR__FATAL && rd_kafka_fatal_error(client, why, sizeof why) != 0)
        snprintf(consumer->error, sizeof consumer->error, "fatal: %s", why);
}

/* ---- making and ending ---- */

static rd_kafka_t *make_client(struct kafka_consumer *consumer, const char *bootstrap,
                               const char *group, const char *client_id, char *errbuf, size_t size)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, quiet);
    rd_kafka_conf_set_opaque(conf, consumer);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
    rd_kafka_conf_set_error_cb(conf, on_error);
    bool ok = rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, errbuf, size) == 0 &&
              rd_kafka_conf_set(conf, "group.id", group, errbuf, size) == 0 &&
              rd_kafka_conf_set(conf, "client.id", client_id, errbuf, size) == 0;
    for (size_t i = 0; ok && settings[i][0] != NULL; i++)
        ok = rd_kafka_conf_set(conf, settings[i][0], settings[i][1], errbuf, size) == 0;
    rd_kafka_t *client = ok ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, errbuf, size) : NULL;
    if (client == NULL)
        rd_kafka_conf_destroy(conf);
    else
        rd_kafka_poll_set_consumer(client);
    return client;
}

static bool subscribe(struct kafka_consumer *consumer, char *errbuf, size_t size)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(TOPICS_MAX);
    for (size_t i = 0; i < consumer->topics_count; i++)
        rd_kafka_topic_partition_list_add(list, consumer->topics[i].name, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(consumer->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != 0)
        snprintf(errbuf, size, "subscribe: %s", rd_kafka_err2str(err));
    return err == 0;
}

struct kafka_consumer *kafka_consumer_new(const char *bootstrap, const char *group,
                                          const char *client_id, const char *const *topics,
                                          char *errbuf, size_t errbuf_size)
{
    struct kafka_consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL)
        abort();
    pthread_mutex_init(&consumer->lock, NULL);
    consumer->arena.size_max = 16u * 1024 * 1024;
    for (; topics[consumer->topics_count] != NULL && consumer->topics_count < TOPICS_MAX;
         consumer->topics_count++)
        consumer->topics[consumer->topics_count].name = strdup(topics[consumer->topics_count]);
    consumer->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    consumer->client = make_client(consumer, bootstrap, group, client_id, errbuf, errbuf_size);
    if (consumer->fd < 0 || consumer->client == NULL || !subscribe(consumer, errbuf, errbuf_size)) {
        kafka_consumer_free(consumer);
        return NULL;
    }
    uint64_t one = 1;
    consumer->queue = rd_kafka_queue_get_consumer(consumer->client);
    rd_kafka_queue_io_event_enable(consumer->queue, consumer->fd, &one, sizeof one);
    return consumer;
}

/* Revokes, which commits what is stored, and leaves the group. rd_kafka_consumer_close would wait
 * for a broker that is away for ever, so it is given a time; then client and consumer are left as
 * they are, for the process is about to end, and the group finds out by its session timeout. */
static bool close_client(struct kafka_consumer *consumer)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->client);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(consumer->client, queue);
    for (int waited_ms = 0; error == NULL && waited_ms < CLOSE_MS; waited_ms += CLOSE_POLL_MS) {
        rd_kafka_queue_poll_callback(queue, CLOSE_POLL_MS);
        if (rd_kafka_consumer_closed(consumer->client))
            break;
    }
    bool closed = error != NULL || rd_kafka_consumer_closed(consumer->client);
    rd_kafka_error_destroy(error);
    if (!closed)
        return false;
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(consumer->client);
    return true;
}

void kafka_consumer_free(struct kafka_consumer *consumer)
{
    if (consumer == NULL)
        return;
    kafka_consumer_release(consumer);
    if (consumer->queue != NULL) {
        rd_kafka_queue_io_event_enable(consumer->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(consumer->queue);
    }
    if (consumer->client != NULL && !close_client(consumer))
        return;
    if (consumer->fd >= 0)
        close(consumer->fd);
    for (size_t i = 0; i < consumer->topics_count; i++) {
        free((char *)(uintptr_t)consumer->topics[i].name);
        free(consumer->topics[i].positions);
    }
    pthread_mutex_destroy(&consumer->lock);
    arena_free(&consumer->arena);
    free(consumer->messages);
    free(consumer);
}

int kafka_consumer_fd(const struct kafka_consumer *consumer)
{
    return consumer->fd;
}

/* ---- records ---- */

/* What comes in the place of a record: most errors pass by themselves (a broker that is away). */
static void note_error(struct kafka_consumer *consumer, const rd_kafka_message_t *message)
{
    if (message->err != RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET &&
        message->err != RD_KAFKA_RESP_ERR__FATAL)
        return;
    snprintf(consumer->error, sizeof consumer->error, "%.60s partition %d: %s",
             message->rkt ? rd_kafka_topic_name(message->rkt) : "", (int)message->partition,
             rd_kafka_message_errstr(message));
}

static void read_headers(struct kafka_consumer *consumer, const rd_kafka_message_t *message,
                         struct kafka_record *record)
{
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(message, &headers) != 0)
        return;
    size_t count = rd_kafka_header_cnt(headers);
    record->headers_too_many = count > ENVELOPE_HEADERS_MAX;
    if (record->headers_too_many)
        count = ENVELOPE_HEADERS_MAX;
    struct envelope_header *copy = arena_alloc(&consumer->arena, (count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        const void *value;
        if (rd_kafka_header_get_all(headers, i, &copy[i].name, &value, &copy[i].value.len) != 0)
            break;
        copy[i].value.at = value;
        record->headers_count++;
    }
    record->headers = copy;
}

static bool read_record(struct kafka_consumer *consumer, const rd_kafka_message_t *message,
                        struct kafka_record *record)
{
    struct topic *topic = find_topic(consumer, saga_text(rd_kafka_topic_name(message->rkt)));
    if (topic == NULL)
        return false;
    *record = (struct kafka_record){.topic = saga_text(topic->name),
                                    .partition = message->partition,
                                    .offset = message->offset,
                                    .timestamp_ms = rd_kafka_message_timestamp(message, NULL),
                                    .key = {message->key, message->key_len},
                                    .value = {message->payload, message->len}};
    read_headers(consumer, message, record);
    return true;
}

size_t kafka_consumer_take(struct kafka_consumer *consumer, struct kafka_record *records,
                           size_t max)
{
    uint64_t signalled;
    ssize_t ignored = read(consumer->fd, &signalled, sizeof signalled);
    (void)ignored;
    if (consumer->messages_count + max > consumer->messages_size) {
        consumer->messages_size = consumer->messages_count + max;
        consumer->messages =
            realloc(consumer->messages, consumer->messages_size * sizeof *consumer->messages);
        if (consumer->messages == NULL)
            abort();
    }
    rd_kafka_message_t **messages = consumer->messages + consumer->messages_count;
    ssize_t taken = rd_kafka_consume_batch_queue(consumer->queue, 0, messages, max);
    size_t count = 0;
    for (ssize_t i = 0; i < taken; i++) {
        if (messages[i]->err != 0)
            note_error(consumer, messages[i]);
        else if (read_record(consumer, messages[i], &records[count]))
            count++;
    }
    if (taken > 0)
        consumer->messages_count += (size_t)taken;
    if (taken == (ssize_t)max) { /* there may be more, and then nobody signals it again */
        uint64_t one = 1;
        ignored = write(consumer->fd, &one, sizeof one);
    }
    return count;
}

void kafka_consumer_release(struct kafka_consumer *consumer)
{
    for (size_t i = 0; i < consumer->messages_count; i++)
        rd_kafka_message_destroy(consumer->messages[i]);
    consumer->messages_count = 0;
    arena_reset(&consumer->arena);
}

void kafka_consumer_store(struct kafka_consumer *consumer, const struct kafka_record *record)
{
    pthread_mutex_lock(&consumer->lock);
    struct position *position = find_position(consumer, record->topic, record->partition);
    /* Not ours any more, or not again yet: then its owner commits. */
    if (position != NULL && position->assigned && record->offset >= position->start &&
        record->offset + 1 > position->stored)
        position->stored = record->offset + 1;
    pthread_mutex_unlock(&consumer->lock);
}

/* ---- what others want to know ---- */

size_t kafka_consumer_assigned(const struct kafka_consumer *consumer)
{
    return consumer->assigned;
}

const char *kafka_consumer_error(const struct kafka_consumer *consumer)
{
    return consumer->error[0] != '\0' ? consumer->error : NULL;
}

void kafka_consumer_lags(struct kafka_consumer *consumer,
                         void (*each)(void *opaque, const char *topic, int32_t partition,
                                      int64_t lag),
                         void *opaque)
{
    pthread_mutex_lock(&consumer->lock);
    for (size_t i = 0; i < consumer->topics_count; i++) {
        for (size_t n = 0; n < consumer->topics[i].count; n++) {
            const struct topic *topic = &consumer->topics[i];
            const struct position *position = &topic->positions[n];
            if (!position->assigned)
                continue;
            int64_t low = -1, high = -1, next = position->stored;
            rd_kafka_get_watermark_offsets(consumer->client, topic->name, (int32_t)n, &low, &high);
            if (next < 0)
                next = position->start >= 0 ? position->start : low;
            each(opaque, topic->name, (int32_t)n,
                 high < 0 || next < 0 ? -1
                 : high > next        ? high - next
                                      : 0);
        }
    }
    pthread_mutex_unlock(&consumer->lock);
}
