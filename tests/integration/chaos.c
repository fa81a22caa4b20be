/*
 * chaos.c: every process killed under load, while the auditor looks: no order lost, doubled or, in
 * the end, unfinished.
 *
 * Runs on the stack that SAGA_STATE_DIR names; `tests/run integration` makes it.
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
#include "support/http.h"
#include "support/metric.h"
#include "support/orders.h"
#include "support/stack.h"

static void kill_under_load(const char *name)
{
    struct traffic *traffic = harm_begin();
    cr_assert(stack_kill(name));
    cr_assert(stack_up(name, NULL));
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

TestSuite(chaos, .init = harm_attach, .timeout = 300);

Test(chaos, no_harm_at_all)
{
    struct traffic *traffic = harm_begin();
    for (int i = 0; i < 3; i++)
        harm_wait_accepted(traffic);
    harm_end(traffic);
}

Test(chaos, order_svc_killed)
{
    kill_under_load("order-svc");
}

Test(chaos, payment_svc_killed)
{
    kill_under_load("payment-svc");
}

Test(chaos, inventory_svc_killed)
{
    kill_under_load("inventory-svc");
}

Test(chaos, shipping_svc_killed)
{
    kill_under_load("shipping-svc");
}

Test(chaos, redis_killed)
{
    kill_under_load("redis");
}

Test(chaos, postgres_killed)
{
    kill_under_load("postgres");
}

Test(chaos, kafka_killed)
{
    kill_under_load("kafka");
}

/* Two share the partitions; one dies, the other takes over its partitions and its lane. */
Test(chaos, one_of_two_instances_killed)
{
    struct traffic *traffic = harm_begin();
    int port = stack_free_port();
    char *since = db_text(DB_PAYMENT, "SELECT now()::text", NULL);
    pid_t second = stack_second("payment-svc", port);
    cr_assert(second > 0);
    int64_t lanes = 0;
    cr_assert(CLOCK_UNTIL(30, (lanes = db_int(DB_PAYMENT,
                                              "SELECT count(DISTINCT lane) FROM outbox"
                                              " WHERE created_at > $1::timestamptz",
                                              since)) >= 2),
              "the second instance never wrote: %lld lanes", (long long)lanes);
    free(since);
    harm_wait_accepted(traffic);
    kill(second, SIGKILL);
    waitpid(second, NULL, 0);
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

/* A server that hangs without dying: nothing is refused for good, nothing is lost. */
static void hang_under_load(const char *name, int seconds)
{
    struct traffic *traffic = harm_begin();
    cr_assert(stack_signal(name, SIGSTOP));
    harm_last(seconds);
    cr_assert(stack_signal(name, SIGCONT));
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

/* Longer than a session: the group's members are thrown out meanwhile, or think so. */
Test(chaos, kafka_hangs)
{
    hang_under_load("kafka", 12);
}

#define CHARGED_AGAIN "saga_steps_total{step=\"payment\",op=\"action\",result=\"duplicate\"}"
#define REFUNDED_AGAIN "saga_steps_total{step=\"payment\",op=\"undo\",result=\"duplicate\"}"
#define CHARGED "saga_steps_total{step=\"payment\",op=\"action\",result=\"done\"}"
#define PART_OF_ORDERS "saga_consumer_lag{topic=\"order.created\",partition=\"%d\"}"

static bool session_is(const char *pid, const char *what)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pg_stat_activity WHERE pid = $1::integer AND %s", what);
    return db_int(DB_PAYMENT, sql, pid) == 1;
}

static bool has_caught_up(void)
{
    char series[2][80];
    for (int i = 0; i < 2; i++)
        snprintf(series[i], sizeof series[i], PART_OF_ORDERS, i);
    const char *base = stack_address("PAYMENT_OPS");
    return metric_of(base, series[0]) <= 3 && metric_of(base, series[1]) <= 3;
}

/* Stops the process in its batch: the transaction is open. False: it had sent its COMMIT already;
 * or it holds rows, and the other would wait for them until the server ends the session that idles
 * in its transaction. */
static bool stop_in_a_batch(const char *name, const char *pid)
{
    cr_assert(CLOCK_UNTIL(20, has_caught_up())); /* a large batch would have some of everything */
    db_hold(DB_PAYMENT, "LOCK TABLE payment");
    cr_assert(CLOCK_UNTIL(10, session_is(pid, "wait_event_type = 'Lock'")));
    cr_assert(stack_signal(name, SIGSTOP));
    db_release();
    cr_assert(CLOCK_UNTIL(10, session_is(pid, "state <> 'active'")));
    if (session_is(pid, "state = 'idle in transaction' AND backend_xid IS NULL"))
        return true;
    cr_assert(stack_signal(name, SIGCONT));
    return false;
}

static bool reads_both_partitions(const char *base)
{
    char first[80], second[80];
    snprintf(first, sizeof first, PART_OF_ORDERS, 0);
    snprintf(second, sizeof second, PART_OF_ORDERS, 1);
    return metric_of(base, first) >= 0 && metric_of(base, second) >= 0;
}

/* What payment-svc was told and knew; a counter that has not counted is not there. */
static double known_already(void)
{
    double charged = metric_of(stack_address("PAYMENT_OPS"), CHARGED_AGAIN);
    double refunded = metric_of(stack_address("PAYMENT_OPS"), REFUNDED_AGAIN);
    return (charged > 0 ? charged : 0) + (refunded > 0 ? refunded : 0);
}

/* One of two hangs for longer than its session, with a batch in hand; the other does its work. When
 * it comes back, in its old transaction or in a new one, all of what it had is known. */
Test(chaos, a_zombie_writes_nothing_that_counts)
{
    char base[64], *pid = db_text(DB_PAYMENT,
                                  "SELECT pid FROM pg_stat_activity"
                                  " WHERE application_name = 'payment-svc'",
                                  NULL);
    int port = stack_free_port();
    struct traffic *traffic = harm_begin();
    pid_t second = stack_second("payment-svc", port);
    cr_assert(second > 0);
    snprintf(base, sizeof base, "http://127.0.0.1:%d", port);
    cr_assert(CLOCK_UNTIL(30, metric_of(base, CHARGED) > 0), "the second never charged anything");
    cr_assert(!reads_both_partitions(base));
    double again = known_already();
    cr_assert(CLOCK_UNTIL(60, stop_in_a_batch("payment-svc", pid)));
    cr_assert(CLOCK_UNTIL(30, reads_both_partitions(base)), "the second does not take over");
    double charged = metric_of(base, CHARGED);
    cr_assert(CLOCK_UNTIL(30, metric_of(base, CHARGED) > charged + HARM_RATE));
    cr_assert(stack_signal("payment-svc", SIGCONT));
    cr_assert(CLOCK_UNTIL(30, known_already() > again), "the zombie had nothing to write");
    harm_wait_accepted(traffic);
    kill(second, SIGKILL);
    waitpid(second, NULL, 0);
    harm_end(traffic);
    cr_assert_eq(db_int(DB_PAYMENT,
                        "SELECT count(*) FROM (SELECT FROM outbox GROUP BY order_id, type"
                        " HAVING count(*) > 1) twice",
                        NULL),
                 0, "both have said the same");
    free(pid);
}

/* Two take orders: the same key at both makes one order. */
Test(chaos, two_order_services_share_the_keys)
{
    char base[64];
    int port = stack_free_port();
    struct traffic *traffic = harm_begin();
    pid_t second = stack_second("order-svc", port);
    cr_assert(second > 0);
    snprintf(base, sizeof base, "http://127.0.0.1:%d", port);
    cr_assert(CLOCK_UNTIL(30, metric_ready(base) == 200));
    for (int i = 0; i < 50; i++) {
        char headers[128], locations[2][80];
        snprintf(headers, sizeof headers,
                 "Content-Type: application/json\r\nIdempotency-Key: both-%lld\r\n",
                 (long long)clock_us());
        pid_t child = fork(); /* at the same time, as near as it goes */
        const char *api = child == 0 ? base : stack_address("ORDER_API");
        struct http_answer *answer =
            http_call(api, "POST", "/v1/orders", headers, order_body(NULL, NULL, NULL), 10000);
        if (child == 0)
            _exit(answer->status == 201 ? 0 : 1);
        int status;
        waitpid(child, &status, 0);
        cr_assert_eq(answer->status, 201);
        cr_assert_eq(status, 0);
        cr_assert(http_header(answer, "Location", locations[0], sizeof locations[0]));
        http_answer_free(answer);
        answer =
            http_call(base, "POST", "/v1/orders", headers, order_body(NULL, NULL, NULL), 10000);
        cr_assert(http_header(answer, "Location", locations[1], sizeof locations[1]));
        cr_assert_str_eq(locations[0], locations[1]);
        http_answer_free(answer);
    }
    kill(second, SIGKILL);
    waitpid(second, NULL, 0);
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

/* All four at once, twice. */
Test(chaos, all_services_killed)
{
    static const char *const names[] = {"order-svc", "payment-svc", "inventory-svc",
                                        "shipping-svc"};
    struct traffic *traffic = harm_begin();
    for (int round = 0; round < 2; round++) {
        harm_wait_accepted(traffic);
        for (size_t i = 0; i < 4; i++)
            cr_assert(stack_kill(names[i]));
        for (size_t i = 0; i < 4; i++)
            cr_assert(stack_up(names[i], NULL));
    }
    harm_wait_accepted(traffic);
    harm_end(traffic);
}
