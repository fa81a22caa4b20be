/*
 * witness.h: the independent consumer of a load: it marks where the topics end before the load, and
 * reads what was said since when the load is over, so that it takes nothing from what is measured.
 */
#ifndef BENCH_WITNESS_H
#define BENCH_WITNESS_H

#include <stdint.h>

#include "tally.h"

struct witness;

/* NULL: it has said why. The tally is told of every order.completed and order.cancelled. */
struct witness *witness_begin(const char *bootstrap, struct tally *tally);
/*
 * Reads until the tally agrees and nothing is left to be read, or so many seconds have brought
 * nothing that makes it agree. False: why says what is missing or too much.
 */
bool witness_settle(struct witness *witness, int seconds, char *why, size_t size);
/* Keys, values and headers of all topics' records, without what the broker adds. */
uint64_t witness_records(const struct witness *witness);
uint64_t witness_bytes(const struct witness *witness);
void witness_free(struct witness *witness);

#endif
