/*
 * spill.h: what the topics, the outboxes, the dead letters and Redis tell of the orders, sorted by
 * order. It may be more than fits into memory: runs are sorted and written to files that have no
 * name, and merged when they are read.
 */
#ifndef AUDITOR_SPILL_H
#define AUDITOR_SPILL_H

#include <stddef.h>

#include "saga.h"

struct audit_id {
    unsigned char bytes[16];
};

enum entry_kind {
    ENTRY_RECORD, /* of a topic */
    ENTRY_FORMER, /* of a topic, said under another epoch: its database has been put back since */
    ENTRY_LETTER, /* a dead letter: db, state, and the record's place; lane: how often it was
                     tried, seq: when the record was made (Unix ms) */
    ENTRY_OUTBOX, /* a row: lane, seq, state as in outbox.sql */
    ENTRY_GAP,    /* the first row behind a gap: lane, seq */
    ENTRY_KEY     /* a key that Redis remembers: hash; state 1: the row may be gone already */
};

struct entry {
    struct audit_id id; /* all zero: it names no order */
    uint8_t topic;      /* enum audit_topic; TOPICS: none of ours */
    uint8_t kind;
    uint8_t db;        /* LETTER: whose; RECORD, FORMER, OUTBOX: who says it */
    uint8_t state;     /* see the kinds */
    int32_t partition; /* RECORD, LETTER */
    int64_t offset;
    int64_t seq; /* RECORD, OUTBOX, GAP: of the ce_id; -1: the record has another kind of id */
    int32_t lane;
    uint8_t taken; /* RECORD: a bit for each db whose service has taken it */
    bool before;   /* RECORD: it was there before the databases were looked at */
    bool readable; /* RECORD */
    bool opaque;   /* LETTER: the value is not the record's text: kept in base64, or mended */
    int64_t hash;  /* RECORD, LETTER, OUTBOX: of the value; KEY: of all of it */
};

/* Of the same record: on the same topic, partition and offset. */
static inline bool entry_same_place(const struct entry *a, const struct entry *b)
{
    return a->topic == b->topic && a->partition == b->partition && a->offset == b->offset;
}

/* Of a dead letter, as the table has it. */
enum letter_state { LETTER_PARKED, LETTER_HELD, LETTER_REDRIVE, LETTER_DISCARDED, LETTER_REDRIVEN };

/* It waits for somebody: those that do not stay as the proof of what became of the record. */
static inline bool letter_waits(const struct entry *letter)
{
    return letter->state != LETTER_DISCARDED && letter->state != LETTER_REDRIVEN;
}

struct spill;

/* run_max: entries in memory at once, at least 1024. dir: where runs go. */
struct spill *spill_new(const char *dir, size_t run_max);
/* False: the disk took no more; errno tells. */
bool spill_add(struct spill *spill, const struct entry *entry);
/* Ends adding. By id, topic, partition, offset, kind. */
bool spill_sort(struct spill *spill);
/* NULL: that was the last. The entry is good until the next call. */
const struct entry *spill_next(struct spill *spill);
/* It could not be read to its end. */
bool spill_failed(const struct spill *spill);
void spill_free(struct spill *spill);

#endif
