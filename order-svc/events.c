/* events.c: the members of each event, as JSON. */
#include "events.h"

static const struct saga_shape heard =
    SAGA_SHAPE(struct heard, SAGA_FIELD(struct heard, order_id, SAGA_UUID),
               SAGA_FIELD(struct heard, reason, SAGA_STRING, .optional = true),
               SAGA_FIELD(struct heard, amount, SAGA_INT64, .optional = true),
               SAGA_FIELD(struct heard, tracking_number, SAGA_STRING, .optional = true));

static const struct saga_shape order_reason =
    SAGA_SHAPE(struct order_reason, SAGA_FIELD(struct order_reason, order_id, SAGA_UUID),
               SAGA_FIELD(struct order_reason, reason, SAGA_STRING));

const struct saga_event order_created = {
    .name = "order.created",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct order_created, SAGA_FIELD(struct order_created, order_id, SAGA_UUID),
        SAGA_FIELD(struct order_created, customer_id, SAGA_STRING),
        SAGA_FIELD(struct order_created, currency, SAGA_STRING),
        SAGA_FIELD(struct order_created, amount, SAGA_INT64),
        SAGA_FIELD(struct order_created, payment_method, SAGA_STRING),
        SAGA_FIELD(struct order_created, items, SAGA_JSON),
        SAGA_FIELD(struct order_created, shipping_address, SAGA_JSON),
        SAGA_FIELD(struct order_created, deadline_at, SAGA_TIME)),
};

const struct saga_event order_cancel_requested = {
    .name = "order.cancel_requested",
    .shape = &order_reason,
};

const struct saga_event order_cancelled = {
    .name = "order.cancelled",
    .shape = &order_reason,
    .final = true,
};

const struct saga_event order_completed = {
    .name = "order.completed",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct order_completed, SAGA_FIELD(struct order_completed, order_id, SAGA_UUID)),
    .final = true,
};

const struct saga_event payment_done = {.name = "payment.done", .shape = &heard};
const struct saga_event payment_failed = {.name = "payment.failed", .shape = &heard};
const struct saga_event payment_refunded = {.name = "payment.refunded", .shape = &heard};
const struct saga_event inventory_reserved = {.name = "inventory.reserved", .shape = &heard};
const struct saga_event inventory_failed = {.name = "inventory.failed", .shape = &heard};
const struct saga_event inventory_released = {.name = "inventory.released", .shape = &heard};
const struct saga_event order_shipped = {.name = "order.shipped", .shape = &heard};
const struct saga_event shipping_failed = {.name = "shipping.failed", .shape = &heard};
