/* order_api.c: the routes; GET of an order and of its timeline; what the other calls share. */
#include "order_api.h"

#include <stdio.h>

#include "facts.h"
#include "order_sql.h"
#include "timeline.h"

const struct saga_problem order_problems[] = {
    {"invalid_order", "The order breaks a rule",
     "It is well-formed JSON, but fields are missing, unknown or against their rule. errors names "
     "each of them with a JSON pointer and the rule. Nothing was placed."},
    {"order_not_found", "There is no such order",
     "No order has this id. Ids are UUIDs, as in the Location of the answer that made the order."},
    {"order_not_cancellable", "The order can no longer be cancelled",
     "It has shipped. Only an order that has not shipped can be cancelled."},
    {"invalid_idempotency_key", "The Idempotency-Key is not acceptable",
     "Send the header once, with 1 to 255 visible ASCII characters, bare or in double quotes."},
    {"idempotency_key_reused", "The Idempotency-Key belongs to another order",
     "The customer has used this key before, for an order that is not this one. Use a new key for "
     "a new order. Nothing was placed."},
    {"idempotency_in_progress", "A request with this key is still being worked on",
     "The first request with this Idempotency-Key has no answer yet. Send the same request again "
     "after Retry-After: it will be answered as the first one was."},
    {"later_version", "A later version of the service knows more of this order",
     "The order was last changed by a later version, and this one does not understand all of it. "
     "Nothing is lost. Ask again: another instance may know, or this one once it is updated."},
    {NULL, NULL, NULL},
};

const struct saga_query order_find = {
    .sql = sql_order_find,
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct order_view, SAGA_FIELD(struct order_view, order_id, SAGA_UUID),
        SAGA_FIELD(struct order_view, customer_id, SAGA_STRING),
        SAGA_FIELD(struct order_view, currency, SAGA_STRING),
        SAGA_FIELD(struct order_view, total, SAGA_INT64),
        SAGA_FIELD(struct order_view, items, SAGA_JSON),
        SAGA_FIELD(struct order_view, payment_method, SAGA_STRING),
        SAGA_FIELD(struct order_view, shipping_address, SAGA_JSON),
        SAGA_FIELD(struct order_view, metadata, SAGA_JSON),
        SAGA_FIELD(struct order_view, facts, SAGA_INT32),
        SAGA_FIELD(struct order_view, refunded, SAGA_INT64),
        SAGA_FIELD(struct order_view, tracking_number, SAGA_STRING),
        SAGA_FIELD(struct order_view, deadline_at, SAGA_TIME),
        SAGA_FIELD(struct order_view, created_at, SAGA_TIME),
        SAGA_FIELD(struct order_view, updated_at, SAGA_TIME)),
};

void order_location(const struct saga_uuid *order_id, char ret_location[ORDER_LOCATION_SIZE])
{
    char id[SAGA_UUID_TEXT_SIZE];
    saga_uuid_format(order_id, id);
    snprintf(ret_location, ORDER_LOCATION_SIZE, "/v1/orders/%s", id);
}

static void reply_later_version(struct saga_request *request)
{
    saga_request_problem(request, 503, "later_version",
                         "A later version of the service has written of this order.", 1);
}

void order_reply(struct saga_request *request, int status, const struct order_view *view)
{
    if (!order_facts_known(view->facts)) {
        reply_later_version(request);
        return;
    }
    struct saga_json json = {0};
    saga_json_open(&json, NULL, '{');
    saga_json_text(&json, "object", SAGA_TEXT("order"));
    saga_json_uuid(&json, "id", &view->order_id);
    saga_json_text(&json, "status", saga_text(order_status(view->facts)));
    saga_json_text(&json, "status_reason", saga_text(order_status_reason(view->facts)));
    saga_json_text(&json, "customer_id", view->customer_id);
    saga_json_text(&json, "currency", view->currency);
    saga_json_open(&json, "amount", '{');
    saga_json_int(&json, "total", view->total);
    saga_json_int(&json, "refunded", view->refunded);
    saga_json_close(&json, '}');
    saga_json_raw(&json, "items", view->items);
    saga_json_text(&json, "payment_method", view->payment_method);
    saga_json_raw(&json, "shipping_address", view->shipping_address);
    saga_json_raw(&json, "metadata", view->metadata);
    saga_json_time(&json, "deadline_at", view->deadline_at);
    saga_json_time(&json, "created_at", view->created_at);
    saga_json_time(&json, "updated_at", view->updated_at);
    saga_json_text(&json, "tracking_number", view->tracking_number);
    saga_json_close(&json, '}');
    saga_request_reply_json(request, status, saga_json_done(&json));
    saga_json_clear(&json);
}

void order_reply_not_found(struct saga_request *request)
{
    saga_request_problem(request, 404, "order_not_found", "No order has this id.", 0);
}

bool order_path_id(struct saga_request *request, struct saga_uuid *ret_id)
{
    if (saga_uuid_parse(saga_request_path(request, "id"), ret_id))
        return true;
    order_reply_not_found(request);
    return false;
}

/* ---- GET ---- */

static void find(struct saga_request *request, const struct saga_query *query, saga_then then)
{
    struct saga_uuid *id = saga_request_alloc(request, sizeof *id);
    if (order_path_id(request, id))
        saga_request_query(request, query, saga_uuid_key(id), then);
}

static void order_found(struct saga_request *request)
{
    const struct order_view *view = saga_request_row(request);
    if (saga_request_outcome(request) != SAGA_COMMITTED)
        saga_request_not_committed(request);
    else if (view == NULL)
        order_reply_not_found(request);
    else
        order_reply(request, 200, view);
}

static void get_order(struct saga_request *request)
{
    find(request, &order_find, order_found);
}

struct timeline_view {
    struct saga_uuid order_id;
    struct saga_text timeline;
};

static const struct saga_query timeline_find = {
    .sql = sql_timeline_find,
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct timeline_view, SAGA_FIELD(struct timeline_view, order_id, SAGA_UUID),
        SAGA_FIELD(struct timeline_view, timeline, SAGA_STRING)),
};

static void timeline_found(struct saga_request *request)
{
    const struct timeline_view *view = saga_request_row(request);
    struct saga_json json = {0};
    if (saga_request_outcome(request) != SAGA_COMMITTED) {
        saga_request_not_committed(request);
    } else if (view == NULL) {
        order_reply_not_found(request);
    } else {
        saga_json_open(&json, NULL, '{');
        if (timeline_write(&json, "data", view->timeline)) {
            saga_json_close(&json, '}');
            saga_request_reply_json(request, 200, saga_json_done(&json));
        } else {
            reply_later_version(request);
        }
    }
    saga_json_clear(&json);
}

static void get_timeline(struct saga_request *request)
{
    find(request, &timeline_find, timeline_found);
}

const struct saga_route order_routes[] = {
    {"POST", "/v1/orders", order_post, true},
    {"GET", "/v1/orders/{id}", get_order, false},
    {"POST", "/v1/orders/{id}/cancel", order_post_cancel, false},
    {"GET", "/v1/orders/{id}/timeline", get_timeline, false},
    {NULL, NULL, NULL, false},
};
