/* stock.c: PUT /v1/stock/{sku} at its limits, and beside orders that hold. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/db.h"
#include "support/orders.h"
#include "support/program.h"
#include "support/stack.h"

#define SOON_S 20
#define TIMEOUT_MS 10000
#define NO_ORDER "00000000-0000-0000-0000-000000000000"
#define AN_ORDER "01900000-0000-7000-8000-000000000001"
#define JSON_TYPE "Content-Type: application/json\r\n"

static struct stack_part shipping;

static void attach(void)
{
    cr_assert(stack_attach());
    cr_assert(stack_part("shipping-svc", &shipping));
}

static void detach(void)
{
    kill(shipping.pid, SIGCONT);
    db_run(DB_INVENTORY, "SET client_min_messages = error;"
                         "ALTER TABLE stock DROP CONSTRAINT IF EXISTS refuses");
}

TestSuite(stock, .init = attach, .fini = detach, .timeout = 120);

/* A SKU of this test's own. */
static const char *new_sku(void)
{
    static char sku[32];
    snprintf(sku, sizeof sku, "S-%lld", (long long)clock_us());
    return sku;
}

static void answers(const char *sku, const char *body, int status, const char *part)
{
    char path[128];
    snprintf(path, sizeof path, "/v1/stock/%s", sku);
    struct http_answer *answer = http_call(stack_address("INVENTORY_API"), body ? "PUT" : "GET",
                                           path, body ? JSON_TYPE : NULL, body, TIMEOUT_MS);
    cr_assert_eq(answer->status, status, "%s %s: %d %s", sku, body, answer->status, answer->body);
    cr_assert_not_null(strstr(answer->body, part), "%s: %s", part, answer->body);
    http_answer_free(answer);
}

static void ledger_is(const char *sku, const char *expected)
{
    char *ledger = db_text(DB_INVENTORY,
                           "SELECT string_agg(kind || ' ' || (item ->> 'quantity'), ', '"
                           " ORDER BY at, kind) FROM stock_ledger,"
                           " json_array_elements(items::json -> 'items') item"
                           " WHERE item ->> 'sku' = $1",
                           sku);
    cr_assert_str_eq(ledger ? ledger : "", expected);
    free(ledger);
}

/* What is wrong is told, changes nothing and stands in no ledger. */
Test(stock, is_refused_beyond_its_limits)
{
    static const char *const bodies[] = {
        "{}",
        "{\"on_hand\":-1}",
        "{\"on_hand\":1000000000001}",
        "{\"on_hand\":1.0}",
        "{\"on_hand\":\"1\"}",
        "{\"on_hand\":null}",
        "{\"on_hand\":true}",
        "{\"on_hand\":1,\"held\":0}",
        "[]",
    };
    const char *sku = new_sku();
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        answers(sku, bodies[i], 422, "\"invalid_stock\"");
    answers(sku, "{\"on_hand\":1e99999}", 400, "\"malformed_json\"");
    answers(sku, NULL, 404, "\"sku_not_found\"");
    ledger_is(sku, "");
    answers(sku, "{\"on_hand\":1000000000000}", 200, "\"available\":1000000000000");
    answers(sku, "{\"on_hand\":0}", 200, "\"on_hand\":0,\"held\":0,\"available\":0");
    ledger_is(sku, "put 1000000000000, put -1000000000000");

    char name[80];
    for (int len = 64; len <= 65; len++) {
        snprintf(name, sizeof name, "%s%0*d", sku, len - (int)strlen(sku), 0);
        if (len == 64)
            answers(name, "{\"on_hand\":1}", 200, "\"on_hand\":1");
        else
            answers(name, "{\"on_hand\":1}", 422, "\"invalid_stock\"");
    }
    answers("no%20sku", "{\"on_hand\":1}", 422, "\"invalid_stock\"");
}

/* The same again is an entry too: the ledger tells what people did. */
Test(stock, has_a_ledger_row_each_time)
{
    const char *sku = new_sku();
    answers(sku, "{\"on_hand\":7}", 200, "\"on_hand\":7");
    answers(sku, "{\"on_hand\":7}", 200, "\"on_hand\":7");
    answers(sku, "{\"on_hand\":3}", 200, "\"on_hand\":3");
    ledger_is(sku, "put 7, put 0, put -4");
}

/* An order holds 2: on_hand may be 2 and no less, until the goods have left. */
Test(stock, does_not_go_below_what_orders_hold)
{
    char sku[32];
    snprintf(sku, sizeof sku, "%s", new_sku());
    answers(sku, "{\"on_hand\":5}", 200, "\"on_hand\":5");
    kill(shipping.pid, SIGSTOP);
    struct order_answer answer = order_send(order_body(NULL, sku, NULL), NULL);
    cr_assert_eq(answer.status, 201);
    cr_assert(order_reaches(answer.id, "reserved", SOON_S));
    answers(sku, "{\"on_hand\":1}", 409, "\"stock_below_held\"");
    answers(sku, NULL, 200, "\"on_hand\":5,\"held\":2,\"available\":3");
    answers(sku, "{\"on_hand\":2}", 200, "\"on_hand\":2,\"held\":2,\"available\":0");
    ledger_is(sku, "put 5, held 2, put -3");
    kill(shipping.pid, SIGCONT);
    cr_assert(order_reaches(answer.id, "completed", SOON_S));
    cr_assert(CLOCK_UNTIL(SOON_S,
                          db_int(DB_INVENTORY,
                                 "SELECT count(*) FROM stock_ledger"
                                 " WHERE kind = 'issued' AND items::json #>> '{items,0,sku}' = $1",
                                 sku) == 1));
    answers(sku, NULL, 200, "\"on_hand\":0,\"held\":0,\"available\":0");
    answers(sku, "{\"on_hand\":1}", 200, "\"on_hand\":1");
    order_answer_free(&answer);
}

/* The database refuses it: 503 without a promise that a repeat helps. */
Test(stock, a_failure_promises_nothing)
{
    char path[64], retry_after[8];
    const char *sku = new_sku();
    snprintf(path, sizeof path, "/v1/stock/%s", sku);
    db_run(DB_INVENTORY,
           "ALTER TABLE stock ADD CONSTRAINT refuses CHECK (on_hand <> 13) NOT VALID");
    answers(sku, "{\"on_hand\":13}", 503, "\"failed\"");
    struct http_answer *answer = http_call(stack_address("INVENTORY_API"), "PUT", path, JSON_TYPE,
                                           "{\"on_hand\":13}", TIMEOUT_MS);
    cr_assert_eq(answer->status, 503);
    cr_assert(!http_header(answer, "Retry-After", retry_after, sizeof retry_after));
    http_answer_free(answer);
    answers(sku, "{\"on_hand\":12}", 200, "\"on_hand\":12");
    ledger_is(sku, "put 12");
}

/* The tables of an earlier program are brought up to date, and nothing of them is lost. */
Test(stock, a_ledger_of_before_becomes_one_of_today)
{
    static const char before[] =
        "DROP SCHEMA IF EXISTS before CASCADE; CREATE SCHEMA before;"
        "CREATE TABLE before.stock_ledger (sku text COLLATE \"C\" NOT NULL, kind text NOT NULL,"
        " order_id uuid NOT NULL, quantity bigint NOT NULL, at timestamptz NOT NULL);"
        "CREATE UNIQUE INDEX stock_ledger_once ON before.stock_ledger (order_id, kind, sku)"
        " WHERE kind <> 'put';"
        "INSERT INTO before.stock_ledger SELECT sku, kind, id::uuid, quantity, now() FROM (VALUES"
        " ('A', 'put', '" NO_ORDER "', 9), ('B', 'put', '" NO_ORDER "', 7),"
        " ('A', 'held', '" AN_ORDER "', 1), ('B', 'held', '" AN_ORDER "', 2),"
        " ('A', 'issued', '" AN_ORDER "', 1), ('B', 'issued', '" AN_ORDER "', 2)"
        ") AS v(sku, kind, id, quantity)";
    char url[600];
    db_run(DB_INVENTORY, before);
    snprintf(url, sizeof url, "%s%soptions=-csearch_path%%3Dbefore", stack_address("INVENTORY_DB"),
             strchr(stack_address("INVENTORY_DB"), '?') ? "&" : "?");
    setenv("SAGA_OWNER_DATABASE_URL", url, 1);
    for (int again = 0; again < 2; again++) {
        free(program_run("inventory-svc", "migrate"));
        char *rows =
            db_text(DB_INVENTORY,
                    "SELECT string_agg(kind || ' ' || s, ', ' ORDER BY kind, s) FROM (SELECT"
                    " kind, string_agg(i.sku || ' ' || i.quantity, ' + ' ORDER BY i.sku) s"
                    " FROM before.stock_ledger l, json_to_recordset(items::json -> 'items')"
                    " AS i(sku text, quantity bigint) WHERE i.sku IN ('A', 'B')"
                    " GROUP BY kind, l.ctid) t",
                    NULL);
        cr_assert_str_eq(rows, "held A 1 + B 2, issued A 1 + B 2, put A 9, put B 7");
        free(rows);
    }
    db_run(DB_INVENTORY, "SET client_min_messages = error; DROP SCHEMA before CASCADE");
}
