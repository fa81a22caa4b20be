/* tables.h: the rows of payment-svc. */
#ifndef PAYMENT_TABLES_H
#define PAYMENT_TABLES_H

#include "saga/service.h"

/* One an order; state is the payment step's barrier (I1, I2). */
struct payment {
    struct saga_uuid order_id;
    int16_t state;
    struct saga_text customer_id, currency;
    int64_t amount; /* minor units: asked for */
    struct saga_text payment_method;
    struct saga_text reason; /* why it was refused */
    int64_t charged_at, refunded_at;
};

/* Only ever added to: what moved, and when. Charged less refunded is what was kept (I8). */
struct ledger_entry {
    struct saga_uuid order_id;
    struct saga_text kind; /* "charged", "refunded" */
    int64_t amount;
    struct saga_text currency;
    int64_t at;
};

extern const struct saga_table payment_table, ledger_table;

#endif
