/* api.c: the HTTP contract: what is refused, with which words, and what happens at each limit. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "support/auditor.h"
#include "support/clock.h"
#include "support/db.h"
#include "support/metric.h"
#include "support/orders.h"
#include "support/stack.h"

#define SOON_S 20
#define TIMEOUT_MS 10000
#define JSON_TYPE "Content-Type: application/json\r\n"

static void attach(void)
{
    cr_assert(stack_attach());
}

static void detach(void)
{
    stack_signal("inventory-svc", SIGCONT);
}

TestSuite(api, .init = attach, .fini = detach, .timeout = 120);

static int64_t orders(void)
{
    return db_int(DB_ORDER, "SELECT count(*) FROM orders", NULL);
}

/* The pointers of the faults, in order, separated by a space. */
static char *pointers(const struct order_answer *answer)
{
    char *text = calloc(1, 4096);
    size_t i;
    json_t *fault;
    json_array_foreach(json_object_get(answer->body, "errors"), i, fault)
    {
        size_t len = strlen(text);
        snprintf(text + len, 4096 - len, "%s%s", len ? " " : "",
                 json_string_value(json_object_get(fault, "pointer")));
    }
    return text;
}

static void is_problem(const struct order_answer *answer, int status, const char *code)
{
    char type[80];
    snprintf(type, sizeof type, "/problems/%s", code);
    cr_assert_eq(answer->status, status, "%d, not %d", answer->status, status);
    cr_assert_str_eq(order_text(answer, "code"), code);
    cr_assert_str_eq(order_text(answer, "type"), type);
    cr_assert_eq(json_integer_value(json_object_get(answer->body, "status")), status);
    cr_assert_str_neq(order_text(answer, "title"), "");
    cr_assert_str_neq(order_text(answer, "detail"), "");
    cr_assert_str_neq(order_text(answer, "request_id"), "");
}

static void refused(const char *body, int status, const char *code, const char *expected)
{
    struct order_answer answer = order_send(body, NULL);
    is_problem(&answer, status, code);
    char *found = pointers(&answer);
    cr_assert_str_eq(found, expected);
    free(found);
    order_answer_free(&answer);
}

/* A good order with one part replaced. */
static const char *with(const char *part, const char *other)
{
    static const char good[] =
        "{\"customer_id\":\"cus_1\",\"currency\":\"EUR\",\"items\":[{\"sku\":\"SKU-1\","
        "\"quantity\":2,\"unit_amount\":5}],\"payment_method\":\"pm_card\","
        "\"shipping_address\":{\"country\":\"DE\"}}";
    static char body[8192];
    const char *at = strstr(good, part);
    cr_assert_not_null(at, "%s", part);
    snprintf(body, sizeof body, "%.*s%s%s", (int)(at - good), good, other, at + strlen(part));
    return body;
}

Test(api, each_rule_of_an_order_names_its_field)
{
    static const struct {
        const char *part, *other, *pointer;
    } cases[] = {
        {"\"cus_1\"", "\"\"", "#/customer_id"},
        {"\"cus_1\"", "\"a b\"", "#/customer_id"},
        {"\"cus_1\"", "7", "#/customer_id"},
        {"\"cus_1\"", "null", "#/customer_id"},
        {"\"customer_id\":\"cus_1\",", "", "#/customer_id"},
        {"\"EUR\"", "\"eur\"", "#/currency"},
        {"\"EUR\"", "\"DEM\"", "#/currency"},
        {"\"EUR\"", "\"XXX\"", "#/currency"},
        {"\"DE\"", "\"de\"", "#/shipping_address/country"},
        {"\"DE\"", "\"XX\"", "#/shipping_address/country"},
        {"\"country\":\"DE\"", "", "#/shipping_address/country"},
        {"\"country\":\"DE\"", "\"country\":\"DE\",\"planet\":\"Mars\"",
         "#/shipping_address/planet"},
        {"\"SKU-1\"", "\"SKU 1\"", "#/items/0/sku"},
        {"\"quantity\":2", "\"quantity\":0", "#/items/0/quantity"},
        {"\"quantity\":2", "\"quantity\":1000001", "#/items/0/quantity"},
        {"\"quantity\":2", "\"quantity\":2.0", "#/items/0/quantity"},
        {"\"quantity\":2", "\"quantity\":\"2\"", "#/items/0/quantity"},
        {"\"unit_amount\":5", "\"unit_amount\":-1", "#/items/0/unit_amount"},
        {"\"unit_amount\":5", "\"unit_amount\":1000000000001", "#/items/0/unit_amount"},
        {"\"quantity\":2,\"unit_amount\":5", "\"quantity\":1000000,\"unit_amount\":1000000000000",
         "#/items"},
        {"[{\"sku\":\"SKU-1\",\"quantity\":2,\"unit_amount\":5}]", "[]", "#/items"},
        {"[{\"sku\":\"SKU-1\",\"quantity\":2,\"unit_amount\":5}]", "{}", "#/items"},
        {"}],", "},{\"sku\":\"SKU-1\",\"quantity\":1,\"unit_amount\":1}],", "#/items/1/sku"},
        {"\"pm_card\"", "\"\\u00e9\"", "#/payment_method"},
        {"\"DE\"}", "\"DE\"},\"metadata\":{\"a\":1}", "#/metadata/a"},
        {"\"DE\"}", "\"DE\"},\"metadata\":[]", "#/metadata"},
        {"\"DE\"}", "\"DE\"},\"a/b~c\":1", "#/a~1b~0c"},
    };
    int64_t before = orders();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(with(cases[i].part, cases[i].other), 422, "invalid_order", cases[i].pointer);
    refused("[]", 422, "invalid_order", "#");
    refused("{}", 422, "invalid_order",
            "#/customer_id #/currency #/items #/payment_method #/shipping_address");
    cr_assert_eq(orders(), before);
}

Test(api, what_is_no_json_is_malformed)
{
    static const char *const bodies[] = {
        "",
        "{",
        "nonsense",
        "{\"a\":1}x",
        "{\"customer_id\":\"a\",\"customer_id\":\"b\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc0\xaf\"}",
        "{\"a\":99999999999999999999}",
        "{\"a\":1e999}",
        "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
    };
    int64_t before = orders();
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct order_answer answer = order_send(bodies[i], NULL);
        is_problem(&answer, 400, "malformed_json");
        order_answer_free(&answer);
    }
    cr_assert_eq(orders(), before);
}

/* At each limit the last that is allowed passes, and the first that is not is refused. */
Test(api, limits_of_an_order_are_where_they_are_said_to_be)
{
    char name[80], part[2048];
    memset(name, 'n', sizeof name);
    snprintf(part, sizeof part, "\"%.64s\"", name);
    struct order_answer answer = order_send(with("\"cus_1\"", part), NULL);
    cr_assert_eq(answer.status, 201);
    order_answer_free(&answer);
    snprintf(part, sizeof part, "\"%.65s\"", name);
    refused(with("\"cus_1\"", part), 422, "invalid_order", "#/customer_id");

    char *body = malloc(32768);
    for (int items = 100; items <= 101; items++) {
        size_t len =
            (size_t)sprintf(body, "{\"customer_id\":\"c\",\"currency\":\"EUR\",\"items\":[");
        for (int i = 0; i < items; i++)
            len += (size_t)sprintf(body + len,
                                   "%s{\"sku\":\"SKU-%d\",\"quantity\":1,\"unit_amount\":1}",
                                   i ? "," : "", i + 1);
        sprintf(body + len,
                "],\"payment_method\":\"p\",\"shipping_address\":{\"country\":\"DE\"}}");
        answer = order_send(body, NULL);
        cr_assert_eq(answer.status, items == 100 ? 201 : 422);
        order_answer_free(&answer);
    }
    /* 2^53-1 in all, and one more */
    const char *item = "\"quantity\":2,\"unit_amount\":5";
    answer = order_send(with(item, "\"quantity\":69431,\"unit_amount\":129728784761"), NULL);
    cr_assert_eq(answer.status, 201);
    order_answer_free(&answer);
    refused(with(item, "\"quantity\":69431,\"unit_amount\":129728784761},"
                       "{\"sku\":\"SKU-2\",\"quantity\":1,\"unit_amount\":1"),
            422, "invalid_order", "#/items");
    free(body);
}

static void calls(const char *method, const char *path, const char *headers, const char *body,
                  int status, const char *code)
{
    struct http_answer *http =
        http_call(stack_address("ORDER_API"), method, path, headers, body, TIMEOUT_MS);
    struct order_answer answer = {.status = http->status,
                                  .body = json_loadb(http->body, http->body_len, 0, NULL)};
    is_problem(&answer, status, code);
    char type[64];
    cr_assert(http_header(http, "Content-Type", type, sizeof type));
    cr_assert_str_eq(type, "application/problem+json");
    order_answer_free(&answer);
    http_answer_free(http);
}

Test(api, what_does_not_fit_http_is_refused)
{
    const char *good = with("\"EUR\"", "\"EUR\"");
    calls("GET", "/nothing", NULL, NULL, 404, "not_found");
    calls("GET", "/v1/orders/nonsense", NULL, NULL, 404, "order_not_found");
    calls("GET", "/v1/orders/01900000-0000-7000-8000-000000000000", NULL, NULL, 404,
          "order_not_found");
    calls("DELETE", "/v1/orders", NULL, NULL, 405, "method_not_allowed");
    calls("POST", "/v1/orders", NULL, good, 415, "unsupported_media_type");
    calls("POST", "/v1/orders", "Content-Type: text/plain\r\n", good, 415,
          "unsupported_media_type");

    char *large = malloc(70000);
    memset(large, ' ', 65537);
    large[65537] = '\0';
    calls("POST", "/v1/orders", JSON_TYPE, large, 413, "body_too_large");
    snprintf(large, 70000, "/v1/orders/%0*d", 9000, 1);
    calls("GET", large, NULL, NULL, 414, "target_too_long");
    size_t len = 0;
    for (int i = 0; i < 70; i++)
        len += (size_t)sprintf(large + len, "X-Field-%d: 1\r\n", i);
    calls("GET", "/livez", large, NULL, 431, "headers_too_large");
    snprintf(large, 70000, "X-Large: %0*d\r\n", 17000, 1);
    calls("GET", "/livez", large, NULL, 431, "headers_too_large");
    free(large);
}

static char *header_of(const char *method, const char *path, const char *headers, const char *name)
{
    static char value[200];
    struct http_answer *answer =
        http_call(stack_address("ORDER_API"), method, path, headers, NULL, TIMEOUT_MS);
    if (!http_header(answer, name, value, sizeof value))
        value[0] = '\0';
    http_answer_free(answer);
    return value;
}

Test(api, headers_that_every_answer_has)
{
    cr_assert_str_eq(header_of("GET", "/livez", "X-Request-Id: my-id.7\r\n", "X-Request-Id"),
                     "my-id.7");
    cr_assert_eq(strlen(header_of("GET", "/livez", "X-Request-Id: <bad>\r\n", "X-Request-Id")), 36);
    cr_assert_str_eq(header_of("PUT", "/v1/orders", NULL, "Allow"), "POST");
    cr_assert_str_eq(header_of("POST", "/livez", NULL, "Allow"), "GET, HEAD");
    struct http_answer *page = http_call(stack_address("ORDER_API"), "GET",
                                         "/problems/order_not_found", NULL, NULL, TIMEOUT_MS);
    cr_assert_eq(page->status, 200);
    http_answer_free(page);
}

Test(api, keys_are_checked)
{
    static const char *const bad[] = {
        "Idempotency-Key: \r\n",         "Idempotency-Key: \"\"\r\n",
        "Idempotency-Key: a b\r\n",      "Idempotency-Key: a\r\nIdempotency-Key: b\r\n",
        "Idempotency-Key: \"a\"b\"\r\n", "Idempotency-Key: \xc3\xa9\r\n",
    };
    char long_key[400];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct order_answer answer = order_send(order_body(NULL, NULL, NULL), bad[i]);
        is_problem(&answer, 400, "invalid_idempotency_key");
        order_answer_free(&answer);
    }
    for (int len = 255; len <= 256; len++) {
        snprintf(long_key, sizeof long_key, "Idempotency-Key: %0*lld\r\n", len,
                 (long long)clock_us());
        struct order_answer answer = order_send(order_body(NULL, NULL, NULL), long_key);
        cr_assert_eq(answer.status, len == 255 ? 201 : 400);
        order_answer_free(&answer);
    }
}

/* The order as understood is what counts: member order, spaces and absent defaults do not; nor do
 * blanks around the key. */
Test(api, a_key_knows_the_order_however_it_is_written)
{
    char headers[80];
    long long now = clock_us();
    snprintf(headers, sizeof headers, "Idempotency-Key: w-%lld\r\n", now);
    struct order_answer first =
        order_send("{\"customer_id\":\"cus_w\",\"currency\":\"EUR\",\"items\":[{\"sku\":\"SKU-1\","
                   "\"quantity\":1,\"unit_amount\":5}],\"payment_method\":\"pm_card\","
                   "\"shipping_address\":{\"country\":\"DE\"}}",
                   headers);
    snprintf(headers, sizeof headers, "Idempotency-Key: \t \"w-%lld\" \t\r\n", now);
    struct order_answer again =
        order_send(" { \"metadata\" : {}, \"shipping_address\": { \"country\" : \"DE\" },"
                   "\"payment_method\":\"pm_\\u0063ard\", \"items\":[ {\"unit_amount\":5,"
                   "\"quantity\":1,\"sku\":\"SKU-1\"}],\"currency\":\"EUR\","
                   "\"customer_id\":\"cus_w\"}",
                   headers);
    cr_assert_eq(first.status, 201);
    cr_assert_eq(again.status, 201);
    cr_assert_str_eq(again.id, first.id);
    cr_assert_str_eq(again.replayed, "true");
    order_answer_free(&first);
    order_answer_free(&again);
}

Test(api, a_wait_ends_in_time)
{
    cr_assert(stack_signal("inventory-svc", SIGSTOP));
    int64_t begin_us = clock_us();
    struct order_answer answer =
        order_send(order_body(NULL, NULL, NULL), "Prefer: respond-async, wait=2\r\n");
    int64_t took_us = clock_us() - begin_us;
    cr_assert_eq(answer.status, 202);
    cr_assert_str_eq(answer.applied, "wait=2");
    cr_assert_str_eq(answer.retry_after, "1");
    cr_assert_str_neq(answer.location, "");
    cr_assert(took_us >= 1900000 && took_us < 2400000, "%lld us", (long long)took_us);
    order_answer_free(&answer);
    answer = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=soon\r\n");
    cr_assert_eq(answer.status, 201);
    cr_assert_str_eq(answer.applied, "");
    order_answer_free(&answer);
}

/* SIGTERM: who waits is answered, the process ends by itself, and what was placed goes on. */
Test(api, a_drain_answers_those_who_wait)
{
    struct stack_part part;
    cr_assert(stack_signal("inventory-svc", SIGSTOP));
    cr_assert(stack_part("order-svc", &part));
    pid_t child = fork();
    if (child == 0) {
        struct order_answer answer =
            order_send(order_body(NULL, NULL, NULL), "Prefer: wait=30\r\n");
        _exit(answer.status == 202 ? 0 : 1);
    }
    cr_assert(CLOCK_UNTIL(SOON_S, db_int(DB_ORDER, "SELECT count(*) FROM timer", NULL) > 0));
    cr_assert_eq(kill(part.pid, SIGTERM), 0);
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the wait was not answered with 202");
    cr_assert(CLOCK_UNTIL(25, stack_gone(part.pid)), "it does not end");
    cr_assert(stack_up("order-svc", NULL));
    cr_assert(stack_signal("inventory-svc", SIGCONT));
    cr_assert(CLOCK_UNTIL(SOON_S, db_int(DB_ORDER, "SELECT count(*) FROM timer", NULL) == 0));
}

/* What could not be sent is in the table: the drain does not wait for a Kafka that is away. */
Test(api, a_drain_does_not_wait_for_kafka)
{
    struct stack_part part;
    cr_assert(stack_part("order-svc", &part));
    cr_assert(stack_kill("kafka"));
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert_eq(answer.status, 201);
    int64_t begin_us = clock_us();
    cr_assert_eq(kill(part.pid, SIGTERM), 0);
    cr_assert(CLOCK_UNTIL(25, stack_gone(part.pid)), "it does not end");
    cr_assert_lt(clock_us() - begin_us, 10000000);
    cr_assert(stack_up("kafka", NULL));
    cr_assert(stack_up("order-svc", NULL));
    cr_assert(order_reaches(answer.id, "completed", 60));
    order_answer_free(&answer);
}

Test(api, ops_tell_what_is_down)
{
    cr_assert(stack_kill("redis"));
    struct http_answer *answer;
    bool degraded = CLOCK_UNTIL(SOON_S, ({
                                    answer = http_call(stack_address("ORDER_API"), "GET", "/readyz",
                                                       NULL, NULL, TIMEOUT_MS);
                                    bool told = answer->status == 200 &&
                                                strstr(answer->body, "degraded") != NULL;
                                    http_answer_free(answer);
                                    told;
                                }));
    cr_assert(degraded, "a Redis that is away is told as degraded, with 200");
    cr_assert(stack_up("redis", NULL));
}

Test(api, stock_is_put_and_read)
{
    char path[64];
    snprintf(path, sizeof path, "/v1/stock/T-%lld", (long long)clock_us());
    const char *base = stack_address("INVENTORY_API");
    static const struct {
        const char *method, *body;
        int status;
        const char *part;
    } steps[] = {
        {"GET", NULL, 404, "sku_not_found"},
        {"PUT", "{\"on_hand\":100}", 200, "\"on_hand\":100,\"held\":0,\"available\":100"},
        {"PUT", "{\"on_hand\":40}", 200, "\"on_hand\":40,\"held\":0,\"available\":40"},
        {"GET", NULL, 200, "\"on_hand\":40"},
        {"PUT", "{\"on_hand\":-1}", 422, "#/on_hand"},
        {"PUT", "{}", 422, "invalid_stock"},
        {"PUT", "{\"on_hand\":1.5}", 422, "invalid_stock"},
        {"PUT", "{\"on_hand\":1", 400, "malformed_json"},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct http_answer *answer =
            http_call(base, steps[i].method, path, steps[i].body ? JSON_TYPE : NULL, steps[i].body,
                      TIMEOUT_MS);
        cr_assert_eq(answer->status, steps[i].status, "%s %s: %d %s", steps[i].method,
                     steps[i].body ? steps[i].body : "", answer->status, answer->body);
        cr_assert_not_null(strstr(answer->body, steps[i].part), "%s", answer->body);
        http_answer_free(answer);
    }
    char *ledger = db_text(DB_INVENTORY,
                           "SELECT string_agg(item ->> 'quantity', ' ' ORDER BY at)"
                           " FROM stock_ledger, json_array_elements(items::json -> 'items') item"
                           " WHERE kind = 'put' AND item ->> 'sku' = substr($1, 11)",
                           path);
    cr_assert_str_eq(ledger, "100 -60");
    free(ledger);
}
