/*
 * facts.h: what is known of an order, as a set that only grows.
 *
 * Status and reason are functions of the set: so late, repeated and reordered events cannot move an
 * order backwards, and there is one place to read, test and prove.
 *
 * A later version of the program may know more facts, and run beside this one. What this one does
 * not know it keeps: it only ever adds to the set. But it cannot say what status the order has.
 */
#ifndef ORDER_FACTS_H
#define ORDER_FACTS_H

#include "saga/types.h"

enum order_fact {
    FACT_CREATED = 1 << 0,
    FACT_PAID = 1 << 1,
    FACT_RESERVED = 1 << 2,
    FACT_SHIPPED = 1 << 3,
    FACT_COMPLETED = 1 << 4,
    FACT_PAYMENT_FAILED = 1 << 5,
    FACT_INVENTORY_FAILED = 1 << 6,
    FACT_SHIPPING_FAILED = 1 << 7,
    FACT_RELEASED = 1 << 8,
    FACT_REFUNDED = 1 << 9,
    FACT_CANCELLED = 1 << 10,
    /* why it goes back; those of a step's refusal first */
    FACT_CARD_DECLINED = 1 << 11,
    FACT_INSUFFICIENT_FUNDS = 1 << 12,
    FACT_UNKNOWN_PAYMENT_METHOD = 1 << 13,
    FACT_OUT_OF_STOCK = 1 << 14,
    FACT_UNKNOWN_SKU = 1 << 15,
    FACT_ADDRESS_UNDELIVERABLE = 1 << 16,
    FACT_CUSTOMER_REQUEST = 1 << 17,
    FACT_DEADLINE_EXCEEDED = 1 << 18
};

/* No fact is there that only a later version knows: then it can be told what it is. */
bool order_facts_known(int32_t facts);
/* "pending" "paid" "reserved" "shipped" "completed" | "cancelling" "cancelled". */
const char *order_status(int32_t facts);
/* The same, for rows of (facts, count). */
const char *order_status_of(int64_t facts);
/* Those that are not final; NULL-terminated. */
extern const char *const order_open_statuses[];
/* Why it is cancelling or cancelled; NULL if it is neither. A refusal wins over the customer's
 * request, and that over the deadline. */
const char *order_status_reason(int32_t facts);
/* Completed or cancelled. */
bool order_is_final(int32_t facts);
/* On its way back, or there. */
bool order_is_going_back(int32_t facts);

/* What the event of this name makes known; 0 if it is none of ours. */
int32_t order_fact_of_event(const char *name);
/* 0 if it is no reason that we know. */
int32_t order_fact_of_reason(struct saga_text reason);

#endif
