/* metrics.c: a bounded table of series, counted with relaxed atomics, written as Prometheus text.
 */
#include "runtime/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define BOUNDS_MAX 24

enum kind { COUNTER, GAUGE, HISTOGRAM };

struct metric {
    const char *name, *help;
    char *labels;
    enum kind kind;
    _Atomic double value; /* the sum of a histogram */
    const double *bounds;
    size_t bounds_count;
    _Atomic uint64_t buckets[BOUNDS_MAX + 1];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric series[METRIC_SERIES_MAX];
static size_t series_count;

static struct metric *find(enum kind kind, const char *name, const char *help, const char *labels,
                           const double *bounds, size_t bounds_count)
{
    struct metric *found = NULL;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < series_count && found == NULL; i++)
        if (strcmp(series[i].name, name) == 0 && strcmp(series[i].labels, labels) == 0)
            found = &series[i];
    if (found == NULL) {
        char *copy = strdup(labels);
        if (series_count == METRIC_SERIES_MAX || bounds_count > BOUNDS_MAX || copy == NULL)
            abort(); /* labels come from tables: their number is known when the program is written
                      */
        found = &series[series_count++];
        found->name = name;
        found->help = help;
        found->labels = copy;
        found->kind = kind;
        found->bounds = bounds;
        found->bounds_count = bounds_count;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

struct metric *metric_counter(const char *name, const char *help, const char *labels)
{
    return find(COUNTER, name, help, labels, NULL, 0);
}

struct metric *metric_gauge(const char *name, const char *help, const char *labels)
{
    return find(GAUGE, name, help, labels, NULL, 0);
}

struct metric *metric_histogram(const char *name, const char *help, const char *labels,
                                const double *bounds, size_t bounds_count)
{
    return find(HISTOGRAM, name, help, labels, bounds, bounds_count);
}

void metric_add(struct metric *metric, double value)
{
    double before = atomic_load_explicit(&metric->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&metric->value, &before, before + value,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void metric_set(struct metric *metric, double value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void metric_observe(struct metric *metric, double value)
{
    size_t bucket = 0;
    while (bucket < metric->bounds_count && value > metric->bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&metric->buckets[bucket], 1, memory_order_relaxed);
    metric_add(metric, value);
}

/* ---- text ---- */

static void put(struct saga_json *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The buffer is saga_json's, the text is not JSON: raw, without commas. */
static void put(struct saga_json *text, const char *format, ...)
{
    char line[512];
    __builtin_va_list arguments;
    __builtin_va_start(arguments, format);
    int len = vsnprintf(line, sizeof line, format, arguments);
    __builtin_va_end(arguments);
    text->comma = false;
    if (len > 0)
        saga_json_raw(
            text, NULL,
            (struct saga_text){line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1});
    text->comma = false;
}

static void put_histogram(struct saga_json *text, const struct metric *metric)
{
    uint64_t count = 0;
    const char *comma = *metric->labels ? "," : "";
    for (size_t i = 0; i <= metric->bounds_count; i++) {
        count += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        if (i < metric->bounds_count)
            put(text, "%s_bucket{%s%sle=\"%g\"} %llu\n", metric->name, metric->labels, comma,
                metric->bounds[i], (unsigned long long)count);
        else
            put(text, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", metric->name, metric->labels, comma,
                (unsigned long long)count);
    }
    bool labelled = *metric->labels != '\0';
    put(text, "%s_sum%s%s%s %.9g\n", metric->name, labelled ? "{" : "", metric->labels,
        labelled ? "}" : "", atomic_load_explicit(&metric->value, memory_order_relaxed));
    put(text, "%s_count%s%s%s %llu\n", metric->name, labelled ? "{" : "", metric->labels,
        labelled ? "}" : "", (unsigned long long)count);
}

void metrics_put(struct saga_json *text, const char *name, const char *labels, double value)
{
    bool labelled = *labels != '\0';
    put(text, "%s%s%s%s %.17g\n", name, labelled ? "{" : "", labels, labelled ? "}" : "", value);
}

static void put_head(struct saga_json *text, const char *name, const char *help, const char *kind)
{
    put(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

void metrics_put_head(struct saga_json *text, const char *name, const char *help)
{
    put_head(text, name, help, "gauge");
}

static void put_series(struct saga_json *text, const struct metric *metric)
{
    if (metric->kind == HISTOGRAM)
        put_histogram(text, metric);
    else
        metrics_put(text, metric->name, metric->labels,
                    atomic_load_explicit(&metric->value, memory_order_relaxed));
}

void metrics_zero(const char *name)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < series_count; i++)
        if (strcmp(series[i].name, name) == 0)
            metric_set(&series[i], 0);
    pthread_mutex_unlock(&lock);
}

void metrics_write(struct saga_json *text)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    pthread_mutex_lock(&lock);
    size_t count = series_count;
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < count; i++) {
        bool first = true;
        for (size_t k = 0; k < i; k++)
            first = first && strcmp(series[k].name, series[i].name) != 0;
        if (!first)
            continue;
        put_head(text, series[i].name, series[i].help, kinds[series[i].kind]);
        for (size_t k = i; k < count; k++)
            if (strcmp(series[k].name, series[i].name) == 0)
                put_series(text, &series[k]);
    }
}
