/* stock_api.c: GET and PUT /v1/stock/{sku}. */
#include "stock_api.h"

#include "inventory_sql.h"
#include "put_stock.h"
#include "saga/json.h"
#include "steps.h"
#include "tables.h"

#define ON_HAND_MAX INT64_C(1000000000000) /* far from where sums would overflow */
#define SKU_MAX 64

const struct saga_problem inventory_problems[] = {
    {"sku_not_found", "There is no such SKU", "No stock was ever put under this SKU."},
    {"invalid_stock", "The stock breaks a rule",
     "A SKU has 1 to 64 of A-Z a-z 0-9 . _ - and on_hand is an integer from 0 to 10^12."},
    {"stock_below_held", "Orders hold more than that",
     "on_hand may not go below what orders hold now. Wait for them to ship, or put more."},
    {NULL, NULL, NULL},
};

struct stock_body {
    int64_t on_hand;
};

static const struct saga_shape stock_body = SAGA_SHAPE(
    struct stock_body, SAGA_FIELD(struct stock_body, on_hand, SAGA_INT64,
                                  .rule = &(const struct saga_rule){.min = 0, .max = ON_HAND_MAX}));

static const struct saga_query find_stock = {
    .sql = sql_stock_find,
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct stock, SAGA_FIELD(struct stock, sku, SAGA_STRING),
        SAGA_FIELD(struct stock, on_hand, SAGA_INT64), SAGA_FIELD(struct stock, held, SAGA_INT64)),
};

static bool valid_sku(struct saga_text sku)
{
    bool valid = sku.len >= 1 && sku.len <= SKU_MAX;
    for (size_t i = 0; valid && i < sku.len; i++) {
        char c = sku.at[i];
        valid = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                c == '.' || c == '_' || c == '-';
    }
    return valid;
}

static void reply_stock(struct saga_request *request, const struct stock *stock)
{
    struct saga_json json = {0};
    saga_json_open(&json, NULL, '{');
    saga_json_text(&json, "sku", stock->sku);
    saga_json_int(&json, "on_hand", stock->on_hand);
    saga_json_int(&json, "held", stock->held);
    saga_json_int(&json, "available", stock->on_hand - stock->held);
    saga_json_close(&json, '}');
    saga_request_reply_json(request, 200, saga_json_done(&json));
    saga_json_clear(&json);
}

static void stock_found(struct saga_request *request)
{
    const struct stock *stock = saga_request_row(request);
    if (saga_request_outcome(request) != SAGA_COMMITTED)
        saga_request_not_committed(request);
    else if (stock == NULL)
        saga_request_problem(request, 404, "sku_not_found", "No stock was ever put under it.", 0);
    else
        reply_stock(request, stock);
}

static void get_stock(struct saga_request *request)
{
    struct saga_text sku = saga_request_path(request, "sku");
    if (valid_sku(sku))
        saga_request_query(request, &find_stock, sku, stock_found);
    else
        saga_request_problem(request, 404, "sku_not_found", "This is no SKU.", 0);
}

/* ---- PUT ---- */

struct put {
    struct put_stock command;
    struct put_stock_reply reply;
};

static void stock_was_put(struct saga_request *request)
{
    const struct put *put = saga_request_kept(request);
    if (saga_request_outcome(request) != SAGA_COMMITTED)
        saga_request_not_committed(request);
    else if (put->reply.below_held)
        saga_request_problem(request, 409, "stock_below_held", "Orders hold more than that.", 0);
    else
        reply_stock(request,
                    &(struct stock){put->command.sku, put->command.on_hand, put->reply.held});
}

static void put_stock(struct saga_request *request)
{
    struct stock_body body;
    struct put *put = saga_request_alloc(request, sizeof *put);
    put->command.sku = saga_request_path(request, "sku");
    if (!valid_sku(put->command.sku)) {
        saga_request_problem(request, 422, "invalid_stock",
                             "A SKU has 1 to 64 of A-Z a-z 0-9 . _ -", 0);
        return;
    }
    if (!saga_request_bind(request, &stock_body, "invalid_stock", &body, NULL))
        return;
    put->command.on_hand = body.on_hand;
    saga_request_keep(request, put);
    saga_request_submit(request, &inventory_put_stock, &(const struct saga_uuid){{0}},
                        &put->command, &put->reply, stock_was_put);
}

const struct saga_route inventory_routes[] = {
    {"GET", "/v1/stock/{sku}", get_stock, false},
    {"PUT", "/v1/stock/{sku}", put_stock, true},
    {NULL, NULL, NULL, false},
};
