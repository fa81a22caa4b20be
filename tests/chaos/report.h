/*
 * report.h: what a run has shown: as a table, and as one HTML page that needs nothing else.
 */
#ifndef CHAOS_REPORT_H
#define CHAOS_REPORT_H

#include "customers.h"
#include "fault.h"
#include "judge.h"
#include "watch.h"

struct run {
    const struct site *site;
    uint64_t seed;
    double rate;
    int seconds; /* of load, from the first order on; the fault under way then is the last */
    const struct fault_kind *kinds; /* the only ones that it was limited to */
    size_t kinds_count;             /* 0: it was not */
    int64_t begin_us, end_us;       /* of the load */
    struct fault *faults;
    size_t faults_count; /* that were begun */
    const struct customers *customers;
    const struct watch *watch;
    struct judgement judgement;
    bool settled;    /* every order came to its end in time, and I1 to I9 hold */
    double settle_s; /* it took so long after the last fault */
    char why[400];   /* the run was broken off; "": it was not */
};

/* Nothing is wrong (summary_good). */
bool report_good(const struct run *run);
/* Standard output: a line for each fault, sums by kind, the verdict, the seed and how to repeat it.
 */
void report_print(const struct run *run);
/* FOLDER/chaos.html, and FOLDER/timeline.svg, its picture alone; false: it has said why. The
 * timeline: throughput, latency, in flight, backlog, faults as bands; then recovery by fault, and
 * counterexamples with their order's own timeline. */
bool report_write(const struct run *run, const char *folder);

#endif
