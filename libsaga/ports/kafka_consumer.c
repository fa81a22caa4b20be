/* kafka_consumer.c: records in; the client's life. See kafka.h. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ports/kafka_inside.h"
#include "ports/system.h"

#define CLOSE_US 5000000
#define CLOSE_POLL_MS 50
#define TELL_AGAIN_US 10000000

static const char *const settings[][2] = {
    /* What becomes of an offset that the partition does not have is told (kafka_offsets.c): so
     * never silently skip or repeat. */
    {"auto.offset.reset", "error"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"allow.auto.create.topics", "false"},
    {"partition.assignment.strategy", "range"}, /* partition n of every topic on one member */
    {"session.timeout.ms", "6000"},
    {"heartbeat.interval.ms", "1500"},
    /* Also how long the group waits, when it is dealt anew, for a member that does not answer.
     * Kafka 4.1.1 may forget at its start to find out that one is dead: then all of them stand
     * still for so long. Who is held longer than that by another server leaves the group, and
     * comes back. */
    {"max.poll.interval.ms", "20000"},
    /* Who does not answer within a session is away. 2.0.2 may also ask who the coordinator is on a
     * connection that it has just given up (a commit was answered "not coordinator"), and asks
     * nobody else until this is over. */
    {"socket.timeout.ms", "6000"},
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

static void on_error(rd_kafka_t *client, int err, const char *reason, void *opaque)
{
    struct kafka_consumer *consumer = opaque;
    char why[160];
    (void)reason;
    if (err == RD_KAFKA_RESP_ERR__FATAL && rd_kafka_fatal_error(client, why, sizeof why) != 0)
        snprintf(consumer->error, sizeof consumer->error, "fatal: %s", why);
}

/* ---- making and ending ---- */

static rd_kafka_t *make_client(struct kafka_consumer *consumer, char *errbuf, size_t size)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, quiet);
    rd_kafka_conf_set_opaque(conf, consumer);
    rd_kafka_conf_set_rebalance_cb(conf, kafka_on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, kafka_on_commit);
    rd_kafka_conf_set_error_cb(conf, on_error);
    bool ok =
        rd_kafka_conf_set(conf, "bootstrap.servers", consumer->bootstrap, errbuf, size) == 0 &&
        rd_kafka_conf_set(conf, "group.id", consumer->group, errbuf, size) == 0 &&
        rd_kafka_conf_set(conf, "client.id", consumer->client_id, errbuf, size) == 0;
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
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(KAFKA_TOPICS_MAX);
    for (size_t i = 0; i < consumer->topics_count; i++)
        rd_kafka_topic_partition_list_add(list, consumer->topics[i].name, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(consumer->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != 0)
        snprintf(errbuf, size, "subscribe: %s", rd_kafka_err2str(err));
    return err == 0;
}

bool kafka_consumer_join(struct kafka_consumer *consumer, char *errbuf, size_t errbuf_size)
{
    assert(consumer->client == NULL);
    rd_kafka_t *client = make_client(consumer, errbuf, errbuf_size);
    if (client == NULL)
        return false;
    pthread_mutex_lock(&consumer->lock);
    consumer->client = client;
    pthread_mutex_unlock(&consumer->lock);
    consumer->error[0] = '\0';
    uint64_t one = 1;
    consumer->queue = rd_kafka_queue_get_consumer(client);
    rd_kafka_queue_io_event_enable(consumer->queue, consumer->fd, &one, sizeof one);
    if (subscribe(consumer, errbuf, errbuf_size))
        return true;
    kafka_consumer_drop(consumer);
    return false;
}

struct kafka_consumer *kafka_consumer_new(const char *bootstrap, const char *group,
                                          const char *client_id, const char *const *topics,
                                          void (*told)(void *opaque, const char *what),
                                          void *opaque, char *errbuf, size_t errbuf_size)
{
    struct kafka_consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL)
        abort();
    consumer->bootstrap = bootstrap;
    consumer->group = group;
    consumer->client_id = client_id;
    consumer->told = told;
    consumer->opaque = opaque;
    pthread_mutex_init(&consumer->lock, NULL);
    for (; topics[consumer->topics_count] != NULL; consumer->topics_count++) {
        assert(consumer->topics_count < KAFKA_TOPICS_MAX);
        consumer->topics[consumer->topics_count].name = strdup(topics[consumer->topics_count]);
    }
    consumer->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (consumer->fd < 0)
        snprintf(errbuf, errbuf_size, "no eventfd");
    if (consumer->fd < 0 || !kafka_consumer_join(consumer, errbuf, errbuf_size)) {
        kafka_consumer_free(consumer);
        return NULL;
    }
    return consumer;
}

/* The client is the caller's alone: lags are not asked of it any more, and nothing is in hand. */
static rd_kafka_t *take_client(struct kafka_consumer *consumer)
{
    assert(consumer->in_hand == 0);
    if (consumer->queue != NULL) {
        rd_kafka_queue_io_event_enable(consumer->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(consumer->queue);
        consumer->queue = NULL;
    }
    pthread_mutex_lock(&consumer->lock);
    rd_kafka_t *client = consumer->client;
    consumer->client = NULL;
    pthread_mutex_unlock(&consumer->lock);
    return client;
}

void kafka_consumer_drop(struct kafka_consumer *consumer)
{
    rd_kafka_t *client = take_client(consumer);
    kafka_forget_positions(consumer);
    if (client != NULL)
        rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

/* Revokes, which commits what is stored, and leaves the group. rd_kafka_consumer_close would wait
 * for a broker that is away for ever, so it is given a time. */
static bool close_client(struct kafka_consumer *consumer)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->client);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(consumer->client, queue);
    const int64_t end_us = system_monotonic_us() + CLOSE_US;
    while (error == NULL && !rd_kafka_consumer_closed(consumer->client) &&
           system_monotonic_us() < end_us) {
        /* Not rd_kafka_queue_poll_callback, which aborts when a record is among the events; and
         * there may be thousands before the last one. */
        rd_kafka_message_t *late = rd_kafka_consume_queue(queue, CLOSE_POLL_MS);
        if (late != NULL)
            rd_kafka_message_destroy(late);
    }
    bool closed = error != NULL || rd_kafka_consumer_closed(consumer->client);
    rd_kafka_error_destroy(error);
    if (closed)
        rd_kafka_queue_destroy(queue);
    return closed;
}

void kafka_consumer_leave(struct kafka_consumer *consumer)
{
    if (consumer->client == NULL || consumer->left)
        return;
    consumer->left = true;
    if (consumer->error[0] != '\0')
        kafka_consumer_drop(consumer);
    else if (close_client(consumer))
        rd_kafka_destroy(take_client(consumer));
}

void kafka_consumer_free(struct kafka_consumer *consumer)
{
    if (consumer == NULL)
        return;
    kafka_consumer_leave(consumer);
    if (consumer->client != NULL)
        return; /* it may still call back */
    if (consumer->fd >= 0)
        close(consumer->fd);
    for (size_t i = 0; i < consumer->topics_count; i++) {
        free(consumer->topics[i].name);
        free(consumer->topics[i].positions);
    }
    pthread_mutex_destroy(&consumer->lock);
    free(consumer->messages);
    free(consumer);
}

int kafka_consumer_fd(const struct kafka_consumer *consumer)
{
    return consumer->fd;
}

/* ---- records ---- */

/* What comes in the place of a record. Most errors pass by themselves, but the partition is not
 * read until then, and nobody else tells why; of those that come again and again one in a while. */
static void note_error(struct kafka_consumer *consumer, const rd_kafka_message_t *message)
{
    char what[320];
    int64_t now_us = system_monotonic_us();
    if (message->err == RD_KAFKA_RESP_ERR__FATAL)
        snprintf(consumer->error, sizeof consumer->error, "fatal: %.160s",
                 rd_kafka_message_errstr(message));
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || /* kafka_find_again tells */
        (message->err == consumer->told_error && now_us - consumer->told_us < TELL_AGAIN_US))
        return;
    consumer->told_error = message->err;
    consumer->told_us = now_us;
    snprintf(what, sizeof what, "%.100s/%d: %.200s",
             message->rkt != NULL ? rd_kafka_topic_name(message->rkt) : "?",
             (int)message->partition, rd_kafka_message_errstr(message));
    consumer->told(consumer->opaque, what);
}

void kafka_record_read(struct arena *arena, struct kafka_record *record)
{
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(record->message, &headers) != 0)
        return;
    size_t count = rd_kafka_header_cnt(headers);
    record->headers_too_many = count > ENVELOPE_HEADERS_MAX;
    if (record->headers_too_many)
        count = ENVELOPE_HEADERS_MAX;
    struct envelope_header *copy = arena_alloc(arena, (count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        const void *value;
        if (rd_kafka_header_get_all(headers, i, &copy[i].name, &value, &copy[i].value.len) != 0)
            break;
        copy[i].value.at = value;
        record->headers_count++;
    }
    record->headers = copy;
}

static bool read_record(struct kafka_consumer *consumer, rd_kafka_message_t *message,
                        struct kafka_record *record)
{
    struct saga_text name = saga_text(rd_kafka_topic_name(message->rkt));
    struct kafka_position *position = kafka_find_position(consumer, name, message->partition);
    if (position == NULL)
        return false;
    position->next = message->offset + 1;
    *record = (struct kafka_record){.topic = saga_text(kafka_find_topic(consumer, name)->name),
                                    .partition = message->partition,
                                    .offset = message->offset,
                                    .reading = position->readings,
                                    .timestamp_ms = rd_kafka_message_timestamp(message, NULL),
                                    .key = {message->key, message->key_len},
                                    .value = {message->payload, message->len},
                                    .message = message};
    return true;
}

size_t kafka_consumer_take(struct kafka_consumer *consumer, struct kafka_record *records,
                           size_t max)
{
    kafka_consumer_ignore(consumer); /* from here on: what comes now is seen below */
    if (consumer->client == NULL)
        return 0;
    if (max > consumer->messages_size) {
        consumer->messages_size = max;
        consumer->messages = realloc(consumer->messages, max * sizeof *consumer->messages);
        if (consumer->messages == NULL)
            abort();
    }
    rd_kafka_message_t **messages = consumer->messages;
    ssize_t taken = rd_kafka_consume_batch_queue(consumer->queue, 0, messages, max);
    size_t count = 0, others = 0;
    pthread_mutex_lock(&consumer->lock);
    for (ssize_t i = 0; i < taken; i++) {
        if (messages[i]->err == 0 && read_record(consumer, messages[i], &records[count])) {
            count++;
            continue;
        }
        if (messages[i]->err != 0)
            note_error(consumer, messages[i]);
        messages[others++] = messages[i];
    }
    pthread_mutex_unlock(&consumer->lock);
    consumer->in_hand += count;
    if (others > 0)
        kafka_find_again(consumer, messages, others);
    for (size_t i = 0; i < others; i++)
        rd_kafka_message_destroy(messages[i]);
    if (taken == (ssize_t)max) { /* there may be more, and then nobody signals it again */
        uint64_t one = 1;
        ssize_t ignored = write(consumer->fd, &one, sizeof one);
        (void)ignored;
    }
    return count;
}

void kafka_consumer_ignore(struct kafka_consumer *consumer)
{
    uint64_t signalled;
    ssize_t ignored = read(consumer->fd, &signalled, sizeof signalled);
    (void)ignored;
}

void kafka_consumer_release(struct kafka_consumer *consumer, struct kafka_record *records,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rd_kafka_message_destroy(records[i].message);
        records[i].message = NULL;
    }
    consumer->in_hand -= count;
}

/* ---- what others want to know ---- */

size_t kafka_consumer_assigned(const struct kafka_consumer *consumer)
{
    return consumer->assigned;
}

bool kafka_consumer_joined(const struct kafka_consumer *consumer)
{
    return consumer->joined;
}

const char *kafka_consumer_error(const struct kafka_consumer *consumer)
{
    return consumer->error[0] != '\0' ? consumer->error : NULL;
}
