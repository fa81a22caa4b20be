/*
 * usage.h: CPU time and memory of each part of the stack, from the kernel's own counters.
 *
 * CPU time is user and system time of /proc/PID/stat. The kernel scales the two so that their sum
 * is the time that the scheduler has counted: to the nanosecond, told in steps of 10 ms.
 */
#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H

#include "support/stack.h"

struct usage {
    char name[24];
    double cpu_s;   /* with all child processes, also ended ones */
    double rss_mb;  /* of its own and its children's, shared pages counted once */
    double peak_mb; /* the same, at each one's VmHWM since it was started */
};

/* The stack's parts, then this process as "load". */
#define USAGE_MAX (STACK_PARTS + 1)

/* Finds the parts, which takes long; returns how many usages there are, 0 if one does not run. None
 * may be restarted afterwards. */
size_t usage_begin(void);
/* Only CPU time. A negative cpu_s: the part is gone. */
void usage_read(struct usage ret_usage[USAGE_MAX]);
/* Adds the memory to what usage_read has filled in: apart, since the kernel counts pages for it. */
void usage_read_memory(struct usage usage[USAGE_MAX]);
/* CPU time of the whole machine that was not idle, in seconds. */
double usage_machine_s(void);

#endif
