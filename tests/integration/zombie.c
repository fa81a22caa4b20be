/*
 * zombie.c: one of two instances hangs for longer than its session, with a batch in hand, and comes
 * back when the other has done its work: it writes nothing that counts. For each service, under
 * load, while the auditor looks.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/clock.h"
#include "support/db.h"
#include "support/harm.h"
#include "support/metric.h"
#include "support/stack.h"

#define SOON_S 60
#define PARTITIONS 2
#define TRIES 4

/* An instance that hangs in its transaction keeps what it has locked. Where that is rows that exist
 * already, all others would wait for the server to end its session; here it is ended at once. */
enum session { KEPT, ENDED };

static const struct service {
    const char *name, *address;
    enum db db;
    enum session session;
    const char *table, *topic; /* that it writes for an event; that it hears for every order */
    const char *step;          /* with an action for every order that goes well */
    const char *undoes;        /* another step, with an undo for those that do not; NULL: none */
} order = {"order-svc", "ORDER_API",     DB_ORDER,     ENDED,
           "orders",    "order.shipped", "completion", "placement"},
  payment = {"payment-svc", "PAYMENT_OPS",   DB_PAYMENT, KEPT,
             "payment",     "order.created", "payment",  NULL},
  inventory = {"inventory-svc", "INVENTORY_API", DB_INVENTORY, KEPT,
               "reservation",   "payment.done",  "inventory",  NULL},
  shipping = {"shipping-svc", "SHIPPING_OPS",       DB_SHIPPING, KEPT,
              "parcel",       "inventory.reserved", "shipping",  NULL};

TestSuite(zombie, .init = harm_attach, .fini = db_release, .timeout = 300);

/* ---- what the two say of themselves ---- */

/* A counter that has not counted is not there. */
static double steps(const char *step, const char *base, const char *op, const char *result)
{
    char series[120];
    snprintf(series, sizeof series, "saga_steps_total{step=\"%s\",op=\"%s\",result=\"%s\"}", step,
             op, result);
    double count = metric_of(base, series);
    return count < 0 ? 0 : count;
}

static double done(const struct service *service, const char *base)
{
    return steps(service->step, base, "action", "done");
}

static double known_already(const struct service *service, const char *base)
{
    double count = steps(service->step, base, "action", "duplicate") +
                   steps(service->step, base, "undo", "duplicate");
    if (service->undoes != NULL)
        count += steps(service->undoes, base, "undo", "duplicate");
    return count;
}

/* -1: it does not read that partition. */
static double lag(const struct service *service, const char *base, int partition)
{
    char series[100];
    snprintf(series, sizeof series, "saga_consumer_lag{topic=\"%s\",partition=\"%d\"}",
             service->topic, partition);
    return metric_of(base, series);
}

static bool reads_all(const struct service *service, const char *base)
{
    return lag(service, base, 0) >= 0 && lag(service, base, 1) >= 0;
}

static bool reads_some(const struct service *service, const char *base)
{
    return (lag(service, base, 0) >= 0) != (lag(service, base, 1) >= 0);
}

static bool has_caught_up(const struct service *service, const char *base)
{
    return lag(service, base, 0) <= 3 && lag(service, base, 1) <= 3;
}

/* ---- its session ---- */

static bool session_is(const struct service *service, const char *pid, const char *what)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pg_stat_activity WHERE pid = $1::integer AND %s", what);
    return db_int(service->db, sql, pid) == 1;
}

/* The engine's, of the instance that was started last; to be freed. */
static char *newest_session(const struct service *service)
{
    return db_text(service->db,
                   "SELECT pid FROM pg_stat_activity WHERE application_name = $1"
                   " ORDER BY backend_start DESC LIMIT 1",
                   service->name);
}

static void end_session(const struct service *service, const char *pid)
{
    cr_assert_eq(
        db_int(service->db, "SELECT pg_terminate_backend($1::integer, 10000)::integer", pid), 1);
}

/* Stops the process in its batch: the transaction is open, or was and is no more, and no COMMIT was
 * sent. False: it was, or rows that exist are locked in a session that is to be kept. */
static bool stop_in_a_batch(const struct service *service, pid_t zombie, const char *base)
{
    char lock[64], *pid = newest_session(service);
    bool ended = service->session == ENDED, good = true;
    cr_assert_not_null(pid);
    cr_assert(CLOCK_UNTIL(20, has_caught_up(service, base))); /* a large batch has some of all */
    snprintf(lock, sizeof lock, "LOCK TABLE %s", service->table);
    db_hold(service->db, lock);
    cr_assert(CLOCK_UNTIL(SOON_S, session_is(service, pid, "wait_event_type = 'Lock'")));
    cr_assert_eq(kill(zombie, SIGSTOP), 0);
    if (ended)
        end_session(service, pid);
    db_release();
    if (!ended) {
        cr_assert(CLOCK_UNTIL(SOON_S, session_is(service, pid, "state <> 'active'")));
        good = session_is(service, pid, "state = 'idle in transaction' AND backend_xid IS NULL");
    }
    if (!good)
        cr_assert_eq(kill(zombie, SIGCONT), 0);
    free(pid);
    return good;
}

/* ---- the test ---- */

/* False: what it had in hand was nothing that it would count. */
static bool hangs_and_comes_back(const struct service *service, pid_t zombie, const char *base)
{
    const char *first = stack_address(service->address);
    double again = known_already(service, base);
    cr_assert(CLOCK_UNTIL(60, stop_in_a_batch(service, zombie, base)));
    cr_assert(CLOCK_UNTIL(SOON_S, reads_all(service, first)), "the other does not take over");
    double before = done(service, first);
    cr_assert(CLOCK_UNTIL(SOON_S, done(service, first) > before + HARM_RATE));
    cr_assert_eq(kill(zombie, SIGCONT), 0);
    return CLOCK_UNTIL(10, known_already(service, base) > again);
}

static void writes_nothing_that_counts(const struct service *service)
{
    char base[64];
    int port = stack_free_port(), tries = 0;
    struct traffic *traffic = harm_begin();
    pid_t zombie = stack_second(service->name, port);
    cr_assert(zombie > 0);
    snprintf(base, sizeof base, "http://127.0.0.1:%d", port);
    do {
        cr_assert(CLOCK_UNTIL(SOON_S, reads_some(service, base)), "it has no partition of its own");
        double before = done(service, base);
        cr_assert(CLOCK_UNTIL(SOON_S, done(service, base) > before), "it does nothing");
        cr_assert(tries++ < TRIES, "the zombie had nothing to write");
    } while (!hangs_and_comes_back(service, zombie, base));
    harm_wait_accepted(traffic);
    kill(zombie, SIGKILL);
    waitpid(zombie, NULL, 0);
    harm_end(traffic);
    cr_assert_eq(db_int(service->db,
                        "SELECT count(*) FROM (SELECT FROM outbox GROUP BY order_id, type"
                        " HAVING count(*) > 1) twice",
                        NULL),
                 0, "both have said the same");
}

Test(zombie, order_svc)
{
    writes_nothing_that_counts(&order);
}

Test(zombie, payment_svc)
{
    writes_nothing_that_counts(&payment);
}

Test(zombie, inventory_svc)
{
    writes_nothing_that_counts(&inventory);
}

Test(zombie, shipping_svc)
{
    writes_nothing_that_counts(&shipping);
}
