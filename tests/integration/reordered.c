/*
 * reordered.c: what was done later is heard earlier. The topics are read side by side, so an undo
 * may come before its action; here it always does, for orders of our own and for those of a load
 * that goes on all the time. Offsets are moved by hand, so the auditor can only look in the end.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "support/auditor.h"
#include "support/clock.h"
#include "support/db.h"
#include "support/groups.h"
#include "support/harm.h"
#include "support/metric.h"
#include "support/orders.h"
#include "support/stack.h"
#include "support/promised.h"

#define SOON_S 30
#define ANSWERS_S 60
#define SETTLE_S 90
#define ORDERS 20
#define PARTITIONS 2
#define VOID(step, op) "saga_steps_total{step=\"" step "\",op=\"" op "\",result=\"void\"}"

static void attach(void)
{
    cr_assert(stack_attach());
}

TestSuite(reordered, .init = attach, .timeout = 300);

/* How often so far; not yet is 0. */
static double count_of(const char *address, const char *series)
{
    double count = metric_of(stack_address(address), series);
    return count < 0 ? 0 : count;
}

/* It leaves its group: then offsets can be stored for it. */
static void payment_stops(void)
{
    struct stack_part part;
    cr_assert(stack_part("payment-svc", &part));
    cr_assert_eq(kill(part.pid, SIGTERM), 0);
    cr_assert(CLOCK_UNTIL(SOON_S, stack_gone(part.pid)));
}

static void payment_goes_on_at(const int64_t offsets[PARTITIONS])
{
    for (int32_t i = 0; i < PARTITIONS; i++)
        cr_assert(groups_store(stack_address("KAFKA_BOOTSTRAP"), "payment-svc", "order.created", i,
                               offsets[i]));
    cr_assert(stack_up("payment-svc", NULL));
}

static bool is_void(enum db db, const char *table, const char *id)
{
    char sql[96];
    snprintf(sql, sizeof sql, "SELECT state FROM %s WHERE order_id = $1::uuid", table);
    return db_int(db, sql, id) == 4;
}

static void place_and_cancel(struct order_answer *order)
{
    *order = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert_eq(order->status, 201, "%d", order->status);
    struct order_answer cancel = order_cancel(order->id);
    cr_assert_eq(cancel.status, 202, "%d", cancel.status);
    order_answer_free(&cancel);
}

/* Cancelled before they are paid for, and payment hears of the cancel first. Each undo finds
 * nothing, says that it is done, and keeps out the action, which comes last. */
Test(reordered, undos_are_heard_before_their_actions)
{
    const char *kafka = stack_address("KAFKA_BOOTSTRAP");
    int64_t before[PARTITIONS], after[PARTITIONS];
    struct order_answer orders[ORDERS];
    struct traffic *traffic = traffic_begin(HARM_RATE);
    harm_wait_accepted(traffic);
    double before_count = count_of("INVENTORY_API", VOID("inventory", "undo"));
    payment_stops();
    for (int32_t i = 0; i < PARTITIONS; i++)
        before[i] = groups_stored(kafka, "payment-svc", "order.created", i);
    for (size_t i = 0; i < ORDERS; i++)
        place_and_cancel(&orders[i]);
    for (size_t i = 0; i < ORDERS; i++)
        cr_assert(CLOCK_UNTIL(SOON_S, is_void(DB_INVENTORY, "reservation", orders[i].id)));
    cr_assert_geq(count_of("INVENTORY_API", VOID("inventory", "undo")), before_count + ORDERS);
    for (int32_t i = 0; i < PARTITIONS; i++)
        after[i] = groups_end(kafka, "order.created", i);
    payment_goes_on_at(after);
    for (size_t i = 0; i < ORDERS; i++)
        cr_assert(order_reaches(orders[i].id, "cancelled", SOON_S));
    cr_assert_geq(count_of("PAYMENT_OPS", VOID("payment", "undo")), ORDERS);
    harm_wait_accepted(traffic);
    payment_stops();
    payment_goes_on_at(before);
    cr_assert(CLOCK_UNTIL(SOON_S, count_of("PAYMENT_OPS", VOID("payment", "action")) >= ORDERS));
    for (int32_t i = 0; i < PARTITIONS; i++)
        cr_assert(CLOCK_UNTIL(SOON_S,
                              groups_stored(kafka, "payment-svc", "order.created", i) >= after[i]));
    harm_wait_accepted(traffic);
    bool all = traffic_end(traffic, ANSWERS_S);
    cr_assert_null(traffic_complaint(traffic), "%s", traffic_complaint(traffic));
    cr_assert(all);
    auditor_holds(SETTLE_S);
    for (size_t i = 0; i < ORDERS; i++) {
        cr_assert_eq(db_int(DB_PAYMENT,
                            "SELECT state * 10 + amount FROM payment WHERE order_id = $1::uuid",
                            orders[i].id),
                     40);
        order_answer_free(&orders[i]);
    }
    const char *wrong = promised_wrong_traffic(traffic);
    cr_assert_null(wrong, "%s", wrong);
    traffic_free(traffic);
}
