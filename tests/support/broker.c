/* broker.c: what an operator does to Kafka's topics, by its admin API. */
#include "broker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "clock.h"

#define TIMEOUT_MS 20000

struct call {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
};

static bool begin(struct call *call, const char *bootstrap)
{
    call->client = client_new(bootstrap, NULL);
    if (call->client == NULL)
        return false;
    call->queue = rd_kafka_queue_new(call->client);
    return true;
}

static bool good(const char *what, rd_kafka_resp_err_t error)
{
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        fprintf(stderr, "%s: %s\n", what, rd_kafka_err2str(error));
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The one result of the call; each kind of event has its own way to it. */
static bool result_of(const char *what, rd_kafka_event_t *event)
{
    size_t count;
    const rd_kafka_topic_partition_list_t *offsets;
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_CREATETOPICS_RESULT:
        return good(what, rd_kafka_topic_result_error(rd_kafka_CreateTopics_result_topics(
                              rd_kafka_event_CreateTopics_result(event), &count)[0]));
    case RD_KAFKA_EVENT_DELETETOPICS_RESULT:
        return good(what, rd_kafka_topic_result_error(rd_kafka_DeleteTopics_result_topics(
                              rd_kafka_event_DeleteTopics_result(event), &count)[0]));
    case RD_KAFKA_EVENT_ALTERCONFIGS_RESULT:
        return good(what, rd_kafka_ConfigResource_error(rd_kafka_AlterConfigs_result_resources(
                              rd_kafka_event_AlterConfigs_result(event), &count)[0]));
    case RD_KAFKA_EVENT_DELETERECORDS_RESULT:
        offsets = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
        return good(what, offsets->elems[0].err);
    default:
        return false;
    }
}

static bool end(struct call *call, const char *what)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(call->queue, TIMEOUT_MS);
    if (event == NULL)
        fprintf(stderr, "%s: no answer\n", what);
    bool ok = event != NULL && good(what, rd_kafka_event_error(event)) && result_of(what, event);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(call->queue);
    rd_kafka_destroy(call->client);
    return ok;
}

bool broker_create_topic(const char *bootstrap, const char *topic, int partitions)
{
    char why[128];
    struct call call;
    if (!begin(&call, bootstrap))
        return false;
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, partitions, 1, why, sizeof why);
    rd_kafka_CreateTopics(call.client, &wanted, 1, NULL, call.queue);
    rd_kafka_NewTopic_destroy(wanted);
    return end(&call, topic);
}

bool broker_delete_topic(const char *bootstrap, const char *topic)
{
    struct call call;
    if (!begin(&call, bootstrap))
        return false;
    rd_kafka_DeleteTopic_t *unwanted = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_DeleteTopics(call.client, &unwanted, 1, NULL, call.queue);
    rd_kafka_DeleteTopic_destroy(unwanted);
    return end(&call, topic);
}

bool broker_delete_records(const char *bootstrap, const char *topic, int32_t partition,
                           int64_t before)
{
    struct call call;
    if (!begin(&call, bootstrap))
        return false;
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(offsets, topic, partition)->offset = before;
    rd_kafka_DeleteRecords_t *unwanted = rd_kafka_DeleteRecords_new(offsets);
    rd_kafka_DeleteRecords(call.client, &unwanted, 1, NULL, call.queue);
    rd_kafka_DeleteRecords_destroy(unwanted);
    rd_kafka_topic_partition_list_destroy(offsets);
    return end(&call, topic);
}

static const char *value_of(const rd_kafka_ConfigResource_t *resource, const char *name)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            return rd_kafka_ConfigEntry_value(entries[i]);
    return NULL;
}

long long broker_topic_number(const char *bootstrap, const char *topic, const char *name)
{
    struct call call;
    long long number = -1;
    size_t count = 0;
    if (!begin(&call, bootstrap))
        return -1;
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_DescribeConfigs(call.client, &asked, 1, NULL, call.queue);
    rd_kafka_ConfigResource_destroy(asked);
    rd_kafka_event_t *event = rd_kafka_queue_poll(call.queue, TIMEOUT_MS);
    const rd_kafka_DescribeConfigs_result_t *result =
        event == NULL ? NULL : rd_kafka_event_DescribeConfigs_result(event);
    const rd_kafka_ConfigResource_t **resources =
        result == NULL ? NULL : rd_kafka_DescribeConfigs_result_resources(result, &count);
    if (event == NULL)
        fprintf(stderr, "%s: no answer\n", topic);
    else if (good(topic, rd_kafka_event_error(event)) && count == 1 &&
             good(topic, rd_kafka_ConfigResource_error(resources[0])))
        sscanf(value_of(resources[0], name) ? value_of(resources[0], name) : "", "%lld", &number);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(call.queue);
    rd_kafka_destroy(call.client);
    return number;
}

/* Kafka answers when its controller has written it down; a broker hears of it a moment later. */
static bool goes_by(const char *bootstrap, const char *topic, const char *name, const char *value)
{
    return value == NULL ||
           CLOCK_UNTIL(TIMEOUT_MS / 1000,
                       broker_topic_number(bootstrap, topic, name) == strtoll(value, NULL, 10));
}

bool broker_set_topic(const char *bootstrap, const char *topic, const char *name, const char *value)
{
    struct call call;
    if (!begin(&call, bootstrap))
        return false;
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    if (value != NULL)
        rd_kafka_ConfigResource_set_config(resource, name, value);
    rd_kafka_AlterConfigs(call.client, &resource, 1, NULL, call.queue);
    rd_kafka_ConfigResource_destroy(resource);
    return end(&call, topic) && goes_by(bootstrap, topic, name, value);
}
