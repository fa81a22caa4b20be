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
