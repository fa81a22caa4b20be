/*
 * hostile_routes.c: what strangers ask of the other routes: an order by what is no id, a cancel of
 * what is no order, a stock that is none, methods that a path does not take. Each has its exact
 * answer, and nothing refused leaves a row or an event.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support/db.h"
#include "support/http.h"
#include "support/orders.h"
#include "support/problem.h"
#include "support/stack.h"
#include "support/unharmed.h"

#define TIMEOUT_MS 10000
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NOBODY "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa"
#define JSON "Content-Type: application/json\r\n"
#define RULES "Some fields break their rules; see errors."

static int cases;
static int64_t stock_before, cancels_before;

/* Rows of stock that somebody put, and asked-for cancels. */
static int64_t stock_rows(void)
{
    return db_int(DB_INVENTORY,
                  "SELECT (SELECT count(*) FROM stock)"
                  " + (SELECT count(*) FROM stock_ledger WHERE kind = 'put')",
                  NULL);
}

static int64_t cancels(void)
{
    return db_int(DB_ORDER, "SELECT count(*) FROM outbox WHERE type = 'order.cancel_requested'",
                  NULL);
}

static void begin(void)
{
    unharmed_begin();
    cases = 0;
    stock_before = stock_rows();
    cancels_before = cancels();
}

/* The last line of each test: Criterion does not count what fails in a .fini. */
static void end(int accepted)
{
    unharmed_end(accepted, 0);
    cr_assert_eq(stock_rows(), stock_before);
    cr_assert_eq(cancels(), cancels_before);
    fprintf(stderr, "hostile_routes: %d cases, %d orders\n", cases, accepted);
}

TestSuite(hostile_routes, .init = begin, .timeout = 120);

struct refusal {
    int status;
    const char *code, *detail, *pointer, *fault;
};

static void refused(const char *api, const char *method, const char *path, const char *headers,
                    const char *body, const struct refusal *wanted)
{
    struct http_answer *answer =
        http_call(stack_address(api), method, path, headers, body, TIMEOUT_MS);
    const char *differs = problem_differs(answer, wanted->status, wanted->code, wanted->detail,
                                          wanted->pointer, wanted->fault);
    cases++;
    cr_expect_null(differs, "%s %.100s %.200s: %s", method, path, body ? body : "", differs);
    http_answer_free(answer);
}

/* ---- an order by what is no id ---- */

static const char *const no_ids[] = {
    NOBODY,
    "x",
    "0",
    "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaa",
    NOBODY "a",
    NOBODY "%20",
    "%20" NOBODY,
    NOBODY "%00",
    NOBODY "%",
    "{" NOBODY "}",
    "urn:uuid:" NOBODY,
    "0190aaaaaaaa7aaa8aaaaaaaaaaaaaaa",
    "0190aaaa_aaaa_7aaa_8aaa_aaaaaaaaaaaa",
    "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaag",
    "0190aaaa-aaaa-7aaa-8aaa-%61aaaaaaaaaaa",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "-",
    "%2e%2e",
    "..",
    "%2f",
    "%00",
    "%ff%fe",
    "\xc3\xa9",
    "';DROP%20TABLE%20orders;--",
    "$1",
    "%25s%25n",
};

Test(hostile_routes, orders_by_what_is_no_id)
{
    static const struct refusal none = {404, "order_not_found", "No order has this id.", NULL,
                                        NULL};
    static const struct {
        const char *method, *after;
    } routes[] = {{"GET", ""}, {"GET", "/timeline"}, {"POST", "/cancel"}};
    char path[300];
    for (size_t i = 0; i < COUNT(no_ids); i++)
        for (size_t r = 0; r < COUNT(routes); r++) {
            snprintf(path, sizeof path, "/v1/orders/%s%s", no_ids[i], routes[r].after);
            refused("ORDER_API", routes[r].method, path, NULL, NULL, &none);
        }
    end(0);
}

/* ---- paths and methods that there are not ---- */

Test(hostile_routes, paths_that_there_are_not)
{
    static const struct refusal none = {404, "not_found", "There is nothing at this path.", NULL,
                                        NULL};
    static const char *const paths[] = {
        "/",
        "//",
        "/v1",
        "/v1/",
        "/v1/orders/",
        "/v1//orders",
        "//v1/orders",
        "/V1/orders",
        "/v1/Orders",
        "/v1/orders/" NOBODY "/",
        "/v1/orders//timeline",
        "/v1/orders//cancel",
        "/v1/orders/" NOBODY "/cancel/",
        "/v1/orders/" NOBODY "/timeline/x",
        "/v1/orders/" NOBODY "/other",
        "/v1/orders/../orders",
        "/v1/%6frders",
        "/v1/orders;x=1",
        "/v1/orders%3f",
        "/livez/",
        "/livez%00",
        "/metrics/x",
        "/problems",
        "/problems/",
        "/v1/stock",
        "/v1/stock/",
        "/v1/stock/SKU-1/x",
        "/v1/stock//",
    };
    static const char *const methods[] = {"GET", "POST", "PUT"};
    for (size_t i = 0; i < COUNT(paths); i++)
        for (size_t m = 0; m < COUNT(methods); m++)
            for (int inventory = 0; inventory < 2; inventory++)
                refused(inventory ? "INVENTORY_API" : "ORDER_API", methods[m], paths[i], JSON,
                        order_body(NULL, NULL, NULL), &none);
    end(0);
}

Test(hostile_routes, methods_that_a_path_does_not_take)
{
    static const struct refusal no = {
        405, "method_not_allowed", "This path does not take this method; see Allow.", NULL, NULL};
    static const char *const methods[] = {"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE",
                                          "get", "post",   "Post",  "QUERY",   "POSTX",
                                          "POS", "CANCEL", "XX-YY", "PROPFIND"};
    static const struct {
        const char *api, *path, *allow;
    } paths[] = {{"ORDER_API", "/v1/orders/" NOBODY, "GET, HEAD"},
                 {"ORDER_API", "/v1/orders/" NOBODY "/timeline", "GET, HEAD"},
                 {"ORDER_API", "/v1/orders/" NOBODY "/cancel", "POST"},
                 {"INVENTORY_API", "/v1/stock/SKU-1", "GET, HEAD, PUT"},
                 {"ORDER_API", "/livez", "GET, HEAD"},
                 {"PAYMENT_OPS", "/readyz", "GET, HEAD"},
                 {"SHIPPING_OPS", "/metrics", "GET, HEAD"}};
    for (size_t p = 0; p < COUNT(paths); p++)
        for (size_t m = 0; m < COUNT(methods); m++) {
            char allow[64] = "";
            if (m == 0 && strstr(paths[p].allow, "PUT") != NULL)
                continue;
            refused(paths[p].api, methods[m], paths[p].path, JSON, "{\"on_hand\":1}", &no);
            struct http_answer *answer =
                http_call(stack_address(paths[p].api), methods[m], paths[p].path, JSON,
                          "{\"on_hand\":1}", TIMEOUT_MS);
            http_header(answer, "Allow", allow, sizeof allow);
            cr_expect_str_eq(allow, paths[p].allow, "%s %s: %s", methods[m], paths[p].path, allow);
            http_answer_free(answer);
        }
    end(0);
}

/* ---- a stock that is none ---- */

static void put(const char *body, int status, const char *pointer, const char *fault)
{
    struct refusal wanted = {status, status == 400 ? "malformed_json" : "invalid_stock",
                             status == 400 ? NULL : RULES, pointer, fault};
    refused("INVENTORY_API", "PUT", "/v1/stock/HOSTILE", JSON, body, &wanted);
}

Test(hostile_routes, stocks_that_are_none)
{
    static const char *const types[] = {"\"1\"", "1.0",  "1e0", "1E2", "-0.0", "0.5",
                                        "true",  "null", "[]",  "[1]", "{}"};
    static const char *const bounds[] = {"-1", "1000000000001", "9223372036854775807",
                                         "-9223372036854775808"};
    static const char *const no_json[] = {"9223372036854775808",
                                          "-9223372036854775809",
                                          "1e400",
                                          "01",
                                          "+1",
                                          "0x1",
                                          "1.",
                                          ".5",
                                          "NaN",
                                          "-",
                                          "",
                                          "1,\"on_hand\":1",
                                          "\"\\u0000\"",
                                          "\"\\ud800\"",
                                          "\"\xff\""};
    static const char *const others[] = {"[]", "null", "1", "\"a\"", "true"};
    char body[200];
    for (size_t i = 0; i < COUNT(types) + COUNT(bounds) + COUNT(no_json); i++) {
        bool type = i < COUNT(types), bound = !type && i < COUNT(types) + COUNT(bounds);
        snprintf(body, sizeof body, "{\"on_hand\":%s}",
                 type    ? types[i]
                 : bound ? bounds[i - COUNT(types)]
                         : no_json[i - COUNT(types) - COUNT(bounds)]);
        put(body, type || bound ? 422 : 400, type || bound ? "#/on_hand" : NULL,
            type ? "must be an integer" : "must be an integer from 0 to 1000000000000");
    }
    for (size_t i = 0; i < COUNT(others); i++)
        put(others[i], 422, "#", "must be an object");
    put("{}", 422, "#/on_hand", "is required");
    put("{\"on_hand\":1,\"held\":0}", 422, "#/held", "is not known here");
    put("{\"on_hand\":1,\"\":0}", 422, "#/", "is not known here");
    put("{\"on_hand\":1} {}", 400, NULL, NULL);
    put("", 400, NULL, NULL);
    end(0);
}

Test(hostile_routes, names_of_stock_that_are_none)
{
    static const struct refusal no_put = {422, "invalid_stock",
                                          "A SKU has 1 to 64 of A-Z a-z 0-9 . _ -", NULL, NULL};
    static const struct refusal no_get = {404, "sku_not_found", "This is no SKU.", NULL, NULL};
    static const struct refusal unknown = {404, "sku_not_found", "No stock was ever put under it.",
                                           NULL, NULL};
    static const struct refusal type = {415, "unsupported_media_type",
                                        "The body must be sent as Content-Type: application/json.",
                                        NULL, NULL};
    static const char *const names[] = {
        "%20",
        "a%20b",
        "%00",
        "a%00",
        "%2f",
        "a%2fb",
        "\xc3\xa9",
        "%c3%a9",
        "a~b",
        "a%0ab",
        "'",
        "$1",
        "%25s",
        "a%",
        "a%2",
        "%zz",
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"};
    static const char *const headers[] = {NULL,
                                          "Content-Type: text/plain\r\n",
                                          "Content-Type: application/jsonx\r\n",
                                          "Content-Type: application/json, text/plain\r\n",
                                          "Content-Type: \r\n",
                                          JSON JSON};
    char path[200];
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(path, sizeof path, "/v1/stock/%s", names[i]);
        refused("INVENTORY_API", "PUT", path, JSON, "{\"on_hand\":1}", &no_put);
        refused("INVENTORY_API", "GET", path, NULL, NULL, &no_get);
    }
    refused("INVENTORY_API", "GET", "/v1/stock/HOSTILE", NULL, NULL, &unknown);
    refused("INVENTORY_API", "GET", "/v1/stock/sku-1", NULL, NULL, &unknown);
    for (size_t i = 0; i < COUNT(headers); i++)
        refused("INVENTORY_API", "PUT", "/v1/stock/HOSTILE", headers[i], "{\"on_hand\":1}", &type);
    end(0);
}

/* ---- a cancel that comes too late ---- */

Test(hostile_routes, a_cancel_after_the_end)
{
    static const struct refusal too_late = {409, "order_not_cancellable", "It has shipped.", NULL,
                                            NULL};
    const char *order = order_body(NULL, NULL, NULL);
    struct http_answer *made =
        http_call(stack_address("ORDER_API"), "POST", "/v1/orders", JSON, order, TIMEOUT_MS);
    const char *differs = order_differs(made, order, strlen(order));
    cr_assert_null(differs, "%s", differs);
    char location[80] = "", path[100];
    http_header(made, "Location", location, sizeof location);
    http_answer_free(made);
    cr_assert(order_reaches(location + strlen("/v1/orders/"), "completed", 20));
    snprintf(path, sizeof path, "%s/cancel", location);
    for (int i = 0; i < 3; i++)
        refused("ORDER_API", "POST", path, i ? JSON : NULL, i == 1 ? "nonsense" : NULL, &too_late);
    end(1);
}
