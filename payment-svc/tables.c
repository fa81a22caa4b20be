/* tables.c: the columns of each table, in the order of its statements. */
#include "tables.h"

#include "payment_sql.h"

const struct saga_table payment_table = {
    .name = "payment",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct payment, SAGA_FIELD(struct payment, order_id, SAGA_UUID),
        SAGA_FIELD(struct payment, state, SAGA_INT16),
        SAGA_FIELD(struct payment, customer_id, SAGA_STRING),
        SAGA_FIELD(struct payment, currency, SAGA_STRING),
        SAGA_FIELD(struct payment, amount, SAGA_INT64),
        SAGA_FIELD(struct payment, payment_method, SAGA_STRING),
        SAGA_FIELD(struct payment, reason, SAGA_STRING),
        SAGA_FIELD(struct payment, charged_at, SAGA_TIME),
        SAGA_FIELD(struct payment, refunded_at, SAGA_TIME)),
    .load = sql_payment_load,
    .insert = sql_payment_insert,
    .update = sql_payment_update,
};

const struct saga_table ledger_table = {
    .name = "payment_ledger",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct ledger_entry, SAGA_FIELD(struct ledger_entry, order_id, SAGA_UUID),
        SAGA_FIELD(struct ledger_entry, kind, SAGA_STRING),
        SAGA_FIELD(struct ledger_entry, amount, SAGA_INT64),
        SAGA_FIELD(struct ledger_entry, currency, SAGA_STRING),
        SAGA_FIELD(struct ledger_entry, at, SAGA_TIME)),
    .insert = sql_payment_ledger_insert,
};
