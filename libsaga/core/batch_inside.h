/* batch_inside.h: a batch's own state, shared by batch.c (its life) and tx.c (what handlers call).
 */
#ifndef BATCH_INSIDE_H
#define BATCH_INSIDE_H

#include "core/batch.h"
#include "saga/json.h"

/* Of an event, or of JSON that a row holds: far more than comes of any order that HTTP takes. */
#define BATCH_EVENT_BYTES_MAX ((size_t)512 * 1024)

/* A row as the database has it, and as the handlers want it. */
struct entry {
    struct entry *next; /* of the hash chain */
    struct saga_text key;
    void *row;    /* NULL: there is none */
    size_t order; /* among the table's entries: flush in the order of first touch */
    bool asked;   /* the database was asked */
    bool inserted, changed;
};

/* How to take back one change of the message that is being decided. */
struct change {
    struct entry *entry;
    void *row;
    bool inserted, changed;
};

struct list {
    const void **at;
    size_t count, size;
};

struct table {
    const struct saga_table *def;
    struct entry **buckets;
    size_t buckets_count; /* a power of two */
    struct list entries;  /* struct entry *, in the order of first touch */
    struct list appended; /* const void *rows */
    struct list removed;  /* const struct saga_text *keys */
};

struct saga_tx {
    struct batch *batch;
    struct batch_message *message;
    const struct saga_step *step;
    bool refused, duplicate;
    bool too_large; /* something that it wrote: it has failed, whatever its handler says */
};

struct batch {
    const struct saga_service *service;
    struct arena arena;
    /* The messages lie before it, and what a try makes of them behind it. */
    struct arena_mark begun;
    bool is_begun;
    struct batch_message *messages;
    size_t messages_count, messages_max;
    size_t from, to;
    struct table tables[BATCH_TABLES_MAX];
    size_t tables_count;
    size_t loading; /* wants for other tables are not taken now */
    struct batch_event *events;
    size_t events_count, events_size;
    struct change *changes;
    size_t changes_count, changes_size;
    struct saga_json json;
    struct hold {
        struct saga_uuid order_id;
        int64_t letter; /* 0: poison in this very batch, which holds all that come after it */
    } * holds;
    size_t holds_count, holds_size;
};

void batch_list_add(struct list *list, const void *item);
struct table *batch_table(struct batch *batch, const struct saga_table *def);
struct entry *batch_find(struct table *table, struct saga_text key);
/* The same; made, not asked for yet, if it is not there. */
struct entry *batch_touch(struct batch *batch, struct table *table, struct saga_text key);

#endif
