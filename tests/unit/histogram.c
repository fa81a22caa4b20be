/* histogram.c: what bench/histogram.h promises, against a sorted array. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "bench/histogram.h"

#define MANY 50000
#define LAST ((INT64_C(1) << HISTOGRAM_VALUE_BITS) - 1)

static struct histogram *make(void)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);
    cr_assert_not_null(histogram);
    return histogram;
}

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

Test(histogram, empty_is_zero)
{
    struct histogram *histogram = make();
    cr_assert_eq(histogram_percentile(histogram, 50), 0);
    cr_assert_eq(histogram_percentile(histogram, 100), 0);
    free(histogram);
}

/* Each alone: a bucket begins and ends at these. */
Test(histogram, one_value_is_kept_to_three_digits)
{
    for (int bits = 0; bits <= HISTOGRAM_VALUE_BITS; bits++) {
        for (int64_t off = -1; off <= 1; off++) {
            int64_t value = (INT64_C(1) << bits) + off;
            struct histogram *histogram = make();
            histogram_record(histogram, value);
            histogram_record(histogram, LAST * 2); /* so that max does not hide the bucket's end */
            int64_t told = histogram_percentile(histogram, 50);
            if (value <= LAST)
                cr_assert(told >= value && told - value <= value / 1024, "%lld is told as %lld",
                          (long long)value, (long long)told);
            free(histogram);
        }
    }
}

Test(histogram, small_values_are_exact)
{
    struct histogram *histogram = make();
    for (int64_t value = 0; value < 2048; value++)
        histogram_record(histogram, value);
    for (int64_t value = 0; value < 2048; value++)
        cr_assert_eq(histogram_percentile(histogram, (double)(value + 1) * 100 / 2048), value);
    free(histogram);
}

Test(histogram, what_is_out_of_range)
{
    struct histogram *histogram = make();
    histogram_record(histogram, -5);
    cr_assert_eq(histogram_percentile(histogram, 50), 0);
    cr_assert_eq(histogram->max, 0);
    histogram_record(histogram, INT64_MAX);
    cr_assert_eq(histogram->count, 2);
    cr_assert_eq(histogram_percentile(histogram, 50), 0);
    cr_assert_eq(histogram_percentile(histogram, 99), INT64_MAX);
    free(histogram);
}

Test(histogram, percentiles_of_many_and_of_two_merged)
{
    static const double percents[] = {0, 1, 10, 50, 90, 99, 99.9, 99.99, 100};
    struct histogram *whole = make(), *half = make();
    int64_t *values = calloc(MANY, sizeof *values);
    cr_assert_not_null(values);

    srandom(7);
    for (size_t i = 0; i < MANY; i++) {
        values[i] = random() >> (random() % 31); /* as many of each length */
        histogram_record(i % 2 ? half : whole, values[i]);
    }
    histogram_merge(whole, half);
    cr_assert_eq(whole->count, MANY);
    qsort(values, MANY, sizeof *values, compare);
    int64_t before = 0;
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        size_t rank = (size_t)(MANY * percents[i] / 100 + 0.999999);
        int64_t exact = values[rank == 0 ? 0 : rank - 1];
        int64_t told = histogram_percentile(whole, percents[i]);
        cr_assert(told >= exact && told - exact <= exact / 1024, "p%g: %lld is told as %lld",
                  percents[i], (long long)exact, (long long)told);
        cr_assert_geq(told, before);
        before = told;
    }
    cr_assert_eq(histogram_percentile(whole, 100), values[MANY - 1]);
    free(values);
    free(whole);
    free(half);
}
