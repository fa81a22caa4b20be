/* histogram.c: log-linear buckets; see histogram.h. */
#include "histogram.h"

#include <math.h>
#include <stddef.h>

static size_t bucket_of(int64_t value)
{
    if (value >> HISTOGRAM_VALUE_BITS != 0)
        return HISTOGRAM_BUCKETS - 1;
    int bits = value == 0 ? 0 : 64 - __builtin_clzll((unsigned long long)value);
    int shift = bits <= HISTOGRAM_DIGIT_BITS ? 0 : bits - HISTOGRAM_DIGIT_BITS;
    /* The first digit of a shifted value is 1: so each shift takes up HISTOGRAM_HALF buckets. */
    return (size_t)shift * HISTOGRAM_HALF + (size_t)(value >> shift);
}

/* The largest value that falls into the bucket. */
static int64_t bucket_end(size_t bucket)
{
    if (bucket < 2 * HISTOGRAM_HALF)
        return (int64_t)bucket;
    int shift = (int)(bucket / HISTOGRAM_HALF) - 1;
    int64_t digits = (int64_t)(bucket % HISTOGRAM_HALF) + HISTOGRAM_HALF;
    return ((digits + 1) << shift) - 1;
}

void histogram_record(struct histogram *histogram, int64_t value)
{
    if (value < 0)
        value = 0;
    histogram->buckets[bucket_of(value)]++;
    histogram->count++;
    if (value > histogram->max)
        histogram->max = value;
}

void histogram_merge(struct histogram *histogram, const struct histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] += from->buckets[i];
    histogram->count += from->count;
    if (from->max > histogram->max)
        histogram->max = from->max;
}

int64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    uint64_t seen = 0;
    double wanted = ceil((double)histogram->count * percent / 100);

    for (size_t i = 0; i < HISTOGRAM_BUCKETS - 1 && percent < 100; i++) {
        seen += histogram->buckets[i];
        if (seen == 0 || (double)seen < wanted)
            continue;
        int64_t end = bucket_end(i);
        return end < histogram->max ? end : histogram->max;
    }
    return histogram->max;
}
