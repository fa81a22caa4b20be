/* told.h: an order as an answer or a row tells it, and hashes of what never changes in it. */
#ifndef CHAOS_TOLD_H
#define CHAOS_TOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct told {
    char id[37], status[16], reason[32]; /* reason "": none */
    bool marked;
    uint64_t mark; /* if marked */
    uint64_t sent; /* hash of what its customer had sent */
    uint64_t body; /* the same with its times and its id */
    /* of an answer: hash of the end that it is at: which, why, what was refunded, the tracking
     * number. Events may still be heard after it, and move updated_at, but none of these. 0: at
     * none yet */
    uint64_t end;
    uint64_t whole; /* of an answer: hash of all that it tells */
    bool overdue;   /* of a row: called off for its deadline, when order-svc's clock was past it */
};

/* What an order that was sent has for `sent`. */
uint64_t told_hash_sent(const char *order, int64_t total);
/* False: the text is no order. */
bool told_read(const char *text, size_t len, struct told *ret_told);
/* Completed or cancelled. */
bool told_is_final(const struct told *told);
/* The `code` of a problem; "" if it has none. */
void told_read_code(const char *text, size_t len, char ret_code[40]);

/* A row of `orders`, each column as text; JSON where the column is JSON, times as in an answer, and
 * the deadline in microseconds once more, as the timeline has its times. False: something in it
 * cannot be read. status and reason are left empty. */
struct told_row {
    const char *id, *customer_id, *currency, *total, *items, *payment_method, *shipping_address,
        *metadata, *created_at, *deadline_at, *deadline_us, *timeline;
};
bool told_read_row(const struct told_row *row, struct told *ret_told);

#endif
