/* events.h: what payment-svc hears and says, with the members that it needs. */
#ifndef PAYMENT_EVENTS_H
#define PAYMENT_EVENTS_H

#include "saga/service.h"

struct order_created {
    struct saga_uuid order_id;
    struct saga_text customer_id, currency;
    int64_t amount; /* minor units */
    struct saga_text payment_method;
    struct saga_text items, shipping_address; /* JSON, carried on as they are */
};

struct payment_done {
    struct saga_uuid order_id;
    struct saga_text currency;
    int64_t amount;
    struct saga_text items, shipping_address;
};

struct payment_failed {
    struct saga_uuid order_id;
    struct saga_text reason;
};

struct payment_refunded {
    struct saga_uuid order_id;
    struct saga_text currency; /* absent when nothing had been taken */
    int64_t amount;
    struct saga_text reason; /* why the order goes back, where known */
};

/* inventory.failed, inventory.released: whose order goes back, and why. */
struct inventory_undone {
    struct saga_uuid order_id;
    struct saga_text reason;
};

extern const struct saga_event order_created, inventory_failed, inventory_released; /* heard */
extern const struct saga_event payment_done, payment_failed, payment_refunded;      /* said */

#endif
