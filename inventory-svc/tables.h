/* tables.h: the rows of inventory-svc. */
#ifndef INVENTORY_TABLES_H
#define INVENTORY_TABLES_H

#include "saga/service.h"

/* Items as rows keep them: {"items":[{"sku":...,"quantity":...}]}. */
struct holding {
    struct saga_list items; /* of struct item */
};

/* One an order; state and issue_state are the barriers of its two steps (I1, I2). */
struct reservation {
    struct saga_uuid order_id;
    int16_t state, issue_state;
    struct saga_text holding;     /* JSON, a struct holding */
    struct saga_text reason, sku; /* why it was refused, for want of what */
    int64_t reserved_at, released_at, issued_at;
};

/* 0 <= held <= on_hand. */
struct stock {
    struct saga_text sku;
    int64_t on_hand, held;
};

/* A movement of stock. Only ever added to. Put less issued is on hand; held less released and
 * issued is held (I8). */
struct stock_entry {
    struct saga_uuid order_id; /* all zero for "put" */
    struct saga_text kind;     /* "put", "held", "released", "issued" */
    struct saga_text items;    /* JSON, a struct holding; of a "put" the quantity may be negative */
    int64_t at;
};

extern const struct saga_shape item_shape, holding_shape;
extern const struct saga_table reservation_table, stock_table, stock_ledger_table;

#endif
