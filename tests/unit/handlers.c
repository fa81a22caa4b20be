/* handlers.c: the handlers of the four services, on rows in memory; each message decided twice. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "inventory-svc/put_stock.h"
#include "inventory-svc/tables.h"
#include "order-svc/facts.h"
#include "order-svc/steps.h"
#include "support/world.h"

/* The rows of payment-svc and shipping-svc by their first members: their headers and
 * inventory-svc's do not fit into one file, and need not. */
struct ledger_row {
    struct saga_uuid order_id;
    struct saga_text kind;
    int64_t amount;
};

struct parcel_row {
    struct saga_uuid order_id;
    int16_t state;
    struct saga_text country, tracking_number;
};

static struct world *world;
static uint64_t seed;

static void setup(void)
{
    world = world_new();
    world_put(world, WORLD_INVENTORY, "stock", &(struct stock){SAGA_TEXT("SKU-1"), 100, 0});
    world_put(world, WORLD_INVENTORY, "stock", &(struct stock){SAGA_TEXT("SKU-2"), 3, 0});
}

static void teardown(void)
{
    world_free(world);
}

TestSuite(handlers, .init = setup, .fini = teardown);

static struct saga_uuid new_id(void)
{
    static uint8_t next;
    return (struct saga_uuid){.bytes = {1, [6] = 0x70, [8] = 0x80, [15] = ++next}};
}

static struct place order_of(const char *method, const char *items, const char *country)
{
    return (struct place){
        .customer_id = SAGA_TEXT("cus_1"),
        .currency = SAGA_TEXT("EUR"),
        .total = 500,
        .items = saga_text(items),
        .payment_method = saga_text(method),
        .shipping_address = saga_text(country),
        .metadata = SAGA_TEXT("{}"),
        .deadline_us = 1000000,
    };
}

#define ITEMS "[{\"sku\":\"SKU-1\",\"quantity\":2,\"unit_amount\":250}]"
#define TWO_ITEMS                                                                                  \
    "[{\"sku\":\"SKU-1\",\"quantity\":2,\"unit_amount\":100},"                                     \
    "{\"sku\":\"SKU-2\",\"quantity\":3,\"unit_amount\":100}]"
#define HOME "{\"country\":\"DE\"}"

static enum batch_result put(const struct saga_uuid *id, struct place place,
                             struct place_reply *reply)
{
    /* The order's total follows from nothing here: payment takes what it is told. */
    return world_command(world, WORLD_ORDER, "placement", id, &place, reply);
}

static struct saga_uuid place(const char *method, const char *items, const char *address)
{
    struct saga_uuid id = new_id();
    struct place_reply reply;
    cr_assert_eq(put(&id, order_of(method, items, address), &reply), BATCH_DONE);
    return id;
}

static int32_t facts_of(const struct saga_uuid *id)
{
    const struct order_row *order = world_find(world, WORLD_ORDER, "orders", id);
    cr_assert_not_null(order);
    return order->facts;
}

static int64_t money(const struct saga_uuid *id, const char *kind)
{
    int64_t sum = 0;
    for (size_t i = 0; i < world_count(world, WORLD_PAYMENT, "payment_ledger"); i++) {
        const struct ledger_row *row = world_row(world, WORLD_PAYMENT, "payment_ledger", i);
        if (memcmp(&row->order_id, id, sizeof *id) == 0 &&
            saga_text_equal(row->kind, saga_text(kind)))
            sum += row->amount;
    }
    return sum;
}

static int64_t stock_of(const char *sku, bool held)
{
    for (size_t i = 0; i < world_count(world, WORLD_INVENTORY, "stock"); i++) {
        const struct stock *stock = world_row(world, WORLD_INVENTORY, "stock", i);
        if (saga_text_equal(stock->sku, saga_text(sku)))
            return held ? stock->held : stock->on_hand;
    }
    return -1;
}

static bool shipped(const struct saga_uuid *id)
{
    const struct parcel_row *parcel = world_find(world, WORLD_SHIPPING, "parcel", id);
    return parcel != NULL && parcel->tracking_number.at != NULL;
}

static struct saga_uuid run(const char *method, const char *items, const char *address)
{
    struct saga_uuid id = place(method, items, address);
    world_adopt(world, &id);
    world_settle(world);
    return id;
}

static void is_cancelled(const struct saga_uuid *id, const char *reason, int64_t charged)
{
    cr_assert_str_eq(order_status(facts_of(id)), "cancelled");
    cr_assert_str_eq(order_status_reason(facts_of(id)), reason);
    cr_assert_eq(money(id, "charged"), charged);
    cr_assert_eq(money(id, "refunded"), charged);
    cr_assert_eq(stock_of("SKU-1", true), 0);
    cr_assert_eq(stock_of("SKU-2", true), 0);
    cr_assert(!shipped(id));
    cr_assert_eq(world_count(world, WORLD_ORDER, "timer"), 0);
}

Test(handlers, an_order_completes)
{
    struct saga_uuid id = run("pm_card", TWO_ITEMS, HOME);
    cr_assert_str_eq(order_status(facts_of(&id)), "completed");
    cr_assert_null(order_status_reason(facts_of(&id)));
    cr_assert_eq(money(&id, "charged"), 500);
    cr_assert_eq(money(&id, "refunded"), 0);
    cr_assert_eq(stock_of("SKU-1", false), 98);
    cr_assert_eq(stock_of("SKU-2", false), 0);
    cr_assert_eq(stock_of("SKU-1", true), 0);
    cr_assert(shipped(&id));
    cr_assert_eq(world_count(world, WORLD_ORDER, "timer"), 0);
}

/* What only a later version knows of an order stays, whatever this one adds. */
Test(handlers, what_a_later_version_wrote_stays)
{
    static const char *const methods[] = {"pm_card", "pm_card_declined"};
    static const char line[] = "2 order.held v2 {\"by\":\"somebody\"}\n";
    for (int i = 0; i < 2; i++) {
        struct saga_uuid id = place(methods[i], ITEMS, HOME);
        world_adopt(world, &id);
        struct order_row *order =
            (struct order_row *)(uintptr_t)world_find(world, WORLD_ORDER, "orders", &id);
        char timeline[400];
        snprintf(timeline, sizeof timeline, "%.*s%s", (int)order->timeline.len, order->timeline.at,
                 line);
        order->timeline = saga_text(timeline);
        order->facts |= 1 << 30 | 1 << 19;
        cr_assert_not(order_facts_known(order->facts));
        world_settle(world);
        order = (struct order_row *)(uintptr_t)world_find(world, WORLD_ORDER, "orders", &id);
        cr_assert_eq(order->facts & (1 << 30 | 1 << 19), 1 << 30 | 1 << 19);
        cr_assert_str_eq(order_status(order->facts), i == 0 ? "completed" : "cancelled");
        cr_assert_eq(memcmp(order->timeline.at, timeline, strlen(timeline)), 0);
        cr_assert_gt(order->timeline.len, strlen(timeline));
    }
}

Test(handlers, each_step_refuses_with_its_reasons)
{
    struct saga_uuid id = run("pm_card_declined", ITEMS, HOME);
    is_cancelled(&id, "card_declined", 0);
    id = run("pm_insufficient_funds", ITEMS, HOME);
    is_cancelled(&id, "insufficient_funds", 0);
    id = run("gold", ITEMS, HOME);
    is_cancelled(&id, "unknown_payment_method", 0);
    id = run("pm_card", "[{\"sku\":\"SKU-9\",\"quantity\":1,\"unit_amount\":1}]", HOME);
    is_cancelled(&id, "unknown_sku", 500);
    id = run("pm_card", "[{\"sku\":\"SKU-2\",\"quantity\":4,\"unit_amount\":1}]", HOME);
    is_cancelled(&id, "out_of_stock", 500);
    id = run("pm_card", TWO_ITEMS, "{\"country\":\"AQ\"}");
    is_cancelled(&id, "address_undeliverable", 500);
}

Test(handlers, a_reservation_takes_every_item_or_none)
{
    struct saga_uuid id = run("pm_card",
                              "[{\"sku\":\"SKU-1\",\"quantity\":1,\"unit_amount\":1},"
                              "{\"sku\":\"SKU-2\",\"quantity\":4,\"unit_amount\":1}]",
                              HOME);
    is_cancelled(&id, "out_of_stock", 500);
    cr_assert_eq(world_count(world, WORLD_INVENTORY, "stock_ledger"), 0);
}

Test(handlers, the_last_piece_is_sold_once)
{
    struct saga_uuid first = run("pm_card", TWO_ITEMS, HOME),
                     second = run("pm_card", TWO_ITEMS, HOME);
    cr_assert_str_eq(order_status(facts_of(&first)), "completed");
    cr_assert_str_eq(order_status(facts_of(&second)), "cancelled");
    cr_assert_eq(stock_of("SKU-2", false), 0);
}

/* ---- stock ---- */

static struct put_stock_reply put_stock(const char *sku, int64_t on_hand)
{
    struct put_stock put = {saga_text(sku), on_hand};
    struct put_stock_reply reply = {.held = -1};
    world_command(world, WORLD_INVENTORY, "put_stock", &(struct saga_uuid){{0}}, &put, &reply);
    cr_assert_null(world_reason(world), "%s", world_reason(world));
    return reply;
}

static void last_entry_is(size_t count, const char *sku, int64_t quantity)
{
    cr_assert_eq(world_count(world, WORLD_INVENTORY, "stock_ledger"), count);
    const struct stock_entry *entry = world_row(world, WORLD_INVENTORY, "stock_ledger", count - 1);
    char items[80];
    snprintf(items, sizeof items, "{\"items\":[{\"sku\":\"%s\",\"quantity\":%lld}]}", sku,
             (long long)quantity);
    cr_assert(saga_text_equal(entry->kind, SAGA_TEXT("put")));
    cr_assert(saga_text_equal(entry->items, saga_text(items)));
}

Test(handlers, stock_is_put_with_a_ledger_entry_each_time)
{
    cr_assert(!put_stock("SKU-7", 10).below_held);
    last_entry_is(1, "SKU-7", 10);
    cr_assert(!put_stock("SKU-7", 4).below_held);
    last_entry_is(2, "SKU-7", -6);
    cr_assert(!put_stock("SKU-7", 4).below_held);
    last_entry_is(3, "SKU-7", 0);
    cr_assert_eq(stock_of("SKU-7", false), 4);
    cr_assert_eq(stock_of("SKU-7", true), 0);
    cr_assert_eq(world_events(world), 0);
}

Test(handlers, stock_is_not_put_below_what_is_held)
{
    world_put(world, WORLD_INVENTORY, "stock", &(struct stock){SAGA_TEXT("SKU-8"), 5, 3});
    struct put_stock_reply reply = put_stock("SKU-8", 2);
    cr_assert(reply.below_held && reply.held == 3);
    cr_assert_eq(stock_of("SKU-8", false), 5);
    cr_assert_eq(world_count(world, WORLD_INVENTORY, "stock_ledger"), 0);
    reply = put_stock("SKU-8", 3);
    cr_assert(!reply.below_held && reply.held == 3);
    cr_assert_eq(stock_of("SKU-8", false), 3);
    cr_assert_eq(stock_of("SKU-8", true), 3);
    last_entry_is(1, "SKU-8", -2);
}

static enum cancel_reply cancel(const struct saga_uuid *id)
{
    enum cancel_reply reply;
    world_command(world, WORLD_ORDER, "cancel", id, NULL, &reply);
    return reply;
}

Test(handlers, a_cancel_before_anything_else_takes_nothing)
{
    struct saga_uuid id = place("pm_card", ITEMS, HOME);
    world_adopt(world, &id);
    cr_assert_eq(cancel(&id), CANCEL_ACCEPTED);
    cr_assert_eq(cancel(&id), CANCEL_ACCEPTED); /* once is enough: nothing more is said */
    cr_assert_eq(world_events(world), 2);
    cr_assert_str_eq(order_status(facts_of(&id)), "cancelling");
    world_settle(world);
    is_cancelled(&id, "customer_request", money(&id, "charged"));
}

Test(handlers, a_cancel_after_shipping_is_too_late)
{
    struct saga_uuid id = run("pm_card", ITEMS, HOME), nobody = new_id();
    size_t said = world_events(world);
    cr_assert_eq(cancel(&id), CANCEL_TOO_LATE);
    cr_assert_eq(cancel(&nobody), CANCEL_UNKNOWN_ORDER);
    cr_assert_eq(world_events(world), said);
}

Test(handlers, a_deadline_is_acted_upon_once)
{
    struct saga_uuid id = place("pm_card", ITEMS, HOME);
    world_adopt(world, &id);
    cr_assert_eq(world_command(world, WORLD_ORDER, "expire", &id, NULL, NULL), BATCH_DONE);
    cr_assert_eq(world_command(world, WORLD_ORDER, "expire", &id, NULL, NULL), BATCH_DUPLICATE);
    cr_assert_eq(world_events(world), 2);
    cr_assert_eq(world_count(world, WORLD_ORDER, "timer"), 1);
    world_settle(world);
    is_cancelled(&id, "deadline_exceeded", money(&id, "charged"));
}

Test(handlers, a_key_makes_one_order)
{
    struct saga_uuid first = new_id(), second = new_id();
    struct place place = order_of("pm_card", ITEMS, HOME);
    struct place_reply reply;
    place.key = SAGA_TEXT("cus_1 key");
    place.fingerprint = SAGA_TEXT("abc");
    cr_assert_eq(put(&first, place, &reply), BATCH_DONE);
    int64_t created_at = reply.created_at;
    cr_assert_eq(put(&second, place, &reply), BATCH_DUPLICATE);
    cr_assert(reply.replayed && !reply.reused && reply.created_at == created_at);
    cr_assert_eq(memcmp(&reply.order_id, &first, sizeof first), 0);
    place.fingerprint = SAGA_TEXT("def");
    cr_assert_eq(put(&second, place, &reply), BATCH_DUPLICATE);
    cr_assert(!reply.replayed && reply.reused);
    cr_assert_eq(world_count(world, WORLD_ORDER, "orders, new"), 1);
    cr_assert_eq(world_events(world), 1);
}

Test(handlers, an_event_of_no_order_is_poison)
{
    struct saga_uuid id = place("pm_card", ITEMS, HOME); /* never adopted: order-svc forgot it */
    enum batch_result result;
    cr_assert(world_deliver(world, 0, WORLD_PAYMENT, &result));
    cr_assert(world_deliver(world, 1, WORLD_ORDER, &result));
    cr_assert_eq(result, BATCH_POISON);
    cr_assert_str_eq(world_reason(world), "unknown_order");
    (void)id;
}

/* ---- any order of delivery, with duplicates, by chance ---- */

static uint32_t chance(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

static void deliver_by_chance(const struct saga_uuid *id, bool cancels)
{
    bool heard[64][WORLD_SERVICES] = {{false}};
    for (;;) {
        size_t open[256][2], count = 0;
        for (size_t i = 0; i < world_events(world); i++)
            for (size_t service = 0; service < WORLD_SERVICES; service++)
                if (!heard[i][service]) {
                    open[count][0] = i;
                    open[count++][1] = service;
                }
        if (count == 0)
            return;
        if (cancels && chance(8) == 0)
            (void)cancel(id);
        size_t *pick = open[chance((uint32_t)count)];
        world_deliver(world, pick[0], (int)pick[1], NULL);
        cr_assert_null(world_reason(world), "%s", world_reason(world));
        heard[pick[0]][pick[1]] = true;
        if (chance(3) == 0) /* again, whatever it was */
            world_deliver(world, chance((uint32_t)world_events(world)), (int)chance(WORLD_SERVICES),
                          NULL);
    }
}

/* heard[] knows an event as delivered that was delivered again by chance before its turn: that is
 * one more delivery, never one less. */
Test(handlers, any_delivery_ends_in_balance)
{
    static const char *const methods[] = {"pm_card", "pm_card", "pm_card", "pm_card_declined"};
    static const char *const homes[] = {HOME, HOME, "{\"country\":\"AQ\"}"};
    static const char *const items[] = {ITEMS, TWO_ITEMS,
                                        "[{\"sku\":\"SKU-9\",\"quantity\":1,\"unit_amount\":1}]"};
    size_t completed = 0, cancelled = 0;
    for (seed = 1; seed <= 3000; seed++) {
        uint64_t began = seed;
        teardown();
        setup();
        struct saga_uuid id = place(methods[chance(4)], items[chance(3)], homes[chance(3)]);
        world_adopt(world, &id);
        deliver_by_chance(&id, began % 2);
        bool done = strcmp(order_status(facts_of(&id)), "completed") == 0;
        cr_assert(order_is_final(facts_of(&id)), "seed %llu: %s", (unsigned long long)began,
                  order_status(facts_of(&id)));
        cr_assert_eq(money(&id, "charged") - money(&id, "refunded"), done ? 500 : 0);
        cr_assert_eq(stock_of("SKU-1", true), 0);
        cr_assert_eq(stock_of("SKU-1", false), done ? 98 : 100);
        cr_assert_eq(shipped(&id), done);
        completed += done;
        cancelled += !done;
        seed = began;
    }
    cr_assert(completed > 100 && cancelled > 100, "%zu completed, %zu cancelled", completed,
              cancelled);
}

/* ---- facts ---- */

/* Whatever is learned, in whatever order: a status only goes forward, and an end stays. */
Test(facts, a_fact_more_never_moves_an_order_backwards)
{
    for (int32_t facts = 0; facts < 1 << 19; facts++) {
        if (!(facts & FACT_CREATED))
            continue;
        const char *status = order_status(facts);
        bool completed = strcmp(status, "completed") == 0;
        for (int bit = 0; bit < 19; bit++) {
            const char *then = order_status(facts | 1 << bit);
            if (completed)
                cr_assert_str_eq(then, "completed");
            if (strcmp(status, "cancelled") == 0)
                cr_assert(strcmp(then, "cancelled") == 0 || strcmp(then, "completed") == 0);
            if (strcmp(status, "pending") != 0)
                cr_assert_str_neq(then, "pending");
        }
    }
}

Test(facts, those_of_a_later_version_are_told_apart)
{
    cr_assert(order_facts_known(0));
    for (int i = 0; i < 32; i++)
        cr_assert_eq(order_facts_known((int32_t)(UINT32_C(1) << i)), i <= 18, "%d", i);
}

Test(facts, a_refusal_wins_over_the_customer_and_he_over_the_deadline)
{
    int32_t facts = FACT_CREATED | FACT_SHIPPING_FAILED | FACT_DEADLINE_EXCEEDED;
    cr_assert_str_eq(order_status_reason(facts), "deadline_exceeded");
    facts |= FACT_CUSTOMER_REQUEST;
    cr_assert_str_eq(order_status_reason(facts), "customer_request");
    facts |= FACT_OUT_OF_STOCK;
    cr_assert_str_eq(order_status_reason(facts), "out_of_stock");
    facts |= FACT_SHIPPED;
    cr_assert_null(order_status_reason(facts));
}
