/* order_request.c: the rules of an order, as data. */
#include "order_request.h"

#include "iso.h"
#include "saga/json.h"

#define TOTAL_MAX INT64_C(9007199254740991) /* 2^53-1: every JSON reader can hold it */

static const struct saga_rule name_rule = {
    .min = 1, .max = 64, .visible_ascii = true, .must = "must be 1 to 64 visible ASCII characters"};
static const struct saga_rule sku_rule = {
    .min = 1, .max = 64, .extra = "._-", .must = "must be 1 to 64 of A-Z a-z 0-9 . _ -"};
static const struct saga_rule quantity_rule = {.min = 1, .max = 1000000};
static const struct saga_rule unit_amount_rule = {.min = 0, .max = INT64_C(1000000000000)};
static const struct saga_rule items_rule = {
    .min = 1, .max = 100, .distinct = "sku", .must = "must have 1 to 100 items"};
static const struct saga_rule currency_rule = {
    .one_of = iso_currencies, .must = "must be an active ISO 4217 code in capitals"};
static const struct saga_rule country_rule = {
    .one_of = iso_countries, .must = "must be an assigned ISO 3166-1 alpha-2 code in capitals"};
static const struct saga_rule line_rule = {
    .min = 0, .max = 200, .must = "must be at most 200 bytes long"};
static const struct saga_rule metadata_rule = {.members_max = 20, .name_max = 40, .value_max = 500};

static const struct saga_shape item_shape = SAGA_SHAPE(
    struct order_item, SAGA_FIELD(struct order_item, sku, SAGA_STRING, .rule = &sku_rule),
    SAGA_FIELD(struct order_item, quantity, SAGA_INT64, .rule = &quantity_rule),
    SAGA_FIELD(struct order_item, unit_amount, SAGA_INT64, .rule = &unit_amount_rule));

#define LINE(member)                                                                               \
    SAGA_FIELD(struct order_address, member, SAGA_STRING, .optional = true, .rule = &line_rule)
static const struct saga_shape address_shape =
    SAGA_SHAPE(struct order_address, LINE(name), LINE(line1), LINE(line2), LINE(city), LINE(state),
               LINE(postal_code),
               SAGA_FIELD(struct order_address, country, SAGA_STRING, .rule = &country_rule));

static const struct saga_shape request_shape = SAGA_SHAPE(
    struct order_request,
    SAGA_FIELD(struct order_request, customer_id, SAGA_STRING, .rule = &name_rule),
    SAGA_FIELD(struct order_request, currency, SAGA_STRING, .rule = &currency_rule),
    SAGA_FIELD(struct order_request, items, SAGA_LIST, .inside = &item_shape, .rule = &items_rule),
    SAGA_FIELD(struct order_request, payment_method, SAGA_STRING, .rule = &name_rule),
    SAGA_FIELD(struct order_request, shipping_address, SAGA_OBJECT, .inside = &address_shape),
    SAGA_FIELD(struct order_request, metadata, SAGA_JSON, .optional = true,
               .rule = &metadata_rule));

/* -1 if it is more than TOTAL_MAX. */
static int64_t total_of(const struct order_request *body)
{
    const struct order_item *items = body->items.at;
    int64_t total = 0;
    for (size_t i = 0; i < body->items.count; i++) {
        total += items[i].quantity * items[i].unit_amount; /* at most 10^18 by their rules */
        if (total > TOTAL_MAX)
            return -1;
    }
    return total;
}

static void check_total(struct saga_request *request, const void *body)
{
    if (total_of(body) < 0)
        saga_request_fault(request, "#/items",
                           "must cost at most 9007199254740991 minor units in all");
}

static struct saga_text keep(struct saga_request *request, struct saga_json *json)
{
    struct saga_text text = saga_json_done(json);
    char *copy = saga_request_alloc(request, text.len + 1);
    memcpy(copy, text.at, text.len);
    saga_json_reset(json);
    return (struct saga_text){copy, text.len};
}

/* Equal for orders that are understood alike: member order, spaces and absent defaults do not
 * matter, the order of items does. */
static void fingerprint(struct saga_request *request, struct saga_json *json, struct place *place)
{
    saga_json_open(json, NULL, '[');
    saga_json_text(json, NULL, place->customer_id);
    saga_json_text(json, NULL, place->currency);
    saga_json_raw(json, NULL, place->items);
    saga_json_text(json, NULL, place->payment_method);
    saga_json_raw(json, NULL, place->shipping_address);
    saga_json_raw(json, NULL, place->metadata);
    saga_json_close(json, ']');
    char *hex = saga_request_alloc(request, 65);
    saga_sha256(saga_json_done(json), hex);
    place->fingerprint = (struct saga_text){hex, 64};
}

bool order_request_read(struct saga_request *request, bool with_fingerprint,
                        struct place *ret_place)
{
    struct order_request body;
    if (!saga_request_bind(request, &request_shape, "invalid_order", &body, check_total))
        return false;
    *ret_place = (struct place){
        .customer_id = body.customer_id,
        .currency = body.currency,
        .total = total_of(&body),
        .payment_method = body.payment_method,
        .metadata = body.metadata.at ? body.metadata : SAGA_TEXT("{}"),
        .deadline_us = saga_setting_deadline_us(),
    };
    struct saga_json json = {0};
    saga_json_open(&json, NULL, '[');
    for (size_t i = 0; i < body.items.count; i++)
        saga_json_object(&json, NULL, &item_shape, (const struct order_item *)body.items.at + i);
    saga_json_close(&json, ']');
    ret_place->items = keep(request, &json);
    saga_json_object(&json, NULL, &address_shape, &body.shipping_address);
    ret_place->shipping_address = keep(request, &json);
    if (with_fingerprint)
        fingerprint(request, &json, ret_place);
    saga_json_clear(&json);
    return true;
}
