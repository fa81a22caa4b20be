/*
 * watch.h: who looks at the stack while it is harmed: each second at what the services say of
 * themselves, and again and again with the auditor.
 */
#ifndef CHAOS_WATCH_H
#define CHAOS_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "site.h"

#define WATCH_TOLD_MAX 5 /* broken audits that are told with their orders' timelines */

struct watch_second {
    double in_flight;      /* orders, as order-svc says; -1: it did not answer */
    double backlog[PARTS]; /* outbox rows that are not acknowledged; -1: did not answer */
    uint8_t silent;        /* set of the services that did not answer at /readyz */
    uint8_t not_ready;     /* that answered 503 */
};

struct watch_audit {
    int64_t begin_us, end_us;
    bool last;  /* by watch_settle: faults were over, and nobody asked any more */
    int status; /* 0 holds, 1 broken, 2 could not look */
    char *said; /* the statements that do not hold, or how it ended; NULL unless broken. After
                 * watch_end the first WATCH_TOLD_MAX have their orders' timelines in it. */
};

struct watch;

/* Of the stack whose addresses are in the environment. */
struct watch *watch_begin(void);
/* When its second 0 began; clock_us(). */
int64_t watch_began_us(const struct watch *watch);
/* The auditor looks only between watch_audit_on and watch_audit_off, which waits for a look under
 * way: with a server away it would have nothing to say. */
void watch_audit_on(struct watch *watch);
void watch_audit_off(struct watch *watch);
/* `deploy/audit --settled`, within the time; counted as the last of the audits. */
bool watch_settle(struct watch *watch, int seconds);
void watch_end(struct watch *watch);

/* Any thread. */
size_t watch_seconds(const struct watch *watch);
struct watch_second watch_second(const struct watch *watch, size_t second);
size_t watch_audits(const struct watch *watch);
struct watch_audit watch_audit(const struct watch *watch, size_t n);
void watch_free(struct watch *watch);

/* ---- pure ---- */

/* The sum of all series of this name in a text as /metrics answers; -1: there is none. */
double watch_sum(const char *text, const char *name);
/* The lines of what the auditor says that tell of something broken; NULL: none does. */
char *watch_broken_lines(const char *text);
/* By the exit status of deploy/audit, or -1, within `timeout`: 0, 1 or 2 as in watch_audit. One
 * that it never has, as after a crash, is 1: an auditor that breaks has not looked. */
int watch_audit_status(int exit_status);

#endif
