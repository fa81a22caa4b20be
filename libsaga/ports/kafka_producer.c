/* kafka_producer.c: idempotent, acks=all; every send is known again by its lane and number. */
#include "ports/kafka.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TOPICS_MAX 64
#define SEQ_BITS 48 /* lane and number share the opaque pointer: 16 and 48 bits */

struct kafka_producer {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    int fd;
    void (*delivered)(void *opaque, int32_t lane, int64_t seq, enum saga_verdict verdict,
                      const char *error);
    void *opaque;
    atomic_bool connected;
    struct {
        char name[128];
        rd_kafka_topic_t *topic;
    } topics[TOPICS_MAX];
    size_t topics_count;
};

static const char *const settings[][2] = {
    {"acks", "all"},
    {"enable.idempotence", "true"},
    {"linger.ms", "0"}, /* the engine lingers already; here each ms would count once a hop */
    {"queue.buffering.max.messages", "400000"}, /* above all lanes' windows together */
    {"message.timeout.ms", "60000"},            /* then the lane falls back to its table */
    {"socket.nagle.disable", "true"},
    {"reconnect.backoff.ms", "50"},
    {"reconnect.backoff.max.ms", "1000"},
    {"statistics.interval.ms", "1000"}, /* the only way to hear that a broker is up again */
    {"allow.auto.create.topics", "false"},
    {"partitioner", "murmur2"}, /* Java's: every client maps a key to the same partition */
    {NULL, NULL},
};

static void quiet(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

static rd_kafka_t *make_client(const char *bootstrap, const char *client_id, char *errbuf,
                               size_t size)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, quiet);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS);
    bool ok = rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, errbuf, size) == 0 &&
              rd_kafka_conf_set(conf, "client.id", client_id, errbuf, size) == 0;
    for (size_t i = 0; ok && settings[i][0] != NULL; i++)
        ok = rd_kafka_conf_set(conf, settings[i][0], settings[i][1], errbuf, size) == 0;
    rd_kafka_t *client = ok ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, errbuf, size) : NULL;
    if (client == NULL)
        rd_kafka_conf_destroy(conf);
    return client;
}

struct kafka_producer *kafka_producer_new(const char *bootstrap, const char *client_id,
                                          void (*delivered)(void *opaque, int32_t lane, int64_t seq,
                                                            enum saga_verdict verdict,
                                                            const char *error),
                                          void *opaque, char *errbuf, size_t errbuf_size)
{
    struct kafka_producer *producer = calloc(1, sizeof *producer);
    if (producer == NULL)
        abort();
    producer->delivered = delivered;
    producer->opaque = opaque;
    atomic_store(&producer->connected, true);
    producer->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    producer->client = make_client(bootstrap, client_id, errbuf, errbuf_size);
    if (producer->client == NULL || producer->fd < 0) {
        kafka_producer_free(producer);
        return NULL;
    }
    uint64_t one = 1;
    producer->queue = rd_kafka_queue_get_main(producer->client);
    rd_kafka_queue_io_event_enable(producer->queue, producer->fd, &one, sizeof one);
    return producer;
}

void kafka_producer_free(struct kafka_producer *producer)
{
    if (producer == NULL)
        return;
    for (size_t i = 0; i < producer->topics_count; i++)
        rd_kafka_topic_destroy(producer->topics[i].topic);
    if (producer->queue != NULL) {
        rd_kafka_queue_io_event_enable(producer->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(producer->queue);
    }
    if (producer->client != NULL) {
        rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                             RD_KAFKA_PURGE_F_NON_BLOCKING);
        rd_kafka_destroy(producer->client);
    }
    if (producer->fd >= 0)
        close(producer->fd);
    free(producer);
}

int kafka_producer_fd(const struct kafka_producer *producer)
{
    return producer->fd;
}

static rd_kafka_topic_t *find_topic(struct kafka_producer *producer, struct saga_text name)
{
    for (size_t i = 0; i < producer->topics_count; i++)
        if (saga_text_equal(saga_text(producer->topics[i].name), name))
            return producer->topics[i].topic;
    if (producer->topics_count == TOPICS_MAX || name.len >= sizeof producer->topics[0].name)
        return NULL;
    char *copy = producer->topics[producer->topics_count].name;
    memcpy(copy, name.at, name.len);
    copy[name.len] = '\0';
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer->client, copy, NULL);
    if (topic != NULL)
        producer->topics[producer->topics_count++].topic = topic;
    return topic;
}

/* Of the broker's words only those about the record itself are final; the rest may pass. */
static enum saga_verdict fold_error(rd_kafka_t *client, rd_kafka_resp_err_t error)
{
    switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return SAGA_OK;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
        return SAGA_POISON;
    default:
        return rd_kafka_fatal_error(client, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR ? SAGA_FATAL
                                                                                   : SAGA_RETRY;
    }
}

enum saga_verdict kafka_producer_send(struct kafka_producer *producer, struct saga_text topic,
                                      struct saga_text key, struct saga_text value,
                                      const struct envelope_header *headers, size_t headers_count,
                                      int32_t lane, int64_t seq)
{
    rd_kafka_vu_t arguments[6 + ENVELOPE_HEADERS_MAX];
    rd_kafka_topic_t *handle = find_topic(producer, topic);
    if (handle == NULL)
        return SAGA_POISON;
    size_t count = 0;
    uintptr_t opaque = (uintptr_t)lane << SEQ_BITS | (uintptr_t)seq;
    arguments[count].vtype = RD_KAFKA_VTYPE_RKT;
    arguments[count++].u.rkt = handle;
    arguments[count].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    arguments[count++].u.i = RD_KAFKA_MSG_F_COPY;
    arguments[count].vtype = RD_KAFKA_VTYPE_KEY;
    arguments[count].u.mem.ptr = (void *)(uintptr_t)key.at;
    arguments[count++].u.mem.size = key.len;
    arguments[count].vtype = RD_KAFKA_VTYPE_VALUE;
    arguments[count].u.mem.ptr = (void *)(uintptr_t)value.at;
    arguments[count++].u.mem.size = value.len;
    arguments[count].vtype = RD_KAFKA_VTYPE_OPAQUE;
    arguments[count++].u.ptr = (void *)opaque;
    for (size_t i = 0; i < headers_count && i < ENVELOPE_HEADERS_MAX; i++) {
        arguments[count].vtype = RD_KAFKA_VTYPE_HEADER;
        arguments[count].u.header.name = headers[i].name;
        arguments[count].u.header.val = headers[i].value.at;
        arguments[count++].u.header.size = (ssize_t)headers[i].value.len;
    }
    rd_kafka_error_t *error = rd_kafka_produceva(producer->client, arguments, count);
    if (error == NULL)
        return SAGA_OK;
    enum saga_verdict verdict = fold_error(producer->client, rd_kafka_error_code(error));
    rd_kafka_error_destroy(error);
    return verdict;
}

static void report(struct kafka_producer *producer, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *messages[256];
    size_t count;
    while ((count = rd_kafka_event_message_array(event, messages, 256)) > 0) {
        for (size_t i = 0; i < count; i++) {
            uintptr_t opaque = (uintptr_t)messages[i]->_private;
            int32_t lane = (int32_t)(opaque >> SEQ_BITS);
            int64_t seq = (int64_t)(opaque & ((UINT64_C(1) << SEQ_BITS) - 1));
            enum saga_verdict verdict = fold_error(producer->client, messages[i]->err);
            if (verdict == SAGA_OK)
                atomic_store(&producer->connected, true);
            producer->delivered(producer->opaque, lane, seq, verdict,
                                rd_kafka_err2str(messages[i]->err));
        }
    }
}

static void note_statistics(struct kafka_producer *producer, const char *json)
{
    if (strstr(json, "\"state\":\"UP\"") != NULL)
        atomic_store(&producer->connected, true);
}

void kafka_producer_serve(struct kafka_producer *producer)
{
    uint64_t count;
    rd_kafka_event_t *event;
    ssize_t drained = read(producer->fd, &count, sizeof count);
    (void)drained; /* empty is fine: somebody else's wake-up */
    while ((event = rd_kafka_queue_poll(producer->queue, 0)) != NULL) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
            report(producer, event);
        else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_STATS)
            note_statistics(producer, rd_kafka_event_stats(event));
        else if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
            atomic_store(&producer->connected, false);
        rd_kafka_event_destroy(event);
    }
}

bool kafka_producer_flush(struct kafka_producer *producer, int timeout_ms)
{
    /* With reports as events, rd_kafka_flush only waits: serve them meanwhile. */
    for (int waited_ms = 0; rd_kafka_outq_len(producer->client) > 0 && waited_ms < timeout_ms;
         waited_ms += 20) {
        rd_kafka_flush(producer->client, 20);
        kafka_producer_serve(producer);
    }
    kafka_producer_serve(producer);
    return rd_kafka_outq_len(producer->client) == 0;
}

bool kafka_producer_connected(const struct kafka_producer *producer)
{
    return atomic_load(&producer->connected);
}
