/*
 * customers.h: orders at a steady rate over every path, and a record of what each customer asked
 * and was answered. An answer may be unknown - refused, reset, too late - which is neither yes nor
 * no.
 *
 * Some have a key and ask until they know; some have none and ask once, and then an unknown answer
 * may have left one order or none. So may a 503: a COMMIT in doubt is answered with it too. Some
 * wait for the end (Prefer: wait), some cancel. Every order carries its customer's mark in its
 * metadata, so that an order can be told from its rows alone; who wants what: wish.h.
 */
#ifndef CHAOS_CUSTOMERS_H
#define CHAOS_CUSTOMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CUSTOMERS_MAX 1000000
#define CUSTOMERS_SECONDS_MAX 7200

/* What has happened in one second, counted from customers_begin. */
struct customers_second {
    uint32_t asked;    /* first asked in it */
    uint32_t accepted; /* answered 201 or 202 in it, the first time */
    uint32_t refused;  /* answers: 4xx, 503 */
    uint32_t unknown;  /* requests that had none */
    uint32_t finished; /* seen at their end in it, by those who wait */
    /* Of those accepted who do not wait for the end, from when they first asked; -1: none. */
    int32_t answer_ms_p50, answer_ms_p99;
    int32_t finish_ms_p50, finish_ms_p99; /* of those finished, likewise */
};

/* One customer's whole story. */
struct customer {
    uint64_t mark; /* in the order's metadata */
    bool keyed, waits;
    uint16_t asked;   /* times */
    uint16_t unknown; /* of these: no answer */
    int status;       /* 201 or 202; before that the last clear answer; 0: none so far */
    char id[37];      /* the order's; "": not known */
    /* An order that its key was answered with before, by 202, and that is not its own in the end:
     * the database was away, and the key was taken. "": there was none. */
    char queued_id[37];
    uint64_t body; /* hash of what does not change in the order that was answered; 0: none */
    bool ended, completed;                      /* was seen completed or cancelled; which of them */
    uint64_t end;                               /* told.h's, of that answer */
    int cancel_status;                          /* 0: did not ask, -1: asked and does not know */
    int64_t asked_us, accepted_us, finished_us; /* clock_us(); 0: not */
};

struct customers;

/* api: "http://127.0.0.1:8080". They begin at once, in a thread of their own. What they want
 * follows from the seed. Orders that are there already (ORDER_DB, if it is in the environment) are
 * known as strangers; if this seed's are among them, it follows from another. */
struct customers *customers_begin(const char *api, double rate, uint64_t seed);
/* No new ones from now on; those with a key go on until they know. False: not within the time. */
bool customers_rest(struct customers *customers, int seconds);

/* Any thread: how many seconds have passed whole, and one of them. */
size_t customers_seconds(const struct customers *customers);
struct customers_second customers_second(const struct customers *customers, size_t second);
size_t customers_accepted(const struct customers *customers);
/* The first answer that no customer should get, with its order; NULL: none. */
const char *customers_complaint(const struct customers *customers);

/* This order was there before they began. */
bool customers_is_stranger(const struct customers *customers, const char *id);
/* When they rest: all of them. */
size_t customers_count(const struct customers *customers);
const struct customer *customers_at(const struct customers *customers, size_t n);
void customers_free(struct customers *customers);

#endif
