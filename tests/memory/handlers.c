/*
 * handlers.c: every allocation fails once, in turn: of every route with good, wrong and replayed
 * requests, and of every handler in whole sagas over every path. Then there is the very answer, row
 * and event that there would have been (all rows of all tables are compared, whole), or a stop.
 */
#include <stdio.h>
#include <string.h>

#include "inventory-svc/put_stock.h"
#include "inventory-svc/tables.h"
#include "order-svc/facts.h"
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
    enum saga_outcome_kind outcome;
    bool declines, replays, missing;      /* see unit/support/door.h */
    const struct order_news *news;        /* what who waits is told */
    const char *method, *items, *country; /* an order; NULL: of the plainest: */
    const char *again;                    /* its key's fingerprint when it comes again */
    int64_t held;                         /* stock, by others, before it is put */
    int undo;                             /* what calls it off, and when */
    bool paid, newest_first, twice;       /* before that; how events are heard; and all again */
    bool later;                           /* a later version has written the order's row */
    const char *says;
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
        .outcome = scenario->outcome,
        .declines = scenario->declines,
        .replays = scenario->replays,
        .missing = scenario->missing,
        .later = scenario->later,
        .said = said,
        .said_size = STARVE_SAID_MAX,
    };
    if (scenario->news != NULL)
        request.news = (struct saga_text){(const char *)scenario->news, sizeof *scenario->news};
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
#define LATER_TIMELINE "2 order.held v2 {\"by\":\"somebody\"}\n"

/* An event is heard by all who hear such. */
static void hear(struct world *world, size_t number, char *said)
{
    static const char *const results[] = {"done", "refused", "void", "duplicate", "poison", "held"};
    enum batch_result result;
    for (int service = 0; service < WORLD_SERVICES; service++)
        if (world_deliver(world, number, service, &result))
            say(said, results[result], saga_text(world_event(world, number)->name));
}

/* The last that was said first: undos before their actions. */
static void hear_newest_first(struct world *world, char *said)
{
    bool heard[64] = {false};
    for (size_t next = world_events(world); next-- > 0;) {
        if (heard[next])
            continue;
        heard[next] = true;
        hear(world, next, said);
        next = world_events(world);
    }
}

/* With facts and a line that this version does not know. */
static void let_a_later_version_write(struct world *world, const struct saga_uuid *id)
{
    struct order_row *row =
        (struct order_row *)(uintptr_t)world_find(world, WORLD_ORDER, "orders", id);
    row->facts |= 1 << 30;
    row->timeline = SAGA_TEXT(LATER_TIMELINE);
}

static void call_off(const struct scenario *scenario, struct world *world,
                     const struct saga_uuid *id, char *said)
{
    static const char *const replies[] = {"unknown", "too late", "accepted"};
    enum cancel_reply reply;
    if (scenario->undo == CUSTOMER_LATE)
        world_settle(world);
    if (scenario->paid)
        world_deliver(world, 0, WORLD_PAYMENT, NULL);
    if (scenario->undo == CUSTOMER_EARLY || scenario->undo == CUSTOMER_LATE) {
        world_command(world, WORLD_ORDER, "cancel", id, NULL, &reply);
        say(said, "cancel:", saga_text(replies[reply]));
    }
    if (scenario->undo == DEADLINE)
        world_command(world, WORLD_ORDER, "expire", id, NULL, NULL);
}

static void travel(const struct scenario *scenario, char *said)
{
    const struct saga_uuid id = {.bytes = {1, [6] = 0x70, [8] = 0x80}}, nobody = {{0}};
    const struct saga_uuid second = {.bytes = {2, [6] = 0x70, [8] = 0x80}};
    const struct stock stock = {SAGA_TEXT("SKU-1"), scenario->held, scenario->held};
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
    struct world *world = world_new();
    if (scenario->held > 0)
        world_put(world, WORLD_INVENTORY, "stock", &stock);
    world_command(world, WORLD_INVENTORY, "put_stock", &nobody, &put, &was_put);
    world_command(world, WORLD_ORDER, "placement", &id, &place, &reply);
    place.fingerprint = text_of(scenario->again);
    if (scenario->again != NULL)
        world_command(world, WORLD_ORDER, "placement", &second, &place, &reply);
    snprintf(said, STARVE_SAID_MAX, "below held %d, replayed %d, reused %d\n", was_put.below_held,
             reply.replayed, reply.reused);
    world_adopt(world, &id);
    if (scenario->later)
        let_a_later_version_write(world, &id);
    call_off(scenario, world, &id, said);
    if (scenario->newest_first)
        hear_newest_first(world, said);
    world_settle(world);
    for (size_t i = 0; scenario->twice && i < world_events(world); i++)
        hear(world, i, said);
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
#define SMALL_ORDER                                                                                \
    "{\"customer_id\":\"cus_1\",\"currency\":\"EUR\",\"items\":" ITEMS                             \
    ",\"payment_method\":\"pm_card\",\"shipping_address\":" HOME "}"
#define TIMELINE "1700000000000000 order.created -1 -1 -\n1700000000000001 payment.done 1 7 -"
#define POST .run = ask, .service = &order_service, .route = 0
#define GET .run = ask, .service = &order_service, .route = 1
#define CANCEL .run = ask, .service = &order_service, .route = 2
#define SHOW .run = ask, .service = &order_service, .route = 3
#define STOCK .run = ask, .service = &inventory_service, .route = 0
#define PUT .run = ask, .service = &inventory_service, .route = 1
#define SAGA .run = travel

static char remembered[192]; /* what SMALL_ORDER with the key k1 leaves in Redis */

static const struct order_news completed = {.facts = FACT_CREATED | FACT_COMPLETED},
                               unheard_of = {.facts = FACT_CREATED | 1 << 30};

static const struct scenario scenarios[] = {
    {"POST an order", POST, .body = ORDER, .says = "201 {"},
    {"POST, with a key", POST, .body = ORDER, .key = "k1", .says = "remember "},
    {"POST, and wait for the end", POST, .body = ORDER, .key = "\"k1\"", .prefer = "wait=3",
     .says = "\"completed\""},
    {"POST, and is told the end", POST, .body = SMALL_ORDER, .prefer = "wait=3", .news = &completed,
     .says = "\"completed\""},
    {"POST, told by a later version", POST, .body = SMALL_ORDER, .prefer = "wait=3",
     .news = &unheard_of, .says = "202 {"},
    {"POST, repeated", POST, .body = SMALL_ORDER, .key = "k1", .recalled = remembered,
     .says = "Idempotent-Replayed: true\n201 {"},
    {"POST, repeated, and wait", POST, .body = SMALL_ORDER, .key = "k1", .recalled = remembered,
     .prefer = "wait=3", .says = "Idempotent-Replayed: true\nPreference-Applied: wait=3\n201 {"},
    {"POST, repeated, Redis forgot", POST, .body = SMALL_ORDER, .key = "k1", .replays = true,
     .says = "Idempotent-Replayed: true\n201 {"},
    {"POST, repeated, later version", POST, .body = SMALL_ORDER, .key = "k1",
     .recalled = "of a later version", .replays = true, .says = "Idempotent-Replayed: true\n201 {"},
    {"POST, key of another order", POST, .body = ORDER, .key = "k1", .recalled = remembered,
     .says = "422 idempotency_key_reused"},
    {"POST, and Redis forgot", POST, .body = SMALL_ORDER, .key = "k1", .declines = true,
     .says = "422 idempotency_key_reused"},
    {"POST, key in use now", POST, .body = SMALL_ORDER, .key = "k1", .outcome = SAGA_BUSY,
     .says = "409 idempotency_in_progress"},
    {"POST, key that is none", POST, .body = SMALL_ORDER, .key = "k 1",
     .says = "400 invalid_idempotency_key"},
    {"POST, not taken", POST, .body = SMALL_ORDER, .outcome = SAGA_BUSY, .says = "503 unavailable"},
    {"POST, failed", POST, .body = SMALL_ORDER, .outcome = SAGA_FAILED, .says = "503 failed"},
    {"POST, order against the rules", POST, .body = WRONG_ORDER, .says = "422 invalid_order"},
    {"POST, not JSON", POST, .body = "{\"customer_id\":\"cus_1\",\"customer_id\":2}",
     .says = "400 invalid_order"},
    {"GET an order", GET, .says = "200 {"},
    {"GET, no such order", GET, .missing = true, .says = "404 order_not_found"},
    {"GET, no id", GET, .path = "x", .says = "404 order_not_found"},
    {"GET, database away", GET, .outcome = SAGA_BUSY, .says = "503 unavailable"},
    {"GET, of a later version", GET, .later = true, .says = "503 later_version"},
    {"cancel", CANCEL, .says = "202 {"},
    {"cancel, too late", CANCEL, .declines = true, .says = "409 order_not_cancellable"},
    {"cancel, not taken", CANCEL, .outcome = SAGA_BUSY, .says = "503 unavailable"},
    {"cancel, failed", CANCEL, .outcome = SAGA_FAILED, .says = "503 failed"},
    {"cancel, of a later version", CANCEL, .later = true, .says = "503 later_version"},
    {"timeline", SHOW, .body = TIMELINE, .says = "200 {"},
    {"timeline, no such order", SHOW, .missing = true, .says = "404 order_not_found"},
    {"timeline, of a later version", SHOW, .body = LATER_TIMELINE, .says = "503 later_version"},
    {"GET stock", STOCK, .path = "SKU-1", .says = "200 {"},
    {"GET stock, no such SKU", STOCK, .path = "SKU-1", .missing = true,
     .says = "404 sku_not_found"},
    {"PUT stock", PUT, .path = "SKU-1", .body = "{\"on_hand\":7}", .says = "200 {"},
    {"PUT stock, below what is held", PUT, .path = "SKU-1", .body = "{\"on_hand\":7}",
     .declines = true, .says = "409 stock_below_held"},
    {"PUT stock, failed", PUT, .path = "SKU-1", .body = "{\"on_hand\":7}", .outcome = SAGA_FAILED,
     .says = "503 failed"},
    {"PUT stock, against the rules", PUT, .path = "SKU-1", .body = "{\"on_hand\":-7,\"x\":1}",
     .says = "422 invalid_stock"},
    {"PUT stock, not JSON", PUT, .path = "SKU-1", .body = "{", .says = "400 invalid_stock"},
    {"saga: completed", SAGA, .key = "cus_1 k", .says = "order.completed"},
    {"saga: completed, heard twice", SAGA, .twice = true, .says = "duplicate order.created"},
    {"saga: key again", SAGA, .key = "cus_1 k", .again = "cus_1 k", .says = "replayed 1, reused 0"},
    {"saga: key of another order", SAGA, .key = "cus_1 k", .again = "another",
     .says = "replayed 0, reused 1"},
    {"saga: card declined", SAGA, .method = "pm_card_declined", .says = "card_declined"},
    {"saga: no such method", SAGA, .method = "gold", .says = "unknown_payment_method"},
    {"saga: out of stock", SAGA,
     .items = "[{\"sku\":\"SKU-1\",\"quantity\":900,\"unit_amount\":1}]", .says = "out_of_stock"},
    {"saga: no such SKU", SAGA, .items = "[{\"sku\":\"SKU-9\",\"quantity\":1,\"unit_amount\":1}]",
     .says = "unknown_sku"},
    {"saga: stock below held", SAGA, .held = 101, .says = "below held 1"},
    {"saga: no way there", SAGA, .country = "{\"country\":\"AQ\"}",
     .says = "address_undeliverable"},
    {"saga: no way, heard twice", SAGA, .country = "{\"country\":\"AQ\"}", .twice = true,
     .says = "duplicate shipping.failed"},
    {"saga: cancelled", SAGA, .undo = CUSTOMER_EARLY, .says = "cancel: accepted"},
    {"saga: cancel is heard first", SAGA, .undo = CUSTOMER_EARLY, .newest_first = true,
     .says = "void order.created"},
    {"saga: paid, cancel is heard first", SAGA, .undo = CUSTOMER_EARLY, .paid = true,
     .newest_first = true, .says = "void payment.done"},
    {"saga: cancelled too late", SAGA, .undo = CUSTOMER_LATE, .says = "cancel: too late"},
    {"saga: past its deadline", SAGA, .undo = DEADLINE, .says = "deadline_exceeded"},
    {"saga: of a later version", SAGA, .later = true, .says = "order.held v2"},
};

/* ---- the program ---- */

static const char *name_of(size_t i)
{
    return scenarios[i].name;
}

static const char *says_of(size_t i)
{
    return scenarios[i].says;
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

/* An order with a key, whose fingerprint is then known; libcrypto makes its tables once. */
static bool remember(void)
{
    static const struct scenario first = {"first", POST, .body = SMALL_ORDER, .key = "k1"};
    static char said[STARVE_SAID_MAX];
    ask(&first, said);
    const char *value = strstr(said, "\nremember ");
    return value != NULL && sscanf(value, "\nremember %191[^\n]", remembered) == 1;
}

int main(void)
{
    if (!remember())
        return 2;
    return starve(&(struct starve){.name = "handlers",
                                   .count = sizeof scenarios / sizeof *scenarios,
                                   .scenario = name_of,
                                   .must_say = says_of,
                                   .run = run,
                                   .counts = counts});
}
