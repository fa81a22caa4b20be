/* chaos_watch.c: what the watch reads, what is due, and seconds as they pass. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "chaos/due.h"
#include "chaos/moments.h"
#include "chaos/story.h"
#include "chaos/watch.h"

Test(chaos_watch, the_sum_of_a_metrics_series)
{
    static const char text[] = "# HELP saga_orders_in_flight Orders.\n"
                               "# TYPE saga_orders_in_flight gauge\n"
                               "saga_orders_in_flight{status=\"pending\"} 12\n"
                               "saga_orders_in_flight{status=\"a b\"} 3.5\n"
                               "saga_orders_in_flight_more 100\n"
                               "saga_outbox_pending 7\n"
                               "saga_cut";
    cr_assert_float_eq(watch_sum(text, "saga_orders_in_flight"), 15.5, 1e-9);
    cr_assert_float_eq(watch_sum(text, "saga_outbox_pending"), 7, 1e-9);
    cr_assert_float_eq(watch_sum(text, "saga_cut"), -1, 1e-9);
    cr_assert_float_eq(watch_sum("", "saga_outbox_pending"), -1, 1e-9);
}

Test(chaos_watch, what_the_auditor_found_broken)
{
    char *lines = watch_broken_lines("I1 ok 12 orders\nI2 BROKEN order=1 twice\norders 12\n"
                                     "I8 BROKEN order=2 no end");
    cr_assert_str_eq(lines, "I2 BROKEN order=1 twice\nI8 BROKEN order=2 no end\n");
    free(lines);
    cr_assert_null(watch_broken_lines("I1 ok\nI2 ok\n"));
    cr_assert_null(watch_broken_lines(""));
}

static char *story(const char *order_id)
{
    return strncmp(order_id, "0190aaaa", 8) == 0 ? strdup("order.created\npayment.done\n") : NULL;
}

Test(chaos_story, beneath_the_line_that_names_its_order)
{
    char *woven = story_weave("I2 BROKEN order=0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa twice\n"
                              "I3 BROKEN order=0190bbbb-aaaa-7aaa-8aaa-aaaaaaaaaaaa unknown\n"
                              "I4 BROKEN order=0190aaaa none\n"
                              "I5 BROKEN order=- lane 1",
                              story);
    cr_assert_str_eq(woven, "I2 BROKEN order=0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa twice\n"
                            "    order.created\n"
                            "    payment.done\n"
                            "I3 BROKEN order=0190bbbb-aaaa-7aaa-8aaa-aaaaaaaaaaaa unknown\n"
                            "I4 BROKEN order=0190aaaa none\n"
                            "I5 BROKEN order=- lane 1\n");
    free(woven);
    woven = story_weave("", story);
    cr_assert_str_empty(woven);
    free(woven);
}

/* 125 and more are docker's and the shell's: it did not run, or was killed by a signal. */
Test(chaos_watch, an_auditor_that_breaks_has_found_something)
{
    cr_assert_eq(watch_audit_status(0), 0);
    cr_assert_eq(watch_audit_status(1), 1);
    cr_assert_eq(watch_audit_status(2), 2);
    cr_assert_eq(watch_audit_status(124), 2);
    cr_assert_eq(watch_audit_status(137), 2);
    cr_assert_eq(watch_audit_status(125), 1);
    cr_assert_eq(watch_audit_status(127), 1);
    cr_assert_eq(watch_audit_status(134), 1);
    cr_assert_eq(watch_audit_status(139), 1);
    cr_assert_eq(watch_audit_status(-1), 1);
}

Test(chaos_due, the_earliest_first_and_none_too_early)
{
    enum { MANY = 5000 };
    struct due due = {0};
    uint64_t what;
    srandom(3);
    for (size_t i = 0; i < MANY; i++) {
        int64_t at_us = random() % 1000;
        due_add(&due, at_us, (uint64_t)at_us);
    }
    uint64_t last = 0, taken = 0;
    for (int64_t now_us = 0; now_us < 1000; now_us++) {
        for (; due_take(&due, now_us, &what); taken++) {
            cr_assert(what >= last && what <= (uint64_t)now_us);
            last = what;
        }
    }
    cr_assert_eq(taken, MANY);
    cr_assert_not(due_take(&due, INT64_MAX, &what));
    due_clear(&due);
}

Test(chaos_moments, a_second_is_told_when_it_is_over)
{
    struct moments *moments = moments_new(1000000);
    moments_now(moments, 1000000)->asked++;
    moments_answered(moments, 4000);
    moments_answered(moments, 500);
    cr_assert_eq(moments_count(moments), 0);
    cr_assert_eq(moments_at(moments, 0).asked, 0);
    moments_now(moments, 4500000)->asked += 2; /* two were slept through */
    moments_finished(moments, 1500);
    cr_assert_eq(moments_count(moments), 3);
    cr_assert_eq(moments_at(moments, 0).asked, 1);
    cr_assert_eq(moments_at(moments, 0).answer_ms_p50, 1);
    cr_assert_eq(moments_at(moments, 0).answer_ms_p99, 4);
    cr_assert_eq(moments_at(moments, 0).finish_ms_p50, -1);
    cr_assert_eq(moments_at(moments, 1).answer_ms_p50, -1);
    moments_now(moments, 5000000);
    cr_assert_eq(moments_at(moments, 3).asked, 2);
    cr_assert_eq(moments_at(moments, 3).finish_ms_p99, 2);
    cr_assert_eq(moments_at(moments, 3).answer_ms_p50, -1);
    moments_free(moments);
}

Test(chaos_moments, there_is_an_end_to_them)
{
    struct moments *moments = moments_new(0);
    moments_now(moments, (int64_t)CUSTOMERS_SECONDS_MAX * 1000000)->asked++;
    moments_now(moments, INT64_MAX)->asked++;
    cr_assert_eq(moments_count(moments), CUSTOMERS_SECONDS_MAX);
    cr_assert_eq(moments_at(moments, CUSTOMERS_SECONDS_MAX).asked, 0);
    moments_free(moments);
}
