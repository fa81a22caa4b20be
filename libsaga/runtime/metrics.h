/*
 * metrics.h: counters, gauges and histograms, in Prometheus text 0.0.4.
 *
 * A series is looked up once per distinct label set (a short linear list under a lock) and counted
 * with relaxed atomics. Any thread.
 */
#ifndef RUNTIME_METRICS_H
#define RUNTIME_METRICS_H

#include "saga/json.h"

struct metric; /* one series */

/* labels: `step="payment",op="action"` already in text form, "" for none. Values of labels come
 * from tables, never from input, so their number is bounded (METRIC_SERIES_MAX, then aborts). */
#define METRIC_SERIES_MAX 512
struct metric *metric_counter(const char *name, const char *help, const char *labels);
struct metric *metric_gauge(const char *name, const char *help, const char *labels);
/* Upper bounds ascending, NULL-free, +Inf is added. */
struct metric *metric_histogram(const char *name, const char *help, const char *labels,
                                const double *bounds, size_t bounds_count);
void metric_add(struct metric *metric, double value);
void metric_set(struct metric *metric, double value);
void metric_observe(struct metric *metric, double value);
/* Every series of this name to 0: of gauges whose labels come and go. */
void metrics_zero(const char *name);
/* A gauge with as many series as the world has (partitions): told when it is asked for and never
 * kept, so it has no bound. First the head, then a line each; like metrics_write it appends. */
void metrics_put_head(struct saga_json *text, const char *name, const char *help);
void metrics_put(struct saga_json *text, const char *name, const char *labels, double value);
/* All series of one name stand together with their HELP and TYPE. Appends to json as plain text. */
void metrics_write(struct saga_json *text);

#endif
