/* events.c: the members of each event, as JSON. */
#include "events.h"

#include "tables.h"

const struct saga_shape item_shape =
    SAGA_SHAPE(struct item, SAGA_FIELD(struct item, sku, SAGA_STRING),
               SAGA_FIELD(struct item, quantity, SAGA_INT64));

static const struct saga_shape shipping_decided =
    SAGA_SHAPE(struct shipping_decided, SAGA_FIELD(struct shipping_decided, order_id, SAGA_UUID),
               SAGA_FIELD(struct shipping_decided, reason, SAGA_STRING, .optional = true));

const struct saga_event payment_done = {
    .name = "payment.done",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct payment_done, SAGA_FIELD(struct payment_done, order_id, SAGA_UUID),
        SAGA_FIELD(struct payment_done, items, SAGA_LIST, .inside = &item_shape),
        SAGA_FIELD(struct payment_done, shipping_address, SAGA_JSON)),
};

const struct saga_event shipping_failed = {
    .name = "shipping.failed",
    .shape = &shipping_decided,
};

const struct saga_event order_shipped = {
    .name = "order.shipped",
    .shape = &shipping_decided,
};

const struct saga_event inventory_reserved = {
    .name = "inventory.reserved",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct inventory_reserved, SAGA_FIELD(struct inventory_reserved, order_id, SAGA_UUID),
        SAGA_FIELD(struct inventory_reserved, items, SAGA_LIST, .inside = &item_shape),
        SAGA_FIELD(struct inventory_reserved, shipping_address, SAGA_JSON)),
};

const struct saga_event inventory_failed = {
    .name = "inventory.failed",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct inventory_failed, SAGA_FIELD(struct inventory_failed, order_id, SAGA_UUID),
        SAGA_FIELD(struct inventory_failed, reason, SAGA_STRING),
        SAGA_FIELD(struct inventory_failed, sku, SAGA_STRING)),
};

const struct saga_event inventory_released = {
    .name = "inventory.released",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct inventory_released, SAGA_FIELD(struct inventory_released, order_id, SAGA_UUID),
        SAGA_FIELD(struct inventory_released, reason, SAGA_STRING, .optional = true)),
};
