/* moments.c: counts and latencies second by second; see moments.h. */
#include "moments.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bench/histogram.h"

struct moments {
    int64_t begin_us;
    atomic_size_t whole;
    struct histogram answers, finishes; /* of the second that is going on */
    struct customers_second at[CUSTOMERS_SECONDS_MAX + 1];
};

struct moments *moments_new(int64_t begin_us)
{
    struct moments *moments = calloc(1, sizeof *moments);
    if (moments == NULL)
        abort();
    moments->begin_us = begin_us;
    return moments;
}

/* Rounded up: a log scale has no 0. */
static int32_t percentile_ms(const struct histogram *histogram, double percent)
{
    if (histogram->count == 0)
        return -1;
    return (int32_t)((histogram_percentile(histogram, percent) + 999) / 1000);
}

static void close_second(struct moments *moments, size_t second)
{
    struct customers_second *closed = &moments->at[second];
    closed->answer_ms_p50 = percentile_ms(&moments->answers, 50);
    closed->answer_ms_p99 = percentile_ms(&moments->answers, 99);
    closed->finish_ms_p50 = percentile_ms(&moments->finishes, 50);
    closed->finish_ms_p99 = percentile_ms(&moments->finishes, 99);
    if (moments->answers.count > 0)
        memset(&moments->answers, 0, sizeof moments->answers);
    if (moments->finishes.count > 0)
        memset(&moments->finishes, 0, sizeof moments->finishes);
    atomic_store_explicit(&moments->whole, second + 1, memory_order_release);
}

struct customers_second *moments_now(struct moments *moments, int64_t now_us)
{
    size_t now = (size_t)((now_us - moments->begin_us) / 1000000);

    if (now > CUSTOMERS_SECONDS_MAX)
        now = CUSTOMERS_SECONDS_MAX;
    for (size_t second = atomic_load(&moments->whole); second < now; second++)
        close_second(moments, second);
    return &moments->at[now];
}

void moments_answered(struct moments *moments, int64_t latency_us)
{
    histogram_record(&moments->answers, latency_us);
}

void moments_finished(struct moments *moments, int64_t latency_us)
{
    histogram_record(&moments->finishes, latency_us);
}

size_t moments_count(const struct moments *moments)
{
    return atomic_load_explicit(&moments->whole, memory_order_acquire);
}

struct customers_second moments_at(const struct moments *moments, size_t second)
{
    if (second < moments_count(moments))
        return moments->at[second];
    return (struct customers_second){
        .answer_ms_p50 = -1, .answer_ms_p99 = -1, .finish_ms_p50 = -1, .finish_ms_p99 = -1};
}

void moments_free(struct moments *moments)
{
    free(moments);
}
