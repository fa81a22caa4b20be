/*
 * chaos.c: every process killed under load, while the auditor looks: no order lost, doubled or, in
 * the end, unfinished.
 *
 * Runs on the stack that SAGA_STATE_DIR names; `tests/run integration` makes it.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/auditor.h"
#include "support/clock.h"
#include "support/db.h"
#include "support/http.h"
#include "support/orders.h"
#include "support/stack.h"
#include "support/traffic.h"

#define RATE 300
#define ANSWERS_S 60
#define SETTLE_S 90

static int64_t strangers; /* orders that came without a key, before the test */

static int64_t orders_without_key(void)
{
    return db_int(DB_ORDER,
                  "SELECT count(*) FROM orders o WHERE NOT EXISTS"
                  " (SELECT FROM idempotency i WHERE i.order_id = o.order_id)",
                  NULL);
}

static void attach(void)
{
    cr_assert(stack_attach());
    strangers = orders_without_key();
    auditor_watch();
}

/* Waits for progress, not for time. */
static void wait_accepted(const struct traffic *traffic, size_t more)
{
    size_t enough = traffic_accepted(traffic) + more;
    cr_assert(CLOCK_UNTIL(ANSWERS_S, traffic_accepted(traffic) >= enough),
              "only %zu of %zu orders were accepted", traffic_accepted(traffic), enough);
}

/* One order a key: every key has its order, and no order is there that no key asked for. */
static void check_keys(const struct traffic *traffic)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "%% %s-%%", traffic_keys(traffic));
    int64_t kept = db_int(DB_ORDER, "SELECT count(*) FROM idempotency WHERE key LIKE $1", pattern);
    int64_t placed = db_int(DB_ORDER,
                            "SELECT count(*) FROM orders o JOIN idempotency i USING (order_id)"
                            " WHERE i.key LIKE $1",
                            pattern);
    cr_assert_eq(kept, (int64_t)traffic_sent(traffic));
    cr_assert_eq(placed, kept);
    cr_assert_eq(orders_without_key(), strangers, "orders are there that nobody asked for");
}

static void end_and_check(struct traffic *traffic)
{
    bool all = traffic_end(traffic, ANSWERS_S);
    cr_assert_null(traffic_complaint(traffic), "%s", traffic_complaint(traffic));
    cr_assert(all, "%zu of %zu orders have their answer", traffic_accepted(traffic),
              traffic_sent(traffic));
    auditor_rest();
    auditor_holds(SETTLE_S);
    check_keys(traffic);
    traffic_free(traffic);
}

static void kill_under_load(const char *name)
{
    struct traffic *traffic = traffic_begin(RATE);
    wait_accepted(traffic, RATE);
    cr_assert(stack_kill(name));
    cr_assert(stack_up(name, NULL));
    wait_accepted(traffic, RATE);
    end_and_check(traffic);
}

TestSuite(chaos, .init = attach, .timeout = 300);

Test(chaos, no_harm_at_all)
{
    struct traffic *traffic = traffic_begin(RATE);
    wait_accepted(traffic, 3 * RATE);
    end_and_check(traffic);
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
    struct traffic *traffic = traffic_begin(RATE);
    int port = stack_free_port();
    pid_t second = stack_second("payment-svc", port);
    cr_assert(second > 0);
    int64_t lanes = 0;
    cr_assert(CLOCK_UNTIL(30, (lanes = db_int(DB_PAYMENT, "SELECT count(DISTINCT lane) FROM outbox",
                                              NULL)) >= 2),
              "the second instance never wrote: %lld lanes", (long long)lanes);
    wait_accepted(traffic, RATE);
    kill(second, SIGKILL);
    waitpid(second, NULL, 0);
    wait_accepted(traffic, RATE);
    end_and_check(traffic);
}

/* A server that hangs without dying: nothing is refused for good, nothing is lost. */
static void hang_under_load(const char *name, int seconds)
{
    struct traffic *traffic = traffic_begin(RATE);
    wait_accepted(traffic, RATE);
    cr_assert(stack_signal(name, SIGSTOP));
    int64_t until_us = clock_us() + (int64_t)seconds * 1000000;
    cr_assert(CLOCK_UNTIL(seconds + 1, clock_us() >= until_us));
    cr_assert(stack_signal(name, SIGCONT));
    wait_accepted(traffic, RATE);
    end_and_check(traffic);
}

/* Longer than a session: the group's members are thrown out meanwhile, or think so. */
Test(chaos, kafka_hangs)
{
    hang_under_load("kafka", 12);
}

Test(chaos, payment_svc_hangs)
{
    hang_under_load("payment-svc", 12);
}

/* Two take orders: the same key at both makes one order. */
Test(chaos, two_order_services_share_the_keys)
{
    char base[64];
    int port = stack_free_port();
    struct traffic *traffic = traffic_begin(RATE);
    pid_t second = stack_second("order-svc", port);
    cr_assert(second > 0);
    snprintf(base, sizeof base, "http://127.0.0.1:%d", port);
    cr_assert(CLOCK_UNTIL(30, ({
                              struct http_answer *ready =
                                  http_call(base, "GET", "/readyz", NULL, NULL, 2000);
                              bool is = ready->status == 200;
                              http_answer_free(ready);
                              is;
                          })));
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
    wait_accepted(traffic, RATE);
    end_and_check(traffic);
}

/* All four at once, twice. */
Test(chaos, all_services_killed)
{
    static const char *const names[] = {"order-svc", "payment-svc", "inventory-svc",
                                        "shipping-svc"};
    struct traffic *traffic = traffic_begin(RATE);
    for (int round = 0; round < 2; round++) {
        wait_accepted(traffic, RATE);
        for (size_t i = 0; i < 4; i++)
            cr_assert(stack_kill(names[i]));
        for (size_t i = 0; i < 4; i++)
            cr_assert(stack_up(names[i], NULL));
    }
    wait_accepted(traffic, RATE);
    end_and_check(traffic);
}
