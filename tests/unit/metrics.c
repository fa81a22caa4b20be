/* metrics.c: counters, gauges and histograms as text, and that no count is lost between threads. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/metrics.h"

/* Each test is a process of its own, without series. */
static struct saga_json text;

static void teardown(void)
{
    saga_json_clear(&text);
}

TestSuite(metrics, .fini = teardown);

static void expect(const char *expected)
{
    saga_json_reset(&text);
    metrics_write(&text);
    struct saga_text done = saga_json_done(&text);
    cr_expect(done.len == strlen(expected) && memcmp(done.at, expected, done.len) == 0, "%.*s",
              (int)done.len, done.at);
}

Test(metrics, none)
{
    metrics_write(&text);
    cr_assert(text.len == 0 && !text.bad);
}

Test(metrics, counter)
{
    struct metric *metric = metric_counter("sold_total", "Things sold.", "");
    expect("# HELP sold_total Things sold.\n# TYPE sold_total counter\nsold_total 0\n");
    metric_add(metric, 1);
    metric_add(metric, 2.5);
    expect("# HELP sold_total Things sold.\n# TYPE sold_total counter\nsold_total 3.5\n");
}

Test(metrics, large_counts_are_exact)
{
    struct metric *metric = metric_counter("c", "C.", "");
    metric_add(metric, 9007199254740990.0);
    metric_add(metric, 1);
    expect("# HELP c C.\n# TYPE c counter\nc 9007199254740991\n");
}

Test(metrics, gauge)
{
    struct metric *metric = metric_gauge("lag", "Behind.", "lane=\"1\",topic=\"a.b\"");
    metric_set(metric, 7);
    metric_set(metric, -3);
    metric_add(metric, 1);
    expect("# HELP lag Behind.\n# TYPE lag gauge\nlag{lane=\"1\",topic=\"a.b\"} -2\n");
}

static const double bounds[] = {0.005, 1, 2.5};

Test(metrics, histogram)
{
    struct metric *metric = metric_histogram("wait_seconds", "Waited.", "", bounds, 3);
    expect("# HELP wait_seconds Waited.\n# TYPE wait_seconds histogram\n"
           "wait_seconds_bucket{le=\"0.005\"} 0\nwait_seconds_bucket{le=\"1\"} 0\n"
           "wait_seconds_bucket{le=\"2.5\"} 0\nwait_seconds_bucket{le=\"+Inf\"} 0\n"
           "wait_seconds_sum 0\nwait_seconds_count 0\n");
    static const double values[] = {0, 0.005, 0.25, 1, 2.5, 2.75, 100};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        metric_observe(metric, values[i]);
    expect("# HELP wait_seconds Waited.\n# TYPE wait_seconds histogram\n"
           "wait_seconds_bucket{le=\"0.005\"} 2\nwait_seconds_bucket{le=\"1\"} 4\n"
           "wait_seconds_bucket{le=\"2.5\"} 5\nwait_seconds_bucket{le=\"+Inf\"} 7\n"
           "wait_seconds_sum 106.505\nwait_seconds_count 7\n");
}

Test(metrics, labels_of_a_histogram)
{
    metric_observe(metric_histogram("h", "H.", "step=\"a\"", bounds, 1), 2);
    expect("# HELP h H.\n# TYPE h histogram\n"
           "h_bucket{step=\"a\",le=\"0.005\"} 0\nh_bucket{step=\"a\",le=\"+Inf\"} 1\n"
           "h_sum{step=\"a\"} 2\nh_count{step=\"a\"} 1\n");
}

Test(metrics, histogram_of_no_bounds)
{
    metric_observe(metric_histogram("h", "H.", "", NULL, 0), 4);
    expect("# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 4\nh_count 1\n");
}

Test(metrics, many_bounds)
{
    static double many[24];
    for (int i = 0; i < 24; i++)
        many[i] = i;
    struct metric *metric = metric_histogram("h", "H.", "", many, 24);
    for (int i = 0; i < 100; i++)
        metric_observe(metric, i);
    metrics_write(&text);
    static const char tail[] = "h_bucket{le=\"22\"} 23\nh_bucket{le=\"23\"} 24\n"
                               "h_bucket{le=\"+Inf\"} 100\nh_sum 4950\nh_count 100\n";
    cr_assert_gt(text.len, sizeof tail);
    cr_assert_arr_eq(text.at + text.len - (sizeof tail - 1), tail, sizeof tail - 1);
}

/* ---- series ---- */

Test(metrics, series_are_found_again)
{
    char labels[] = "a=\"1\"";
    struct metric *metric = metric_counter("c", "C.", labels);
    labels[3] = '2'; /* labels are copied */
    cr_assert_eq(metric_counter("c", "C.", "a=\"1\""), metric);
    cr_assert_neq(metric_counter("c", "C.", labels), metric);
    cr_assert_neq(metric_counter("c", "C.", ""), metric);
    cr_assert_neq(metric_counter("d", "D.", "a=\"1\""), metric);
}

Test(metrics, series_of_one_name_stand_together)
{
    metric_add(metric_counter("a", "A.", "x=\"1\""), 1);
    metric_set(metric_gauge("b", "B.", ""), 2);
    metric_add(metric_counter("a", "A.", "x=\"2\""), 3);
    metric_set(metric_gauge("ab", "Ab.", ""), 4);
    metric_add(metric_counter("a", "A.", ""), 5);
    metric_set(metric_gauge("b", "B.", "y=\"1\""), 6);
    expect("# HELP a A.\n# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 3\na 5\n"
           "# HELP b B.\n# TYPE b gauge\nb 2\nb{y=\"1\"} 6\n"
           "# HELP ab Ab.\n# TYPE ab gauge\nab 4\n");
}

Test(metrics, zero_is_for_one_name)
{
    metric_set(metric_gauge("a", "A.", "x=\"1\""), 1);
    metric_set(metric_gauge("a", "A.", "x=\"2\""), 2);
    metric_set(metric_gauge("ab", "Ab.", ""), 3);
    metrics_zero("a");
    metrics_zero("nothing");
    expect("# HELP a A.\n# TYPE a gauge\na{x=\"1\"} 0\na{x=\"2\"} 0\n"
           "# HELP ab Ab.\n# TYPE ab gauge\nab 3\n");
    metric_set(metric_gauge("a", "A.", "x=\"2\""), 9);
    expect("# HELP a A.\n# TYPE a gauge\na{x=\"1\"} 0\na{x=\"2\"} 9\n"
           "# HELP ab Ab.\n# TYPE ab gauge\nab 3\n");
}

Test(metrics, text_is_appended)
{
    metric_counter("c", "C.", "");
    saga_json_raw(&text, NULL, SAGA_TEXT("before\n"));
    metrics_write(&text);
    saga_json_raw(&text, NULL, SAGA_TEXT("after\n"));
    static const char expected[] = "before\n# HELP c C.\n# TYPE c counter\nc 0\nafter\n";
    cr_assert_eq(text.len, sizeof expected - 1);
    cr_assert_arr_eq(text.at, expected, sizeof expected - 1);
}

Test(metrics, no_room_for_the_text)
{
    metric_counter("c", "C.", "");
    text.max = 20;
    metrics_write(&text);
    cr_assert(text.bad);
}

static void fill(int count)
{
    for (int i = 0; i < count; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "i=\"%d\"", i);
        metric_add(metric_counter("c", "C.", labels), i);
    }
}

Test(metrics, as_many_series_as_may_be)
{
    fill(METRIC_SERIES_MAX);
    fill(METRIC_SERIES_MAX); /* known by now */
    metrics_write(&text);
    static const char last[] = "c{i=\"511\"} 1022\n";
    cr_assert_arr_eq(text.at + text.len - (sizeof last - 1), last, sizeof last - 1);
}

Test(metrics, one_series_too_many, .signal = SIGABRT)
{
    fill(METRIC_SERIES_MAX + 1);
}

/* A topic may have 1000 partitions, and a service hears a dozen: more than there are series. */
Test(metrics, what_is_not_kept_has_no_bound)
{
    fill(METRIC_SERIES_MAX);
    metrics_write(&text);
    size_t kept = text.len;
    metrics_put_head(&text, "lag", "Behind.");
    for (int i = 0; i < 13000; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "partition=\"%d\"", i);
        metrics_put(&text, "lag", labels, i);
    }
    struct saga_text all = saga_json_done(&text);
    static const char head[] = "# HELP lag Behind.\n# TYPE lag gauge\nlag{partition=\"0\"} 0\n";
    static const char last[] = "lag{partition=\"12999\"} 12999\n";
    cr_assert_arr_eq(all.at + kept, head, sizeof head - 1);
    cr_assert_arr_eq(all.at + all.len - (sizeof last - 1), last, sizeof last - 1);
    saga_json_reset(&text);
    metrics_write(&text);
    cr_assert_eq(text.len, kept);
}

/* ---- threads ---- */

#define ROUNDS 20000

static void *count(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        metric_add(metric_counter("c", "C.", i % 2 ? "" : "even=\"1\""), 1);
        metric_observe(metric_histogram("h", "H.", "", bounds, 1), i % 4);
    }
    return unused;
}

Test(metrics, threads)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    metrics_write(&text);
    cr_assert_not_null(saga_json_done(&text).at);
    char *all = strndup(text.at, text.len);
    cr_expect_not_null(strstr(all, "\nc 40000\n"), "%s", all);
    cr_expect_not_null(strstr(all, "\nc{even=\"1\"} 40000\n"), "%s", all);
    cr_expect_not_null(strstr(all, "\nh_bucket{le=\"0.005\"} 20000\n"), "%s", all);
    cr_expect_not_null(strstr(all, "\nh_sum 120000\nh_count 80000\n"), "%s", all);
    free(all);
}
