/* ports_kafka_mock.c: the Kafka port against librdkafka's mock cluster: what a real broker says
 * seldom.
 */
#include "integration/ports_kafka.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

static rd_kafka_t *mock_owner;
static rd_kafka_mock_cluster_t *mock;

static void begin(int brokers)
{
    char why[256];
    mock_owner = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
    cr_assert_not_null(mock_owner, "%s", why);
    mock = rd_kafka_mock_cluster_new(mock_owner, brokers);
    cr_assert_not_null(mock);
    bootstrap = rd_kafka_mock_cluster_bootstraps(mock);
    snprintf(topic, sizeof topic, "topic");
    snprintf(group, sizeof group, "group");
    cr_assert_eq(rd_kafka_mock_topic_create(mock, topic, 2, 1), 0);
}

static void on_mock(void)
{
    begin(1);
}

static void mock_gone(void)
{
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(mock_owner);
}

TestSuite(kafka_mock, .init = on_mock, .fini = mock_gone, .timeout = 120);

#define PRODUCE 0
#define FETCH 1
#define OFFSET_COMMIT 8
#define OFFSET_FETCH 9

static void push_errors(int16_t request, rd_kafka_resp_err_t error, size_t count)
{
    rd_kafka_resp_err_t errors[64];
    cr_assert_leq(count, 64);
    for (size_t i = 0; i < count; i++)
        errors[i] = error;
    rd_kafka_mock_push_request_errors_array(mock, request, count, errors);
}

/* What the broker answers to a ProduceRequest, so often; and what the sender is told. */
static const struct {
    const char *name;
    rd_kafka_resp_err_t error;
    size_t times;
    enum saga_verdict verdict;
} answers[] = {
    {"NOT_LEADER", RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 3, SAGA_OK},
    {"REQUEST_TIMED_OUT", RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, 3, SAGA_OK},
    {"NOT_ENOUGH_REPLICAS", RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 3, SAGA_OK},
    {"NOT_ENOUGH_REPLICAS_AFTER_APPEND", RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, 3,
     SAGA_OK},
    {"KAFKA_STORAGE_ERROR", RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, 3, SAGA_OK},
    {"connection lost", RD_KAFKA_RESP_ERR__TRANSPORT, 3, SAGA_OK},
    {"DUPLICATE_SEQUENCE", RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER, 1, SAGA_OK},
    /* Once, it may have been another record of the batch; alone, it is this one. */
    {"MSG_SIZE_TOO_LARGE", RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 1, SAGA_OK},
    {"MSG_SIZE_TOO_LARGE", RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 2, SAGA_POISON},
    {"INVALID_RECORD", RD_KAFKA_RESP_ERR_INVALID_RECORD, 1, SAGA_OK},
    {"INVALID_RECORD", RD_KAFKA_RESP_ERR_INVALID_RECORD, 2, SAGA_POISON},
    {"INVALID_MSG", RD_KAFKA_RESP_ERR_INVALID_MSG, 2, SAGA_POISON},
    {"TOPIC_AUTHORIZATION_FAILED", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 1, SAGA_RETRY},
    {"OUT_OF_ORDER_SEQUENCE", RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, 1, SAGA_FATAL},
    {"INVALID_PRODUCER_EPOCH", RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, 1, SAGA_RETRY},
};

Test(kafka_mock, what_the_broker_answers_has_its_verdict)
{
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        int64_t seq = (int64_t)i;
        struct kafka_producer *producer = new_producer(DELIVERY_MS);
        push_errors(PRODUCE, answers[i].error, answers[i].times);
        cr_assert_eq(send_one(producer, seq, 0), SAGA_OK, "%s", answers[i].name);
        cr_assert(CLOCK_UNTIL(SOON_S, (kafka_producer_serve(producer), sends[seq].reports > 0)),
                  "%s: no report", answers[i].name);
        check_reports(seq, seq + 1, answers[i].verdict, answers[i].name);
        kafka_producer_free(producer);
        rd_kafka_mock_clear_request_errors(mock, PRODUCE);
        /* And a new producer always works. */
        produce(1000 + seq, 1001 + seq);
    }
}

/* The header's promise: a broker that is away is RETRY after delivery_ms, and then it is tried with
 * a new producer. */
Test(kafka_mock, what_is_not_delivered_in_time_is_told)
{
    struct kafka_producer *producer = new_producer(1500);
    produce(0, 1);
    cr_assert(kafka_producer_connected(producer));
    rd_kafka_mock_broker_set_down(mock, 1);
    int64_t from_us = clock_us();
    send_all(producer, 1, 101, 0);
    cr_assert(CLOCK_UNTIL(SOON_S, (kafka_producer_serve(producer), sends[100].reports > 0)));
    cr_assert_gt(clock_us() - from_us, 1000000);
    check_reports(1, 101, SAGA_RETRY, "away");
    cr_assert(!kafka_producer_connected(producer));
    from_us = clock_us();
    send_all(producer, 101, 201, 0);
    kafka_producer_free(producer); /* forgets them, and does not wait */
    cr_assert_lt(clock_us() - from_us, 1000000);
    cr_assert_eq(sends[101].reports, 0);
    rd_kafka_mock_broker_set_up(mock, 1);
    produce(1000, 1100);
}

/* While the broker is away: the rest waits in the table, and not in memory. */
Test(kafka_mock, what_waits_for_a_broker_is_bounded)
{
    enum { SIZE = 100000, MOST = 65536 * 1024 + SIZE };
    enum saga_verdict verdict = SAGA_OK;
    int64_t count = 0;
    struct kafka_producer *producer = new_producer(DELIVERY_MS);
    rd_kafka_mock_broker_set_down(mock, 1);
    while (count < SENDS_MAX && (verdict = send_one(producer, count, SIZE)) == SAGA_OK)
        count++;
    cr_assert_eq(verdict, SAGA_RETRY);
    cr_assert(count * SIZE > MOST / 2 && count * SIZE <= MOST, "%lld", (long long)count);
    kafka_producer_free(producer);
    rd_kafka_mock_broker_set_up(mock, 1);
}

/* It fails, and no call of it took much longer than the one look-up may. */
static void check_error_comes_soon(struct kafka_consumer *consumer)
{
    int64_t longest_us = 0, end_us = clock_us() + (int64_t)SOON_S * 1000000;
    while (kafka_consumer_error(consumer) == NULL && clock_us() < end_us) {
        int64_t from_us = clock_us();
        take(consumer);
        if (clock_us() - from_us > longest_us)
            longest_us = clock_us() - from_us;
    }
    cr_assert_not_null(kafka_consumer_error(consumer));
    cr_assert_lt(longest_us, 1500000, "%lld us", (long long)longest_us);
}

/* The look-up of committed offsets fails: told soon, and a new consumer has them. */
Test(kafka_mock, offsets_that_cannot_be_looked_up)
{
    char why[256];
    produce(0, 100);
    push_errors(OFFSET_FETCH, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, 1);
    struct kafka_consumer *consumer = new_consumer();
    check_error_comes_soon(consumer);
    cr_assert_not_null(strstr(kafka_consumer_error(consumer), "committed offsets"));
    cr_assert_eq(kafka_consumer_assigned(consumer), 0);
    cr_assert_eq(taken_count, 0);
    release_all();
    kafka_consumer_drop(consumer);
    rd_kafka_mock_clear_request_errors(mock, OFFSET_FETCH);
    cr_assert(kafka_consumer_join(consumer, why, sizeof why), "%s", why);
    cr_assert_null(kafka_consumer_error(consumer));
    cr_assert(takes(consumer, 100));
    cr_assert_eq(taken_count, 100);
    end_consumer(consumer);
}

/* A partition that has no leader when a group reads for the first time. The others are read. */
Test(kafka_mock, a_partition_without_leader_does_not_keep_the_others_unread)
{
    produce(0, 100);
    cr_assert_eq(rd_kafka_mock_partition_set_leader(mock, topic, 0, -1), 0);
    struct kafka_consumer *consumer = new_consumer();
    cr_assert(takes(consumer, 1), "%s", kafka_consumer_error(consumer));
    for (size_t i = 0; i < taken_count; i++)
        cr_assert_eq(taken[i].partition, 1);
    cr_assert_eq(rd_kafka_mock_partition_set_leader(mock, topic, 0, 1), 0);
    cr_assert(takes(consumer, 100), "%zu, %s", taken_count, told ? told : "");
    cr_assert_null(kafka_consumer_error(consumer));
    cr_assert_null(kafka_consumer_lost(consumer), "%s", kafka_consumer_lost(consumer));
    end_consumer(consumer);
}

/* As an engine that hangs at a database. The group goes on without it: no later, for so long the
 * group waits for any member that does not answer. Then it is a member again. */
Test(kafka_mock, who_takes_nothing_for_long_leaves_and_comes_back)
{
    produce(0, 100);
    struct kafka_consumer *consumer = new_consumer();
    cr_assert(takes(consumer, 100));
    release_all();
    take(consumer);
    cr_assert_eq(taken_count, 0);
    int64_t from_us = clock_us();
    struct pollfd fd = {kafka_consumer_fd(consumer), POLLIN, 0};
    cr_assert_eq(poll(&fd, 1, 30000), 1);
    cr_assert_geq(clock_us() - from_us, 15000000);
    produce(100, 200);
    cr_assert(takes(consumer, 100));
    cr_assert_not_null(told);
    cr_assert_not_null(strstr(told, "poll interval"), "%s", told);
    cr_assert_null(kafka_consumer_error(consumer));
    end_consumer(consumer);
}

/* Nothing is read of it meanwhile, and no other sign of it is there. */
Test(kafka_mock, a_topic_that_may_not_be_read_is_told)
{
    produce(0, 100);
    push_errors(FETCH, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 4);
    struct kafka_consumer *consumer = new_consumer();
    cr_assert(takes(consumer, 100));
    cr_assert_not_null(told);
    cr_assert_not_null(strstr(told, topic), "%s", told);
    cr_assert_null(kafka_consumer_error(consumer));
    end_consumer(consumer);
}

/* A coordinator that hangs holds the caller for a second at most, and so does going away. */
Test(kafka_mock, a_hanging_broker_does_not_hold_the_caller)
{
    push_errors(OFFSET_FETCH, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, 64);
    struct kafka_consumer *consumer = new_consumer();
    check_error_comes_soon(consumer);
    rd_kafka_mock_broker_set_down(mock, 1);
    int64_t from_us = clock_us();
    release_all();
    kafka_consumer_drop(consumer);
    cr_assert_lt(clock_us() - from_us, 1000000, "%lld", (long long)(clock_us() - from_us));
    end_consumer(consumer);
}

Test(kafka_mock, more_partitions_than_are_handled)
{
    static const struct {
        const char *name;
        int partitions;
        bool good;
    } cases[] = {{"most", 1024, true}, {"more", 1025, false}};
    for (size_t i = 0; i < 2; i++) {
        snprintf(topic, sizeof topic, "%s", cases[i].name);
        snprintf(group, sizeof group, "%s", cases[i].name);
        cr_assert_eq(rd_kafka_mock_topic_create(mock, topic, cases[i].partitions, 1), 0);
        struct kafka_consumer *consumer = new_consumer();
        cr_assert(CLOCK_UNTIL(SOON_S, (take(consumer), kafka_consumer_assigned(consumer) > 0 ||
                                                           kafka_consumer_error(consumer))));
        cr_assert_eq(kafka_consumer_error(consumer) == NULL, cases[i].good, "%s",
                     kafka_consumer_error(consumer));
        cr_assert_eq(kafka_consumer_assigned(consumer), cases[i].good ? 1024 : 0);
        end_consumer(consumer);
    }
}

static void on_two(void)
{
    begin(2);
}

TestSuite(kafka_mock_two, .init = on_two, .fini = mock_gone, .timeout = 120);

/* By a client of its own. */
static bool is_committed(rd_kafka_t *looker, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    bool committed = rd_kafka_committed(looker, list, 1000) == 0 && list->elems[0].offset > 0;
    rd_kafka_topic_partition_list_destroy(list);
    return committed;
}

static rd_kafka_t *new_looker(void)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof why);
    rd_kafka_conf_set(conf, "group.id", group, why, sizeof why);
    rd_kafka_t *looker = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    cr_assert_not_null(looker, "%s", why);
    return looker;
}

/*
 * As after a restart of Kafka. "Not coordinator" is answered to a commit on the only connection
 * that there is: librdkafka 2.0.2 asks on it who is the coordinator, and takes its address away at
 * once. What is asked waits there for socket.timeout.ms, 60 s by default, and the group with it.
 * Mostly so: now and then another connection is there in time, and the commit is made at once.
 */
Test(kafka_mock_two, a_question_on_a_lost_connection_is_asked_again_soon)
{
    char all[160];
    snprintf(all, sizeof all, "%s", bootstrap);
    rd_kafka_t *looker = new_looker();
    all[strcspn(all, ",")] = '\0';
    bootstrap = all; /* the first one alone: else there may be a connection more */
    cr_assert_eq(rd_kafka_mock_coordinator_set(mock, "group", group, 2), 0);
    for (int32_t i = 0; i < 2; i++)
        cr_assert_eq(rd_kafka_mock_partition_set_leader(mock, topic, i, 1), 0);
    produce(0, 100);
    struct kafka_consumer *consumer = new_consumer();
    cr_assert(takes(consumer, 100));
    rd_kafka_mock_broker_set_down(mock, 1);
    rd_kafka_mock_broker_set_rtt(mock, 2, 200); /* the answer is later than the loss of the other */
    push_errors(OFFSET_COMMIT, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, 1);
    kafka_consumer_store(consumer, &taken[0]);
    kafka_consumer_commit(consumer);
    int64_t from_us = clock_us();
    while (!is_committed(looker, taken[0].partition) && kafka_consumer_joined(consumer)) {
        take(consumer);
        kafka_consumer_commit(consumer);
    }
    rd_kafka_mock_broker_set_up(mock, 1);
    release_all();
    produce(100, 200);
    cr_assert(takes(consumer, 100), "%s", kafka_consumer_error(consumer));
    cr_assert_lt(clock_us() - from_us, 25000000);
    rd_kafka_destroy(looker);
    end_consumer(consumer);
}
