/*
 * faults.c: servers that do not die but misbehave, and a world that says things twice; under load,
 * while the auditor looks.
 */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/echo.h"
#include "support/harm.h"
#include "support/orders.h"
#include "support/stack.h"

static void let_go(void)
{
    db_release();
}

TestSuite(faults, .init = harm_attach, .fini = let_go, .timeout = 300);

static void sh(const char *command)
{
    cr_assert_eq(command_run(stack_root(), (const char *const[]){"sh", "-c", command, NULL}, NULL),
                 0, "%s", command);
}

/* The fault lasts: that is what is tested. */
static void last(int seconds)
{
    int64_t until_us = clock_us() + (int64_t)seconds * 1000000;
    (void)CLOCK_UNTIL(seconds + 1, clock_us() >= until_us);
}

/* ---- PostgreSQL ---- */

Test(faults, postgres_shut_down_at_once)
{
    struct traffic *traffic = harm_begin();
    struct stack_part part;
    cr_assert(stack_part("postgres", &part));
    cr_assert_eq(kill(part.pid, SIGQUIT), 0); /* the immediate shutdown */
    cr_assert(CLOCK_UNTIL(20, kill(part.pid, 0) != 0));
    cr_assert(stack_up("postgres", NULL));
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

static const char terminate[] = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                " WHERE datname = current_database() AND usename LIKE '%\\_app'";

/* Again and again, so that some are cut off between COMMIT and its answer. */
Test(faults, sessions_are_ended)
{
    struct traffic *traffic = harm_begin();
    int64_t ended = 0;
    for (int i = 0; i < 60; i++) {
        ended += db_int((enum db)(i % DB_COUNT), terminate, NULL);
        clock_pause_ms(50);
    }
    cr_assert_gt(ended, 40);
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

/* All connections are taken by others, and the services have lost theirs. */
Test(faults, postgres_out_of_connections)
{
    struct traffic *traffic = harm_begin();
    PGconn *taken[500];
    size_t count = 0;
    for (enum db db = 0; db < DB_COUNT; db++)
        db_int(db, terminate, NULL);
    do
        taken[count] = PQconnectdb(stack_address("SHIPPING_DB"));
    while (PQstatus(taken[count++]) == CONNECTION_OK && count < 500);
    cr_assert_lt(count, 500);
    cr_assert_not_null(strstr(PQerrorMessage(taken[count - 1]), "connection"));
    last(3);
    for (size_t i = 0; i < count; i++)
        PQfinish(taken[i]);
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

Test(faults, a_lock_is_held_by_someone_else)
{
    static const struct {
        enum db db;
        const char *sql;
    } locks[] = {{DB_ORDER, "LOCK TABLE orders"},
                 {DB_PAYMENT, "LOCK TABLE payment"},
                 {DB_INVENTORY, "SELECT * FROM stock FOR UPDATE"},
                 {DB_SHIPPING, "LOCK TABLE parcel"}};
    struct traffic *traffic = harm_begin();
    for (size_t i = 0; i < 4; i++) {
        db_hold(locks[i].db, locks[i].sql);
        last(2);
        db_release();
    }
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

/* One write in four is refused with this SQLSTATE for a while. */
static void refuse_writes(enum db db, const char *table, const char *sqlstate)
{
    char sql[800];
    struct traffic *traffic = harm_begin();
    snprintf(sql, sizeof sql,
             "CREATE SEQUENCE IF NOT EXISTS refusals; GRANT USAGE ON SEQUENCE refusals TO PUBLIC;"
             "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " IF nextval('refusals') %% 4 = 0 THEN RAISE 'asked for by a test'"
             " USING ERRCODE = '%s'; END IF; RETURN NULL; END $$;"
             "CREATE TRIGGER refuse AFTER INSERT OR UPDATE ON %s"
             " FOR EACH STATEMENT EXECUTE FUNCTION refuse()",
             sqlstate, table);
    db_run(db, sql);
    last(3);
    int64_t asked = db_int(db, "SELECT last_value FROM refusals", NULL);
    snprintf(sql, sizeof sql,
             "DROP TRIGGER refuse ON %s; DROP FUNCTION refuse; DROP SEQUENCE refusals", table);
    db_run(db, sql);
    cr_assert_gt(asked, 8, "only %lld writes", (long long)asked);
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

Test(faults, serialization_failures)
{
    refuse_writes(DB_PAYMENT, "payment", "40001");
}

Test(faults, deadlocks)
{
    refuse_writes(DB_INVENTORY, "reservation", "40P01");
}

Test(faults, disk_full)
{
    refuse_writes(DB_ORDER, "orders", "53100");
}

Test(faults, statements_are_cancelled)
{
    refuse_writes(DB_SHIPPING, "parcel", "57014");
}

/* ---- Redis ---- */

static void redis(const char *command)
{
    char line[300];
    snprintf(line, sizeof line, "redis-cli -u %s %s >/dev/null", stack_address("REDIS_URL"),
             command);
    sh(line);
}

Test(faults, redis_flushed_in_a_loop)
{
    struct traffic *traffic = harm_begin();
    for (int i = 0; i < 100; i++)
        redis("FLUSHALL");
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

Test(faults, redis_out_of_memory)
{
    struct traffic *traffic = harm_begin();
    redis("CONFIG SET maxmemory-policy noeviction");
    redis("CONFIG SET maxmemory 1");
    harm_wait_accepted(traffic);
    harm_wait_accepted(traffic);
    redis("CONFIG SET maxmemory 0");
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

/* It answers what it should not know: another type under every key, and nonsense. */
Test(faults, redis_holds_nonsense)
{
    struct traffic *traffic = harm_begin();
    for (int i = 0; i < 10; i++)
        redis("EVAL \"for _, k in ipairs(redis.call('keys', 'saga:*')) do"
              " redis.call('del', k) redis.call('lpush', k, 'nonsense') end\" 0");
    harm_wait_accepted(traffic);
    redis("FLUSHALL");
    harm_end(traffic);
}

/* ---- Kafka, and what it delivers ---- */

Test(faults, kafka_away_for_long)
{
    struct traffic *traffic = harm_begin();
    cr_assert(stack_kill("kafka"));
    last(15);
    cr_assert(stack_up("kafka", NULL));
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

Test(faults, every_event_is_said_twice)
{
    struct echo *echo = echo_begin(stack_address("KAFKA_BOOTSTRAP"), 300);
    cr_assert_not_null(echo);
    struct traffic *traffic = harm_begin();
    harm_wait_accepted(traffic);
    harm_wait_accepted(traffic);
    cr_assert_gt(echo_end(echo), 2 * HARM_RATE);
    harm_end(traffic);
}

/* Members come and go: partitions and lanes change hands all the time. */
Test(faults, rebalances_in_a_loop)
{
    struct traffic *traffic = harm_begin();
    for (int i = 0; i < 4; i++) {
        pid_t second = stack_second(i % 2 ? "inventory-svc" : "payment-svc", stack_free_port());
        cr_assert_gt(second, 0);
        harm_wait_accepted(traffic);
        kill(second, i < 2 ? SIGTERM : SIGKILL);
        waitpid(second, NULL, 0);
    }
    harm_end(traffic);
}

/* Both lose their session, and with it their lane, again and again: who is faster has it. */
Test(faults, two_fight_for_a_lane)
{
    struct traffic *traffic = harm_begin();
    pid_t second = stack_second("payment-svc", stack_free_port());
    cr_assert_gt(second, 0);
    cr_assert(CLOCK_UNTIL(30, db_int(DB_PAYMENT,
                                     "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                                     " AND database = (SELECT oid FROM pg_database"
                                     " WHERE datname = current_database())",
                                     NULL) >= 2));
    for (int i = 0; i < 30; i++) {
        db_int(DB_PAYMENT, terminate, NULL);
        clock_pause_ms(100);
    }
    harm_wait_accepted(traffic);
    kill(second, SIGKILL);
    waitpid(second, NULL, 0);
    harm_end(traffic);
}
