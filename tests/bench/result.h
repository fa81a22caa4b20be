/* result.h: what one load has shown: as text for people, as JSON for report.c and scripts. */
#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H

#include "counters.h"
#include "send.h"
#include "tally.h"
#include "usage.h"

struct result {
    const struct send_plan *plan;
    double run_s; /* counted */
    const struct send_result *sent;
    struct tally_counts tally;
    double records, record_bytes; /* on the topics, of all orders, also those that did not count */
    bool agrees;
    char why[300];                 /* it does not */
    double sampled_s;              /* between the two looks at usage and machine_s */
    double counted_s;              /* between those at the counters */
    size_t usage_count;            /* the last is the load's own */
    struct usage usage[USAGE_MAX]; /* cpu_s: between the looks; memory: at the second one */
    double machine_s;              /* CPU time of the whole machine between the looks */
    struct counters counted;       /* between the looks */
};

/* Orders a second that came to their expected end in the window. */
double result_sagas(const struct result *result);
/* An open load: as many came to their end as were sent. */
bool result_kept_up(const struct result *result);
/* The load generator kept its intended times well enough for the latencies to be the stack's. */
bool result_in_time(const struct result *result);
void result_print(const struct result *result);
/* One JSON object; false: it has said why. */
bool result_write(const struct result *result, const char *path);

#endif
