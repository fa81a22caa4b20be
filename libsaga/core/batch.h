/*
 * batch.h: the identity map and the decisions of one batch. Pure: no I/O, no clock.
 *
 * A batch gathers messages, learns which rows they want, is given those rows, runs the handlers
 * one by one, and ends as sets: rows to insert, to update, to remove, to append, events to say.
 * A handler that fails leaves no trace: its changes are undone before the next one runs.
 */
#ifndef BATCH_H
#define BATCH_H

#include "core/arena.h"
#include "core/envelope.h"
#include "saga/service.h"

#define BATCH_TABLES_MAX 16

enum batch_result {
    BATCH_DONE,
    BATCH_REFUSED,
    BATCH_VOID,
    BATCH_DUPLICATE,
    BATCH_POISON, /* to be parked */
    BATCH_HELD    /* to be parked behind an earlier message of its order */
};

/* A message and what became of it. */
struct batch_message {
    struct saga_message in;
    void *source;   /* the source's own handle */
    bool skip;      /* decided otherwise (unreadable, rejected): do not run */
    int64_t letter; /* the dead letter that it was; 0: it was none */
    /* results */
    enum batch_result result;
    const char *step, *op; /* for the metrics: "payment", "action"|"undo"|"watch"|"command" */
    const char *reason;    /* POISON: why */
    const char *outcome;   /* saga_outcome, or NULL */
    struct saga_text news; /* with the outcome; absent if there is none */
    int64_t began_us;
};

/* An event as it goes into the outbox and onto its topic. */
struct batch_event {
    const struct saga_event *event;
    struct saga_uuid order_id;
    struct saga_text traceparent;
    struct saga_text payload; /* JSON, in the arena */
    int64_t said_us;
    const struct batch_message *cause;
    int64_t seq; /* set by the engine: its number in the lane */
};

/* Rows of one kind of one table: `rows` are pointers to structs of the table's shape. */
struct batch_set {
    const void **rows;
    size_t count;
};

struct batch;

struct batch *batch_new(const struct saga_service *service, size_t messages_max, size_t arena_max);
void batch_free(struct batch *batch);
/* Forgets everything: rows, messages, memory. */
void batch_reset(struct batch *batch);
/* Forgets rows, changes and results, and the memory that was taken for them; keeps the messages,
 * and what was taken from the arena until the first time: to load and decide again. */
void batch_retry(struct batch *batch);

struct arena *batch_arena(struct batch *batch);
/* A new zeroed message at the end, NULL if the batch is full. */
struct batch_message *batch_add(struct batch *batch);
/* The last message again out (it turned out to be none). */
void batch_drop_last(struct batch *batch);
size_t batch_count(const struct batch *batch);
struct batch_message *batch_at(struct batch *batch, size_t index);
/* Only messages [from, to) are run from here on: how a rejected batch is split. */
void batch_select(struct batch *batch, size_t from, size_t to);

/* load: asks the messages which rows of table number `table` they want; returns the keys that are
 * not there yet, sorted, distinct. Then batch_loaded is called for each row that was found. */
size_t batch_wanted(struct batch *batch, size_t table, const struct saga_text **ret_keys);
/* The struct to fill (its shape's size, zeroed); key as the database gave it. */
void *batch_loaded(struct batch *batch, size_t table, struct saga_text key);

/* This order has this dead letter: its events are held (I7), but for itself and letters before it.
 * When it is redriven and all goes well, it holds nobody any more. */
void batch_hold(struct batch *batch, const struct saga_uuid *order_id, int64_t letter);

/* decide: runs every selected message that is not skipped. now_us is the batch's clock.
 * Events of an order behind one that was poison in this batch are held. */
void batch_decide(struct batch *batch, int64_t now_us);

/* flush: the sets, in the arena. */
struct batch_set batch_inserts(struct batch *batch, size_t table);
struct batch_set batch_updates(struct batch *batch, size_t table);
struct batch_set batch_removes(struct batch *batch,
                               size_t table); /* rows: const saga_text * keys */
struct batch_event *batch_events(struct batch *batch, size_t *ret_count);

#endif
