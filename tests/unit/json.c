/* json.c: the writer: escapes, commas, structs of every type, and the limit that turns it bad. */
#include <criterion/criterion.h>

#include "saga/json.h"

static struct saga_json json;

static void setup(void)
{
    json = (struct saga_json){0};
}

static void teardown(void)
{
    saga_json_clear(&json);
}

TestSuite(json, .init = setup, .fini = teardown);

/* What was written, and a fresh start. */
static void expect(const char *expected)
{
    struct saga_text done = saga_json_done(&json);
    cr_expect_eq(done.len, strlen(expected));
    cr_expect(saga_text_equal(done, saga_text(expected)), "%.*s", (int)done.len, done.at);
    saga_json_reset(&json);
}

/* ---- values ---- */

Test(json, texts)
{
    saga_json_text(&json, NULL, SAGA_TEXT("abc"));
    expect("\"abc\"");
    saga_json_text(&json, NULL, SAGA_TEXT(""));
    expect("\"\"");
    saga_json_text(&json, NULL, (struct saga_text){0});
    expect("null");
    saga_json_text(&json, NULL, SAGA_TEXT("\x7f/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
    expect("\"\x7f/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

Test(json, escapes)
{
    saga_json_text(&json, NULL, SAGA_TEXT("\"\\\n\r\t"));
    expect("\"\\\"\\\\\\n\\r\\t\"");
    saga_json_text(&json, NULL, SAGA_TEXT("a\0b\x01\b\f\x1f z\""));
    expect("\"a\\u0000b\\u0001\\u0008\\u000c\\u001f z\\\"\"");
    saga_json_text(&json, "a\"\n", SAGA_TEXT("x"));
    expect("\"a\\\"\\n\":\"x\"");
}

Test(json, integers)
{
    saga_json_open(&json, NULL, '[');
    static const int64_t values[] = {0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        saga_json_int(&json, NULL, values[i]);
    saga_json_close(&json, ']');
    expect("[0,1,-1,9,10,-10,9223372036854775807,-9223372036854775808]");
}

Test(json, booleans)
{
    saga_json_bool(&json, "yes", true);
    saga_json_bool(&json, "no", false);
    expect("\"yes\":true,\"no\":false");
}

Test(json, times)
{
    saga_json_time(&json, NULL, 0);
    expect("null");
    saga_json_time(&json, "at", INT64_C(1795453800123999));
    expect("\"at\":\"2026-11-23T17:10:00.123Z\"");
    saga_json_time(&json, NULL, -1);
    expect("\"1969-12-31T23:59:59.999Z\"");
}

Test(json, uuids)
{
    struct saga_uuid id = {{0xab, [15] = 0x0f}};
    saga_json_uuid(&json, "id", &id);
    expect("\"id\":\"ab000000-0000-0000-0000-00000000000f\"");
}

Test(json, raw)
{
    saga_json_raw(&json, "a", SAGA_TEXT("{\"b\": [1 ]}"));
    saga_json_raw(&json, "c", (struct saga_text){0});
    expect("\"a\":{\"b\": [1 ]},\"c\":null");
}

/* ---- commas and brackets ---- */

Test(json, nesting)
{
    saga_json_open(&json, NULL, '{');
    saga_json_open(&json, "empty", '[');
    saga_json_close(&json, ']');
    saga_json_open(&json, "list", '[');
    saga_json_int(&json, NULL, 1);
    saga_json_open(&json, NULL, '{');
    saga_json_close(&json, '}');
    saga_json_open(&json, NULL, '{');
    saga_json_bool(&json, "a", true);
    saga_json_text(&json, "b", (struct saga_text){0});
    saga_json_close(&json, '}');
    saga_json_open(&json, NULL, '[');
    saga_json_open(&json, NULL, '[');
    saga_json_close(&json, ']');
    saga_json_close(&json, ']');
    saga_json_int(&json, NULL, 2);
    saga_json_close(&json, ']');
    saga_json_int(&json, "last", 3);
    saga_json_close(&json, '}');
    expect("{\"empty\":[],\"list\":[1,{},{\"a\":true,\"b\":null},[[]],2],\"last\":3}");
}

Test(json, reset_keeps_the_memory)
{
    saga_json_int(&json, NULL, 1);
    char *at = json.at;
    saga_json_reset(&json);
    cr_assert_eq(saga_json_done(&json).len, 0);
    saga_json_int(&json, NULL, 2);
    cr_assert_eq(json.at, at);
    expect("2");
}

Test(json, clear_and_again)
{
    json.max = 3;
    saga_json_int(&json, NULL, 12345);
    saga_json_clear(&json);
    cr_assert(json.at == NULL && json.size == 0 && json.max == 3);
    saga_json_int(&json, NULL, 123);
    expect("123");
}

/* ---- structs ---- */

struct item {
    struct saga_text sku;
    int16_t quantity;
};

struct place {
    struct saga_text city;
};

struct body {
    struct saga_uuid id;
    struct saga_text name;
    int16_t small;
    int32_t medium;
    int64_t large;
    int64_t at_us;
    struct saga_text extra;
    struct saga_list items;
    struct place place;
};

static const struct saga_shape item_shape =
    SAGA_SHAPE(struct item, SAGA_FIELD(struct item, sku, SAGA_STRING),
               SAGA_FIELD(struct item, quantity, SAGA_INT16));
static const struct saga_shape place_shape =
    SAGA_SHAPE(struct place, SAGA_FIELD(struct place, city, SAGA_STRING));

#define FIELD(member_, type_, ...) SAGA_FIELD(struct body, member_, type_, __VA_ARGS__)
#define BODY_SHAPE(optional_)                                                                      \
    SAGA_SHAPE(struct body, FIELD(id, SAGA_UUID, .optional = optional_),                           \
               FIELD(name, SAGA_STRING, .optional = optional_),                                    \
               FIELD(small, SAGA_INT16, .optional = optional_),                                    \
               FIELD(medium, SAGA_INT32, .optional = optional_),                                   \
               FIELD(large, SAGA_INT64, .optional = optional_),                                    \
               FIELD(at_us, SAGA_TIME, .optional = optional_),                                     \
               FIELD(extra, SAGA_JSON, .optional = optional_),                                     \
               FIELD(items, SAGA_LIST, .optional = optional_, .inside = &item_shape),              \
               FIELD(place, SAGA_OBJECT, .optional = optional_, .inside = &place_shape))
static const struct saga_shape strict = BODY_SHAPE(false), loose = BODY_SHAPE(true);

#define ZERO_ID "\"id\":\"00000000-0000-0000-0000-000000000000\""

Test(json, every_type)
{
    static const struct item items[] = {{SAGA_TEXT("x"), 1}, {SAGA_TEXT("\n"), INT16_MIN}};
    const struct body body = {.name = SAGA_TEXT("a\"b"),
                              .small = INT16_MIN,
                              .medium = INT32_MIN,
                              .large = INT64_MIN,
                              .at_us = 1000,
                              .extra = SAGA_TEXT("[1, 2]"),
                              .items = {items, 2},
                              .place = {SAGA_TEXT("")}};
    const struct saga_shape *shapes[] = {&strict, &loose};
    for (size_t i = 0; i < 2; i++) {
        saga_json_object(&json, NULL, shapes[i], &body);
        expect("{" ZERO_ID ",\"name\":\"a\\\"b\",\"small\":-32768,\"medium\":-2147483648,"
               "\"large\":-9223372036854775808,\"at_us\":\"1970-01-01T00:00:00.001Z\","
               "\"extra\":[1, 2],\"items\":[{\"sku\":\"x\",\"quantity\":1},"
               "{\"sku\":\"\\n\",\"quantity\":-32768}],\"place\":{\"city\":\"\"}}");
    }
}

Test(json, integers_of_each_width)
{
    const struct body body = {.small = INT16_MAX, .medium = INT32_MAX, .large = INT64_MAX};
    saga_json_object(&json, NULL, &loose, &body);
    expect("{" ZERO_ID ",\"small\":32767,\"medium\":2147483647,\"large\":9223372036854775807,"
           "\"items\":[],\"place\":{\"city\":null}}");
}

Test(json, absent_members)
{
    saga_json_object(&json, NULL, &strict, &(struct body){0});
    expect("{" ZERO_ID ",\"name\":null,\"small\":0,\"medium\":0,\"large\":0,\"at_us\":null,"
           "\"extra\":null,\"items\":[],\"place\":{\"city\":null}}");
    saga_json_object(&json, NULL, &loose, &(struct body){0});
    expect("{" ZERO_ID ",\"small\":0,\"medium\":0,\"large\":0,"
           "\"items\":[],\"place\":{\"city\":null}}");
}

Test(json, empty_text_is_not_absent)
{
    const struct body body = {.name = SAGA_TEXT("")};
    saga_json_object(&json, NULL, &loose, &body);
    expect("{" ZERO_ID ",\"name\":\"\",\"small\":0,\"medium\":0,\"large\":0,"
           "\"items\":[],\"place\":{\"city\":null}}");
}

Test(json, members_among_others)
{
    saga_json_open(&json, NULL, '{');
    saga_json_int(&json, "before", 1);
    saga_json_members(&json, &place_shape, &(struct place){SAGA_TEXT("a")});
    saga_json_object(&json, "place", &place_shape, &(struct place){SAGA_TEXT("b")});
    saga_json_int(&json, "after", 2);
    saga_json_close(&json, '}');
    expect("{\"before\":1,\"city\":\"a\",\"place\":{\"city\":\"b\"},\"after\":2}");
}

/* ---- limits ---- */

Test(json, exactly_its_limit)
{
    json.max = 7;
    saga_json_text(&json, NULL, SAGA_TEXT("12345"));
    cr_assert_not(json.bad);
    expect("\"12345\"");
    saga_json_text(&json, NULL, SAGA_TEXT("123456"));
    cr_assert(json.bad);
    cr_assert_null(saga_json_done(&json).at);
    cr_assert_eq(saga_json_done(&json).len, 0);
}

Test(json, bad_until_reset)
{
    json.max = 4;
    saga_json_text(&json, NULL, SAGA_TEXT("abc"));
    saga_json_int(&json, NULL, 1);
    saga_json_open(&json, "x", '{');
    cr_assert(json.bad && json.len <= 4);
    cr_assert_null(saga_json_done(&json).at);
    saga_json_reset(&json);
    saga_json_text(&json, NULL, SAGA_TEXT("ab"));
    expect("\"ab\"");
}

/* Wherever in a struct the limit falls. */
Test(json, every_limit)
{
    static const struct item items[] = {{SAGA_TEXT("\t"), 1}};
    const struct body body = {
        .name = SAGA_TEXT("n"), .extra = SAGA_TEXT("{}"), .at_us = 1, .items = {items, 1}};
    saga_json_object(&json, NULL, &strict, &body);
    size_t len = json.len;
    cr_assert_gt(len, 100);
    for (size_t max = 1; max <= len + 1; max++) {
        saga_json_clear(&json);
        json.max = max;
        saga_json_object(&json, NULL, &strict, &body);
        cr_assert_eq(json.bad, max < len, "%zu", max);
        cr_assert_leq(json.len, max);
    }
}

Test(json, limit_of_64_mib_unless_set)
{
    static char text[1024 * 1024];
    memset(text, 'a', sizeof text);
    for (int i = 0; i < 63; i++)
        saga_json_raw(&json, NULL, (struct saga_text){text, sizeof text});
    saga_json_raw(&json, NULL, (struct saga_text){text, sizeof text - 63}); /* and 63 commas */
    cr_assert_not(json.bad);
    cr_assert_eq(saga_json_done(&json).len, 64 * sizeof text);
    json.comma = false;
    saga_json_raw(&json, NULL, SAGA_TEXT("1"));
    cr_assert(json.bad);
}

Test(json, grows_without_a_trace)
{
    saga_json_open(&json, NULL, '[');
    for (int i = 0; i < 5000; i++)
        saga_json_int(&json, NULL, i % 10);
    saga_json_close(&json, ']');
    struct saga_text done = saga_json_done(&json);
    cr_assert_eq(done.len, 10001);
    for (size_t i = 0; i < 5000; i++) {
        cr_assert_eq(done.at[2 * i + 1], (char)('0' + i % 10), "%zu", i);
        cr_assert_eq(done.at[2 * i + 2], i < 4999 ? ',' : ']', "%zu", i);
    }
}
