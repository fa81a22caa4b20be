/*
 * faults_redis.c: a Redis that hangs, forgets, is full, and knows what it should not; under load,
 * while the auditor looks.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "support/auditor.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/harm.h"
#include "support/metric.h"
#include "support/orders.h"
#include "support/stack.h"

TestSuite(faults_redis, .init = harm_attach, .timeout = 300);

static void sh(const char *command)
{
    cr_assert_eq(command_run(stack_root(), (const char *const[]){"sh", "-c", command, NULL}, NULL),
                 0, "%s", command);
}

static void redis(const char *command)
{
    char line[300];
    snprintf(line, sizeof line, "redis-cli -u %s %s >/dev/null", stack_address("REDIS_URL"),
             command);
    sh(line);
}

Test(faults_redis, redis_flushed_in_a_loop)
{
    struct traffic *traffic = harm_begin();
    for (int i = 0; i < 100; i++)
        redis("FLUSHALL");
    harm_wait_accepted(traffic);
    harm_end(traffic);
}

Test(faults_redis, redis_out_of_memory)
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
Test(faults_redis, redis_holds_nonsense)
{
    struct traffic *traffic = harm_begin();
    for (int i = 0; i < 10; i++)
        redis("EVAL \"for _, k in ipairs(redis.call('keys', 'saga:*')) do"
              " redis.call('del', k) redis.call('lpush', k, 'nonsense') end\" 0");
    harm_wait_accepted(traffic);
    redis("FLUSHALL");
    harm_end(traffic);
}

static struct order_answer send_with(const char *key)
{
    char header[80];
    snprintf(header, sizeof header, "Idempotency-Key: %s\r\n", key);
    return order_send(order_body(NULL, NULL, NULL), header);
}

/* A later program has been here: what it left is not understood, which is said, and PostgreSQL
 * answers as ever. The auditor takes it for no lie. */
Test(faults_redis, value_of_a_later_version_is_told)
{
    char key[40], command[300];
    snprintf(key, sizeof key, "later-%lld", (long long)clock_us());
    struct order_answer first = send_with(key);
    cr_assert_eq(first.status, 201);
    snprintf(command, sizeof command,
             "EVAL \"for _, k in ipairs(redis.call('keys', '*%s')) do"
             " redis.call('set', k, '2 {what: ever}') end\" 0",
             key);
    int64_t told = stack_log_count("order-svc", "the version that this program knows");
    redis(command);
    struct order_answer again = send_with(key);
    cr_assert_eq(again.status, 201);
    cr_assert_str_eq(again.id, first.id);
    cr_assert_str_eq(again.replayed, "true");
    cr_assert(CLOCK_UNTIL(5, stack_log_count("order-svc", "the version that this program knows") ==
                                 told + 1));
    redis(command); /* the answer has put it right again */
    auditor_holds(20);
    redis("FLUSHALL");
    order_answer_free(&first);
    order_answer_free(&again);
}

#define HANGS_US 6000000
#define SLOW_US 1000000 /* two waits for bytes, and the machine is busy */

/* It takes what is sent and does not answer: a key is then looked up in PostgreSQL, and who asks
 * hardly notices. */
Test(faults_redis, redis_hangs)
{
    struct traffic *traffic = harm_begin();
    int64_t slowest_us = 0, end_us = clock_us() + HANGS_US;
    size_t count = 0;
    cr_assert(stack_signal("redis", SIGSTOP));
    for (; clock_us() < end_us; count++) {
        char key[40];
        int64_t begin_us = clock_us();
        snprintf(key, sizeof key, "hangs-%lld", (long long)begin_us);
        struct order_answer answer = send_with(key);
        int64_t took_us = clock_us() - begin_us;
        cr_expect_eq(answer.status, 201, "%d", answer.status);
        order_answer_free(&answer);
        slowest_us = took_us > slowest_us ? took_us : slowest_us;
    }
    cr_expect_neq(metric_ready(stack_address("ORDER_API")), 503);
    cr_assert(stack_signal("redis", SIGCONT));
    fprintf(stderr, "redis hung: %zu orders, the slowest took %lld us\n", count,
            (long long)slowest_us);
    cr_assert_lt(slowest_us, SLOW_US);
    harm_wait_accepted(traffic);
    harm_end(traffic);
}
