/* usage.h: CPU time and memory of each part of the stack, from /proc. */
#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H

#include "support/stack.h"

struct usage {
    char name[24];
    double cpu_s;  /* user and system, with all child processes, also ended ones */
    double rss_mb; /* memory of its own and its children's, shared pages counted once */
};

/* The stack's parts, then this process as "load"; returns how many. */
#define USAGE_MAX (STACK_PARTS + 1)
size_t usage_read(struct usage ret_usage[USAGE_MAX]);
/* CPU time of the whole machine that was not idle, in seconds. */
double usage_machine_s(void);

#endif
