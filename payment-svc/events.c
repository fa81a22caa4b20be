/* events.c: the members of each event, as JSON. */
#include "events.h"

const struct saga_event order_created = {
    .name = "order.created",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct order_created, SAGA_FIELD(struct order_created, order_id, SAGA_UUID),
        SAGA_FIELD(struct order_created, customer_id, SAGA_STRING),
        SAGA_FIELD(struct order_created, currency, SAGA_STRING),
        SAGA_FIELD(struct order_created, amount, SAGA_INT64),
        SAGA_FIELD(struct order_created, payment_method, SAGA_STRING),
        SAGA_FIELD(struct order_created, items, SAGA_JSON),
        SAGA_FIELD(struct order_created, shipping_address, SAGA_JSON)),
};

const struct saga_event payment_done = {
    .name = "payment.done",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct payment_done, SAGA_FIELD(struct payment_done, order_id, SAGA_UUID),
        SAGA_FIELD(struct payment_done, currency, SAGA_STRING),
        SAGA_FIELD(struct payment_done, amount, SAGA_INT64),
        SAGA_FIELD(struct payment_done, items, SAGA_JSON),
        SAGA_FIELD(struct payment_done, shipping_address, SAGA_JSON)),
};

const struct saga_event payment_failed = {
    .name = "payment.failed",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct payment_failed, SAGA_FIELD(struct payment_failed, order_id, SAGA_UUID),
        SAGA_FIELD(struct payment_failed, reason, SAGA_STRING)),
};

const struct saga_event payment_refunded = {
    .name = "payment.refunded",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct payment_refunded, SAGA_FIELD(struct payment_refunded, order_id, SAGA_UUID),
        SAGA_FIELD(struct payment_refunded, currency, SAGA_STRING, .optional = true),
        SAGA_FIELD(struct payment_refunded, amount, SAGA_INT64),
        SAGA_FIELD(struct payment_refunded, reason, SAGA_STRING, .optional = true)),
};

static const struct saga_shape inventory_undone =
    SAGA_SHAPE(struct inventory_undone, SAGA_FIELD(struct inventory_undone, order_id, SAGA_UUID),
               SAGA_FIELD(struct inventory_undone, reason, SAGA_STRING, .optional = true));

const struct saga_event inventory_failed = {
    .name = "inventory.failed",
    .shape = &inventory_undone,
};

const struct saga_event inventory_released = {
    .name = "inventory.released",
    .shape = &inventory_undone,
};
