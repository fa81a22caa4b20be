/*
 * later_version.c: rows that a later version of order-svc has written of an order, which may run
 * beside this one: what this one adds takes nothing of it away, and what it cannot read it does not
 * tell as if there were nothing: 503, in the log, and well again when somebody can.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "support/clock.h"
#include "support/db.h"
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

/* Whatever the test has stopped. */
static void end(void)
{
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
