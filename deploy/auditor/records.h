/* records.h: what is on the topics, and how far the services say that they have come. */
#ifndef AUDITOR_RECORDS_H
#define AUDITOR_RECORDS_H

#include "spill.h"

struct records;

/* Where a record stands that a service has parked without an order, because it cannot read it. */
struct place {
    uint8_t db; /* whose service */
    uint8_t topic;
    int32_t partition;
    int64_t offset;
};

/* Notes the stored offsets of the four services, and then the ends of the topics. NULL: it has
 * said why on standard error. */
struct records *records_look(const char *bootstrap);

/*
 * Adds an ENTRY_RECORD for each record, up to the ends as they are now. epochs: what the events of
 * each database are marked with; of those of others each is an ENTRY_FORMER. nameless: sorted by
 * place_compare; what one service cannot read another may be able to, so for the one the record
 * names no order, and for the others it does. False: it has said why.
 */
bool records_read(struct records *records, const uint32_t epochs[DBS], const struct place *nameless,
                  size_t nameless_count, struct spill *spill);
int place_compare(const void *left, const void *right);
/* Before records_read: this event, and no later one of the lane, is what its cursor is at. */
void records_expect(struct records *records, enum audit_db db, int32_t lane, int64_t seq);

/* A stored offset behind the end of its partition: which, in a static buffer; else NULL. */
const char *records_beyond(const struct records *records);
/* A cursor whose event is on no topic, though retention has taken nothing: which, in a static
 * buffer; else NULL. */
const char *records_unsaid(const struct records *records);
/* The letter is about a place behind the end of its partition, and its record is surely younger
 * than the topic: one that was made anew begins with an offset of 0 again. */
bool records_never_was(const struct records *records, const struct entry *letter);
/* Since when (Unix time) all records are left in that partition of the topic where those of this
 * order go. 0: it has never lost any; INT64_MAX: none is left. */
int64_t records_kept_since_ms(const struct records *records, enum audit_topic topic,
                              const struct audit_id *id);
int64_t records_unreadable(const struct records *records);
int64_t records_formers(const struct records *records);
void records_close(struct records *records);

#endif
