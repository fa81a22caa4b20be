/* harm.c: a test that does harm to the stack under load. */
#include "harm.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "auditor.h"
#include "clock.h"
#include "stack.h"

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

void harm_attach(void)
{
    cr_assert(stack_attach());
    strangers = orders_without_key();
    auditor_watch();
}

/* Waits for progress, not for time. */
void harm_wait_accepted(const struct traffic *traffic)
{
    size_t enough = traffic_accepted(traffic) + HARM_RATE;
    cr_assert(CLOCK_UNTIL(ANSWERS_S, traffic_accepted(traffic) >= enough),
              "only %zu of %zu orders were accepted", traffic_accepted(traffic), enough);
}

void harm_last(int seconds)
{
    int64_t until_us = clock_us() + (int64_t)seconds * 1000000;
    (void)CLOCK_UNTIL(seconds + 1, clock_us() >= until_us);
}

int64_t harm_end_sessions(enum db db)
{
    return db_int(db,
                  "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                  " WHERE datname = current_database() AND usename LIKE '%\\_app'",
                  NULL);
}

struct traffic *harm_begin(void)
{
    struct traffic *traffic = traffic_begin(HARM_RATE);
    harm_wait_accepted(traffic);
    return traffic;
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

void harm_end(struct traffic *traffic)
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
