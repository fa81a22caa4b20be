/* linger.c: no wait when idle, a few milliseconds under load, and never more. */
#include <criterion/criterion.h>

#include "core/linger.h"

#define SECOND INT64_C(1000000)

/* The wait after `seconds` of evenly spaced arrivals, in groups of `count`. */
static int64_t after_load(struct linger *linger, int64_t *now_us, double rate, unsigned count,
                          int seconds)
{
    int64_t end = *now_us + seconds * SECOND;
    int64_t step = (int64_t)(1e6 * count / rate);
    while (*now_us < end) {
        *now_us += step;
        linger_note(linger, *now_us, count);
    }
    return linger_us(linger, *now_us);
}

Test(linger, fixed)
{
    struct linger linger = {.fixed_us = 1500};
    int64_t now_us = SECOND;
    cr_assert_eq(linger_us(&linger, now_us), 1500);
    cr_assert_eq(after_load(&linger, &now_us, 10000, 10, 2), 1500);
    linger = (struct linger){.fixed_us = 0};
    cr_assert_eq(after_load(&linger, &now_us, 10000, 10, 2), 0);
}

Test(linger, idle_is_zero)
{
    struct linger linger = {.fixed_us = -1};
    int64_t now_us = SECOND;
    cr_assert_eq(linger_us(&linger, now_us), 0);
    cr_assert_eq(after_load(&linger, &now_us, 1, 1, 20), 0);
    cr_assert_eq(after_load(&linger, &now_us, 167, 1, 5), 0);
    cr_assert_eq(after_load(&linger, &now_us, 190, 1, 5), 0);
}

Test(linger, grows_with_the_rate)
{
    int64_t before = 0;
    for (int rate = 400; rate <= 10000; rate += 200) {
        struct linger linger = {.fixed_us = -1};
        int64_t now_us = SECOND;
        int64_t wait = after_load(&linger, &now_us, rate, 1, 3);
        cr_assert_geq(wait + 50, before, "rate %d", rate); /* 50: of the smoothing */
        cr_assert_leq(wait, 5000);
        cr_assert_gt(wait, 0);
        before = wait;
    }
    cr_assert_eq(before, 5000);
}

Test(linger, size_of_groups_does_not_matter)
{
    struct linger single = {.fixed_us = -1}, grouped = {.fixed_us = -1};
    int64_t now_us = SECOND, then_us = SECOND;
    int64_t one = after_load(&single, &now_us, 1000, 1, 3);
    int64_t many = after_load(&grouped, &then_us, 1000, 5, 3);
    cr_assert_lt(one > many ? one - many : many - one, 100);
    cr_assert(one > 3900 && one < 4400, "%lld", (long long)one);
}

Test(linger, decays_when_the_load_is_over)
{
    struct linger linger = {.fixed_us = -1};
    int64_t now_us = SECOND;
    cr_assert_eq(after_load(&linger, &now_us, 10000, 10, 3), 5000);
    cr_assert_lt(linger_us(&linger, now_us + SECOND), 4500);
    cr_assert_eq(linger_us(&linger, now_us + 3 * SECOND), 0);
}

Test(linger, clock_may_go_back)
{
    struct linger linger = {.fixed_us = -1};
    linger_note(&linger, 100 * SECOND, 1);
    linger_note(&linger, 99 * SECOND, 1);
    int64_t wait = linger_us(&linger, 98 * SECOND);
    cr_assert(wait >= 0 && wait <= 5000);
}
