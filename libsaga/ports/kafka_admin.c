/* kafka_admin.c: topics are created on purpose, offsets are moved on purpose. */
#include "ports/kafka.h"

#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define TOPICS_MAX 64
#define POLL_MS 20
#define FEW_BROKERS_MS 200

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, char *errbuf,
                size_t size)
{
    return rd_kafka_conf_set(conf, name, value, errbuf, size) == RD_KAFKA_CONF_OK;
}

static void quiet(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

/* group: NULL, or whose offsets are to be moved; it is not joined. */
static rd_kafka_t *make_client(const char *bootstrap, const char *group, char *errbuf, size_t size)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, quiet);
    if (!set(conf, "bootstrap.servers", bootstrap, errbuf, size) ||
        (group != NULL && !set(conf, "group.id", group, errbuf, size))) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_t *client =
        rd_kafka_new(group ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, errbuf, size);
    if (client == NULL)
        rd_kafka_conf_destroy(conf);
    return client;
}

/* One result per topic: there already is fine. */
static rd_kafka_resp_err_t read_results(rd_kafka_event_t *event, char *errbuf, size_t size)
{
    size_t count = 0;
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        snprintf(errbuf, size, "%s", rd_kafka_event_error_string(event));
        return rd_kafka_event_error(event);
    }
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            continue;
        const char *why = rd_kafka_topic_result_error_string(results[i]);
        snprintf(errbuf, size, "topic %s: %s", rd_kafka_topic_result_name(results[i]),
                 why ? why : rd_kafka_err2str(error));
        return error;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t ask(rd_kafka_t *client, rd_kafka_NewTopic_t **topics, size_t count,
                               int timeout_ms, char *errbuf, size_t size)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, errbuf, size);
    rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, errbuf, size);
    rd_kafka_CreateTopics(client, topics, count, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (event != NULL)
        error = read_results(event, errbuf, size);
    else
        snprintf(errbuf, size, "no answer from the broker");
    rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return error;
}

/* The brokers of a cluster come one by one, and there may be too few yet for so many replicas:
 * asked again until it is time. */
static bool create(rd_kafka_t *client, rd_kafka_NewTopic_t **topics, size_t count, int timeout_ms,
                   char *errbuf, size_t size)
{
    rd_kafka_resp_err_t error;
    int waited_ms = 0;
    while ((error = ask(client, topics, count, timeout_ms, errbuf, size)) ==
               RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR &&
           waited_ms < timeout_ms) {
        poll(NULL, 0, FEW_BROKERS_MS);
        waited_ms += FEW_BROKERS_MS;
    }
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* How many partitions with a leader the topic has now; -1 with the reason if nobody answers. */
static int count_partitions(rd_kafka_t *client, const char *name, int timeout_ms, char *errbuf,
                            size_t size)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, topic, &metadata, timeout_ms);
    rd_kafka_topic_destroy(topic);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        snprintf(errbuf, size, "topic %s: %s", name, rd_kafka_err2str(error));
        return -1;
    }
    int there = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    for (int i = 0; i < there; i++)
        if (metadata->topics[0].partitions[i].leader < 0)
            there = 0;
    rd_kafka_metadata_destroy(metadata);
    return there;
}

/*
 * A topic that is there with other partitions would send an order's events to two members. A new
 * one shows in a broker's metadata only a while after it was made, and nothing tells when: so ask
 * again.
 */
static bool check_partitions(rd_kafka_t *client, const char *const *topics, int partitions,
                             int timeout_ms, char *errbuf, size_t size)
{
    int waited_ms = 0;
    while (*topics != NULL) {
        int there = count_partitions(client, *topics, timeout_ms, errbuf, size);
        if (there == partitions) {
            topics++;
        } else if (there == 0 && waited_ms < timeout_ms) {
            poll(NULL, 0, POLL_MS);
            waited_ms += POLL_MS;
        } else {
            if (there == 0)
                snprintf(errbuf, size, "topic %s does not appear", *topics);
            else if (there > 0)
                snprintf(errbuf, size, "topic %s has %d partitions, not %d: set SAGA_PARTITIONS=%d",
                         *topics, there, partitions, there);
            return false;
        }
    }
    return true;
}

enum saga_verdict kafka_topics_create(const char *bootstrap, const char *const *topics,
                                      int partitions, int replication, int timeout_ms, char *errbuf,
                                      size_t errbuf_size)
{
    rd_kafka_NewTopic_t *wanted[TOPICS_MAX];
    size_t count = 0;
    rd_kafka_t *client = make_client(bootstrap, NULL, errbuf, errbuf_size);
    if (client == NULL)
        return SAGA_FATAL;
    while (topics[count] != NULL && count < TOPICS_MAX) {
        wanted[count] =
            rd_kafka_NewTopic_new(topics[count], partitions, replication, errbuf, errbuf_size);
        if (wanted[count] == NULL)
            break;
        count++;
    }
    bool all = topics[count] == NULL;
    bool ok = all && create(client, wanted, count, timeout_ms, errbuf, errbuf_size);
    enum saga_verdict verdict = ok ? SAGA_OK : SAGA_RETRY;
    if (ok && !check_partitions(client, topics, partitions, timeout_ms, errbuf, errbuf_size))
        verdict = SAGA_FATAL;
    rd_kafka_NewTopic_destroy_array(wanted, count);
    rd_kafka_destroy(client);
    return verdict;
}

/* ---- offsets ---- */

/* Of the partitions only those stay in the list whose offset has to be moved; opaque is the old: 0
 * if there is none, for then all records from the first were to be read. */
static rd_kafka_resp_err_t keep_lost(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list,
                                     int timeout_ms)
{
    for (int i = list->cnt - 1; i >= 0; i--) {
        int64_t low, high;
        rd_kafka_topic_partition_t *one = &list->elems[i];
        rd_kafka_resp_err_t err = one->err;
        if (err == 0)
            err = rd_kafka_query_watermark_offsets(client, one->topic, one->partition, &low, &high,
                                                   timeout_ms);
        if (err != 0)
            return err;
        int64_t next = one->offset >= 0 ? one->offset : 0;
        if (next < low) {
            one->opaque = (void *)(intptr_t)next;
            one->offset = low;
        } else {
            rd_kafka_topic_partition_list_del_by_idx(list, i);
        }
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void tell_moved(const rd_kafka_topic_partition_list_t *list,
                       void (*told)(void *opaque, const char *what), void *opaque)
{
    char what[300];
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &list->elems[i];
        snprintf(what, sizeof what, "%s/%d: from %lld to %lld", one->topic, (int)one->partition,
                 (long long)(intptr_t)one->opaque, (long long)one->offset);
        told(opaque, what);
    }
}

enum saga_verdict kafka_offsets_reset(const char *bootstrap, const char *group,
                                      const char *const *topics, int timeout_ms,
                                      void (*told)(void *opaque, const char *what), void *opaque,
                                      char *errbuf, size_t errbuf_size)
{
    rd_kafka_t *client = make_client(bootstrap, group, errbuf, errbuf_size);
    if (client == NULL)
        return SAGA_FATAL;
    bool ok = true;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(64);
    for (; ok && *topics != NULL; topics++) {
        int count = count_partitions(client, *topics, timeout_ms, errbuf, errbuf_size);
        ok = count >= 0;
        if (count > 0)
            rd_kafka_topic_partition_list_add_range(list, *topics, 0, count - 1);
    }
    if (ok) {
        rd_kafka_resp_err_t err = rd_kafka_committed(client, list, timeout_ms);
        if (err == 0)
            err = keep_lost(client, list, timeout_ms);
        if (err == 0 && list->cnt > 0)
            err = rd_kafka_commit(client, list, 0);
        ok = err == 0;
        if (ok)
            tell_moved(list, told, opaque);
        else
            snprintf(errbuf, errbuf_size, "%s", rd_kafka_err2str(err));
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(client);
    return ok ? SAGA_OK : SAGA_RETRY;
}
