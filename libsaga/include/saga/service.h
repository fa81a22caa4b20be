/*
 * service.h: a service, declared as data.
 *
 * A service is one `const struct saga_service`. The engine, `describe`, the closure check of the
 * build and the model checker all read this same table.
 */
#ifndef SAGA_SERVICE_H
#define SAGA_SERVICE_H

#include "saga/shape.h"
#include "saga/tx.h"

/*
 * An event type; its name is its topic. The service that says it and each that hears it declare
 * it for themselves, with the members that they need: no service sees another's header.
 * Every shape has `order_id`, a SAGA_UUID, as its first field.
 */
struct saga_event {
    const char *name;
    const struct saga_shape *shape;
    bool final; /* said, and nobody needs to hear it: the saga ends here */
};

/*
 * A table as the engine reads and writes it; the first column of the shape is the key (SAGA_UUID
 * or SAGA_STRING). Each statement is set-based: one array per column, in the shape's order.
 */
struct saga_table {
    const char *name;
    const struct saga_shape *shape;
    const char *load;   /* $1 keys: the columns in order, locked in key order; NULL: never read */
    const char *insert; /* $1.. arrays; a taken key raises 23505: another owner was faster */
    const char *update; /* $1.. arrays, NULL if rows never change */
    const char *remove; /* $1 keys; NULL if rows never go */
};

/* NULL-terminated lists of events. */
typedef const struct saga_event *const *saga_events;

enum saga_step_kind {
    SAGA_COMPENSATABLE, /* has an undo */
    SAGA_PIVOT,         /* once done the saga goes to its end; undo only fences it off before */
    SAGA_RETRIABLE      /* after the pivot: cannot refuse */
};

/* The barrier's memory of one step of one order (core/barrier.h). Stored as smallint. */
enum saga_state {
    SAGA_NONE = 0,    /* neither action nor undo was heard */
    SAGA_DONE = 1,    /* the action took effect */
    SAGA_REFUSED = 2, /* the action refused: nothing took effect */
    SAGA_UNDONE = 3,  /* done, then undone */
    SAGA_VOID = 4     /* the undo came first: the action will never take effect */
};

/* One way through a step: forward (action) or back (undo). */
struct saga_edge {
    saga_events on;                        /* the events that it runs on */
    const struct saga_command *on_command; /* or the command (placement only) */
    saga_handler run;                      /* makes the change and says the event */
    saga_handler run_void;            /* undo before action: says the undone event; NULL: the engine
                                       * says `says` with nothing but the order id */
    saga_wants wants;                 /* rows beside the step's own; NULL: none */
    const struct saga_event *says;    /* NULL: nothing */
    const struct saga_event *refuses; /* NULL: cannot refuse */
};

struct saga_step {
    const char *name;
    enum saga_step_kind kind;
    const struct saga_table *table; /* one row per order; key: the order id */
    size_t state;                   /* offset in that row of the int16_t that is the barrier */
    struct saga_edge action;
    struct saga_edge undo;
};

/*
 * A watch learns from events without acting: it keeps the order's facts. It runs before the
 * steps that hear the same event, on a row that must exist.
 */
struct saga_watch {
    saga_events on;
    const struct saga_table *table;
    saga_handler run;
};

/*
 * A command comes from outside the topics (an HTTP request, a due timer) and is decided like any
 * other message, in the same batches.
 */
struct saga_command {
    const char *name;
    saga_handler run;
    saga_wants wants;
};

/* Due timers: `due` is polled; each order id that it returns is one message for `command`, which
 * ends the timer, or it is returned again with the next round. */
struct saga_timer {
    const char *due; /* $1 timestamptz now, $2 int at most, $3 uuid: ids above it, in their order */
    const struct saga_command *command;
};

/* A gauge that is counted in the database when the metrics are read. */
struct saga_gauge {
    const char *name, *help, *label;
    const char *sql;                      /* (bigint key, bigint count) rows */
    const char *(*label_of)(int64_t key); /* rows of one label are added up */
    const char *const *labels;            /* all of them, so that 0 is shown; NULL-terminated */
};

struct saga_route; /* http.h */
struct saga_problem;

struct saga_service {
    const char *name;  /* "payment-svc": consumer group, database user, ce_source "/payment-svc" */
    const char *about; /* one sentence, for --help */
    uint16_t port;
    const char *schema; /* idempotent DDL, run by `migrate` as the owner */

    /* NULL-terminated lists. tables: in lock order; those that are loaded come first. */
    const struct saga_step *const *steps;
    const struct saga_watch *const *watches;
    const struct saga_table *const *tables;
    const struct saga_command *const *commands;
    saga_events says; /* every event that it may say: it owns these topics */
    const struct saga_timer *timer;
    const struct saga_gauge *gauge;
    /* Idempotency keys that were kept for as long as SAGA_KEY_KEEP_S: $1 timestamptz made before,
     * $2 int at most: removes them, returns the bigint count. NULL: there are none. */
    const char *expire_keys;
    const struct saga_route *routes;     /* ends with a NULL method */
    const struct saga_problem *problems; /* that its routes answer with; ends with a NULL code */
};

/*
 * The program: run, describe, migrate, create-topics, republish, reset-offsets, dead-letters,
 * --help, --version, --check-config. Returns main's exit status.
 */
int saga_main(const struct saga_service *service, int argc, char **argv);

#endif
