/*
 * world.h: the four services in memory: their real tables and handlers, decided by the real batch,
 * on rows that lie in lists and events that lie in a log. No clock, no I/O.
 *
 * Every message is decided twice, and the test ends if the two differ: a handler is a function of
 * its message and its rows.
 */
#ifndef UNIT_WORLD_H
#define UNIT_WORLD_H

#include "core/batch.h"

#define WORLD_SERVICES 4 /* order, payment, inventory, shipping */
enum { WORLD_ORDER, WORLD_PAYMENT, WORLD_INVENTORY, WORLD_SHIPPING };

struct world;

/* An event that was said, as it would stand on its topic. */
struct world_event {
    const char *name;
    struct saga_uuid order_id;
    char *payload; /* JSON */
};

/* A row of order-svc's orders, by its first members. */
struct order_row {
    struct saga_uuid order_id;
    int32_t facts;
    int16_t placement, completion;
    int64_t refunded;
    struct saga_text tracking_number, timeline;
    int64_t created_at, updated_at;
};

/* Above 0 while code of the services and the batch runs, and not the world's own. */
extern int world_deciding;

struct world *world_new(void);
void world_free(struct world *world);

/* Runs a command of a service by its name. The message's result. */
enum batch_result world_command(struct world *world, int service, const char *name,
                                const struct saga_uuid *order_id, const void *body, void *reply);
/* An event that a stranger has said. After it not everybody has to be able to read what is said:
 * what a service hands on may be a stranger's. */
void world_say(struct world *world, const char *name, const struct saga_uuid *order_id,
               struct saga_text value);
size_t world_events(const struct world *world);
const struct world_event *world_event(const struct world *world, size_t number);
/* The service hears event number so and so (again). False if it does not hear such events. */
bool world_deliver(struct world *world, size_t number, int service, enum batch_result *ret_result);
/* Delivers all that was said and is said thereby to all who hear it, once, in order. */
void world_settle(struct world *world);

/* Puts a row, as if a person had. */
void world_put(struct world *world, int service, const char *table, const void *row);
/* The rows of a table, in the order in which they came. */
size_t world_count(const struct world *world, int service, const char *table);
const void *world_row(const struct world *world, int service, const char *table, size_t number);
/* The row of this order (or NULL), in a table whose key is the order id. */
const void *world_find(const struct world *world, int service, const char *table,
                       const struct saga_uuid *order_id);
/* A placed order is inserted whole and read in parts: makes the part of the whole. */
void world_adopt(struct world *world, const struct saga_uuid *id);
/* Why the last message was poison; NULL if it was not. */
const char *world_reason(const struct world *world);

#endif
