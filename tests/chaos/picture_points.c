/* picture_points.c: many seconds as one point of the picture; see picture.h. */
#include "picture.h"

size_t picture_step(size_t seconds)
{
    return seconds <= PICTURE_POINTS_MAX ? 1
                                         : (seconds + PICTURE_POINTS_MAX - 1) / PICTURE_POINTS_MAX;
}

static void keep_greatest(int32_t *kept, int32_t value)
{
    if (value > *kept)
        *kept = value;
}

static void keep_greatest_of(double *kept, double value)
{
    if (value > *kept)
        *kept = value;
}

static uint32_t mean(uint64_t sum, size_t count)
{
    return (uint32_t)((sum + count / 2) / count);
}

struct summary_second picture_point(const struct summary_second *at, size_t count)
{
    struct summary_second point = at[0];
    uint64_t asked = 0, accepted = 0, refused = 0, unknown = 0, finished = 0;

    for (size_t i = 0; i < count; i++) {
        const struct customers_second *customers = &at[i].customers;
        asked += customers->asked;
        accepted += customers->accepted;
        refused += customers->refused;
        unknown += customers->unknown;
        finished += customers->finished;
        keep_greatest(&point.customers.answer_ms_p50, customers->answer_ms_p50);
        keep_greatest(&point.customers.answer_ms_p99, customers->answer_ms_p99);
        keep_greatest(&point.customers.finish_ms_p50, customers->finish_ms_p50);
        keep_greatest(&point.customers.finish_ms_p99, customers->finish_ms_p99);
        keep_greatest_of(&point.watch.in_flight, at[i].watch.in_flight);
        for (size_t part = 0; part < PARTS; part++)
            keep_greatest_of(&point.watch.backlog[part], at[i].watch.backlog[part]);
        point.watch.silent |= at[i].watch.silent;
        point.watch.not_ready |= at[i].watch.not_ready;
    }
    point.customers.asked = mean(asked, count);
    point.customers.accepted = mean(accepted, count);
    point.customers.refused = mean(refused, count);
    point.customers.unknown = mean(unknown, count);
    point.customers.finished = mean(finished, count);
    return point;
}
