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
    harm_last(3);
    int64_t asked = db_int(db, "SELECT last_value FROM refusals", NULL);
    snprintf(sql, sizeof sql,
             "DROP TRIGGER refuse ON %s; DROP FUNCTION refuse; DROP SEQUENCE refusals", table);
    db_run(db, sql);
    cr_assert_gt(asked, 8, "only %lld writes", (long long)asked);
    fprintf(stderr, "faults_postgres: %lld writes refused with %s\n", (long long)asked / 4,
            sqlstate);
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

Test(faults_postgres, serialization_failures)
{
    refuse_writes(DB_PAYMENT, "payment", "40001");
}

Test(faults_postgres, deadlocks)
{
    refuse_writes(DB_INVENTORY, "reservation", "40P01");
}

Test(faults_postgres, statements_are_cancelled)
{
    refuse_writes(DB_SHIPPING, "parcel", "57014");
}
