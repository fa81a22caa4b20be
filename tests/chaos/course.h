/*
 * course.h: the course of a run: customers begin, then one fault after the other: fired, proved,
 * lifted, recovered from. At the end all must come to rest, and be as the customers were told.
 */
#ifndef CHAOS_COURSE_H
#define CHAOS_COURSE_H

#include "report.h"

#define COURSE_SECONDS_MAX 7000
#define COURSE_WARM_UP_S 180 /* until orders get through; and the last fault takes no longer */
#define COURSE_RECOVERY_S 60 /* after the lift, all is as it was before */
#define COURSE_REST_S 60 /* after the last fault, no customer waits, every order is at its end */

struct course {
    struct run run; /* site, seed, rate, faults as planned: given; the rest becomes true */
    size_t planned; /* faults */

    struct customers *customers;
    struct watch *watch;
    /* A second before the first fault, by which recovery is judged. */
    struct calm {
        double in_flight, backlog, accepted, finished;
    } calm;
    long long births[PARTS]; /* of the processes that do the parts' work, as last seen */
};

/* Else they would be all there are before it is over, and it would go on without load. */
static inline bool course_has_customers(double rate, int seconds)
{
    return rate * (seconds + COURSE_WARM_UP_S) <= CUSTOMERS_MAX;
}

/* The stack is up. Returns when it is over, one way or the other: run.why. */
void course_run(struct course *course);
/* From a signal: the run is broken off as soon as the fault under way is lifted. */
void course_interrupt(void);
/* How many checks held: each fault (proved, and recovered from), and what must be true at the end.
 */
void course_count(const struct course *course, size_t *ret_good, size_t *ret_bad);
/* What it has begun, and the judgement; not the faults. */
void course_free(struct course *course);

#endif
