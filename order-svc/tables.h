/* tables.h: the rows of order-svc. */
#ifndef ORDER_TABLES_H
#define ORDER_TABLES_H

#include "saga/service.h"

/* A whole order, as it is inserted: only `struct order` of it ever changes. */
struct new_order {
    struct saga_uuid order_id;
    struct saga_text customer_id, currency;
    int64_t total;
    struct saga_text items, payment_method, shipping_address, metadata;
    int32_t facts;
    int16_t placement;
    struct saga_text timeline;
    int64_t deadline_at, created_at;
};

/* What events change in an order; placement and completion are its two steps' barriers. */
struct order {
    struct saga_uuid order_id;
    int32_t facts; /* order_fact bits */
    int16_t placement, completion;
    int64_t refunded;
    struct saga_text tracking_number;
    struct saga_text timeline; /* timeline.h */
    int64_t created_at, updated_at;
};

/* An order that has not reached its end; due_at is absent once the deadline was acted upon. */
struct timer {
    struct saga_uuid order_id;
    int64_t due_at;
};

/* I9: written with the order; key: the customer's id, a space, the key. */
struct idempotency {
    struct saga_text key;
    struct saga_uuid order_id;
    struct saga_text fingerprint; /* SHA-256 of the order as understood, in hex */
    int64_t created_at, deadline_at;
};

extern const struct saga_table new_order_table, order_table, timer_table, idempotency_table;

#endif
