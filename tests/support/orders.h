/* orders.h: orders as a customer sees them: sent, read and cancelled over HTTP. */
#ifndef SUPPORT_ORDERS_H
#define SUPPORT_ORDERS_H

#include <jansson.h>

#include "http.h"

/* An order with these, and else the simplest one. NULL: pm_card, SKU-1, DE. In a buffer of the
 * thread's. */
const char *order_body(const char *payment_method, const char *sku, const char *country);

struct order_answer {
    int status;
    json_t *body; /* NULL if it is no JSON */
    char id[40], location[80], replayed[8], applied[16], retry_after[8];
};

/* headers: lines after the Content-Type, or NULL. Free with order_answer_free. */
struct order_answer order_send(const char *body, const char *headers);
struct order_answer order_get(const char *id);
struct order_answer order_cancel(const char *id);
void order_answer_free(struct order_answer *answer);

/* A text member of the body; "" if there is none. */
const char *order_text(const struct order_answer *answer, const char *member);
/* Looks until the order has this status; false: not within the time. */
bool order_reaches(const char *id, const char *status, int seconds);
/* The events of the order's timeline, in order, separated by a space; to be freed. */
char *order_timeline(const char *id);

#endif
