/* admin.c: what an administrator, or time, does to topics. */
#include "admin.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

#define TIMEOUT_MS 10000

static rd_kafka_t *client(const char *bootstrap)
{
    char why[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof why);
    rd_kafka_conf_set(conf, "log_level", "2", why, sizeof why);
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (kafka == NULL) {
        fprintf(stderr, "%s\n", why);
        rd_kafka_conf_destroy(conf);
    }
    return kafka;
}

/* Waits for the one answer that comes to the queue. */
static bool answered(rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    rd_kafka_resp_err_t error = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        fprintf(stderr, "kafka: %s\n", rd_kafka_err2str(error));
    if (event != NULL)
        rd_kafka_event_destroy(event);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

bool admin_trim(const char *bootstrap, const char *topic, int32_t partition)
{
    rd_kafka_t *kafka = client(bootstrap);
    if (kafka == NULL)
        return false;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = RD_KAFKA_OFFSET_END;
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(kafka, &request, 1, NULL, queue);
    bool good = answered(queue);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(kafka);
    return good;
}

bool admin_keep_all(const char *bootstrap, const char *const *names)
{
    rd_kafka_t *kafka = client(bootstrap);
    if (kafka == NULL)
        return false;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka);
    bool good = true;
    for (size_t i = 0; good && names[i] != NULL; i++) {
        rd_kafka_ConfigResource_t *topic =
            rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, names[i]);
        rd_kafka_ConfigResource_set_config(topic, "retention.bytes", "-1");
        rd_kafka_ConfigResource_set_config(topic, "retention.ms", "-1");
        rd_kafka_AlterConfigs(kafka, &topic, 1, NULL, queue);
        good = answered(queue);
        rd_kafka_ConfigResource_destroy(topic);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(kafka);
    return good;
}
