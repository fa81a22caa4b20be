/*
 * patience.h: records that nobody waits for, held back until they can go along with one that
 * somebody does. Pure: it moves records, and neither reads nor frees them.
 *
 * A record is patient if nothing is said because of it: the service only learns. Alone it would
 * cost a transaction, and a version of the order's row. So it waits for an urgent record of the
 * same order, and both are one change. Within a partition nothing overtakes: what came before it
 * goes with it. None is held for longer than PATIENCE_US: then all go, in one transaction.
 */
#ifndef RUNTIME_PATIENCE_H
#define RUNTIME_PATIENCE_H

#include "ports/kafka.h"

#define PATIENCE_US 250000
/* So many, or so many bytes, and all go. */
#define PATIENCE_RECORDS_MAX 8192
#define PATIENCE_BYTES_MAX ((size_t)16 << 20)

struct patience;

/* burst: so many may be held at once beyond the bound, and so many be urgent. */
struct patience *patience_new(size_t burst);
/* Nothing may be held. NULL is fine. */
void patience_free(struct patience *patience);

/* No record may be held now: at a bound, until some went. */
bool patience_full(const struct patience *patience);
/* Holds a copy of the record, behind all others. */
void patience_hold(struct patience *patience, const struct kafka_record *record, int64_t now_us);
/* Moves those that go to ret, in the order in which they came, `room` of them at most: those that
 * wait for one of the urgent ones, those before them, and all if it is time. Returns how many. */
size_t patience_let_go(struct patience *patience, const struct kafka_record *urgent,
                       size_t urgent_count, int64_t now_us, struct kafka_record *ret, size_t room);
/* How many records may be taken at once into so much room, if an order has so many patient ones at
 * most: so few that those of their orders fit beside them (others before those, in their
 * partitions, may still take the room), but 1 at least. What does not fit stays, and there is
 * nobody left for it to wait for. */
size_t patience_share(size_t room, size_t patient);
/* When all have to go; INT64_MAX if nothing is held. */
int64_t patience_end_us(const struct patience *patience);

#endif
