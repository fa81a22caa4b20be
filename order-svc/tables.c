/* tables.c: the columns of each table, in the order of its statements. */
#include "tables.h"

#include "order_sql.h"

const struct saga_table new_order_table = {
    .name = "orders, new",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct new_order, SAGA_FIELD(struct new_order, order_id, SAGA_UUID),
        SAGA_FIELD(struct new_order, customer_id, SAGA_STRING),
        SAGA_FIELD(struct new_order, currency, SAGA_STRING),
        SAGA_FIELD(struct new_order, total, SAGA_INT64),
        SAGA_FIELD(struct new_order, items, SAGA_JSON),
        SAGA_FIELD(struct new_order, payment_method, SAGA_STRING),
        SAGA_FIELD(struct new_order, shipping_address, SAGA_JSON),
        SAGA_FIELD(struct new_order, metadata, SAGA_JSON),
        SAGA_FIELD(struct new_order, facts, SAGA_INT32),
        SAGA_FIELD(struct new_order, placement, SAGA_INT16),
        SAGA_FIELD(struct new_order, timeline, SAGA_STRING),
        SAGA_FIELD(struct new_order, deadline_at, SAGA_TIME),
        SAGA_FIELD(struct new_order, created_at, SAGA_TIME)),
    .insert = sql_order_insert,
};

const struct saga_table order_table = {
    .name = "orders",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct order, SAGA_FIELD(struct order, order_id, SAGA_UUID),
        SAGA_FIELD(struct order, facts, SAGA_INT32),
        SAGA_FIELD(struct order, placement, SAGA_INT16),
        SAGA_FIELD(struct order, completion, SAGA_INT16),
        SAGA_FIELD(struct order, refunded, SAGA_INT64),
        SAGA_FIELD(struct order, tracking_number, SAGA_STRING),
        SAGA_FIELD(struct order, timeline, SAGA_STRING),
        SAGA_FIELD(struct order, created_at, SAGA_TIME),
        SAGA_FIELD(struct order, updated_at, SAGA_TIME)),
    .load = sql_order_load,
    .update = sql_order_update,
};

const struct saga_table timer_table = {
    .name = "timer",
    .shape = &(const struct saga_shape)SAGA_SHAPE(struct timer,
                                                  SAGA_FIELD(struct timer, order_id, SAGA_UUID),
                                                  SAGA_FIELD(struct timer, due_at, SAGA_TIME)),
    .load = sql_timer_load,
    .insert = sql_timer_insert,
    .update = sql_timer_update,
    .remove = sql_timer_remove,
};

const struct saga_table idempotency_table = {
    .name = "idempotency",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct idempotency, SAGA_FIELD(struct idempotency, key, SAGA_STRING),
        SAGA_FIELD(struct idempotency, order_id, SAGA_UUID),
        SAGA_FIELD(struct idempotency, fingerprint, SAGA_STRING),
        SAGA_FIELD(struct idempotency, created_at, SAGA_TIME),
        SAGA_FIELD(struct idempotency, deadline_at, SAGA_TIME)),
    .load = sql_idempotency_load,
    .insert = sql_idempotency_insert,
};
