/* events.h: what inventory-svc hears and says, with the members that it needs. */
#ifndef INVENTORY_EVENTS_H
#define INVENTORY_EVENTS_H

#include "saga/service.h"

struct item {
    struct saga_text sku;
    int64_t quantity;
};

struct payment_done {
    struct saga_uuid order_id;
    struct saga_list items;            /* of struct item */
    struct saga_text shipping_address; /* JSON, carried on as it is */
};

struct inventory_reserved {
    struct saga_uuid order_id;
    struct saga_list items;
    struct saga_text shipping_address;
};

struct inventory_failed {
    struct saga_uuid order_id;
    struct saga_text reason, sku;
};

struct inventory_released {
    struct saga_uuid order_id;
    struct saga_text reason; /* why the order goes back, where known */
};

/* shipping.failed, order.shipped: whose order, and why it does not ship. */
struct shipping_decided {
    struct saga_uuid order_id;
    struct saga_text reason;
};

extern const struct saga_event payment_done, shipping_failed, order_shipped;             /* heard */
extern const struct saga_event inventory_reserved, inventory_failed, inventory_released; /* said */

#endif
