/* topics.c: the auditor's reader of the topics sees every partition, or says that it cannot. */
#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>

#include "support/topics.h"

#define PARTITIONS 43 /* twelve times that is more than 512 */

static rd_kafka_t *kafka;
static rd_kafka_mock_cluster_t *cluster;

static void begin(void)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    cr_assert_not_null(kafka, "%s", why);
    cluster = rd_kafka_mock_cluster_new(kafka, 1);
    cr_assert_not_null(cluster);
}

static void end(void)
{
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(kafka);
}

TestSuite(topics, .init = begin, .fini = end, .timeout = 60);

static void produce(const char *topic, int32_t partition)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), why,
                      sizeof why);
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    cr_assert_eq(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic),
                                   RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY("k", 1),
                                   RD_KAFKA_V_VALUE("v", 1), RD_KAFKA_V_END),
                 RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_eq(rd_kafka_flush(producer, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(producer);
}

static int seen;

static void see(void *opaque, const struct topics_record *record)
{
    (void)opaque;
    cr_assert_eq(record->partition, PARTITIONS - 1);
    cr_assert_gt(record->time_ms, 0);
    seen++;
}

Test(topics, the_last_of_many_partitions_is_read)
{
    size_t count = 0;
    for (; topics_all[count] != NULL; count++)
        cr_assert_eq(rd_kafka_mock_topic_create(cluster, topics_all[count], PARTITIONS, 1), 0);
    produce(topics_all[0], PARTITIONS - 1);
    produce(topics_all[count - 1], PARTITIONS - 1);
    struct topics *topics =
        topics_open(rd_kafka_mock_cluster_bootstraps(cluster), topics_all, true, see, NULL);
    cr_assert_not_null(topics);
    cr_assert(topics_catch_up(topics, 20));
    cr_assert_eq(seen, 2);
    topics_close(topics);
}

/* A reader that leaves some out would take what is on them for missing. */
Test(topics, too_many_partitions_are_refused)
{
    const char *const name[] = {"order.created", NULL};
    cr_assert_eq(rd_kafka_mock_topic_create(cluster, name[0], TOPICS_PARTITIONS_MAX + 1, 1), 0);
    cr_assert_null(topics_open(rd_kafka_mock_cluster_bootstraps(cluster), name, true, see, NULL));
}
