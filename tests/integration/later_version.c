/*
 * later_version.c: rows that a later version of order-svc has written of an order, which may run
 * beside this one: what this one adds takes nothing of it away, and what it cannot read it does not
 * tell as if there were nothing: 503, in the log, and well again when somebody can. And tables of a
 * later version, of the other three: they are not touched, and no order is lost.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support/clock.h"
#include "support/db.h"
#include "support/groups.h"
#include "support/harm.h"
#include "support/http.h"
#include "support/orders.h"
#include "support/problem.h"
#include "support/stack.h"

#define TIMEOUT_MS 10000
#define SOON_S 20

static void begin(void)
{
    cr_assert(stack_attach());
}

static const struct service {
    enum db db;
    const char *name, *address, *table, *topic;
} services[] = {{DB_PAYMENT, "payment-svc", "PAYMENT_OPS", "payment", "order.created"},
                {DB_INVENTORY, "inventory-svc", "INVENTORY_API", "reservation", "payment.done"},
                {DB_SHIPPING, "shipping-svc", "SHIPPING_OPS", "parcel", "inventory.reserved"}};
#define SERVICES (sizeof services / sizeof *services)

/* Whatever the test has stopped. */
static void end(void)
{
    for (size_t i = 0; i < SERVICES; i++)
        db_run(services[i].db, "UPDATE epoch SET version = 1");
    stack_up("payment-svc", NULL);
}

TestSuite(later_version, .init = begin, .fini = end, .timeout = 120);

static void asked(const char *method, const char *id, const char *after, bool later)
{
    char path[120];
    snprintf(path, sizeof path, "/v1/orders/%s%s", id, after);
    struct http_answer *answer =
        http_call(stack_address("ORDER_API"), method, path, NULL, NULL, TIMEOUT_MS);
    const char *differs =
        problem_differs(answer, 503, "later_version",
                        "A later version of the service has written of this order.", NULL, NULL);
    cr_assert_eq(differs == NULL, later, "%s %s: %s", method, path, differs);
    cr_assert(later || answer->status == 200, "%d", answer->status);
    http_answer_free(answer);
}

static void write_row(const char *id, const char *set)
{
    char sql[200];
    snprintf(sql, sizeof sql, "UPDATE orders SET %s WHERE order_id = $1::uuid RETURNING 1", set);
    cr_assert_eq(db_int(DB_ORDER, sql, id), 1);
}

Test(later_version, what_cannot_be_read_is_told_so)
{
    struct order_answer order = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    cr_assert_str_eq(order_text(&order, "status"), "completed");
    int64_t logged = stack_log_count("order-svc", "GET /v1/orders/{id}: 503");
    asked("GET", order.id, "", false);
    asked("GET", order.id, "/timeline", false);
    write_row(order.id, "facts = facts | (1 << 24)");
    asked("GET", order.id, "", true);
    cr_assert_gt(stack_log_count("order-svc", "GET /v1/orders/{id}: 503 later_version"), logged);
    asked("GET", order.id, "/timeline", false);
    write_row(order.id, "facts = facts & ~(1 << 24), timeline = timeline || '2 a.b v2' || chr(10)");
    asked("GET", order.id, "", false);
    asked("GET", order.id, "/timeline", true);
    write_row(order.id, "timeline = replace(timeline, '2 a.b v2' || chr(10), '')");
    asked("GET", order.id, "/timeline", false);
    order_answer_free(&order);
}

Test(later_version, what_is_added_takes_nothing_away)
{
    cr_assert(stack_kill("payment-svc"));
    struct order_answer order = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert_eq(order.status, 201);
    write_row(order.id, "facts = facts | (1 << 24), timeline = timeline || '2 a.b v2' || chr(10)");
    cr_assert(stack_up("payment-svc", NULL));
    cr_assert(CLOCK_UNTIL(SOON_S, db_int(DB_ORDER,
                                         "SELECT completion FROM orders WHERE order_id = $1::uuid",
                                         order.id) == 1));
    cr_assert_eq(
        db_int(DB_ORDER,
               "SELECT count(*) FROM orders WHERE order_id = $1::uuid"
               " AND facts & (1 << 24) <> 0 AND timeline LIKE '%2 a.b v2' || chr(10) || '%'"
               " AND timeline LIKE '%order.completed%'",
               order.id),
        1);
    write_row(order.id, "facts = facts & ~(1 << 24),"
                        " timeline = replace(timeline, '2 a.b v2' || chr(10), '')");
    asked("GET", order.id, "/timeline", false);
    cr_assert(order_reaches(order.id, "completed", SOON_S));
    order_answer_free(&order);
}

static bool is_ready(const struct service *service, int status, const char *detail)
{
    struct http_answer *answer =
        http_call(stack_address(service->address), "GET", "/readyz", NULL, NULL, TIMEOUT_MS);
    bool is = answer->status == status && strstr(answer->body, detail) != NULL;
    http_answer_free(answer);
    return is;
}

static bool is_behind(const struct service *service, int64_t count)
{
    return groups_behind(stack_address("KAFKA_BOOTSTRAP"), service->name, service->topic) == count;
}

/* The order's event is there and is not taken; the service says why, also when it is asked again.
 */
static void check_untouched(const struct service *service, const char *id)
{
    char sql[96];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE order_id = $1::uuid", service->table);
    cr_assert(CLOCK_UNTIL(SOON_S, is_behind(service, 1)), "%s", service->name);
    cr_assert(is_ready(service, 503, "later version"), "%s", service->name);
    cr_assert_eq(db_int(service->db, sql, id), 0, "%s", service->name);
}

Test(later_version, tables_of_a_later_version_are_not_touched)
{
    for (size_t i = 0; i < SERVICES; i++) {
        const struct service *service = &services[i];
        cr_assert(CLOCK_UNTIL(SOON_S, is_behind(service, 0)), "%s", service->name);
        db_run(service->db, "UPDATE epoch SET version = version + 1");
        harm_end_sessions(service->db);
        cr_assert(CLOCK_UNTIL(SOON_S, is_ready(service, 503, "later version")), "%s",
                  service->name);
        struct order_answer order = order_send(order_body(NULL, NULL, NULL), NULL);
        cr_assert_eq(order.status, 201);
        check_untouched(service, order.id);
        db_run(service->db, "UPDATE epoch SET version = version - 1");
        cr_assert(order_reaches(order.id, "completed", SOON_S), "%s", service->name);
        cr_assert(CLOCK_UNTIL(SOON_S, is_ready(service, 200, "")), "%s", service->name);
        order_answer_free(&order);
    }
}
