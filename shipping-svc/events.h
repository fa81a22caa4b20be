/* events.h: what shipping-svc hears and says, with the members that it needs. */
#ifndef SHIPPING_EVENTS_H
#define SHIPPING_EVENTS_H

#include "saga/service.h"

struct address {
    struct saga_text country; /* ISO 3166-1 alpha-2; the other lines are for the label */
};

struct inventory_reserved {
    struct saga_uuid order_id;
    struct address shipping_address;
};

struct order_shipped {
    struct saga_uuid order_id;
    struct saga_text tracking_number;
};

/* order.cancel_requested and shipping.failed: whose order, and why. */
struct called_off {
    struct saga_uuid order_id;
    struct saga_text reason;
};

extern const struct saga_event inventory_reserved, order_cancel_requested; /* heard */
extern const struct saga_event order_shipped, shipping_failed;             /* said */

#endif
