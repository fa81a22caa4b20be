/*
 * send.h: customers: orders at their intended times, or a fixed number always under way.
 *
 * With a rate the load is open: an order is sent at its time whatever the answers do, and its
 * latency counts from that time. Without, each answer sends the next order. An order counts if its
 * intended time (open) or its answer (closed) lies in the window that is counted.
 */
#ifndef BENCH_SEND_H
#define BENCH_SEND_H

#include <stdint.h>

#include "histogram.h"
#include "mix.h"
#include "tally.h"

#define SEND_CONNECTIONS_MAX 3500

struct send_plan {
    const char *api; /* "http://127.0.0.1:8080" */
    double rate;     /* orders a second; 0: at_once */
    size_t at_once;
    struct mix mix;
};

struct send_result {
    size_t sent;                 /* in all, also those that are not counted */
    size_t other;                /* in all: answers that were not the expected end */
    char complaint[400];         /* the first of them */
    size_t completed, cancelled; /* counted by the rule above */
    struct histogram latency, latency_cancelled, late; /* us; late: behind the intended time */
    size_t finished;    /* answers as expected within the window, whenever their time was */
    size_t waiting_max; /* so many waited for a connection at once: then it was not open */
};

struct send;

/* Ends the process if the address is not this machine. The tally is told of every order. */
struct send *send_new(const struct send_plan *plan, struct tally *tally);
/* Sends until this time; nothing of it counts. */
void send_warm_up(struct send *send, int64_t until_us);
/* The window: from now to then. */
void send_count(struct send *send, int64_t until_us);
/* Goes on as before, and nothing more counts: the window's end is to be as its beginning. */
void send_cool_down(struct send *send, int64_t until_us);
/* Sends no more, and waits for all answers. */
void send_stop(struct send *send);
const struct send_result *send_result(const struct send *send);
void send_free(struct send *send);

#endif
