/*
 * engine_kafka.c: the engine, under load, against a Kafka that answers with errors and time-outs:
 * librdkafka's mock cluster, which says on demand what a broker says seldom. A small service with a
 * database of its own on the real server makes things on command, hears of each what it has said
 * itself, and says so again: every thing is made once, heard once, and both are on their topics.
 *
 * The mock keeps 5 MiB a partition, which is far more than there is here, and never wakes a fetch
 * that waits: what is said is heard half a second later.
 */
#include "integration/engine.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdatomic.h>

#include "support/clock.h"

#define THINGS 3000
#define SOON_S 90

/* ---- the service ---- */

struct echo {
    struct saga_uuid order_id;
    int16_t state;
};

static const struct saga_event thing_made = {.name = "thing.made", .shape = &thing_shape};
static const struct saga_event thing_heard = {
    .name = "thing.heard", .shape = &thing_shape, .final = true};
static const struct saga_table echoes = {
    .name = "echo",
    .shape = &(const struct saga_shape)SAGA_SHAPE(struct echo,
                                                  SAGA_FIELD(struct echo, order_id, SAGA_UUID),
                                                  SAGA_FIELD(struct echo, state, SAGA_INT16)),
    .load = "SELECT order_id, state FROM echo WHERE order_id = ANY ($1::uuid[])"
            " ORDER BY order_id FOR UPDATE",
    .insert = "INSERT INTO echo SELECT * FROM unnest($1::uuid[], $2::smallint[])",
};

static enum saga_verdict make(struct saga_tx *tx, const struct saga_message *in)
{
    saga_append(tx, &things, &(struct thing){in->order_id});
    saga_emit(tx, &thing_made, &(struct thing){in->order_id});
    return SAGA_OK;
}

static enum saga_verdict hear(struct saga_tx *tx, const struct saga_message *in)
{
    saga_emit(tx, &thing_heard, &(struct thing){in->order_id});
    return SAGA_OK;
}

static const struct saga_command make_thing = {.name = "make", .run = make};
static const struct saga_step hear_step = {
    .name = "hear",
    .kind = SAGA_RETRIABLE,
    .table = &echoes,
    .state = offsetof(struct echo, state),
    .action = {.on = (const struct saga_event *const[]){&thing_made, NULL},
               .run = hear,
               .says = &thing_heard},
};
static const struct saga_service service = {
    .name = "engine-kafka-test",
    .steps = (const struct saga_step *const[]){&hear_step, NULL},
    .tables = (const struct saga_table *const[]){&echoes, &things, NULL},
    .commands = (const struct saga_command *const[]){&make_thing, NULL},
    .says = (const struct saga_event *const[]){&thing_made, &thing_heard, NULL},
};

/* ---- its servers ---- */

static rd_kafka_t *mock_owner;
static rd_kafka_mock_cluster_t *mock;

/* Requests by their key, of which the mock has got so many, and owes an error to so many. */
enum {
    PRODUCE = 0,
    FETCH = 1,
    OFFSET_COMMIT = 8,
    OFFSET_FETCH = 9,
    COORDINATOR = 10,
    JOIN = 11,
    HEARTBEAT = 12,
    SYNC = 14,
    PRODUCER_ID = 22,
    REQUESTS
};
static atomic_int got[REQUESTS], owed[REQUESTS];

/* Only the mock's log tells what it gets. */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *line)
{
    static const struct {
        int request;
        const char *words;
    } kinds[] = {{OFFSET_COMMIT, "Received OffsetCommitRequest"},
                 {COORDINATOR, "Received FindCoordinatorRequest"},
                 {HEARTBEAT, "Received HeartbeatRequest"}};
    (void)client, (void)level, (void)facility;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strstr(line, kinds[i].words) == NULL)
            continue;
        atomic_fetch_add(&got[kinds[i].request], 1);
        if (atomic_load(&owed[kinds[i].request]) > 0)
            atomic_fetch_sub(&owed[kinds[i].request], 1);
    }
}

static const char heard_count[] = "SELECT count(*) FROM echo";

/* At least so many. */
static bool reaches(const char *sql, int64_t count)
{
    int64_t until_us = system_monotonic_us() + (int64_t)SOON_S * 1000000;
    while (count_of(person, sql) < count)
        if (system_monotonic_us() > until_us || poll(NULL, 0, 20) < 0)
            return false;
    return true;
}

static void begin_kafka(void)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "debug", "mock", NULL, 0);
    rd_kafka_conf_set_log_cb(conf, on_log);
    mock_owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    cr_assert_not_null(mock_owner, "%s", why);
    mock = rd_kafka_mock_cluster_new(mock_owner, 1);
    cr_assert_not_null(mock);
    cr_assert_eq(rd_kafka_mock_topic_create(mock, thing_made.name, 2, 1), 0);
    cr_assert_eq(rd_kafka_mock_topic_create(mock, thing_heard.name, 2, 1), 0);
}

static void begin_servers(void)
{
    begin_kafka();
    make_database(&service, "CREATE TABLE thing (order_id uuid PRIMARY KEY);"
                            "CREATE TABLE echo (order_id uuid PRIMARY KEY, state smallint)");
    config.kafka_bootstrap = rd_kafka_mock_cluster_bootstraps(mock);
    config.delivery_s = 4;
}

static void begin(void)
{
    begin_servers();
    start_engine(&service);
}

static void end(void)
{
    end_engine();
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(mock_owner);
}

TestSuite(engine_kafka, .init = begin, .fini = end, .timeout = 400);
TestSuite(engine_kafka_later, .init = begin_servers, .fini = end, .timeout = 400);

/* ---- the load ---- */

static struct engine_command commands[THINGS];
static atomic_int committed, given_up;

static void done(struct engine_command *command, enum engine_outcome outcome)
{
    (void)command;
    atomic_fetch_add(outcome == ENGINE_COMMITTED ? &committed : &given_up, 1);
}

/* Makes things until there are so many. */
static void wish_until(int count)
{
    static int wished;
    for (; wished < count; wished++) {
        commands[wished] = (struct engine_command){
            .command = &make_thing,
            .order_id = system_uuid7(),
            .traceparent = SAGA_TEXT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            .said_us = system_now_us(),
            .give_up_us = INT64_MAX,
            .done = done};
        cr_assert(engine_submit(engine, &commands[wished]));
    }
    int64_t until_us = system_monotonic_us() + (int64_t)SOON_S * 1000000;
    while (atomic_load(&committed) < count && system_monotonic_us() < until_us)
        poll(NULL, 0, 1);
    cr_assert_eq(atomic_load(&committed), count);
    cr_assert_eq(atomic_load(&given_up), 0);
}

/* All that was said is acknowledged. */
static bool is_quiet(struct engine_health *ret)
{
    int64_t until_us = system_monotonic_us() + (int64_t)SOON_S * 1000000;
    do
        engine_health(engine, ret);
    while ((ret->outbox_pending > 0 || !ret->kafka) && system_monotonic_us() < until_us &&
           poll(NULL, 0, 20) == 0);
    return ret->outbox_pending == 0 && ret->kafka;
}

/* ---- what is on a topic, by an independent reader ---- */

static int compare_keys(const void *left, const void *right)
{
    return strcmp(left, right);
}

struct keys {
    size_t records, distinct;
};

static struct keys keys_on(const char *topic)
{
    static char keys[8 * THINGS][40];
    char why[256];
    size_t count = 0, distinct = 0;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(mock), why,
                      sizeof why);
    rd_kafka_conf_set(conf, "group.id", "nobody", why, sizeof why);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", why, sizeof why);
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "5", why, sizeof why);
    rd_kafka_t *reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    cr_assert_not_null(reader, "%s", why);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(2);
    for (int32_t partition = 0; partition < 2; partition++)
        rd_kafka_topic_partition_list_add(all, topic, partition)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    cr_assert_eq(rd_kafka_assign(reader, all), RD_KAFKA_RESP_ERR_NO_ERROR);
    for (int ends = 0; ends < 2;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, SOON_S * 1000);
        cr_assert_not_null(message);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            ends++;
        } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            snprintf(keys[count++], sizeof *keys, "%.*s", (int)message->key_len,
                     (const char *)message->key);
        }
        rd_kafka_message_destroy(message);
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 0; i < count; i++)
        distinct += i == 0 || strcmp(keys[i], keys[i - 1]) != 0;
    rd_kafka_topic_partition_list_destroy(all);
    rd_kafka_destroy(reader);
    fprintf(stderr, "engine_kafka: %s: %zu records of %zu things\n", topic, count, distinct);
    return (struct keys){count, distinct};
}

/* Each was made and heard once, and all of it was said; nothing was parked, nothing is owed. */
static void all_is_done(void)
{
    cr_assert_eq(atomic_load(&committed), THINGS);
    cr_assert(reaches(heard_count, THINGS), "%lld heard", (long long)count_of(person, heard_count));
    cr_assert_eq(count_of(person, heard_count), THINGS);
    cr_assert_eq(count_of(person, things_count), THINGS);
    cr_assert_eq(count_of(person, "SELECT count(*) FROM dead_letter"), 0);
    cr_assert_eq(count_of(person, "SELECT count(*) FROM outbox"), 2 * THINGS);
    struct engine_health health;
    cr_assert(is_quiet(&health), "%s", health.detail);
    cr_assert_eq(keys_on(thing_made.name).distinct, THINGS);
    cr_assert_eq(keys_on(thing_heard.name).distinct, THINGS);
}

/* ---- what goes wrong ---- */

/*
 * The mock does not look at sequence numbers. Where a broker would refuse what follows a record
 * that it did not take, the mock takes it, and librdkafka knows from that acknowledgement that all
 * before it is there as well, which it is not. So errors of a ProduceRequest that librdkafka tries
 * again come while there is no other one (ALONE).
 *
 * Nor does the mock see that a connection has gone on which a JoinGroupRequest waits, and it ends
 * itself when the member comes again. So what makes a client leave its coordinator comes while none
 * joins (SETTLED), and so does what makes it join after that.
 */
static const struct fault {
    int16_t request;
    enum { AT_ONCE, ALONE, SETTLED } when;
    rd_kafka_resp_err_t error;
} faults[] = {
    {PRODUCE, ALONE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION},
    {PRODUCE, ALONE, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT},
    {PRODUCE, ALONE, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS},
    {PRODUCE, ALONE, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND},
    {PRODUCE, ALONE, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR},
    {PRODUCE, ALONE, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER},
    {PRODUCE, AT_ONCE, RD_KAFKA_RESP_ERR__TRANSPORT},
    {PRODUCE, AT_ONCE, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED},
    {FETCH, AT_ONCE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION},
    {FETCH, AT_ONCE, RD_KAFKA_RESP_ERR__TRANSPORT},
    {FETCH, AT_ONCE, RD_KAFKA_RESP_ERR_UNKNOWN},
    {COORDINATOR, SETTLED, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE},
    {OFFSET_COMMIT, AT_ONCE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR_FOR_GROUP},
    {OFFSET_COMMIT, SETTLED, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS},
    {OFFSET_COMMIT, AT_ONCE, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS},
    {OFFSET_COMMIT, AT_ONCE, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION},
    {OFFSET_FETCH, AT_ONCE, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS},
    {HEARTBEAT, AT_ONCE, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS},
    {HEARTBEAT, AT_ONCE, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION},
    {HEARTBEAT, AT_ONCE, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID},
    {JOIN, AT_ONCE, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS},
    {JOIN, AT_ONCE, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID},
    {SYNC, AT_ONCE, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS},
    {PRODUCER_ID, AT_ONCE, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS},
};
#define FAULTS (int)(sizeof faults / sizeof *faults)
#define TIMES 2
#define ROUNDS (FAULTS * TIMES)

/* No error is owed that makes a member join, and its heart has beaten since: it has joined. */
static bool is_settled(void)
{
    bool owes =
        !CLOCK_UNTIL(SOON_S, atomic_load(&owed[OFFSET_COMMIT]) + atomic_load(&owed[COORDINATOR]) +
                                     atomic_load(&owed[HEARTBEAT]) ==
                                 0);
    int beats = atomic_load(&got[HEARTBEAT]);
    return !owes && CLOCK_UNTIL(SOON_S, atomic_load(&got[HEARTBEAT]) >= beats + 2);
}

static void push(const struct fault *fault)
{
    atomic_fetch_add(&owed[fault->request], 1);
    rd_kafka_mock_push_request_errors(mock, fault->request, 1, fault->error);
}

/* Each of them, one after the other, each time with more to do. */
Test(engine_kafka, errors_under_load)
{
    for (int round = 0; round < ROUNDS; round++) {
        const struct fault *fault = &faults[round % FAULTS];
        struct engine_health health;
        int64_t heard = count_of(person, heard_count);
        if (fault->when == SETTLED)
            cr_assert(is_settled());
        if (fault->when == ALONE) {
            cr_assert(reaches(heard_count, atomic_load(&committed)) && is_quiet(&health));
            push(fault);
            wish_until(atomic_load(&committed) + 1);
            cr_assert(is_quiet(&health), "%s", health.detail);
        } else {
            push(fault);
        }
        wish_until(THINGS / ROUNDS * (round + 1));
        /* Until something more was heard: so the next error meets other requests. */
        cr_assert(reaches(heard_count, heard + 1));
    }
    wish_until(THINGS);
    fprintf(stderr, "engine_kafka: %d errors of %d kinds, %d things\n", ROUNDS, FAULTS, THINGS);
    all_is_done();
}

/* What was said first and is not acknowledged was said longer ago than a delivery may take. */
static bool is_behind(void)
{
    int64_t until_us = system_monotonic_us() + (int64_t)SOON_S * 1000000;
    struct engine_health health;
    do
        engine_health(engine, &health);
    while ((health.outbox_oldest_us == 0 ||
            system_now_us() - health.outbox_oldest_us < (config.delivery_s + 3) * 1000000) &&
           system_monotonic_us() < until_us && poll(NULL, 0, 20) == 0);
    return system_monotonic_us() < until_us;
}

/* A broker that answers later than a delivery may take, a session lasts, and a look-up waits. */
Test(engine_kafka, time_outs_under_load)
{
    for (int round = 0; round < 3; round++) {
        wish_until(THINGS / 6 * (2 * round + 1));
        rd_kafka_mock_broker_set_rtt(mock, 1, 8000);
        wish_until(THINGS / 6 * (2 * round + 2));
        cr_assert(is_behind()); /* until a delivery has failed, and the next is on its way */
        rd_kafka_mock_broker_set_rtt(mock, 1, 0);
    }
    all_is_done();
}

/* While one partition takes nothing, deliveries to it fail and producers go with it. What the other
 * one has taken meanwhile is said no second time. */
Test(engine_kafka, what_is_out_is_passed_over)
{
    rd_kafka_mock_partition_set_leader(mock, thing_made.name, 1, -1);
    wish_until(THINGS / 10);
    cr_assert(is_behind());
    rd_kafka_mock_partition_set_leader(mock, thing_made.name, 1, 1);
    struct engine_health health;
    cr_assert(is_quiet(&health), "%s", health.detail);
    wish_until(THINGS);
    all_is_done();
    cr_assert_eq(keys_on(thing_made.name).records, THINGS);
}

/* Rows of before, refused as soon as they are handed over: no topic has so long a name. There is
 * room in mind for 256; what more there is comes again, when those are parked. */
Test(engine_kafka_later, more_are_refused_at_once_than_there_is_room_for)
{
    run(person, "INSERT INTO outbox SELECT 0, 0, i, gen_random_uuid(),"
                " CASE WHEN i <= 1000 THEN repeat('x', 200) ELSE 'thing.heard' END, NULL, '{}',"
                " now() FROM generate_series(1, 1001) AS i");
    start_engine(&service);
    cr_assert(reaches("SELECT count(*) FROM dead_letter WHERE reason = 'refused_by_broker'", 1000));
    struct engine_health health;
    cr_assert(is_quiet(&health), "%s", health.detail);
    cr_assert_eq(count_of(person, "SELECT count(*) FROM dead_letter"), 1000);
    cr_assert_eq(keys_on(thing_heard.name).records, 1);
}
