/* harm.c: a test that does harm to the stack under load. */
#include "harm.h"

#include <criterion/criterion.h>

#include "auditor.h"
#include "clock.h"
#include "stack.h"
#include "promised.h"

#define ANSWERS_S 60
#define SETTLE_S 90

static int64_t strangers; /* orders that came without a key, before the test */
static int verdicts;      /* of the auditor, before the load */

void harm_attach(void)
{
    cr_assert(stack_attach());
    strangers = promised_strangers();
    verdicts = 0;
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
    verdicts = auditor_verdicts();
    return traffic;
}

/* Every customer has the order that was answered, and no order is there that nobody asked for. */
static void check_told(const struct traffic *traffic)
{
    const char *wrong = promised_wrong_traffic(traffic);
    cr_assert_null(wrong, "%s", wrong);
    cr_assert_eq(promised_strangers(), strangers, "orders are there that nobody asked for");
}

void harm_end(struct traffic *traffic)
{
    cr_assert(CLOCK_UNTIL(ANSWERS_S, auditor_verdicts() > verdicts),
              "the auditor could not look under load");
    bool all = traffic_end(traffic, ANSWERS_S);
    cr_assert_null(traffic_complaint(traffic), "%s", traffic_complaint(traffic));
    cr_assert(all, "%zu of %zu orders have their answer", traffic_accepted(traffic),
              traffic_sent(traffic));
    auditor_rest();
    auditor_holds(SETTLE_S);
    check_told(traffic);
    traffic_free(traffic);
}
