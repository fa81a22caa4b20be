/* hostile_records.h: the topics that somebody hears, a good and some wrong values of each, and what
 * else may be wrong with a record. */
#include <stdio.h>
#include <string.h>

#include "support/db.h"

#define ID "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa"
#define OTHER "0190bbbb-bbbb-7bbb-8bbb-bbbbbbbbbbbb"
#define ORDER(rest) "{\"order_id\":\"" ID "\"" rest "}"
#define ADDRESS ",\"shipping_address\":{\"country\":\"DE\"}"
#define ITEMS ",\"items\":[{\"sku\":\"SKU-1\",\"quantity\":2}]"

static const struct reader {
    enum db db;
    const char *address, *service;
} readers[] = {{DB_PAYMENT, "PAYMENT_OPS", "payment-svc"},
               {DB_INVENTORY, "INVENTORY_API", "inventory-svc"},
               {DB_SHIPPING, "SHIPPING_OPS", "shipping-svc"},
               {DB_ORDER, "ORDER_API", "order-svc"}};
#define READERS 4
enum { PAYMENT = 1, INVENTORY = 2, SHIPPING = 4, ORDER_SVC = 8, EVERYBODY = 15 };

#define WRONG_MAX 5
static const struct topic {
    const char *name, *source;
    unsigned heard_by;
    const char *good;
    /* Values of a wrong type, or without what has to be there. */
    struct wrong {
        const char *value;
        const char *at_order; /* the reason in order-svc, which reads less of it; NULL: the same */
    } wrong[WRONG_MAX];
} topics[] = {
    {"order.created",
     "/order-svc",
     PAYMENT,
     ORDER(",\"customer_id\":\"c\",\"currency\":\"EUR\",\"amount\":1,\"payment_method\":\"pm_card\""
           ",\"items\":[]" ADDRESS),
     {{ORDER(",\"customer_id\":\"c\",\"currency\":\"EUR\",\"amount\":\"1\",\"payment_method\":"
             "\"pm_card\",\"items\":[]" ADDRESS),
       NULL},
      {ORDER(",\"customer_id\":\"c\",\"currency\":\"EUR\",\"amount\":1.5,\"payment_method\":"
             "\"pm_card\",\"items\":[]" ADDRESS),
       NULL},
      {ORDER(",\"customer_id\":7,\"currency\":\"EUR\",\"amount\":1,\"payment_method\":"
             "\"pm_card\",\"items\":[]" ADDRESS),
       NULL},
      {ORDER(",\"customer_id\":\"c\",\"currency\":null,\"amount\":1,\"payment_method\":"
             "\"pm_card\",\"items\":[]" ADDRESS),
       NULL},
      {ORDER(",\"customer_id\":\"c\",\"currency\":\"EUR\",\"payment_method\":"
             "\"pm_card\",\"items\":[]" ADDRESS),
       NULL}}},
    {"order.cancel_requested",
     "/order-svc",
     SHIPPING,
     ORDER(",\"reason\":\"customer_request\""),
     {{ORDER(",\"reason\":7"), NULL},
      {ORDER(",\"reason\":null"), NULL},
      {ORDER(",\"reason\":{}"), NULL},
      {ORDER(""), NULL}}},
    {"payment.done",
     "/payment-svc",
     INVENTORY | ORDER_SVC,
     ORDER(ITEMS ADDRESS),
     {{ORDER(",\"items\":7"), "unknown_order"},
      {ORDER(",\"items\":[{\"sku\":1,\"quantity\":1}]" ADDRESS), "held_up"},
      {ORDER(",\"items\":[{\"sku\":\"S\",\"quantity\":1.5}]" ADDRESS), "held_up"},
      {ORDER(ITEMS ",\"amount\":\"1\""), NULL}}},
    {"payment.failed",
     "/payment-svc",
     ORDER_SVC,
     ORDER(",\"reason\":\"card_declined\""),
     {{ORDER(",\"reason\":7"), NULL}, {ORDER(",\"reason\":[]"), NULL}}},
    {"payment.refunded",
     "/payment-svc",
     ORDER_SVC,
     ORDER(",\"amount\":1"),
     {{ORDER(",\"amount\":\"1\""), NULL},
      {ORDER(",\"amount\":1.0"), NULL},
      {ORDER(",\"amount\":9223372036854775808"), NULL}}},
    {"inventory.reserved",
     "/inventory-svc",
     SHIPPING | ORDER_SVC,
     ORDER(ITEMS ADDRESS),
     {{ORDER(ITEMS), "unknown_order"},
      {ORDER(ITEMS ",\"shipping_address\":7"), "held_up"},
      {ORDER(ITEMS ",\"shipping_address\":{}"), "held_up"},
      {ORDER(ITEMS ",\"shipping_address\":{\"country\":7}"), "held_up"}}},
    {"inventory.failed",
     "/inventory-svc",
     PAYMENT | ORDER_SVC,
     ORDER(",\"reason\":\"out_of_stock\",\"sku\":\"SKU-1\""),
     {{ORDER(",\"reason\":7"), NULL}, {ORDER(",\"reason\":{}"), NULL}}},
    {"inventory.released",
     "/inventory-svc",
     PAYMENT | ORDER_SVC,
     ORDER(",\"reason\":\"customer_request\""),
     {{ORDER(",\"reason\":7"), NULL}, {ORDER(",\"reason\":false"), NULL}}},
    {"order.shipped",
     "/shipping-svc",
     INVENTORY | ORDER_SVC,
     ORDER(",\"tracking_number\":\"T\""),
     {{ORDER(",\"reason\":7"), NULL}}},
    {"shipping.failed",
     "/shipping-svc",
     INVENTORY | ORDER_SVC,
     ORDER(",\"reason\":\"customer_request\""),
     {{ORDER(",\"reason\":7"), NULL}, {ORDER(",\"reason\":[\"a\"]"), NULL}}},
};
#define TOPICS (sizeof topics / sizeof *topics)
static const struct topic *const paid_topic = &topics[2];

/* Each would make its reader say something that is too large for an event, between these two. */
static const struct {
    enum db db;
    const char *service;
    const struct topic *topic;
    const char *before, *after;
} too_large[] = {
    {DB_PAYMENT, "payment-svc", &topics[0],
     ",\"customer_id\":\"c\",\"currency\":\"EUR\",\"amount\":1,\"payment_method\":\"pm_card\","
     "\"items\":\"",
     "\",\"shipping_address\":{}}"},
    {DB_INVENTORY, "inventory-svc", &topics[2], ",\"items\":[{\"sku\":\"",
     "\",\"quantity\":1}],\"shipping_address\":{}}"},
    {DB_SHIPPING, "shipping-svc", &topics[1], ",\"reason\":\"", "\"}"},
};
#define TOO_LARGE (sizeof too_large / sizeof *too_large)

#define HEADERS 8
/* values: NULL: the topic's own. */
static const char *const names[HEADERS] = {"ce_specversion",   "ce_id",       "ce_source",
                                           "ce_type",          "ce_subject",  "ce_time",
                                           "ce_schemaversion", "content-type"};
static const char *const values[HEADERS] = {
    "1.0", "by-a-stranger", NULL, NULL, ID, "2026-01-01T00:00:00.000Z", "1", "application/json"};

/* A good record, but for one thing. */
struct hostile {
    const char *reason;
    const char *header, *instead; /* instead NULL: left out */
    const char *key, *value;      /* NULL: the good one; "-": none at all */
    int more_headers;
    const char *at_order; /* as in struct wrong */
};

/* On every topic. */
static const struct hostile cases[] = {
    {"unreadable_value", NULL, NULL, NULL, "", 0, NULL},
    {"no_value", NULL, NULL, NULL, "-", 0, NULL}, /* a tombstone */
    {"unreadable_value", NULL, NULL, NULL, "nonsense", 0, NULL},
    {"unreadable_value", NULL, NULL, NULL, "{\"order_id\":\"" ID "\"", 0, NULL},
    {"unreadable_value", NULL, NULL, NULL, "[]", 0, NULL},
    {"unreadable_value", NULL, NULL, NULL, "{}", 0, NULL},
    {"unreadable_value", NULL, NULL, NULL, "{\"order_id\":7}", 0, NULL},
    {"order_id_is_not_subject", NULL, NULL, NULL, "!", 0, NULL}, /* a good one, of another order */
    {"missing_ce_specversion", "ce_specversion", NULL, NULL, NULL, 0, NULL},
    {"unknown_specversion", "ce_specversion", "2.0", NULL, NULL, 0, NULL},
    {"missing_ce_schemaversion", "ce_schemaversion", NULL, NULL, NULL, 0, NULL},
    {"unknown_schemaversion", "ce_schemaversion", "2", NULL, NULL, 0, NULL},
    {"wrong_content_type", "content-type", "text/plain", NULL, NULL, 0, NULL},
    {"wrong_content_type", "content-type", NULL, NULL, NULL, 0, NULL},
    {"missing_ce_id", "ce_id", NULL, NULL, NULL, 0, NULL},
    {"invalid_ce_id", "ce_id", "", NULL, NULL, 0, NULL},
    {"invalid_ce_id", "ce_id", "a b", NULL, NULL, 0, NULL},
    {"missing_ce_source", "ce_source", NULL, NULL, NULL, 0, NULL},
    {"missing_ce_type", "ce_type", NULL, NULL, NULL, 0, NULL},
    {"type_is_not_topic", "ce_type", "order.completed", NULL, NULL, 0, NULL},
    {"missing_ce_subject", "ce_subject", NULL, NULL, NULL, 0, NULL},
    {"invalid_ce_subject", "ce_subject", "nobody", NULL, NULL, 0, NULL},
    {"key_is_not_subject", NULL, NULL, OTHER, NULL, 0, NULL},
    {"key_is_not_subject", NULL, NULL, "-", NULL, 0, NULL},
    {"key_is_not_subject", NULL, NULL, "", NULL, 0, NULL},
    {"missing_ce_time", "ce_time", NULL, NULL, NULL, 0, NULL},
    {"invalid_ce_time", "ce_time", "yesterday", NULL, NULL, 0, NULL},
    {"too_many_headers", NULL, NULL, NULL, NULL, 60, NULL},
    {"too_many_headers", NULL, NULL, NULL, NULL, 1000, NULL},
};
#define CASES (sizeof cases / sizeof *cases)

/* A good one on this topic, about this order. */
static const char *header_of(size_t i, const struct topic *topic, const char *id)
{
    if (values[i] != NULL)
        return strcmp(values[i], ID) == 0 ? id : values[i];
    return strcmp(names[i], "ce_type") == 0 ? topic->name : topic->source;
}

static const char *or_none(const char *given, const char *good)
{
    if (given == NULL)
        return good;
    return strcmp(given, "-") == 0 ? NULL : given;
}

static const char *reason_at(const struct reader *reader, const struct hostile *hostile)
{
    bool other = reader->db == DB_ORDER && hostile->at_order != NULL;
    return other ? hostile->at_order : hostile->reason;
}

/* All that is put on a topic: what is wrong on every one, and its own. */
static size_t cases_of(const struct topic *topic, struct hostile ret_cases[CASES + WRONG_MAX])
{
    size_t count = CASES;
    memcpy(ret_cases, cases, sizeof cases);
    for (size_t i = 0; i < WRONG_MAX && topic->wrong[i].value != NULL; i++)
        ret_cases[count++] = (struct hostile){.reason = "unreadable_value",
                                              .value = topic->wrong[i].value,
                                              .at_order = topic->wrong[i].at_order};
    return count;
}

/* The same of another order. */
static const char *about(const char *value, const char *id)
{
    static char text[1024];
    snprintf(text, sizeof text, "%s", value);
    for (char *at = text; (at = strstr(at, ID)) != NULL; at += strlen(id))
        memcpy(at, id, strlen(id));
    return text;
}
