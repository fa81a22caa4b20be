/* order_request.h: the body of POST /v1/orders, its rules, and what it is understood as. */
#ifndef ORDER_REQUEST_H
#define ORDER_REQUEST_H

#include "saga/http.h"
#include "steps.h"

struct order_item {
    struct saga_text sku;
    int64_t quantity, unit_amount; /* minor units */
};

struct order_address {
    struct saga_text name, line1, line2, city, state, postal_code, country;
};

struct order_request {
    struct saga_text customer_id, currency;
    struct saga_list items; /* of struct order_item */
    struct saga_text payment_method;
    struct order_address shipping_address;
    struct saga_text metadata; /* JSON; absent: {} */
};

/* Reads the body; false if it broke a rule, then the request has been answered. Fills all of
 * ret_place but its key; the fingerprint only if with_fingerprint. */
bool order_request_read(struct saga_request *request, bool with_fingerprint,
                        struct place *ret_place);

#endif
