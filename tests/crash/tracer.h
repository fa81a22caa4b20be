/*
 * tracer.h: counts the system calls that a running process makes on sockets, in all its threads
 * together, and kills it with -9 as it begins the nth: that call is not made any more.
 *
 * What others see of a process passes through its sockets. Between two such calls nothing changes
 * out there, so a kill at any other instruction looks like one of these.
 */
#ifndef CRASH_TRACER_H
#define CRASH_TRACER_H

#include <stdbool.h>
#include <sys/types.h>

#define TRACER_CALLS_MAX 16 /* kinds of them */

struct tracer;

/* Counts from when it returns. NULL: it cannot be traced, and why was said. */
struct tracer *tracer_begin(pid_t pid, int nth);
/* The process was killed at its nth call, and is gone. */
bool tracer_killed(const struct tracer *tracer);
/* The calls so far. */
int tracer_calls(const struct tracer *tracer);
/* Which call it was killed at: "sendto". NULL: it was not. */
const char *tracer_call(const struct tracer *tracer);
/* Lets go of the process, if it lives. */
void tracer_end(struct tracer *tracer);

#endif
