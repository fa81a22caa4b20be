/*
 * exposition.h: a strict reader of Prometheus text 0.0.4, as /metrics answers it: each line by the
 * grammar, HELP and TYPE before the series of their name and once, no series twice, histograms
 * whose buckets add up.
 */
#ifndef SUPPORT_EXPOSITION_H
#define SUPPORT_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>

struct exposition;

/* Asks `base` ("http://127.0.0.1:8080") for its /metrics; never NULL, to be freed. */
struct exposition *exposition_ask(const char *base);
/* The same of a text that is there. */
struct exposition *exposition_read(const char *text);
void exposition_free(struct exposition *exposition);

/* NULL, or the first thing that is wrong with it. */
const char *exposition_wrong(const struct exposition *exposition);
/* There is such a name of that type, and each of its series has these labels: "topic,partition", in
 * this order, "" for none; a histogram's le is not counted. */
bool exposition_has(const struct exposition *exposition, const char *name, const char *type,
                    const char *labels);
/* How many series the name has. */
size_t exposition_count(const struct exposition *exposition, const char *name);
/* The value of a series, as it is written: `saga_orders_total{outcome="completed"}`; `otherwise` if
 * it is not there. */
double exposition_value(const struct exposition *exposition, const char *series, double otherwise);

#endif
