/*
 * hostile.c: what strangers send: every rule of an order at and around its bound, every wrong type
 * in every place, JSON that is none, bodies of another type or size. Each has its exact answer;
 * nothing refused leaves a row or uses a key up; the service lives on, in its memory.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/http.h"
#include "support/problem.h"
#include "support/stack.h"
#include "support/unharmed.h"

#define TIMEOUT_MS 10000
#define JSON "Content-Type: application/json\r\n"
#define RULES "Some fields break their rules; see errors."
#define NAME "must be 1 to 64 visible ASCII characters"
#define UNKNOWN "is not known here"

static int cases, accepted;

static void begin(void)
{
    unharmed_begin();
    cases = accepted = 0;
}

/* The last line of each test: Criterion does not count what fails in a .fini. */
static void end(void)
{
    unharmed_end(accepted, accepted);
    fprintf(stderr, "hostile: %d cases, %d of them orders\n", cases, accepted);
}

TestSuite(hostile, .init = begin, .timeout = 120);

/* ---- bodies ---- */

struct wanted {
    int status;
    const char *code, *detail, *pointer, *fault; /* as in problem_differs; none of a 201 */
};

/* The whole answer is compared. `body` is what was said, however it was sent. */
static void check(struct http_answer *answer, const char *body, size_t len,
                  const struct wanted *wanted)
{
    const char *differs = wanted->status == 201
                              ? order_differs(answer, body, len)
                              : problem_differs(answer, wanted->status, wanted->code,
                                                wanted->detail, wanted->pointer, wanted->fault);
    cases++;
    accepted += answer->status == 201;
    cr_assert_null(differs, "%.300s: %s", body, differs);
    http_answer_free(answer);
}

/* Each with a key of its own: what is refused does not use it up. */
static const char *key(void)
{
    static char line[80];
    snprintf(line, sizeof line, "Idempotency-Key: %lld.%d\r\n", (long long)getpid(), cases);
    return line;
}

static void expect(const char *more, const char *body, size_t len, const struct wanted *wanted)
{
    char headers[300];
    snprintf(headers, sizeof headers, "%s%s", more, key());
    check(http_call_bytes(stack_address("ORDER_API"), "POST", "/v1/orders", headers, body, len,
                          TIMEOUT_MS),
          body, len, wanted);
}

/* pointer NULL: no field of it is wrong, it is no order at all. */
static void expect_bytes(const char *body, size_t len, int status, const char *pointer,
                         const char *fault)
{
    struct wanted wanted = {status, status == 400 ? "malformed_json" : "invalid_order",
                            status == 400 ? NULL : RULES, pointer, fault};
    expect(JSON, body, len, &wanted);
}

/* An order in which one member has another value. */
struct place {
    const char *pointer, *before, *after, *type, *rule;
};
#define HEAD "{\"customer_id\":"
#define ITEMS ",\"items\":[{\"sku\":"
#define TAIL "\"payment_method\":\"pm_card\",\"shipping_address\":{\"country\":\"DE\"}}"
#define ORDER(customer, currency, sku, quantity, amount)                                           \
    HEAD customer ",\"currency\":" currency ITEMS sku ",\"quantity\":" quantity                    \
                  ",\"unit_amount\":" amount "}]," TAIL

static const struct place strings[] = {
    {"#/customer_id", HEAD,
     ",\"currency\":\"EUR\"" ITEMS "\"SKU-1\",\"quantity\":1,\"unit_amount\":1}]," TAIL,
     "must be a string", NAME},
    {"#/items/0/sku", HEAD "\"c\",\"currency\":\"EUR\"" ITEMS,
     ",\"quantity\":1,\"unit_amount\":1}]," TAIL, "must be a string",
     "must be 1 to 64 of A-Z a-z 0-9 . _ -"},
    {"#/payment_method",
     HEAD "\"c\",\"currency\":\"EUR\"" ITEMS
          "\"SKU-1\",\"quantity\":1,\"unit_amount\":1}],\"payment_method\":",
     ",\"shipping_address\":{\"country\":\"DE\"}}", "must be a string", NAME},
};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool is_integer(const char *value)
{
    size_t sign = *value == '-';
    return value[sign] != '\0' && value[sign + strspn(value + sign, "0123456789")] == '\0';
}

/* What is of the right type is told the rule, and anything else its type. */
static void put(const struct place *place, const char *value, int status)
{
    static char body[4096];
    snprintf(body, sizeof body, "%s%s%s", place->before, value, place->after);
    bool type = strstr(place->type, "string") ? *value == '"' : is_integer(value);
    expect_bytes(body, strlen(body), status, status == 422 ? place->pointer : NULL,
                 type ? place->rule : place->type);
}

/* 1 to 64 visible ASCII characters; of a sku only some of those. */
Test(hostile, names)
{
    static const char *const wrong[] = {
        "\"\"",         "\" \"",       "\"a b\"",     "\"a\\u0001\"", "\"a\\n\"",
        "\"a\\t\"",     "\"\\u007f\"", "\"\\u00e9\"", "\"\xc3\xa9\"", "\"\\ud83d\\ude00\"",
        "\"a\\u2028\"", "null",        "true",        "false",        "0",
        "-1",           "1.5",         "[]",          "[\"a\"]",      "{}",
        "{\"a\":1}"};
    static const char *const no_json[] = {"\"\\u0000\"",
                                          "\"\\ud800\"",
                                          "\"\\udc00\"",
                                          "\"\\ud800\\ud800\"",
                                          "\"\x01\"",
                                          "\"\xff\"",
                                          "\"\xc0\x80\"",
                                          "\"\xed\xa0\x80\"",
                                          "\"\xf5\x80\x80\x80\"",
                                          "\"\xe2\x82\"",
                                          "\"\\x\"",
                                          "\"\\u12\"",
                                          "\"",
                                          "'a'",
                                          "a",
                                          "undefined"};
    char text[80];
    for (size_t p = 0; p < COUNT(strings); p++) {
        for (size_t i = 0; i < COUNT(wrong); i++)
            put(&strings[p], wrong[i], 422);
        for (size_t i = 0; i < COUNT(no_json); i++)
            put(&strings[p], no_json[i], 400);
        for (int len = 1; len <= 65; len += len == 1 ? 62 : 1) {
            snprintf(text, sizeof text, "\"%.*s\"", len,
                     "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn");
            put(&strings[p], text, len > 64 ? 422 : 201);
        }
    }
    put(&strings[1], "\"a/b\"", 422);
    put(&strings[1], "\"a~b\"", 422);
    put(&strings[1], "\"a._-9Z\"", 201);
    put(&strings[0], "\"!~\"", 201);
    put(&strings[0], "\"\\u0021\"", 201);
    end();
}

/* Integers in their bounds, and nothing that only looks like one. */
Test(hostile, numbers)
{
    static const struct place quantity = {
        "#/items/0/quantity", HEAD "\"c\",\"currency\":\"EUR\"" ITEMS "\"SKU-1\",\"quantity\":",
        ",\"unit_amount\":1}]," TAIL, "must be an integer", "must be an integer from 1 to 1000000"};
    static const struct place amount = {
        "#/items/0/unit_amount",
        HEAD "\"c\",\"currency\":\"EUR\"" ITEMS "\"SKU-1\",\"quantity\":1,\"unit_amount\":",
        "}]," TAIL, "must be an integer", "must be an integer from 0 to 1000000000000"};
    static const char *const wrong[] = {"\"1\"",
                                        "1.0",
                                        "1e0",
                                        "1E2",
                                        "0.5",
                                        "-0.0",
                                        "true",
                                        "null",
                                        "[]",
                                        "[1]",
                                        "{}",
                                        "-1",
                                        "-9223372036854775808",
                                        "9223372036854775807",
                                        "1000000000001"};
    static const char *const no_json[] = {"9223372036854775808",
                                          "-9223372036854775809",
                                          "99999999999999999999999999999999",
                                          "1e400",
                                          "-1e400",
                                          "01",
                                          "00",
                                          "-",
                                          "+1",
                                          ".5",
                                          "1.",
                                          "1e",
                                          "1e+",
                                          "0x10",
                                          "NaN",
                                          "Infinity",
                                          "-Infinity",
                                          "1_000",
                                          "1,000",
                                          ""};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        put(&quantity, wrong[i], 422);
        put(&amount, wrong[i], 422);
    }
    for (size_t i = 0; i < COUNT(no_json); i++) {
        put(&quantity, no_json[i], 400);
        put(&amount, no_json[i], 400);
    }
    put(&quantity, "0", 422);
    put(&quantity, "1", 201);
    put(&quantity, "1000000", 201);
    put(&quantity, "1000001", 422);
    put(&amount, "0", 201);
    put(&amount, "-0", 201);
    put(&amount, "1000000000000", 201);
    end();
}

static const char good[] = "{\"customer_id\":\"c\",\"currency\":\"EUR\",\"items\":[{\"sku\":"
                           "\"SKU-1\",\"quantity\":1,\"unit_amount\":1}],\"payment_method\":"
                           "\"pm_card\",\"shipping_address\":{\"country\":\"DE\"}}";

static void replaced(const char *part, const char *other, int status, const char *pointer,
                     const char *fault)
{
    static char body[16384];
    const char *at = strstr(good, part);
    cr_assert_not_null(at, "%s", part);
    snprintf(body, sizeof body, "%.*s%s%s", (int)(at - good), good, other, at + strlen(part));
    expect_bytes(body, strlen(body), status, pointer, fault);
}

Test(hostile, codes)
{
    static const char *const currencies[] = {
        "eur", "EU", "EURO", "978", "XXX", "DEM", "ZZZ", "E UR", "", "EUR ", "\\u0045UR\\u0020"};
    static const char *const countries[] = {"de", "D",  "DEU", "276", "XX",
                                            "ZZ", "UK", "EU",  "",    "D E"};
    char text[40];
    for (size_t i = 0; i < COUNT(currencies); i++) {
        snprintf(text, sizeof text, "\"%s\"", currencies[i]);
        replaced("\"EUR\"", text, 422, "#/currency", "must be an active ISO 4217 code in capitals");
    }
    for (size_t i = 0; i < COUNT(countries); i++) {
        snprintf(text, sizeof text, "\"%s\"", countries[i]);
        replaced("\"DE\"", text, 422, "#/shipping_address/country",
                 "must be an assigned ISO 3166-1 alpha-2 code in capitals");
    }
    replaced("\"EUR\"", "\"\\u0045UR\"", 201, NULL, NULL);
    replaced("\"EUR\"", "\"JPY\"", 201, NULL, NULL);
    replaced("\"DE\"", "\"CH\"", 201, NULL, NULL);
    end();
}

Test(hostile, shapes)
{
    static const char *const values[] = {"null", "true", "1", "\"a\"", "[]", "[{}]"};
    static const char *const lines[] = {"name", "line1", "line2", "city", "state", "postal_code"};
    char text[1200], pointer[80], long_line[260];
    for (size_t i = 0; i < COUNT(values); i++) {
        replaced("{\"country\":\"DE\"}", values[i], 422, "#/shipping_address", "must be an object");
        replaced("{\"sku\":\"SKU-1\",\"quantity\":1,\"unit_amount\":1}", values[i], 422,
                 "#/items/0", "must be an object");
        snprintf(text, sizeof text, "\"DE\"},\"metadata\":%s", values[i]);
        if (i > 0) /* null is an absent one's own business */
            replaced("\"DE\"}", text, 422, "#/metadata", "must be an object");
    }
    memset(long_line, 'x', sizeof long_line);
    for (size_t i = 0; i < COUNT(lines); i++) {
        snprintf(pointer, sizeof pointer, "#/shipping_address/%s", lines[i]);
        for (int len = 200; len <= 201; len++) {
            snprintf(text, sizeof text, "\"DE\",\"%s\":\"%.*s\"", lines[i], len, long_line);
            replaced("\"DE\"", text, len == 200 ? 201 : 422, len == 200 ? NULL : pointer,
                     "must be at most 200 bytes long");
        }
        snprintf(text, sizeof text, "\"DE\",\"%s\":7", lines[i]);
        replaced("\"DE\"", text, 422, pointer, "must be a string");
        snprintf(text, sizeof text, "\"DE\",\"%s\":\"a\",\"%s\":\"b\"", lines[i], lines[i]);
        replaced("\"DE\"", text, 400, NULL, NULL);
    }
    replaced("\"quantity\":1,", "", 422, "#/items/0/quantity", "is required");
    replaced("\"sku\":\"SKU-1\",", "", 422, "#/items/0/sku", "is required");
    replaced("\"quantity\":1,", "\"quantity\":1,\"colour\":\"red\",", 422, "#/items/0/colour",
             UNKNOWN);
    replaced("\"quantity\":1,", "\"quantity\":1,\"quantity\":1,", 400, NULL, NULL);
    replaced("\"currency\":\"EUR\",", "\"currency\":\"EUR\",\"id\":\"1\",", 422, "#/id", UNKNOWN);
    replaced("\"currency\":\"EUR\",", "\"currency\":\"EUR\",\"\":1,", 422, "#/", UNKNOWN);
    replaced("\"currency\":\"EUR\",", "\"currency\":\"EUR\",\"Currency\":\"EUR\",", 422,
             "#/Currency", UNKNOWN);
    end();
}

Test(hostile, metadata)
{
    char text[12000], value[600], pointer[80];
    memset(value, 'v', sizeof value);
    for (int count = 20; count <= 21; count++) {
        size_t len = (size_t)snprintf(text, sizeof text, "\"DE\"},\"metadata\":{");
        for (int i = 0; i < count; i++)
            len +=
                (size_t)snprintf(text + len, sizeof text - len, "%s\"m%d\":\"\"", i ? "," : "", i);
        snprintf(text + len, sizeof text - len, "}");
        replaced("\"DE\"}", text, count == 20 ? 201 : 422, count == 20 ? NULL : "#/metadata",
                 "must have at most 20 members");
    }
    for (int len = 40; len <= 41; len++) {
        snprintf(text, sizeof text, "\"DE\"},\"metadata\":{\"%.*s\":\"\"}", len, value);
        snprintf(pointer, sizeof pointer, "#/metadata/%.*s", len, value);
        replaced("\"DE\"}", text, len == 40 ? 201 : 422, len == 40 ? NULL : pointer,
                 "must have a name of at most 40 bytes");
    }
    for (int len = 500; len <= 501; len++) {
        snprintf(text, sizeof text, "\"DE\"},\"metadata\":{\"a\":\"%.*s\"}", len, value);
        replaced("\"DE\"}", text, len == 500 ? 201 : 422, len == 500 ? NULL : "#/metadata/a",
                 "must be a string of at most 500 bytes");
    }
    static const char *const wrong[] = {"1", "null", "true", "{}", "[]", "1.5"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        snprintf(text, sizeof text, "\"DE\"},\"metadata\":{\"a\":%s}", wrong[i]);
        replaced("\"DE\"}", text, 422, "#/metadata/a", "must be a string of at most 500 bytes");
    }
    end();
}

Test(hostile, no_json)
{
    static const char *const bodies[] = {
        "",          " ",          "{",        "}",           "[",
        "]",         "{]",         "{\"a\"}",  "{\"a\":}",    "{a:1}",
        "{'a':1}",   "{\"a\":1,}", "{,}",      "[1,]",        "[,1]",
        "{} {}",     "{}x",        "{}//c",    "/**/{}",      "\xef\xbb\xbf{}",
        "tru",       "nul",        "\"a",      "{\"a\":tru}", "{\"a\":\"b}",
        "{\"a\" 1}", "{1:2}",      "{null:1}", "\x80",        "{\"\xff\":1}"};
    char deep[80];
    for (size_t i = 0; i < COUNT(bodies); i++)
        expect_bytes(bodies[i], strlen(bodies[i]), 400, NULL, NULL);
    expect_bytes("{}\0{}", 5, 400, NULL, NULL);
    expect_bytes("\xff\xfe{\0}\0", 6, 400, NULL, NULL); /* UTF-16 */
    memset(deep, '[', 40);
    for (int depth = 16; depth <= 17; depth++) {
        memset(deep + depth, ']', (size_t)depth);
        expect_bytes(deep, (size_t)depth * 2, depth == 16 ? 422 : 400, depth == 16 ? "#" : NULL,
                     "must be an object");
        memset(deep, '[', 40);
    }
    static const char *const others[] = {"[]", "null", "true", "1", "\"order\"", "1.5"};
    for (size_t i = 0; i < COUNT(others); i++)
        expect_bytes(others[i], strlen(others[i]), 422, "#", "must be an object");
    end();
}

/* ---- bodies of another type or size ---- */

/* `good`, compressed. */
static const char gzip[] =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x15\x8d\xb1\x0e\xc3\x20\x0c\x44\xff\xc5"
    "\x33\x1d\xb2\x66\x6e\xa6\x6e\xad\x32\x55\x15\x42\x60\x35\xa8\xc2\x50\x63\x86\x08"
    "\xf1\xef\x31\xe3\x3d\xdd\xbb\xeb\xe0\x5b\x95\x9c\x90\x6d\x0c\xb0\x82\x07\xa3\x84"
    "\x19\xc9\x9f\x1a\xb7\xfd\xa9\x20\x0a\xa6\x0a\xeb\xbb\x43\xfd\x35\xa5\xaf\xc7\x7e"
    "\x5b\x94\xff\x9b\x23\x89\xa2\xc5\xc5\x40\xa3\x28\xd6\xa5\xdc\x48\x34\x8f\x8f\x81"
    "\xe2\xce\x84\x24\x36\xa1\x1c\x79\x8e\x97\x64\xbd\xe3\xa0\x66\x3d\x62\x29\x91\xbe"
    "\xd6\x85\xc0\x58\x75\xbc\x83\x9f\x2a\xcf\xd7\xfb\x06\x63\x5c\x8a\xf7\xea\x74\x9a"
    "\x00\x00\x00";

#define AS(type) "Content-Type: " type "\r\n"
#define TAKEN                                                                                      \
    {                                                                                              \
        201, NULL, NULL, NULL, NULL                                                                \
    }
#define NOT_JSON                                                                                   \
    {                                                                                              \
        400, "malformed_json", NULL, NULL, NULL                                                    \
    }
#define OTHER_TYPE                                                                                 \
    {                                                                                              \
        415, "unsupported_media_type", "The body must be sent as Content-Type: application/json.", \
            NULL, NULL                                                                             \
    }
#define CODED                                                                                      \
    {                                                                                              \
        415, "unsupported_media_type", "The body must be sent without a Content-Encoding.", NULL,  \
            NULL                                                                                   \
    }
#define GOOD good, sizeof good - 1

/* JSON has no charset: whatever one is told, it is UTF-8 (RFC 8259, 11). */
Test(hostile, types)
{
    static const char latin1[] = HEAD "\"\xe9\",\"currency\":\"EUR\"" ITEMS
                                      "\"SKU-1\",\"quantity\":1,\"unit_amount\":1}]," TAIL;
    static const struct {
        const char *headers, *body;
        size_t len;
        struct wanted wanted;
    } rows[] = {
        {AS("application/json; charset=utf-8"), GOOD, TAKEN},
        {AS("application/json;charset=\"UTF-8\""), GOOD, TAKEN},
        {AS("application/json; charset=latin1"), GOOD, TAKEN},
        {AS("application/json; charset=latin1"), latin1, sizeof latin1 - 1, NOT_JSON},
        {AS("Application/JSON"), GOOD, TAKEN},
        {AS("application/jsonx"), GOOD, OTHER_TYPE},
        {AS("application/jso"), GOOD, OTHER_TYPE},
        {AS("application/json+x"), GOOD, OTHER_TYPE},
        {AS("application/problem+json"), GOOD, OTHER_TYPE},
        {AS("text/json"), GOOD, OTHER_TYPE},
        {AS("*/*"), GOOD, OTHER_TYPE},
        {AS("application/json, application/json"), GOOD, OTHER_TYPE},
        {AS("\"application/json\""), GOOD, OTHER_TYPE},
        {AS(""), GOOD, OTHER_TYPE},
        {"", GOOD, OTHER_TYPE},
        {JSON JSON, GOOD, OTHER_TYPE},
        {JSON AS("application/json; charset=utf-8"), GOOD, OTHER_TYPE},
        {JSON AS("text/plain"), GOOD, OTHER_TYPE},
        {AS("text/plain") JSON, GOOD, OTHER_TYPE},
        {AS("application/json utf-8"), GOOD, OTHER_TYPE},
        {AS("application/json charset=utf-8"), GOOD, OTHER_TYPE},
        {AS("application/json ; charset=utf-8"), GOOD, TAKEN},
        {JSON "Content-Encoding: gzip\r\n", gzip, sizeof gzip - 1, CODED},
        {JSON "Content-Encoding: gzip\r\n", GOOD, CODED},
        {JSON "Content-Encoding: br\r\n", GOOD, CODED},
        {JSON "Content-Encoding: identity\r\n", GOOD, CODED},
        {JSON, gzip, sizeof gzip - 1, NOT_JSON},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        expect(rows[i].headers, rows[i].body, rows[i].len, &rows[i].wanted);
    end();
}

/* In two chunks, the last byte by itself. */
static void expect_chunks(const char *body, size_t len, const struct wanted *wanted)
{
    static char request[70000];
    size_t at = (size_t)sprintf(request,
                                "POST /v1/orders HTTP/1.1\r\nHost: a\r\n" JSON
                                "%sTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
                                key(), len - 1);
    memcpy(request + at, body, len - 1);
    at += len - 1;
    at += (size_t)sprintf(request + at, "\r\n1\r\n%c\r\n0\r\n\r\n", body[len - 1]);
    check(http_call_raw(stack_address("ORDER_API"), request, at, TIMEOUT_MS), body, len, wanted);
}

/* To the byte, however its length is told, and whatever it consists of. */
Test(hostile, sizes)
{
    static const struct wanted taken = TAKEN, no_json = NOT_JSON,
                               no_order = {422, "invalid_order", RULES, "#", "must be an object"},
                               large = {413, "body_too_large",
                                        "The body may have at most 65536 bytes.", NULL, NULL};
    static char before[65538], after[65538], junk[65538];
    for (size_t len = 65535; len <= 65537; len++) {
        memset(after, ' ', len);
        memset(before, ' ', len);
        memset(junk, '0', len);
        memcpy(after, GOOD);
        memcpy(before + len - (sizeof good - 1), GOOD);
        expect(JSON, after, len, len <= 65536 ? &taken : &large);
        expect(JSON, before, len, len <= 65536 ? &taken : &large);
        expect(JSON, junk, len, len <= 65536 ? &no_json : &large);
        expect_chunks(after, len, len <= 65536 ? &taken : &large);
        expect_chunks(before, len, len <= 65536 ? &taken : &large);
        expect_chunks(junk, len, len <= 65536 ? &no_json : &large);
    }
    expect_chunks("[]", 2, &no_order);
    end();
}
