/*
 * tally.h: what the customers were answered against what stands on the topics, order by order.
 *
 * An order counts as a whole saga only if both say so: its final status was read over HTTP, and an
 * independent reader has seen the record of that very end, and no record of the other end. Records
 * may come twice, that is what at-least-once means; such are told, and are no disagreement.
 */
#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H

#include <stdbool.h>
#include <stddef.h>

enum tally_end { TALLY_COMPLETED, TALLY_CANCELLED, TALLY_ENDS };

#define TALLY_ORDERS_MAX 8000000 /* 24 bytes each, in a table that is half empty at least */

struct tally_counts {
    size_t answered[TALLY_ENDS], recorded[TALLY_ENDS]; /* orders */
    size_t again;                                      /* records of an end that was seen before */
};

struct tally;

struct tally *tally_new(void);
/* id: the order's, in text. False: it is no UUID; there are TALLY_ORDERS_MAX; or the order was
 * answered before. */
bool tally_answered(struct tally *tally, const char *id, enum tally_end end);
/* False: it is no UUID, or there are TALLY_ORDERS_MAX. */
bool tally_recorded(struct tally *tally, const char *id, enum tally_end end);
void tally_count(const struct tally *tally, struct tally_counts *ret_counts);
/* Every order that was answered has the record of this end and no other, and no order else has one.
 * False: why (at most `size` bytes, with a NUL) names the first order that does not agree. */
bool tally_agrees(const struct tally *tally, char *why, size_t size);
void tally_free(struct tally *tally);

#endif
