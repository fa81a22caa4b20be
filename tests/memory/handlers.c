/*
 * handlers.c: every allocation fails once, in turn: of every route with good, wrong and replayed
 * requests, and of every handler in whole sagas over every path. Then there is the very answer, row
 * and event that there would have been (all rows of all tables are compared, whole), or a stop.
 */
#include <stdio.h>
#include <string.h>

#include "inventory-svc/put_stock.h"
#include "order-svc/steps.h"
#include "saga/json.h"
#include "saga/service.h"
#include "starve.h"
#include "unit/support/door.h"
#include "unit/support/world.h"

extern const struct saga_service order_service, payment_service, inventory_service,
    shipping_service;

static bool at_a_door; /* a handler runs, and not its door */

/* ---- what is run ---- */

struct scenario {
    const char *name;
    void (*run)(const struct scenario *scenario, char *said);
    const struct saga_service *service; /* a request: */
    int route;
    const char *key, *prefer, *recalled, *body, *path;
    bool busy, missing;
    const char *method, *items, *country; /* an order; NULL: of the plainest: */
    int undo;                             /* what calls it off, and when */
};

static struct saga_text text_of(const char *text)
{
    return text != NULL ? saga_text(text) : (struct saga_text){0};
}

static void ask(const struct scenario *scenario, char *said)
{
    struct saga_request request = {
        .key = text_of(scenario->key),
        .prefer = text_of(scenario->prefer),
        .recalled = text_of(scenario->recalled),
        .body = text_of(scenario->body),
        .path = text_of(scenario->path),
        .busy = scenario->busy,
        .missing = scenario->missing,
        .said = said,
        .said_size = STARVE_SAID_MAX,
    };
    at_a_door = true;
    scenario->service->routes[scenario->route].handle(&request);
    at_a_door = false;
    arena_free(&request.arena);
    if (request.answers != 1)
        snprintf(said, STARVE_SAID_MAX, "answered %d times", request.answers);
}

enum { NOBODY, CUSTOMER_EARLY, CUSTOMER_LATE, DEADLINE };

static const struct saga_service *const services[WORLD_SERVICES] = {
    &order_service, &payment_service, &inventory_service, &shipping_service};

static void say(char *said, const char *what, struct saga_text text)
{
    size_t len = strlen(said);
    int more =
        snprintf(said + len, STARVE_SAID_MAX - len, "%s %.*s\n", what, (int)text.len, text.at);
    if (more < 0 || (size_t)more >= STARVE_SAID_MAX - len)
        __builtin_trap(); /* a difference could be in what is cut off */
}

/* Every event, and every row of every table, whole. */
static void say_all(struct world *world, char *said)
{
    struct saga_json json = {0};
    for (size_t i = 0; i < world_events(world); i++) {
        const struct world_event *event = world_event(world, i);
        say(said, event->name, saga_text(event->payload));
    }
    for (int service = 0; service < WORLD_SERVICES; service++) {
        for (size_t t = 0; services[service]->tables[t] != NULL; t++) {
            const struct saga_table *table = services[service]->tables[t];
            for (size_t i = 0; i < world_count(world, service, table->name); i++) {
                saga_json_reset(&json);
                saga_json_object(&json, NULL, table->shape,
                                 world_row(world, service, table->name, i));
                say(said, table->name, saga_json_done(&json));
            }
        }
    }
    saga_json_clear(&json);
}

#define ITEMS "[{\"sku\":\"SKU-1\",\"quantity\":2,\"unit_amount\":250}]"
#define HOME "{\"country\":\"DE\"}"

static void travel(const struct scenario *scenario, char *said)
{
    const struct saga_uuid id = {.bytes = {1, [6] = 0x70, [8] = 0x80}};
    struct place place = {
        .customer_id = SAGA_TEXT("cus_1"),
        .currency = SAGA_TEXT("EUR"),
        .total = 500,
        .items = saga_text(scenario->items ? scenario->items : ITEMS),
        .payment_method = saga_text(scenario->method ? scenario->method : "pm_card"),
        .shipping_address = saga_text(scenario->country ? scenario->country : HOME),
        .metadata = SAGA_TEXT("{}"),
        .deadline_us = 1000000,
        .key = text_of(scenario->key),
        .fingerprint = text_of(scenario->key),
    };
    struct put_stock put = {SAGA_TEXT("SKU-1"), 100};
    struct put_stock_reply was_put;
    struct place_reply reply;
    enum cancel_reply cancelled = CANCEL_UNKNOWN_ORDER;
    struct world *world = world_new();
    world_command(world, WORLD_INVENTORY, "put_stock", &(struct saga_uuid){{0}}, &put, &was_put);
    world_command(world, WORLD_ORDER, "placement", &id, &place, &reply);
    world_adopt(world, &id);
    if (scenario->undo == CUSTOMER_LATE)
        world_settle(world);
    if (scenario->undo == CUSTOMER_EARLY || scenario->undo == CUSTOMER_LATE)
        world_command(world, WORLD_ORDER, "cancel", &id, NULL, &cancelled);
    if (scenario->undo == DEADLINE)
        world_command(world, WORLD_ORDER, "expire", &id, NULL, NULL);
    world_settle(world);
    snprintf(said, STARVE_SAID_MAX, "cancel %d\n", (int)cancelled);
    say_all(world, said);
    world_free(world);
}

#define ORDER                                                                                      \
    "{\"customer_id\":\"cus_1\",\"currency\":\"EUR\",\"items\":[{\"sku\":\"SKU-1\",\"quantity\":"  \
    "2,"                                                                                           \
    "\"unit_amount\":5},{\"sku\":\"SKU-2\",\"quantity\":2,\"unit_amount\":5}],"                    \
    "\"payment_method\":\"pm_card\",\"shipping_address\":{\"country\":\"DE\",\"city\":"            \
    "\"B\\u00e4r\"},"                                                                              \
    "\"metadata\":{\"a\":\"b\",\"c\":\"d\"}}"
#define WRONG_ORDER                                                                                \
    "{\"customer_id\":\"\",\"currency\":\"DEM\",\"items\":[{\"sku\":\"A\",\"quantity\":0},"        \
    "{\"sku\":\"A\",\"unit_amount\":-1}],\"metadata\":{\"a\":7},\"more\":1}"
#define TIMELINE "1700000000000000 order.created -1 -1 -\n1700000000000001 payment.done 1 7 -"
#define RECALLED                                                                                   \
    "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa "                                                        \
    "0000000000000000000000000000000000000000000000000000000000000000 1 2"
#define POST .run = ask, .service = &order_service, .route = 0
#define GET .run = ask, .service = &order_service, .route = 1
#define CANCEL .run = ask, .service = &order_service, .route = 2
#define SHOW .run = ask, .service = &order_service, .route = 3
#define STOCK .run = ask, .service = &inventory_service, .route = 0
#define PUT .run = ask, .service = &inventory_service, .route = 1
#define SAGA .run = travel

static const struct scenario scenarios[] = {
    {"POST an order", POST, .body = ORDER},
    {"POST, with a key", POST, .body = ORDER, .key = "k1"},
    {"POST, and wait for the end", POST, .body = ORDER, .key = "\"k1\"", .prefer = "wait=3"},
    {"POST, key of another order", POST, .body = ORDER, .key = "k1", .recalled = RECALLED},
    {"POST, key that is none", POST, .body = ORDER, .key = "k 1"},
    {"POST, not taken", POST, .body = ORDER, .busy = true},
    {"POST, order against the rules", POST, .body = WRONG_ORDER},
    {"POST, not JSON", POST, .body = "{\"customer_id\":\"cus_1\",\"customer_id\":2}"},
    {"GET an order", GET},
    {"GET, no such order", GET, .missing = true},
    {"GET, no id", GET, .path = "x"},
    {"GET, database away", GET, .busy = true},
    {"cancel", CANCEL},
    {"cancel, not taken", CANCEL, .busy = true},
    {"timeline", SHOW, .body = TIMELINE},
    {"timeline, no such order", SHOW, .missing = true},
    {"GET stock", STOCK, .path = "SKU-1"},
    {"GET stock, no such SKU", STOCK, .path = "SKU-1", .missing = true},
    {"PUT stock", PUT, .path = "SKU-1", .body = "{\"on_hand\":7}"},
    {"PUT stock, against the rules", PUT, .path = "SKU-1", .body = "{\"on_hand\":-7,\"x\":1}"},
    {"PUT stock, not JSON", PUT, .path = "SKU-1", .body = "{"},
    {"saga: completed", SAGA, .key = "cus_1 k"},
    {"saga: card declined", SAGA, .method = "pm_card_declined"},
    {"saga: no such method", SAGA, .method = "gold"},
    {"saga: out of stock", SAGA,
     .items = "[{\"sku\":\"SKU-1\",\"quantity\":900,\"unit_amount\":1}]"},
    {"saga: no such SKU", SAGA, .items = "[{\"sku\":\"SKU-9\",\"quantity\":1,\"unit_amount\":1}]"},
    {"saga: no way there", SAGA, .country = "{\"country\":\"AQ\"}"},
    {"saga: cancelled", SAGA, .undo = CUSTOMER_EARLY},
    {"saga: cancelled too late", SAGA, .undo = CUSTOMER_LATE},
    {"saga: past its deadline", SAGA, .undo = DEADLINE},
};

/* ---- the program ---- */

static const char *name_of(size_t i)
{
    return scenarios[i].name;
}

static bool run(size_t i, char *said)
{
    scenarios[i].run(&scenarios[i], said);
    return false;
}

static bool counts(void)
{
    return (at_a_door && door_checking == 0) || world_deciding > 0;
}

int main(void)
{
    char hex[65];
    saga_sha256(SAGA_TEXT("libcrypto makes its tables once"), hex);
    return starve(&(struct starve){.name = "handlers",
                                   .count = sizeof scenarios / sizeof *scenarios,
                                   .scenario = name_of,
                                   .run = run,
                                   .counts = counts});
}
