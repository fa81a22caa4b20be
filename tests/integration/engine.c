/*
 * engine.c: the engine alone, with a small service and a database of its own on the real server:
 * what it makes of a COMMIT that was not answered, of conflicts without end, of a database that
 * says no.
 */
#include "integration/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "ports/failpoint.h"
#include "ports/kafka.h"

/* ---- the service: a command makes a thing and says so ---- */

static const struct saga_event thing_made = {
    .name = "thing.made", .shape = &thing_shape, .final = true};
static enum saga_verdict make(struct saga_tx *tx, const struct saga_message *in)
{
    saga_append(tx, &things, &(struct thing){in->order_id});
    saga_emit(tx, &thing_made, &(struct thing){in->order_id});
    return SAGA_OK;
}

static const struct saga_command make_thing = {.name = "make", .run = make};

/* A timer is due until its thing is there. */
static const struct saga_timer make_in_time = {
    .due = "SELECT order_id FROM timer WHERE due_at <= $1::timestamptz AND order_id > $3::uuid"
           " AND order_id NOT IN (SELECT order_id FROM thing) ORDER BY order_id LIMIT $2::integer",
    .command = &make_thing,
};
static const struct saga_service service = {
    .name = "engine-test",
    .tables = (const struct saga_table *const[]){&things, NULL},
    .commands = (const struct saga_command *const[]){&make_thing, NULL},
    .says = (const struct saga_event *const[]){&thing_made, NULL},
    .timer = &make_in_time,
};

static bool becomes(struct pg *pg, const char *sql, int64_t count)
{
    int64_t until_us = system_monotonic_us() + 20000000;
    while (count_of(pg, sql) != count)
        if (system_monotonic_us() > until_us || poll(NULL, 0, 5) < 0)
            return false;
    return true;
}

/* What a COMMIT, or each insert, of a thing runs into. */
static void on_insert(const char *when, const char *body)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "CREATE FUNCTION harm() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN %s"
             " RETURN NULL; END $$;"
             "CREATE CONSTRAINT TRIGGER harm AFTER INSERT ON thing %s"
             " FOR EACH ROW EXECUTE FUNCTION harm()",
             body, when);
    run(person, sql);
}

static const char no_more_harm[] = "DROP TRIGGER harm ON thing; DROP FUNCTION harm";

/* ---- the engine ---- */

static struct failpoint_control *failpoints;

static void share_failpoints(void)
{
    char dir[] = "/tmp/saga-engine-XXXXXX", path[300];
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/%s", dir, program_invocation_short_name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && ftruncate(fd, sizeof *failpoints) == 0);
    failpoints = mmap(NULL, sizeof *failpoints, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(failpoints, MAP_FAILED);
    close(fd);
    setenv("SAGA_TEST_FAILPOINTS", dir, 1);
    (void)FAILPOINT(start_connected); /* the process maps it too: then it may go */
    unlink(path);
    rmdir(dir);
}

static void setup(void)
{
    const char *topics[] = {"thing.made", NULL};
    char why[256];
    share_failpoints();
    make_database(&service, "CREATE TABLE thing (order_id uuid PRIMARY KEY);"
                            "CREATE TABLE timer (order_id uuid PRIMARY KEY, due_at timestamptz)");
    config.kafka_bootstrap = getenv("KAFKA_BOOTSTRAP");
    cr_assert_eq(kafka_topics_create(config.kafka_bootstrap, topics, 2, 1, 30000, why, sizeof why),
                 SAGA_OK, "%s", why);
    config.batch_max = 3; /* few fill it */
    start_engine(&service);
}

TestSuite(engine, .init = setup, .fini = end_engine, .timeout = 90);

struct wish {
    struct engine_command command;
    atomic_int outcome; /* -1: none yet */
};

static void wish_done(struct engine_command *command, enum engine_outcome outcome)
{
    atomic_store(&((struct wish *)command->opaque)->outcome, (int)outcome);
}

static struct wish *wish_for(int seconds)
{
    struct wish *wish = calloc(1, sizeof *wish);
    wish->command = (struct engine_command){
        .command = &make_thing,
        .order_id = system_uuid7(),
        .traceparent = SAGA_TEXT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        .said_us = system_now_us(),
        .give_up_us = system_monotonic_us() + (int64_t)seconds * 1000000,
        .done = wish_done,
        .opaque = wish};
    atomic_store(&wish->outcome, -1);
    cr_assert(engine_submit(engine, &wish->command));
    return wish;
}

static int outcome_of(struct wish *wish)
{
    int64_t until_us = system_monotonic_us() + 30000000;
    while (atomic_load(&wish->outcome) < 0 && system_monotonic_us() < until_us)
        poll(NULL, 0, 1);
    return atomic_load(&wish->outcome);
}

static bool healthy(void)
{
    struct engine_health health;
    engine_health(engine, &health);
    return health.database && health.accepting && health.detail[0] == '\0';
}

static bool becomes_healthy(bool wanted)
{
    int64_t until_us = system_monotonic_us() + 20000000;
    while (healthy() != wanted && system_monotonic_us() < until_us)
        poll(NULL, 0, 1);
    return healthy() == wanted;
}

static void drain_in_time(struct wish *wish)
{
    int64_t begin_us = system_monotonic_us();
    engine_drain(engine);
    cr_assert(engine_join(engine, begin_us + 20000000));
    cr_assert_lt(system_monotonic_us() - begin_us, 10000000);
    cr_assert_eq(outcome_of(wish), ENGINE_BUSY);
    engine_free(engine);
    engine = NULL;
}

/* Ends the engine's session, and lets nobody in. */
static void cut_off(void)
{
    static const char sessions[] =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'engine-test'";
    run_for_database("ALTER DATABASE %s ALLOW_CONNECTIONS false");
    cr_assert_eq(count_of(person, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                  " WHERE application_name = 'engine-test'"),
                 1);
    cr_assert(becomes(person, sessions, 0));
}

static const char in_commit[] = "SELECT count(*) FROM pg_stat_activity WHERE application_name ="
                                " 'engine-test' AND wait_event = 'PgSleep' AND query = 'COMMIT;\n'";

/* The COMMIT did not happen, but the lane is as long as if it had: another instance had it
 * meanwhile. Taken for done, the thing would be promised and lost (I5, I7). */
Test(engine, a_commit_in_doubt_is_looked_up_by_its_own_row)
{
    cr_assert_eq(outcome_of(wish_for(10)), ENGINE_COMMITTED);
    on_insert("DEFERRABLE INITIALLY DEFERRED", "PERFORM pg_sleep(60);");
    struct wish *wish = wish_for(60);
    cr_assert(becomes(person, in_commit, 1));
    cut_off();
    run(person, no_more_harm);
    run(person,
        "INSERT INTO outbox SELECT slot, lane, seq + 1, gen_random_uuid(), type, traceparent,"
        " payload, now() FROM outbox");
    run_for_database("ALTER DATABASE %s ALLOW_CONNECTIONS true");
    cr_assert_eq(outcome_of(wish), ENGINE_COMMITTED);
    cr_assert_eq(count_of(person, things_count), 2);
    cr_assert_eq(count_of(person, "SELECT max(seq) FROM outbox"), 3);
}

/* It did happen, only the answer was lost: it is not done twice. Where the old session still had
 * the lane, the engine has another and cannot know: then it says "busy". */
Test(engine, commits_that_happened_and_were_not_answered)
{
    int64_t known = 0;
    for (int i = 0; i < 10; i++) {
        failpoints->fault = FAILPOINT_ERROR;
        failpoints->countdown = 1;
        failpoints->armed = FAILPOINT_commit_unanswered + 1;
        int outcome = outcome_of(wish_for(60));
        cr_assert(outcome == ENGINE_COMMITTED || outcome == ENGINE_BUSY);
        known += outcome == ENGINE_COMMITTED;
        cr_assert_eq(failpoints->fired, i + 1);
    }
    cr_assert_eq(outcome_of(wish_for(60)), ENGINE_COMMITTED);
    cr_assert_gt(known, 0);
    int64_t made = count_of(person, things_count);
    cr_assert(made > known && made <= 11);
    cr_assert_eq(count_of(person, "SELECT count(*) FROM outbox"), made);
}

/* Nobody's fault, so nobody is given up: as long as it takes. */
Test(engine, deadlocks_without_end_are_waited_out)
{
    run(person, "CREATE SEQUENCE tries");
    on_insert("",
              "IF nextval('tries') < 50 THEN RAISE 'asked for' USING ERRCODE = '40P01'; END IF;");
    struct wish *wish = wish_for(60);
    cr_assert(becomes_healthy(false));
    cr_assert_eq(outcome_of(wish), ENGINE_COMMITTED);
    cr_assert_eq(count_of(person, things_count), 1);
    cr_assert(becomes_healthy(true));
}

/* A key that stays taken is the message's own fault. */
Test(engine, a_key_that_stays_taken_is_given_up)
{
    on_insert("", "RAISE 'asked for' USING ERRCODE = '23505';");
    cr_assert_eq(outcome_of(wish_for(60)), ENGINE_FAILED);
    run(person, no_more_harm);
    cr_assert_eq(outcome_of(wish_for(60)), ENGINE_COMMITTED);
}

/* readyz tells while it lasts, and no longer; who waited too long is told so. */
Test(engine, a_database_that_says_no)
{
    cr_assert(becomes_healthy(true));
    on_insert("", "RAISE 'asked for' USING ERRCODE = '53100';");
    struct wish *patient = wish_for(60), *hasty = wish_for(1);
    cr_assert(becomes_healthy(false));
    struct engine_health health;
    engine_health(engine, &health);
    cr_assert_not_null(strstr(health.detail, "53100"), "%s", health.detail);
    cr_assert_eq(outcome_of(hasty), ENGINE_BUSY);
    run(person, no_more_harm);
    cr_assert_eq(outcome_of(patient), ENGINE_COMMITTED);
    cr_assert(becomes_healthy(true));
    cr_assert_eq(count_of(person, things_count), 1);
}

/* More of them than fill a batch, and the oldest. */
Test(engine, timers_that_the_database_rejects_keep_no_other_waiting)
{
    on_insert("", "IF NEW.order_id < 'a0000000-0000-7000-8000-000000000000' THEN"
                  " RAISE 'asked for' USING ERRCODE = '23514'; END IF;");
    run(person, "INSERT INTO timer SELECT (n || '0000000-0000-7000-8000-000000000000')::uuid, now()"
                " FROM generate_series(1, 8) n");
    run(person, "INSERT INTO timer VALUES ('a0000000-0000-7000-8000-000000000000', now()),"
                " ('a0000000-0000-7000-8000-000000000001', now() + interval '2 s')");
    cr_assert(becomes(person, things_count, 2));
    run(person, no_more_harm);
    cr_assert(becomes(person, things_count, 10)); /* whoever was rejected comes again */
    cr_assert(becomes_healthy(true));
}

/* Ends the engine's session at each write: it gets another at once, and loses that. Neither as fast
 * as it can, nor for ever with those who wait. */
Test(engine, sessions_that_are_lost_at_every_write)
{
    static const char sessions[] =
        "SELECT sessions FROM pg_stat_database WHERE datname = current_database()";
    cr_assert(becomes_healthy(true));
    int64_t before = count_of(person, sessions);
    on_insert("", "RAISE 'asked for' USING ERRCODE = '25006';");
    struct wish *patient = wish_for(60), *hasty = wish_for(2);
    cr_assert_eq(outcome_of(hasty), ENGINE_BUSY);
    cr_assert_lt(count_of(person, sessions) - before, 40);
    run(person, no_more_harm);
    cr_assert_eq(outcome_of(patient), ENGINE_COMMITTED);
    cr_assert(becomes_healthy(true));
    cr_assert_eq(count_of(person, things_count), 1);
}

Test(engine, a_drain_does_not_wait_for_a_session_that_lasts)
{
    cr_assert(becomes_healthy(true));
    on_insert("", "RAISE 'asked for' USING ERRCODE = '25006';");
    struct wish *wish = wish_for(60);
    cr_assert(becomes_healthy(false));
    drain_in_time(wish);
}

/* A standby, or a server that takes no more: it is not for want of a session that nothing is done.
 */
Test(engine, a_database_that_is_read_only)
{
    struct engine_health health;
    cr_assert(becomes_healthy(true));
    run_for_database("ALTER DATABASE %s SET default_transaction_read_only = on");
    cut_off();
    run_for_database("ALTER DATABASE %s ALLOW_CONNECTIONS true");
    int64_t until_us = system_monotonic_us() + 20000000;
    do
        engine_health(engine, &health);
    while (strstr(health.detail, "read-only") == NULL && system_monotonic_us() < until_us);
    cr_assert_not_null(strstr(health.detail, "read-only"), "%s", health.detail);
    struct wish *patient = wish_for(60), *hasty = wish_for(1);
    cr_assert_eq(outcome_of(hasty), ENGINE_BUSY);
    run_for_database("ALTER DATABASE %s RESET default_transaction_read_only");
    cr_assert_eq(outcome_of(patient), ENGINE_COMMITTED);
    cr_assert(becomes_healthy(true));
}

/* What a later program has migrated is not touched by an earlier one, which says why. */
Test(engine, tables_of_a_later_version)
{
    cr_assert(becomes_healthy(true));
    run(person, "UPDATE epoch SET version = version + 1");
    cut_off();
    run_for_database("ALTER DATABASE %s ALLOW_CONNECTIONS true");
    cr_assert(becomes_healthy(false));
    struct engine_health health;
    int64_t until_us = system_monotonic_us() + 20000000;
    do
        engine_health(engine, &health);
    while (strstr(health.detail, "later version") == NULL && system_monotonic_us() < until_us);
    cr_assert_not_null(strstr(health.detail, "later version"), "%s", health.detail);
    run(person, "UPDATE epoch SET version = version - 1");
    cr_assert(becomes_healthy(true));
}

/* Told to end meanwhile, it does not wait for the database. */
Test(engine, a_drain_does_not_wait_for_a_database_that_says_no)
{
    cr_assert(becomes_healthy(true));
    on_insert("", "RAISE 'asked for' USING ERRCODE = '53100';");
    struct wish *wish = wish_for(60);
    cr_assert(becomes_healthy(false));
    drain_in_time(wish);
}
