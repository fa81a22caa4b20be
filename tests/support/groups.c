/* groups.c: the stored offsets of consumer groups. */
#include "groups.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

#define TIMEOUT_MS 10000
#define PARTITIONS_MAX 64

static rd_kafka_t *client(const char *bootstrap, const char *group)
{
    char why[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof why);
    rd_kafka_conf_set(conf, "group.id", group, why, sizeof why);
    rd_kafka_conf_set(conf, "log_level", "2", why, sizeof why);
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (kafka == NULL) {
        fprintf(stderr, "%s\n", why);
        rd_kafka_conf_destroy(conf);
    }
    return kafka;
}

static bool good(const char *topic, rd_kafka_resp_err_t error)
{
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        fprintf(stderr, "%s: %s\n", topic, rd_kafka_err2str(error));
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static int64_t behind(rd_kafka_t *kafka, const char *topic)
{
    int64_t count = 0, low, high;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS_MAX);
    for (int32_t i = 0; i < PARTITIONS_MAX; i++) {
        if (rd_kafka_query_watermark_offsets(kafka, topic, i, &low, &high, TIMEOUT_MS) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            break; /* that was the last partition */
        rd_kafka_topic_partition_list_add(list, topic, i);
        count += high;
    }
    if (list->cnt == 0 || !good(topic, rd_kafka_committed(kafka, list, TIMEOUT_MS)))
        count = -1;
    for (int i = 0; count >= 0 && i < list->cnt; i++)
        count -= list->elems[i].offset > 0 ? list->elems[i].offset : 0;
    rd_kafka_topic_partition_list_destroy(list);
    return count;
}

int64_t groups_behind(const char *bootstrap, const char *group, const char *topic)
{
    rd_kafka_t *kafka = client(bootstrap, group);
    if (kafka == NULL)
        return -1;
    int64_t count = behind(kafka, topic);
    rd_kafka_destroy(kafka);
    return count;
}

int64_t groups_stored(const char *bootstrap, const char *group, const char *topic,
                      int32_t partition)
{
    rd_kafka_t *kafka = client(bootstrap, group);
    if (kafka == NULL)
        return -1;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(list, topic, partition);
    int64_t offset = -1;
    if (good(topic, rd_kafka_committed(kafka, list, TIMEOUT_MS)))
        offset = one->offset > 0 ? one->offset : 0;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(kafka);
    return offset;
}

int64_t groups_end(const char *bootstrap, const char *topic, int32_t partition)
{
    rd_kafka_t *kafka = client(bootstrap, "nobody");
    int64_t low, high = -1;
    if (kafka == NULL || !good(topic, rd_kafka_query_watermark_offsets(kafka, topic, partition,
                                                                       &low, &high, TIMEOUT_MS)))
        high = -1;
    if (kafka != NULL)
        rd_kafka_destroy(kafka);
    return high;
}

bool groups_store(const char *bootstrap, const char *group, const char *topic, int32_t partition,
                  int64_t offset)
{
    rd_kafka_t *kafka = client(bootstrap, group);
    if (kafka == NULL)
        return false;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    bool stored = good(topic, rd_kafka_commit(kafka, list, 0));
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(kafka);
    return stored;
}
