/* outlived.c: what an order database has left behind; see outlived.h. */
#include "outlived.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "groups.h"
#include "promised.h"
#include "stack.h"

#define ANSWERS_S 90
#define HEARD(table) /* what is undone was done before: two events */                              \
    "SELECT coalesce(string_agg(order_id::text || CASE state WHEN 3 THEN ',' || order_id::text"    \
    " ELSE '' END, ','), '') FROM " table " WHERE state <> 0"
#define STRAYS                                                                                     \
    "SELECT count(*) FROM (SELECT id::uuid AS order_id, count(*) AS heard"                         \
    " FROM unnest(string_to_array($1, ',')) AS e(id) WHERE id <> '' GROUP BY id) e"                \
    " LEFT JOIN (SELECT order_id, count(DISTINCT topic) AS parked FROM dead_letter"                \
    " GROUP BY order_id) d USING (order_id)"                                                       \
    " WHERE NOT EXISTS (SELECT FROM orders o WHERE o.order_id = e.order_id)"

/* ---- customers ---- */

void outlived_give_up(struct traffic *traffic)
{
    (void)traffic_end(traffic, 1); /* some have no answer: nobody is there to give one */
    cr_assert_null(traffic_complaint(traffic), "%s", traffic_complaint(traffic));
    traffic_free(traffic);
}

void outlived_settle(struct traffic *traffic)
{
    bool all = traffic_end(traffic, ANSWERS_S);
    cr_assert_null(traffic_complaint(traffic), "%s", traffic_complaint(traffic));
    cr_assert(all, "%zu of %zu orders have their answer", traffic_accepted(traffic),
              traffic_sent(traffic));
    const char *wrong = promised_wrong_traffic(traffic);
    cr_assert_null(wrong, "%s", wrong);
    cr_assert_eq(promised_strangers(), 0, "orders are there that nobody asked for");
    traffic_free(traffic);
}

/* ---- orders that only the others know ---- */

/* The events that order-svc hears, each as the id of its order, as the rows of the others tell. */
static char *heard_events(void)
{
    char *all, *payments = db_text(DB_PAYMENT, HEARD("payment"), NULL),
               *reservations = db_text(DB_INVENTORY, HEARD("reservation"), NULL),
               *parcels = db_text(DB_SHIPPING, HEARD("parcel"), NULL);
    cr_assert(payments != NULL && reservations != NULL && parcels != NULL);
    cr_assert_gt(asprintf(&all, "%s,%s,%s", payments, reservations, parcels), 0);
    free(payments);
    free(reservations);
    free(parcels);
    return all;
}

int64_t outlived_orders(bool heard)
{
    char *events = heard_events();
    int64_t count =
        db_int(DB_ORDER, heard ? STRAYS " AND heard > coalesce(parked, 0)" : STRAYS, events);
    free(events);
    return count;
}

bool outlived_at_rest(void)
{
    static const char *const heard[][2] = {
        {"payment-svc", "order.created"},       {"payment-svc", "inventory.failed"},
        {"payment-svc", "inventory.released"},  {"inventory-svc", "payment.done"},
        {"inventory-svc", "order.shipped"},     {"inventory-svc", "shipping.failed"},
        {"shipping-svc", "inventory.reserved"}, {"shipping-svc", "order.cancel_requested"},
        {"order-svc", "payment.done"},          {"order-svc", "payment.failed"},
        {"order-svc", "payment.refunded"},      {"order-svc", "inventory.reserved"},
        {"order-svc", "inventory.failed"},      {"order-svc", "inventory.released"},
        {"order-svc", "order.shipped"},         {"order-svc", "shipping.failed"}};
    for (enum db db = 0; db < DB_COUNT; db++)
        if (db_int(db, "SELECT count(*) FROM outbox JOIN lane USING (lane) WHERE seq > acked",
                   NULL) != 0)
            return false;
    for (size_t i = 0; i < sizeof heard / sizeof *heard; i++)
        if (groups_behind(stack_address("KAFKA_BOOTSTRAP"), heard[i][0], heard[i][1]) != 0)
            return false;
    return db_int(DB_ORDER, "SELECT count(*) FROM timer", NULL) == 0 &&
           db_int(DB_INVENTORY, "SELECT sum(held)::bigint FROM stock", NULL) == 0;
}

void outlived_check_parked(void)
{
    for (enum db db = 0; db < DB_COUNT; db++) {
        char *parked = db_text(db,
                               "SELECT coalesce(string_agg(DISTINCT order_id::text, ','), '')"
                               " FROM dead_letter WHERE state < 2",
                               NULL);
        cr_assert_eq(db_int(DB_ORDER,
                            "SELECT count(*) FROM orders WHERE order_id::text = ANY"
                            " (string_to_array($1, ','))",
                            parked),
                     0, "%s has parked events of orders that are there: %s", db_name(db), parked);
        free(parked);
    }
}

/* ---- what the auditor says ---- */

int64_t outlived_breaks(const char *said, int invariant, char ret_first[40])
{
    char name[8];
    long long count = 0;
    snprintf(name, sizeof name, "I%d ", invariant);
    const char *line = strstr(said, name);
    cr_assert_not_null(line, "I%d is missing:\n%s", invariant, said);
    if (strncmp(line + 3, "ok ", 3) == 0)
        return 0;
    cr_assert_eq(sscanf(line + 3, "BROKEN order=%39s", ret_first), 1, "%s", said);
    for (const char *at = line; (at = strchr(at, '(')) && at < strchr(line, '\n'); at++)
        (void)sscanf(at, "(%lld in all)", &count);
    cr_assert_gt(count, 0, "%s", said);
    return count;
}
