/* events.c: the members of each event, as JSON. */
#include "events.h"

static const struct saga_shape address =
    SAGA_SHAPE(struct address, SAGA_FIELD(struct address, country, SAGA_STRING));

static const struct saga_shape called_off =
    SAGA_SHAPE(struct called_off, SAGA_FIELD(struct called_off, order_id, SAGA_UUID),
               SAGA_FIELD(struct called_off, reason, SAGA_STRING));

const struct saga_event inventory_reserved = {
    .name = "inventory.reserved",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct inventory_reserved, SAGA_FIELD(struct inventory_reserved, order_id, SAGA_UUID),
        SAGA_FIELD(struct inventory_reserved, shipping_address, SAGA_OBJECT, .inside = &address)),
};

const struct saga_event order_cancel_requested = {
    .name = "order.cancel_requested",
    .shape = &called_off,
};

const struct saga_event order_shipped = {
    .name = "order.shipped",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct order_shipped, SAGA_FIELD(struct order_shipped, order_id, SAGA_UUID),
        SAGA_FIELD(struct order_shipped, tracking_number, SAGA_STRING)),
};

const struct saga_event shipping_failed = {
    .name = "shipping.failed",
    .shape = &called_off,
};
