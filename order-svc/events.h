/* events.h: what order-svc hears and says, with the members that it needs. */
#ifndef ORDER_EVENTS_H
#define ORDER_EVENTS_H

#include "saga/service.h"

struct order_created {
    struct saga_uuid order_id;
    struct saga_text customer_id, currency;
    int64_t amount; /* minor units */
    struct saga_text payment_method;
    struct saga_text items, shipping_address; /* JSON */
    int64_t deadline_at;
};

/* order.cancel_requested, order.cancelled. */
struct order_reason {
    struct saga_uuid order_id;
    struct saga_text reason;
};

struct order_completed {
    struct saga_uuid order_id;
};

/* Every event of the other three: the members that any of them may have. */
struct heard {
    struct saga_uuid order_id;
    struct saga_text reason;
    int64_t amount; /* payment.refunded: what was paid back */
    struct saga_text tracking_number;
};

extern const struct saga_event order_created, order_cancel_requested; /* said */
extern const struct saga_event order_cancelled, order_completed;      /* said, final */
extern const struct saga_event payment_done, payment_failed, payment_refunded;
extern const struct saga_event inventory_reserved, inventory_failed, inventory_released;
extern const struct saga_event order_shipped, shipping_failed;

#endif
