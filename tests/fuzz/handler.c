/*
 * handler.c: whatever can be read from a topic goes through the handlers of all who hear it, in
 * order, and then once more from the last to the first, with all that is said because of it: each
 * handler must be a function of its message and its rows, say what its table declares, and no
 * service may say the same of an order twice (I1).
 *
 * Input: a line for each record: the topic, a space, the value. There is one order, of ORDER_ID.
 */
#include <stdlib.h>
#include <string.h>

#include "core/scan.h"
#include "inventory-svc/put_stock.h"
#include "order-svc/steps.h"
#include "saga/service.h"
#include "unit/support/world.h"

#define RECORDS_MAX 16
#define ORDER_ID                                                                                   \
    {                                                                                              \
        {                                                                                          \
            0x01, 0x90, 0xaa, 0xaa, 0xaa, 0xaa, 0x7a, 0xaa, 0x8a, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,    \
                0xaa, 0xaa                                                                         \
        }                                                                                          \
    }

extern const struct saga_service order_service, payment_service, inventory_service,
    shipping_service;
static const struct saga_service *const services[WORLD_SERVICES] = {
    &order_service, &payment_service, &inventory_service, &shipping_service};

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Each service has a shape of its own for what it hears. */
static const char *name;
static struct saga_text value;
static struct saga_uuid order_id;
static size_t known, readable;

static void read_as(saga_events events)
{
    struct arena arena = {0};
    for (; events != NULL && *events != NULL; events++) {
        if (strcmp((*events)->name, name) != 0)
            continue;
        char *body = arena_alloc(&arena, (*events)->shape->size);
        known++;
        if (scan_object(&arena, value, (*events)->shape, body) != NULL)
            continue;
        readable++;
        memcpy(&order_id, body + (*events)->shape->fields[0].offset, sizeof order_id);
    }
    arena_free(&arena);
}

/* By whoever says or hears it. */
static bool all_can_read(void)
{
    known = readable = 0;
    for (size_t i = 0; i < WORLD_SERVICES; i++) {
        const struct saga_service *service = services[i];
        read_as(service->says);
        for (size_t k = 0; service->watches != NULL && service->watches[k] != NULL; k++)
            read_as(service->watches[k]->on);
        for (size_t k = 0; service->steps[k] != NULL; k++) {
            read_as(service->steps[k]->action.on);
            read_as(service->steps[k]->undo.on);
        }
    }
    return known > 0 && readable == known;
}

static void place(struct world *world)
{
    const struct saga_uuid id = ORDER_ID;
    struct place order = {
        .customer_id = SAGA_TEXT("cus_1"),
        .currency = SAGA_TEXT("EUR"),
        .total = 500,
        .items = SAGA_TEXT("[{\"sku\":\"SKU-1\",\"quantity\":2,\"unit_amount\":250}]"),
        .payment_method = SAGA_TEXT("pm_card"),
        .shipping_address = SAGA_TEXT("{\"country\":\"DE\"}"),
        .metadata = SAGA_TEXT("{}"),
        .deadline_us = 1000000,
    };
    struct place_reply reply;
    struct put_stock put = {SAGA_TEXT("SKU-1"), 100};
    struct put_stock_reply was_put;
    world_command(world, WORLD_INVENTORY, "put_stock", &(struct saga_uuid){{0}}, &put, &was_put);
    world_command(world, WORLD_ORDER, "placement", &id, &order, &reply);
    world_adopt(world, &id);
}

static const char *const names[] = {
    "order.created",      "order.cancel_requested", "order.cancelled",  "order.completed",
    "payment.done",       "payment.failed",         "payment.refunded", "inventory.reserved",
    "inventory.released", "inventory.failed",       "order.shipped",    "shipping.failed"};

static void take(struct world *world, struct saga_text topic)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        name = names[i];
        if (saga_text_equal(saga_text(name), topic) && all_can_read())
            world_say(world, name, &order_id, value);
    }
}

static void take_all(struct world *world, const char *at, const char *end)
{
    for (int i = 0; i < RECORDS_MAX && at < end; i++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop != NULL ? stop : end;
        const char *space = memchr(at, ' ', (size_t)(stop - at));
        if (space != NULL) {
            value = (struct saga_text){space + 1, (size_t)(stop - space - 1)};
            take(world, (struct saga_text){at, (size_t)(space - at)});
        }
        at = stop + 1;
    }
}

/* Events from `first` to `own` are the input; the services said all others. */
static void check_once(const struct world *world, size_t first, size_t own)
{
    for (size_t i = own; i < world_events(world); i++) {
        const struct world_event *one = world_event(world, i);
        for (size_t j = 0; j < i; j++) {
            const struct world_event *other = world_event(world, j);
            bool said = j < first || j >= own;
            check(!said || strcmp(one->name, other->name) != 0 ||
                  memcmp(&one->order_id, &other->order_id, sizeof one->order_id) != 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *world = world_new();
    place(world);
    size_t first = world_events(world);
    take_all(world, (const char *)data, (const char *)data + size);
    size_t own = world_events(world);
    world_settle(world);
    for (size_t i = world_events(world); i-- > 0;)
        for (int service = 0; service < WORLD_SERVICES; service++)
            world_deliver(world, i, service, NULL);
    world_settle(world);
    check_once(world, first, own);
    world_free(world);
    return 0;
}
