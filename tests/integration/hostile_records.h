/* hostile_records.h: the topics that somebody hears, and a good and some wrong values of each. */
#include <stddef.h>

#include "support/db.h"

#define ID "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa"
#define OTHER "0190bbbb-bbbb-7bbb-8bbb-bbbbbbbbbbbb"
#define ORDER(rest) "{\"order_id\":\"" ID "\"" rest "}"
#define ADDRESS ",\"shipping_address\":{\"country\":\"DE\"}"
#define ITEMS ",\"items\":[{\"sku\":\"SKU-1\",\"quantity\":1}]"

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
