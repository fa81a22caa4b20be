/* metric.h: what a service says of itself at /metrics. */
#ifndef SUPPORT_METRIC_H
#define SUPPORT_METRIC_H

/* base: "http://127.0.0.1:8081". series: as it stands there, `name{label="value"}`. -1: it is not
 * there, or there was no answer. */
double metric_of(const char *base, const char *series);
/* The status of /readyz; 0: no answer. */
int metric_ready(const char *base);

#endif
