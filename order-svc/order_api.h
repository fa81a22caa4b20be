/* order_api.h: the HTTP face of order-svc. */
#ifndef ORDER_API_H
#define ORDER_API_H

#include "saga/http.h"
#include "saga/json.h"

extern const struct saga_route order_routes[];
extern const struct saga_problem order_problems[];

/* An order as the API shows it. */
struct order_view {
    struct saga_uuid order_id;
    struct saga_text customer_id, currency;
    int64_t total;
    struct saga_text items, payment_method, shipping_address, metadata; /* JSON but the method */
    int32_t facts;
    int64_t refunded;
    struct saga_text tracking_number;
    int64_t deadline_at, created_at, updated_at;
};

extern const struct saga_query order_find; /* key: the order id; row: struct order_view */

/* The Location of an order. */
#define ORDER_LOCATION_SIZE 64
void order_location(const struct saga_uuid *order_id, char ret_location[ORDER_LOCATION_SIZE]);
/* Answers with the order. */
/* 503 if only a later version of the program can tell what the order is. */
void order_reply(struct saga_request *request, int status, const struct order_view *view);
/* The id in the path; if it is none, the request has been answered 404. */
bool order_path_id(struct saga_request *request, struct saga_uuid *ret_id);
void order_reply_not_found(struct saga_request *request);

void order_post(struct saga_request *request);
void order_post_cancel(struct saga_request *request);

#endif
