/* topics.c: the auditor's reader of the topics sees every partition, or says that it cannot. */
#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/topics.h"

#define LIST_OFFSETS 2 /* the request's number in the protocol */
#define PARTITIONS 43  /* twelve times that is more than 512 */

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

/* What a broker that has just been started may answer. The reader asks until its time is over, but
 * not as fast as it can, and says once why it gave up. */
Test(topics, a_broker_without_the_topics_is_not_asked_all_the_time)
{
    const char *const name[] = {"order.created", NULL};
    const size_t many = 1000;
    char said[4096];
    rd_kafka_resp_err_t gone[1000];
    for (size_t i = 0; i < many; i++)
        gone[i] = RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    cr_assert_eq(rd_kafka_mock_topic_create(cluster, name[0], 1, 1), 0);
    struct topics *topics =
        topics_open(rd_kafka_mock_cluster_bootstraps(cluster), name, true, see, NULL);
    cr_assert_not_null(topics);
    rd_kafka_mock_push_request_errors_array(cluster, LIST_OFFSETS, many, gone);
    rd_kafka_mock_topic_set_error(cluster, name[0], RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    FILE *file = tmpfile();
    cr_assert_not_null(file);
    cr_assert_eq(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    clock_t before = clock();
    cr_assert_not(topics_catch_up(topics, 2));
    clock_t cpu = clock() - before;
    cr_assert_lt(cpu, CLOCKS_PER_SEC / 2, "%g s of CPU in 2 s", (double)cpu / CLOCKS_PER_SEC);
    rewind(file);
    size_t length = fread(said, 1, sizeof said - 1, file);
    fclose(file);
    said[length] = '\0';
    cr_assert_eq(strncmp(said, "offsets: ", 9), 0, "%.300s", said);
    cr_assert_eq(strchr(said, '\n'), said + length - 1, "%.300s", said);
    rd_kafka_mock_clear_request_errors(cluster, LIST_OFFSETS);
    rd_kafka_mock_topic_set_error(cluster, name[0], RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert(topics_catch_up(topics, 20));
    topics_close(topics);
}
