/*
 * faults_postgres.c: a PostgreSQL that stops, refuses and hangs; under load, while the auditor
 * looks.
 */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/db.h"
#include "support/harm.h"
#include "support/metric.h"
#include "support/orders.h"
#include "support/stack.h"

TestSuite(faults_postgres, .init = harm_attach, .fini = db_release, .timeout = 300);

Test(faults_postgres, postgres_shut_down_at_once)
{
    struct traffic *traffic = harm_begin();
    struct stack_part part;
    cr_assert(stack_part("postgres", &part));
    cr_assert_eq(kill(part.pid, SIGQUIT), 0); /* the immediate shutdown */
    cr_assert(CLOCK_UNTIL(20, stack_gone(part.pid)));
    cr_assert(stack_up("postgres", NULL));
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

/* Again and again, so that some are cut off between COMMIT and its answer. */
Test(faults_postgres, sessions_are_ended)
{
    struct traffic *traffic = harm_begin();
    int64_t ended = 0;
    for (int i = 0; i < 60; i++) {
        ended += harm_end_sessions((enum db)(i % DB_COUNT));
        clock_pause_ms(50);
    }
    cr_assert_gt(ended, 40);
    fprintf(stderr, "faults_postgres: %lld sessions ended\n", (long long)ended);
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

#define PLACES_MAX 500
#define AWAY_US 3000000

static PGconn *taken[PLACES_MAX];
static size_t taken_count;

static PGconn *take_place(void)
{
    const char *const names[] = {"dbname", "application_name", NULL};
    const char *const values[] = {stack_address("SHIPPING_DB"), "a place", NULL};
    return PQconnectdbParams(names, values, 1);
}

static void take_places(void)
{
    PGconn *place;
    while (PQstatus(place = take_place()) == CONNECTION_OK) {
        cr_assert_lt(taken_count, PLACES_MAX);
        taken[taken_count++] = place;
    }
    /* The second is said when others are being let in, or sent away, just now. */
    cr_assert(strstr(PQerrorMessage(place), "connection slots") != NULL ||
                  strstr(PQerrorMessage(place), "too many clients") != NULL,
              "%s", PQerrorMessage(place));
    PQfinish(place);
}

static void give_places_back(void)
{
    while (taken_count > 0)
        PQfinish(taken[--taken_count]);
}

/* Of the services, and of an auditor, who would leave its places to them: how many there were. */
static int end_all_sessions(PGconn *admin)
{
    PGresult *result = PQexec(admin, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                     " WHERE backend_type = 'client backend'"
                                     " AND pid <> pg_backend_pid()"
                                     " AND application_name <> 'a place'");
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s", PQerrorMessage(admin));
    int count = atoi(PQgetvalue(result, 0, 0));
    PQclear(result);
    return count;
}

/* Others have all the places, and the services lose theirs: whoever was faster than the others is
 * ended again, until no service has had a session for some seconds. */
Test(faults_postgres, out_of_connections)
{
    struct traffic *traffic = harm_begin();
    PGconn *admin = PQconnectdb(stack_address("ADMIN_DB"));
    cr_assert_eq(PQstatus(admin), CONNECTION_OK);
    take_places();
    int64_t away_us = clock_us();
    cr_assert(CLOCK_UNTIL(30, ({
                              if (end_all_sessions(admin) > 0)
                                  away_us = clock_us();
                              take_places();
                              clock_us() - away_us > AWAY_US;
                          })),
              "the services kept a place");
    cr_assert_eq(metric_ready(stack_address("ORDER_API")), 503);
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert_eq(answer.status, 503, "%d", answer.status);
    cr_assert_str_neq(answer.retry_after, "");
    cr_assert_eq(end_all_sessions(admin), 0);
    order_answer_free(&answer);
    give_places_back();
    PQfinish(admin);
    cr_assert(CLOCK_UNTIL(30, metric_ready(stack_address("ORDER_API")) == 200));
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

Test(faults_postgres, a_lock_is_held_by_someone_else)
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
        harm_last(2);
        db_release();
    }
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

/* ---- writes that are refused ---- */

/* Where each service writes, and when: order-svc's rows come with a request, and change with what
 * it hears; the others' come with their action, and change when it is undone or the goods go out.
 * A parcel never changes. */
static const struct {
    enum db db;
    const char *table, *operation;
} writes[] = {{DB_ORDER, "orders", "insert"},          {DB_ORDER, "orders", "update"},
              {DB_PAYMENT, "payment", "insert"},       {DB_PAYMENT, "payment", "update"},
              {DB_INVENTORY, "reservation", "insert"}, {DB_INVENTORY, "reservation", "update"},
              {DB_SHIPPING, "parcel", "insert"}};
#define WRITES (sizeof writes / sizeof *writes)
#define ENOUGH 3

#define AT_ONCE "CREATE TRIGGER", "FOR EACH STATEMENT"
#define AT_COMMIT "CREATE CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"

/* One transaction in four is, and the sequence counts them: it is not rolled back. */
static void refuse(size_t i, const char *sqlstate, const char *create, const char *when)
{
    char sql[1000];
    snprintf(sql, sizeof sql,
             "CREATE SEQUENCE refused_%1$s; GRANT USAGE ON SEQUENCE refused_%1$s TO PUBLIC;"
             "CREATE FUNCTION refuse_%1$s() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " IF (pg_current_xact_id()::text::bigint + %2$zu) %% 4 = 0 THEN"
             " PERFORM nextval('refused_%1$s'); RAISE 'asked for by a test'"
             " USING ERRCODE = '%3$s'; END IF; RETURN NULL; END $$;"
             "%4$s refuse_%1$s AFTER %1$s ON %5$s %6$s EXECUTE FUNCTION refuse_%1$s()",
             writes[i].operation, i, sqlstate, create, writes[i].table, when);
    db_run(writes[i].db, sql);
}

static int64_t refused(size_t i)
{
    char sql[80];
    snprintf(sql, sizeof sql, "SELECT last_value FROM refused_%s", writes[i].operation);
    return db_int(writes[i].db, sql, NULL);
}

static void refuse_no_more(size_t i)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "DROP TRIGGER refuse_%1$s ON %2$s; DROP FUNCTION refuse_%1$s;"
             "DROP SEQUENCE refused_%1$s",
             writes[i].operation, writes[i].table);
    db_run(writes[i].db, sql);
}

/* In all services, for a while. */
static void refuse_writes(const char *sqlstate, const char *create, const char *when)
{
    struct traffic *traffic = harm_begin();
    int64_t counts[WRITES];
    for (size_t i = 0; i < WRITES; i++)
        refuse(i, sqlstate, create, when);
    harm_last(3);
    for (size_t i = 0; i < WRITES; i++)
        (void)CLOCK_UNTIL(20, (counts[i] = refused(i)) >= ENOUGH);
    for (size_t i = 0; i < WRITES; i++)
        refuse_no_more(i);
    for (size_t i = 0; i < WRITES; i++) {
        fprintf(stderr, "faults_postgres: %lld times no %s of %s, with %s\n", (long long)counts[i],
                writes[i].operation, writes[i].table, sqlstate);
        cr_assert_geq(counts[i], ENOUGH, "no %s of %s", writes[i].operation, writes[i].table);
    }
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

Test(faults_postgres, serialization_failures)
{
    refuse_writes("40001", AT_ONCE);
}

Test(faults_postgres, serialization_failures_at_commit)
{
    refuse_writes("40001", AT_COMMIT);
}

Test(faults_postgres, deadlocks)
{
    refuse_writes("40P01", AT_ONCE);
}

Test(faults_postgres, statements_are_cancelled)
{
    refuse_writes("57014", AT_ONCE);
}

/* ---- a COMMIT that is not answered ---- */

static const char *const services[DB_COUNT] = {"order-svc", "payment-svc", "inventory-svc",
                                               "shipping-svc"};

static void require_standby(PGconn *admin, const char *change)
{
    char sql[80];
    snprintf(sql, sizeof sql, "ALTER SYSTEM %s", change);
    PGresult *altered = PQexec(admin, sql), *read = PQexec(admin, "SELECT pg_reload_conf()");
    cr_assert_eq(PQresultStatus(altered), PGRES_COMMAND_OK, "%s", PQerrorMessage(admin));
    cr_assert_eq(PQresultStatus(read), PGRES_TUPLES_OK, "%s", PQerrorMessage(admin));
    PQclear(altered);
    PQclear(read);
}

/* False: no COMMIT of the service waits for this. */
static bool end_in_commit(enum db db, const char *wait_event)
{
    return db_int(db,
                  "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE"
                  " datname = current_database() AND backend_type = 'client backend'"
                  " AND wait_event = $1",
                  wait_event) > 0;
}

/* It is done and on the disk, and waits for a standby that is none. In between all are answered:
 * one that says nothing is only repeated, and would never be the last. */
static void end_when_done(PGconn *admin, enum db db)
{
    require_standby(admin, "SET synchronous_standby_names = 'nobody'");
    (void)CLOCK_UNTIL(5, end_in_commit(db, "SyncRep"));
    require_standby(admin, "RESET synchronous_standby_names");
}

/* Again, until the service tells what it found out: without an event in the transaction there is
 * nothing to doubt, and on another lane it cannot know. */
static bool doubts_what_happened(PGconn *admin, enum db db)
{
    static const char finding[] = "a commit in doubt had happened";
    int64_t before = stack_log_count(services[db], finding);
    bool found = false;
    for (int tries = 0; tries < 20 && !found; tries++) {
        end_when_done(admin, db);
        found = CLOCK_UNTIL(1, stack_log_count(services[db], finding) > before);
    }
    return found;
}

/* It was sent, and a trigger that it fires waits for a lock. */
static bool doubts_what_did_not(enum db db, const char *table)
{
    static const char finding[] = "a commit in doubt had not happened";
    char sql[400];
    int64_t before = stack_log_count(services[db], finding);
    snprintf(sql, sizeof sql,
             "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$;"
             "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON %s DEFERRABLE INITIALLY DEFERRED"
             " FOR EACH ROW EXECUTE FUNCTION wait()",
             table);
    db_run(db, sql);
    db_hold(db, "SELECT pg_advisory_lock(1)");
    bool found = CLOCK_UNTIL(30, ({
                                 (void)end_in_commit(db, "advisory");
                                 stack_log_count(services[db], finding) > before;
                             }));
    db_release();
    snprintf(sql, sizeof sql, "DROP TRIGGER wait ON %s; DROP FUNCTION wait", table);
    db_run(db, sql);
    return found;
}

Test(faults_postgres, commits_are_not_answered)
{
    static const char *const tables[DB_COUNT] = {"orders", "payment", "reservation", "parcel"};
    struct traffic *traffic = harm_begin();
    PGconn *admin = PQconnectdb(stack_address("ADMIN_DB"));
    cr_assert_eq(PQstatus(admin), CONNECTION_OK);
    for (enum db db = 0; db < DB_COUNT; db++) {
        cr_assert(doubts_what_happened(admin, db), "%s", services[db]);
        cr_assert(doubts_what_did_not(db, tables[db]), "%s", services[db]);
    }
    PQfinish(admin);
    harm_wait_accepted(traffic);
    harm_end(traffic);
}
