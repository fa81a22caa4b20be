/* tables.h: the rows of shipping-svc. */
#ifndef SHIPPING_TABLES_H
#define SHIPPING_TABLES_H

#include "saga/service.h"

/* One an order; state is the shipping step's barrier (I1, I2). Shipped if it has a number. */
struct parcel {
    struct saga_uuid order_id;
    int16_t state;
    struct saga_text country, tracking_number;
    struct saga_text reason; /* why it did not ship */
    int64_t shipped_at;
};

extern const struct saga_table parcel_table;

#endif
