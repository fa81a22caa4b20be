/*
 * saga.h: the saga as the auditor knows it, written from the contract and not from the services'
 * tables: who says an event, who hears it, and which rows are its proof.
 */
#ifndef AUDITOR_SAGA_H
#define AUDITOR_SAGA_H

#include <stdbool.h>
#include <stdint.h>

enum audit_db { ORDER, PAYMENT, INVENTORY, SHIPPING, DBS };

/* The topics, in the order of saga_topics. */
enum audit_topic {
    CREATED,
    CANCEL_REQUESTED,
    CANCELLED,
    COMPLETED,
    PAID,
    PAYMENT_FAILED,
    REFUNDED,
    RESERVED,
    INVENTORY_FAILED,
    RELEASED,
    SHIPPED,
    SHIPPING_FAILED,
    TOPICS
};

struct audit_topic_of {
    const char *name;
    enum audit_db says;
    unsigned hears; /* a bit for each audit_db */
};

extern const struct audit_topic_of saga_topics[TOPICS + 1]; /* the last: of no topic of ours */
extern const char *const saga_services[DBS];                /* also their consumer groups */

/* TOPICS if it is none. */
enum audit_topic saga_topic(const char *name);

/* The step's memory of an order, as the rows have it. */
enum audit_state { NONE, DONE, REFUSED, UNDONE, VOID };

/* The bits of orders.facts. */
enum audit_fact {
    FACT_CREATED = 1,
    FACT_PAID = 2,
    FACT_RESERVED = 4,
    FACT_SHIPPED = 8,
    FACT_COMPLETED = 16,
    FACT_PAYMENT_FAILED = 32,
    FACT_INVENTORY_FAILED = 64,
    FACT_SHIPPING_FAILED = 128,
    FACT_RELEASED = 256,
    FACT_REFUNDED = 512,
    FACT_CANCELLED = 1024,
    FACT_CANCEL_WANTED = 1 << 17 | 1 << 18 /* by the customer, by the deadline */
};

#endif
