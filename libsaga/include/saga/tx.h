/*
 * tx.h: what a handler sees and may do.
 *
 * A handler is a pure function: rows in, changed rows and events out. It runs no SQL, no I/O,
 * reads no clock, frees nothing and logs nothing. It is written for one message and knows nothing
 * of batches. If it fails, the engine takes back what it did.
 *
 * Every pointer that these functions return belongs to the batch and lives until its end.
 */
#ifndef SAGA_TX_H
#define SAGA_TX_H

#include "saga/types.h"

struct saga_command;
struct saga_event;
struct saga_shape;
struct saga_table;
struct saga_tx;

/* One thing to decide: an event from a topic, or a command from HTTP or a timer. */
struct saga_message {
    const struct saga_event *event; /* exactly one of these two is set */
    const struct saga_command *command;
    struct saga_uuid order_id;
    struct saga_text event_id;    /* ce_id; absent for a command */
    struct saga_text traceparent; /* W3C; absent if there was none */
    const void *body;             /* a struct of the event's shape, or what the command takes */
    void *reply;                  /* commands over HTTP: where the answer goes; else NULL */
    int64_t said_us;              /* when the event was said, the request came */
    int64_t now_us;               /* the batch's clock */
    struct saga_text topic;       /* absent unless it came from Kafka */
    int32_t partition;            /* -1 unless it came from Kafka */
    int64_t offset;               /* -1 unless it came from Kafka */
};

/* SAGA_OK or SAGA_POISON (saga_poison tells why); a refusal is saga_refuse and SAGA_OK. */
typedef enum saga_verdict (*saga_handler)(struct saga_tx *tx, const struct saga_message *in);
/*
 * Names, with saga_want, the rows that the handler will read. Called before each table is loaded,
 * in the service's table order: it sees rows of the tables before (saga_row), and wanting a row
 * twice costs nothing.
 */
typedef void (*saga_wants)(struct saga_tx *tx, const struct saga_message *in);

/* The body as the struct it is. */
#define saga_body(in, type) ((const struct type *)(in)->body)

void saga_want(struct saga_tx *tx, const struct saga_table *table, struct saga_text key);

/* The row, or NULL if there is none. It must have been wanted. */
const void *saga_row(struct saga_tx *tx, const struct saga_table *table, struct saga_text key);
/* The same, to be changed; never its key. NULL if there is none. */
void *saga_edit(struct saga_tx *tx, const struct saga_table *table, struct saga_text key);
/* A new zeroed row with its key set; NULL if it is there already. It must have been wanted. */
void *saga_insert(struct saga_tx *tx, const struct saga_table *table, struct saga_text key);
/* The step's own row of this order, to be changed; made by the engine before the handler runs. */
void *saga_step_row(struct saga_tx *tx);
/* Adds a copy of a row to a table that is only ever added to (a ledger). Nothing is loaded. */
void saga_append(struct saga_tx *tx, const struct saga_table *table, const void *row);
/* Removes a row by its key, unseen. */
void saga_remove(struct saga_tx *tx, const struct saga_table *table, struct saga_text key);

/* Says an event about this message's order; body is a struct of the event's shape, copied. One of
 * more than 512 KiB is not said: the message is poison then, "event_too_large". */
void saga_emit(struct saga_tx *tx, const struct saga_event *event, const void *body);
/* Says the event that refuses the step; the step's row will read SAGA_REFUSED. */
void saga_refuse(struct saga_tx *tx, const struct saga_event *event, const void *body);
/* The message changed nothing because it was known already (watches, commands). */
void saga_duplicate(struct saga_tx *tx);
/* The order has reached its end: counted and timed once committed, and those who wait are told. */
void saga_outcome(struct saga_tx *tx, const char *outcome, int64_t began_us);
/* Those who wait for the outcome are told this too (saga_request_news): so that they need not read
 * what was just written. Copied; at most SAGA_NEWS_MAX bytes. */
#define SAGA_NEWS_MAX 96
void saga_news(struct saga_tx *tx, const void *news, size_t size);
/* Why the handler is about to return SAGA_POISON; a literal, snake_case. */
enum saga_verdict saga_poison(struct saga_tx *tx, const char *reason);

/* Memory of the batch, zeroed, aligned for anything; never NULL. */
void *saga_alloc(struct saga_tx *tx, size_t size);
/* A copy in the batch's memory. */
struct saga_text saga_copy(struct saga_tx *tx, struct saga_text text);
struct saga_text saga_format(struct saga_tx *tx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A struct of the shape as a JSON object, for a row to hold. As large as an event may be, and the
 * same if it is larger. */
struct saga_text saga_write(struct saga_tx *tx, const struct saga_shape *shape, const void *body);
/* Reads a JSON object that a row holds into a struct of the shape; false if it does not fit. */
bool saga_parse(struct saga_tx *tx, struct saga_text json, const struct saga_shape *shape,
                void *ret_struct);

#endif
