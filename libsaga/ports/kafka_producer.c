/*
 * kafka_producer.c: idempotent, acks=all; every send is known again by its lane and number.
 *
 * A broker that refuses one record, or finds a batch too large, refuses all that is in the batch.
 * So a refusal is believed only of a record that went alone: there is a second client for that,
 * made when it is first needed.
 */
#include "ports/kafka.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TOPICS_MAX 64
#define BATCH_MAX "10000" /* librdkafka's own */
#define SEQ_BITS 48       /* lane and number share the opaque pointer: 16 and 48 bits */

/* A client of librdkafka, with the queue of its events. */
struct client {
    rd_kafka_t *kafka;
    rd_kafka_queue_t *queue;
};

struct kafka_producer {
    struct client client, alone; /* alone: a record a batch; kafka NULL until it is needed */
    const char *bootstrap, *client_id;
    int64_t delivery_ms;
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
    {"queue.buffering.max.kbytes", "65536"}, /* of memory: what is behind it waits in the table */
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

static bool client_open(struct kafka_producer *producer, const char *batch, char *errbuf,
                        size_t size, struct client *ret)
{
    char timeout[24];
    snprintf(timeout, sizeof timeout, "%lld", (long long)producer->delivery_ms);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, quiet);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS);
    bool ok =
        rd_kafka_conf_set(conf, "bootstrap.servers", producer->bootstrap, errbuf, size) == 0 &&
        rd_kafka_conf_set(conf, "client.id", producer->client_id, errbuf, size) == 0 &&
        rd_kafka_conf_set(conf, "message.timeout.ms", timeout, errbuf, size) == 0 &&
        rd_kafka_conf_set(conf, "batch.num.messages", batch, errbuf, size) == 0;
    for (size_t i = 0; ok && settings[i][0] != NULL; i++)
        ok = rd_kafka_conf_set(conf, settings[i][0], settings[i][1], errbuf, size) == 0;
    ret->kafka = ok ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, errbuf, size) : NULL;
    if (ret->kafka == NULL) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    ret->queue = rd_kafka_queue_get_main(ret->kafka);
    return true;
}

static void client_close(struct client *client)
{
    if (client->kafka == NULL)
        return;
    rd_kafka_queue_destroy(client->queue);
    rd_kafka_purge(client->kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                      RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_destroy(client->kafka);
}

struct kafka_producer *
kafka_producer_new(const char *bootstrap, const char *client_id, int64_t delivery_ms,
                   void (*delivered)(void *opaque, int32_t lane, int64_t seq,
                                     enum saga_verdict verdict, const char *error),
                   void *opaque, char *errbuf, size_t errbuf_size)
{
    struct kafka_producer *producer = calloc(1, sizeof *producer);
    if (producer == NULL)
        abort();
    producer->bootstrap = bootstrap;
    producer->client_id = client_id;
    producer->delivery_ms = delivery_ms;
    producer->delivered = delivered;
    producer->opaque = opaque;
    atomic_store(&producer->connected, true);
    if (!client_open(producer, BATCH_MAX, errbuf, errbuf_size, &producer->client)) {
        kafka_producer_free(producer);
        return NULL;
    }
    return producer;
}

void kafka_producer_free(struct kafka_producer *producer)
{
    if (producer == NULL)
        return;
    for (size_t i = 0; i < producer->topics_count; i++)
        rd_kafka_topic_destroy(producer->topics[i].topic);
    client_close(&producer->client);
    client_close(&producer->alone);
    free(producer);
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
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer->client.kafka, copy, NULL);
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

/* The caller's until a send took them. Not by RD_KAFKA_VTYPE_HEADER: librdkafka 2.0.2 frees such
 * headers twice when the topic is known to be no more. */
static rd_kafka_headers_t *make_headers(const struct envelope_header *headers, size_t count)
{
    rd_kafka_headers_t *made = rd_kafka_headers_new(count);
    for (size_t i = 0; i < count && i < ENVELOPE_HEADERS_MAX; i++)
        rd_kafka_header_add(made, headers[i].name, -1, headers[i].value.at,
                            (ssize_t)headers[i].value.len);
    return made;
}

enum saga_verdict kafka_producer_send(struct kafka_producer *producer, struct saga_text topic,
                                      struct saga_text key, struct saga_text value,
                                      const struct envelope_header *headers, size_t headers_count,
                                      int32_t lane, int64_t seq)
{
    rd_kafka_topic_t *handle = find_topic(producer, topic);
    if (handle == NULL)
        return SAGA_POISON;
    rd_kafka_headers_t *made = make_headers(headers, headers_count);
    uintptr_t opaque = (uintptr_t)lane << SEQ_BITS | (uintptr_t)seq;
    rd_kafka_vu_t arguments[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = handle},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key.at, key.len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value.at, value.len}},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)opaque},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = made},
    };
    rd_kafka_error_t *error =
        rd_kafka_produceva(producer->client.kafka, arguments, sizeof arguments / sizeof *arguments);
    if (error == NULL)
        return SAGA_OK;
    rd_kafka_headers_destroy(made);
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    enum saga_verdict verdict = fold_error(producer->client.kafka, code);
    rd_kafka_error_destroy(error);
    /* Anything but a full queue, a topic that is no more above all: not before a new producer. */
    return verdict == SAGA_RETRY && code != RD_KAFKA_RESP_ERR__QUEUE_FULL ? SAGA_FATAL : verdict;
}

/* False if it cannot be sent now. */
static bool send_alone(struct kafka_producer *producer, const rd_kafka_message_t *message)
{
    char why[256];
    rd_kafka_headers_t *headers = NULL;
    struct client *alone = &producer->alone;
    if (alone->kafka == NULL && !client_open(producer, "1", why, sizeof why, alone))
        return false;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        headers = rd_kafka_headers_copy(headers);
    rd_kafka_resp_err_t err = rd_kafka_producev(
        alone->kafka, RD_KAFKA_V_TOPIC(rd_kafka_topic_name(message->rkt)),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(message->key, message->key_len),
        RD_KAFKA_V_VALUE(message->payload, message->len), RD_KAFKA_V_OPAQUE(message->_private),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR && headers != NULL)
        rd_kafka_headers_destroy(headers);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void report(struct kafka_producer *producer, const struct client *client,
                   const rd_kafka_message_t *message)
{
    uintptr_t opaque = (uintptr_t)message->_private;
    int32_t lane = (int32_t)(opaque >> SEQ_BITS);
    int64_t seq = (int64_t)(opaque & ((UINT64_C(1) << SEQ_BITS) - 1));
    enum saga_verdict verdict = fold_error(client->kafka, message->err);
    if (verdict == SAGA_OK)
        atomic_store(&producer->connected, true);
    if (verdict == SAGA_POISON && client != &producer->alone) {
        if (send_alone(producer, message))
            return;
        verdict = SAGA_RETRY;
    }
    producer->delivered(producer->opaque, lane, seq, verdict, rd_kafka_err2str(message->err));
}

static void report_all(struct kafka_producer *producer, const struct client *client,
                       rd_kafka_event_t *event)
{
    const rd_kafka_message_t *messages[256];
    size_t count;
    while ((count = rd_kafka_event_message_array(event, messages, 256)) > 0)
        for (size_t i = 0; i < count; i++)
            report(producer, client, messages[i]);
}

static void note_statistics(struct kafka_producer *producer, const char *json)
{
    if (strstr(json, "\"state\":\"UP\"") != NULL)
        atomic_store(&producer->connected, true);
}

static void serve(struct kafka_producer *producer, const struct client *client)
{
    rd_kafka_event_t *event;
    while (client->kafka != NULL && (event = rd_kafka_queue_poll(client->queue, 0)) != NULL) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
            report_all(producer, client, event);
        else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_STATS)
            note_statistics(producer, rd_kafka_event_stats(event));
        else if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
            atomic_store(&producer->connected, false);
        rd_kafka_event_destroy(event);
    }
}

void kafka_producer_serve(struct kafka_producer *producer)
{
    serve(producer, &producer->client);
    serve(producer, &producer->alone);
}

static int in_flight(const struct kafka_producer *producer)
{
    int count = rd_kafka_outq_len(producer->client.kafka);
    return producer->alone.kafka == NULL ? count : count + rd_kafka_outq_len(producer->alone.kafka);
}

bool kafka_producer_flush(struct kafka_producer *producer, int timeout_ms)
{
    /* With reports as events, rd_kafka_flush only waits: serve them meanwhile. */
    for (int waited_ms = 0; in_flight(producer) > 0 && waited_ms < timeout_ms; waited_ms += 20) {
        rd_kafka_flush(producer->client.kafka, 20);
        if (producer->alone.kafka != NULL)
            rd_kafka_flush(producer->alone.kafka, 20);
        kafka_producer_serve(producer);
    }
    kafka_producer_serve(producer);
    return in_flight(producer) == 0;
}

bool kafka_producer_connected(const struct kafka_producer *producer)
{
    return atomic_load(&producer->connected);
}
