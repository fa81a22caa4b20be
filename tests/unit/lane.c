/* lane.c: the acknowledged prefix of a lane, and the states of its relay. */
#include <criterion/criterion.h>
#include <signal.h>

#include "core/lane.h"

static struct lane lane;

static void send_to(int64_t seq)
{
    while (lane.sent < seq)
        lane_sent(&lane, lane.sent + 1);
}

Test(lane, opens_behind_where_it_was)
{
    lane_open(&lane, 3, 10, 12);
    cr_assert_eq(lane.number, 3);
    cr_assert_eq(lane.state, LANE_BEHIND);
    cr_assert(lane.acked == 10 && lane.sent == 10 && lane.last == 12 && lane.written == 10);
    cr_assert_eq(lane_room(&lane), LANE_WINDOW);
    send_to(12);
    cr_assert_eq(lane_room(&lane), LANE_WINDOW - 2);
}

Test(lane, a_row_that_is_missing_is_told_once)
{
    lane_open(&lane, 0, 3, 9);
    send_to(5);
    cr_assert(lane_lacks(&lane, 700));
    cr_assert_not(lane_lacks(&lane, 900), "known already");
    cr_assert(lane.holed);
    cr_assert_eq(lane.look_us, 900);
    lane_sent(&lane, 6); /* it came back */
    cr_assert_not(lane.holed);
    cr_assert(lane_lacks(&lane, 1000), "another one");
    lane_failed(&lane, 0, 0);
    cr_assert(lane_resume(&lane, INT64_MAX));
    send_to(9);
    lane_caught_up(&lane);
    cr_assert_not(lane.holed);
}

Test(lane, moves_only_over_a_contiguous_prefix)
{
    lane_open(&lane, 0, 0, 5);
    send_to(5);
    cr_assert_not(lane_acked(&lane, 2));
    cr_assert_not(lane_acked(&lane, 4));
    cr_assert_not(lane_acked(&lane, 3));
    cr_assert_eq(lane.acked, 0);
    cr_assert(lane_acked(&lane, 1));
    cr_assert_eq(lane.acked, 4);
    cr_assert_not(lane_acked(&lane, 1), "a second report of a row");
    cr_assert(lane_acked(&lane, 5));
    cr_assert_eq(lane.acked, 5);
    cr_assert_not(lane_acked(&lane, 6), "a row that is not committed");
    cr_assert_eq(lane.acked, 5);
}

/* Every order in which six rows can be acknowledged, each of them twice. */
static void permute(int *order, size_t from)
{
    if (from < 6) {
        for (size_t i = from; i < 6; i++) {
            int first = order[from];
            order[from] = order[i];
            order[i] = first;
            permute(order, from + 1);
            order[i] = order[from];
            order[from] = first;
        }
        return;
    }
    lane_open(&lane, 0, 100, 106);
    send_to(106);
    unsigned seen = 0;
    for (size_t i = 0; i < 6; i++) {
        int64_t before = lane.acked;
        bool moved = lane_acked(&lane, 101 + order[i]);
        cr_assert_eq(moved, lane.acked > before);
        cr_assert_not(lane_acked(&lane, 101 + order[i]));
        seen |= 1u << order[i];
        int64_t prefix = 0;
        while (seen & (1u << prefix))
            prefix++;
        cr_assert_eq(lane.acked, 100 + prefix);
    }
}

Test(lane, every_order_of_acks)
{
    permute((int[]){0, 1, 2, 3, 4, 5}, 0);
}

/* The age is that of the first row that is not acknowledged, whatever was before and comes after.
 */
Test(lane, tells_when_its_oldest_row_was_said)
{
    lane_open(&lane, 0, 10, 10);
    cr_assert_eq(lane_oldest_us(&lane), 0);
    lane_committed(&lane, 13);
    cr_assert_eq(lane_oldest_us(&lane), 0, "not noted");
    for (int64_t seq = 11; seq <= 13; seq++)
        lane_said(&lane, seq, seq * 1000);
    send_to(13);
    cr_assert_eq(lane_oldest_us(&lane), 11000);
    lane_acked(&lane, 12);
    cr_assert_eq(lane_oldest_us(&lane), 11000, "a later row does not make it younger");
    lane_acked(&lane, 11);
    cr_assert_eq(lane_oldest_us(&lane), 13000);
    lane_failed(&lane, 0, 0);
    cr_assert_eq(lane_oldest_us(&lane), 13000, "a failure does not make it younger");
    lane_acked(&lane, 13);
    cr_assert_eq(lane_oldest_us(&lane), 0);
    lane_said(&lane, 13, 13000);
    lane_committed(&lane, 14);
    cr_assert_eq(lane_oldest_us(&lane), 0, "what is acknowledged is not noted");
}

Test(lane, notes_as_many_rows_as_its_window_has)
{
    lane_open(&lane, 0, 0, LANE_WINDOW + 1);
    for (int64_t seq = 1; seq <= LANE_WINDOW + 1; seq++)
        lane_said(&lane, seq, seq);
    send_to(LANE_WINDOW);
    for (int64_t seq = 1; seq <= LANE_WINDOW; seq++) {
        cr_assert_eq(lane_oldest_us(&lane), seq);
        lane_acked(&lane, seq);
    }
    cr_assert_eq(lane_oldest_us(&lane), 0, "one more was outside the window");
    lane_said(&lane, LANE_WINDOW + 1, 7);
    cr_assert_eq(lane_oldest_us(&lane), 7);
}

Test(lane, window_wraps_around)
{
    int64_t last = 5 * (int64_t)LANE_WINDOW + 7;
    lane_open(&lane, 0, LANE_WINDOW - 3, last);
    while (lane.acked < last) {
        int64_t from = lane.acked + 1;
        while (lane_room(&lane) > 0 && lane.sent < last)
            lane_sent(&lane, lane.sent + 1);
        cr_assert_leq(lane.sent - lane.acked, LANE_WINDOW);
        for (int64_t seq = lane.sent; seq > from; seq--)
            cr_assert_not(lane_acked(&lane, seq));
        cr_assert_eq(lane.acked, from - 1);
        cr_assert(lane_acked(&lane, from));
        cr_assert_eq(lane.acked, lane.sent, "all bits of one round are used and cleared");
    }
    for (size_t i = 0; i < LANE_WINDOW / 64; i++)
        cr_assert_eq(lane.acks[i], 0);
}

Test(lane, room_ends_at_the_window)
{
    lane_open(&lane, 0, 0, LANE_WINDOW + 10);
    send_to(LANE_WINDOW);
    cr_assert_eq(lane_room(&lane), 0);
    cr_assert(lane_acked(&lane, 1));
    cr_assert_eq(lane_room(&lane), 1);
}

Test(lane, no_room_no_send, .signal = SIGABRT)
{
    lane_open(&lane, 0, 0, LANE_WINDOW + 10);
    send_to(LANE_WINDOW + 1);
}

Test(lane, no_gap_in_what_is_sent, .signal = SIGABRT)
{
    lane_open(&lane, 0, 0, 10);
    lane_sent(&lane, 2);
}

Test(lane, not_caught_up_before_all_is_sent, .signal = SIGABRT)
{
    lane_open(&lane, 0, 0, 2);
    lane_sent(&lane, 1);
    lane_caught_up(&lane);
}

Test(lane, live_and_behind)
{
    lane_open(&lane, 0, 0, 0);
    lane_caught_up(&lane);
    cr_assert_eq(lane.state, LANE_LIVE);
    lane_committed(&lane, 3);
    cr_assert_eq(lane.last, 3);
    cr_assert_eq(lane.state, LANE_LIVE);
    send_to(2);
    lane_full(&lane);
    cr_assert_eq(lane.state, LANE_BEHIND);
    lane_committed(&lane, 4);
    send_to(4);
    lane_caught_up(&lane);
    cr_assert_eq(lane.state, LANE_LIVE);
}

Test(lane, failure_forgets_what_was_in_flight)
{
    lane_open(&lane, 0, 0, 4);
    send_to(4);
    lane_caught_up(&lane);
    cr_assert(lane_acked(&lane, 1));
    lane_failed(&lane, 1000, 12345);
    cr_assert_eq(lane.state, LANE_BACKOFF);
    cr_assert(lane.sent == 1 && lane.acked == 1 && lane.last == 4);
    cr_assert_gt(lane.resume_us, 1000);
    lane_committed(&lane, 5);
    cr_assert_eq(lane.state, LANE_BACKOFF);
    cr_assert_not(lane_resume(&lane, lane.resume_us - 1));
    cr_assert(lane_resume(&lane, lane.resume_us));
    cr_assert_eq(lane.state, LANE_BEHIND);
    cr_assert_not(lane_resume(&lane, lane.resume_us + 1), "resumes once");
    send_to(5);
    lane_caught_up(&lane);
    for (int64_t seq = 5; seq > 1; seq--)
        lane_acked(&lane, seq);
    cr_assert_eq(lane.acked, 5);
}

Test(lane, what_is_out_is_known_after_a_failure)
{
    lane_open(&lane, 0, LANE_WINDOW - 2, LANE_WINDOW + 3);
    send_to(LANE_WINDOW + 3);
    lane_acked(&lane, LANE_WINDOW);
    lane_acked(&lane, LANE_WINDOW + 2);
    lane_failed(&lane, 0, 0);
    cr_assert(lane_resume(&lane, INT64_MAX));
    for (int64_t seq = LANE_WINDOW - 3; seq <= LANE_WINDOW + 3; seq++)
        cr_assert_eq(lane_is_out(&lane, seq), seq == LANE_WINDOW || seq == LANE_WINDOW + 2);
    cr_assert_not(lane_is_out(&lane, 2 * LANE_WINDOW), "the window's place of another row");
    for (int64_t seq = LANE_WINDOW - 1; seq <= LANE_WINDOW + 3; seq++) {
        if (seq <= lane.sent)
            continue; /* counted with the one before it */
        lane_sent(&lane, seq);
        if (!lane_is_out(&lane, seq))
            lane_acked(&lane, seq);
    }
    cr_assert_eq(lane.acked, LANE_WINDOW + 3);
    cr_assert_not(lane_is_out(&lane, LANE_WINDOW), "counted");
    lane_open(&lane, 0, 1, 5);
    cr_assert_not(lane_is_out(&lane, 2), "nothing of another life");
}

Test(lane, late_report_of_a_forgotten_send)
{
    lane_open(&lane, 0, 0, 3);
    send_to(3);
    lane_failed(&lane, 0, 0);
    cr_assert_not(lane_acked(&lane, 2), "it is out, but row 1 is not known to be");
    cr_assert_eq(lane.sent, 0);
    cr_assert(lane_acked(&lane, 1));
    cr_assert(lane.acked == 2 && lane.sent == 2);
    lane_resume(&lane, lane.resume_us);
    send_to(3);
    cr_assert(lane_acked(&lane, 3));
    cr_assert_not(lane_acked(&lane, 2));
    cr_assert_eq(lane.acked, 3);
}

Test(lane, failure_never_moves_acked)
{
    lane_open(&lane, 0, 7, 20);
    send_to(20);
    for (unsigned i = 0; i < 30; i++) {
        lane_failed(&lane, 0, i * 7919u);
        cr_assert(lane.acked == 7 && lane.sent == 7 && lane.last == 20);
        cr_assert(lane_resume(&lane, lane.resume_us));
    }
}

Test(lane, back_off_grows_within_a_limit)
{
    int64_t shortest_first = INT64_MAX, longest = 0;
    for (uint32_t random = 0; random < 2000; random++) {
        lane_open(&lane, 0, 0, 1);
        lane_failed(&lane, 0, random * 2654435761u);
        if (lane.resume_us < shortest_first)
            shortest_first = lane.resume_us;
        for (int i = 0; i < 40; i++)
            lane_failed(&lane, 0, random * 2654435761u);
        if (lane.resume_us > longest)
            longest = lane.resume_us;
        cr_assert_geq(lane.resume_us, 1);
    }
    cr_assert_lt(shortest_first, 100 * 1000);
    cr_assert_leq(longest, 10 * 1000 * 1000);
    cr_assert_gt(longest, 1000 * 1000);
    lane_open(&lane, 0, 0, 1);
    lane_failed(&lane, 0, 0);
    cr_assert_gt(lane.failures, 0);
    lane_acked(&lane, 1);
    cr_assert_eq(lane.failures, 0, "what is acknowledged ends the row of failures");
}
