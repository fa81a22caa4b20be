/* tables.c: the columns of each table, in the order of its statements. */
#include "tables.h"

#include "inventory_sql.h"

const struct saga_shape holding_shape =
    SAGA_SHAPE(struct holding, SAGA_FIELD(struct holding, items, SAGA_LIST, .inside = &item_shape));

const struct saga_table reservation_table = {
    .name = "reservation",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct reservation, SAGA_FIELD(struct reservation, order_id, SAGA_UUID),
        SAGA_FIELD(struct reservation, state, SAGA_INT16),
        SAGA_FIELD(struct reservation, issue_state, SAGA_INT16),
        SAGA_FIELD(struct reservation, holding, SAGA_JSON),
        SAGA_FIELD(struct reservation, reason, SAGA_STRING),
        SAGA_FIELD(struct reservation, sku, SAGA_STRING),
        SAGA_FIELD(struct reservation, reserved_at, SAGA_TIME),
        SAGA_FIELD(struct reservation, released_at, SAGA_TIME),
        SAGA_FIELD(struct reservation, issued_at, SAGA_TIME)),
    .load = sql_reservation_load,
    .insert = sql_reservation_insert,
    .update = sql_reservation_update,
};

const struct saga_table stock_table = {
    .name = "stock",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct stock, SAGA_FIELD(struct stock, sku, SAGA_STRING),
        SAGA_FIELD(struct stock, on_hand, SAGA_INT64), SAGA_FIELD(struct stock, held, SAGA_INT64)),
    .load = sql_stock_load,
    .insert = sql_stock_insert,
    .update = sql_stock_update,
};

const struct saga_table stock_ledger_table = {
    .name = "stock_ledger",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct stock_entry, SAGA_FIELD(struct stock_entry, order_id, SAGA_UUID),
        SAGA_FIELD(struct stock_entry, kind, SAGA_STRING),
        SAGA_FIELD(struct stock_entry, items, SAGA_JSON),
        SAGA_FIELD(struct stock_entry, at, SAGA_TIME)),
    .insert = sql_stock_ledger_insert,
};
