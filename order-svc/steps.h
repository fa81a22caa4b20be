/* steps.h: the handlers of order-svc, one file each, and what its commands take and answer. */
#ifndef ORDER_STEPS_H
#define ORDER_STEPS_H

#include "saga/service.h"

/* ---- place: POST /v1/orders ---- */
struct place {
    struct saga_text customer_id, currency;
    int64_t total;                                                      /* minor units */
    struct saga_text items, payment_method, shipping_address, metadata; /* JSON but the method */
    int64_t deadline_us;               /* from placement to the deadline */
    struct saga_text key, fingerprint; /* of the idempotency key: both absent without one */
};

struct place_reply {
    struct saga_uuid order_id;
    int64_t created_at, deadline_at;
    bool replayed; /* the key is known, with this very order: what was first answered */
    bool reused;   /* the key is known with another order: nothing was placed */
};

/* ---- cancel: POST /v1/orders/{id}/cancel; it takes nothing ---- */
enum cancel_reply { CANCEL_UNKNOWN_ORDER, CANCEL_TOO_LATE, CANCEL_ACCEPTED };

extern const struct saga_command order_place, order_cancel, order_expire;

enum saga_verdict order_learn(struct saga_tx *tx, const struct saga_message *in);
enum saga_verdict order_complete(struct saga_tx *tx, const struct saga_message *in);
enum saga_verdict order_withdraw(struct saga_tx *tx, const struct saga_message *in);

/* Asks the pivot to call the order off; fact: who wants it. */
struct order;
void order_request_cancel(struct saga_tx *tx, const struct saga_message *in, struct order *order,
                          int32_t fact);

/* What those who wait for an order's end are told: all that its events have changed in it. */
struct order_news {
    int32_t facts;
    int64_t refunded, updated_at;
    size_t tracking_len; /* 0: there is none */
    char tracking_number[48];
};
/* The order has reached its end: its timer goes, and who waits is told. Its row is as it will be
 * written. */
void order_end(struct saga_tx *tx, const char *outcome, const struct order *order);

#endif
