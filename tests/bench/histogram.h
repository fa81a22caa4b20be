/*
 * histogram.h: many values in fixed memory, each kept to three significant digits.
 *
 * Log-linear: values below 2048 have a bucket each; above, every power of two is cut into 1024
 * buckets of equal width, so that a bucket is never wider than 1/1024 of the values in it. What a
 * percentile tells is at most that much above the value that was recorded, and never below it.
 * Recording costs a shift and an addition, and no order of arrival is lost: sorting is not needed.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_DIGIT_BITS 11 /* 2048: more than three digits */
#define HISTOGRAM_VALUE_BITS 36 /* in microseconds: 19 hours */
#define HISTOGRAM_HALF (1 << (HISTOGRAM_DIGIT_BITS - 1))
/* The last one is for what is too large. */
#define HISTOGRAM_BUCKETS                                                                          \
    ((HISTOGRAM_VALUE_BITS - HISTOGRAM_DIGIT_BITS + 2) * HISTOGRAM_HALF + 1) /* 216 KiB */

/* All zero is empty. */
struct histogram {
    uint64_t count;
    int64_t max; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* A negative value counts as 0; one that is too large counts in the last bucket, and max keeps it
 * as it was. */
void histogram_record(struct histogram *histogram, int64_t value);
/* As if all that is in `from` had been recorded here. */
void histogram_merge(struct histogram *histogram, const struct histogram *from);
/* The least value that at least so many percent of the records are not above: the upper end of its
 * bucket, or max if that is less. 100 and more: max. 0 of an empty one. */
int64_t histogram_percentile(const struct histogram *histogram, double percent);

#endif
