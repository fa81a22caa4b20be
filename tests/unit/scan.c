/* scan.c: events into structs of every type, and every way in which a text is refused. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/scan.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct item {
    struct saga_text sku;
    int32_t quantity;
};

struct place {
    struct saga_text city;
    int16_t floor;
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
               SAGA_FIELD(struct item, quantity, SAGA_INT32, .optional = true));
static const struct saga_shape place_shape =
    SAGA_SHAPE(struct place, SAGA_FIELD(struct place, city, SAGA_STRING),
               SAGA_FIELD(struct place, floor, SAGA_INT16));

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

/* One member of each type, in the shape's order. */
static const char *const members[] = {
    "'id':'01890A5D-ac96-774b-bcce-b302099a8057'",
    "'name': 'a\\u00e9\\ud83d\\ude00\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 \\'\\n'",
    "'small' :-32768",
    "'medium':2147483647",
    "'large':-9223372036854775808",
    "'at_us':'2026-11-23T17:10:00.5+01:00'",
    "'extra':\t{'a' : [1.5e-3, true,\r\nfalse, null, '\\\\', {}]}\n",
    "'items':[{'sku':'x','quantity':1},{'sku':'y'} ]",
    "'place':{'city':'','floor':0}"};

static struct arena arena;
static char *input;
static struct body body;

static void teardown(void)
{
    free(input);
    arena_free(&arena);
}

TestSuite(scan, .fini = teardown);

/* Tests write ' for "; the input is as large as its text, so that a read beyond it is seen. */
static char *quoted(const char *json, size_t len)
{
    char *copy = malloc(len);
    for (size_t i = 0; i < len; i++)
        copy[i] = json[i] == '\'' ? '"' : json[i];
    return copy;
}

static const char *scan_bytes(const struct saga_shape *shape, const char *json, size_t len)
{
    free(input);
    input = quoted(json, len);
    memset(&body, 0xa5, sizeof body);
    arena_reset(&arena);
    return scan_object(&arena, (struct saga_text){input, len}, shape, &body);
}

static const char *check_bytes(const char *json, size_t len)
{
    char *copy = quoted(json, len);
    const char *error = scan_check((struct saga_text){copy, len});
    free(copy);
    return error;
}

__attribute__((format(printf, 1, 2))) static const char *scan(const char *format, ...)
{
    static char json[16384];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(json, sizeof json, format, arguments);
    va_end(arguments);
    cr_assert_lt(len, (int)sizeof json);
    return scan_bytes(&loose, json, (size_t)len);
}

/* The next of a list that is parted by bars; NULL at its end. */
static const char *next(const char **list)
{
    static char text[128];
    if (*list == NULL)
        return NULL;
    size_t len = strcspn(*list, "|");
    snprintf(text, sizeof text, "%.*s", (int)len, *list);
    *list = (*list)[len] == '|' ? *list + len + 1 : NULL;
    return text;
}

/* Each of the list, between these two, is taken, or is not. */
static void expect(bool taken, const char *before, const char *list, const char *after)
{
    const char *text;
    while ((text = next(&list)) != NULL)
        cr_assert_eq(scan("%s%s%s", before, text, after) == NULL, taken, "%s", text);
}

static void expect_value(bool taken, const char *list)
{
    const char *text;
    while ((text = next(&list)) != NULL)
        cr_assert_eq(check_bytes(text, strlen(text)) == NULL, taken, "%s", text);
}

/* All members but number `left_out`. */
static const char *document(size_t left_out)
{
    static char json[1024];
    int len = 0;
    for (size_t i = 0; i < COUNT(members); i++)
        if (i != left_out)
            len += sprintf(json + len, "%c%s", len ? ',' : '{', members[i]);
    stpcpy(json + len, "}");
    return json;
}

static bool reads(struct saga_text text, const char *expected)
{
    size_t len = strlen(expected);
    char *copy = quoted(expected, len);
    bool equal = saga_text_equal(text, (struct saga_text){copy, len});
    free(copy);
    return equal;
}

/* `open` so many times, and a sound inside. */
static const char *nested(const char *open, const char *close, int depth)
{
    static char json[256];
    char *at = stpcpy(json, "");
    for (int i = 0; i < depth; i++)
        at = stpcpy(at, open);
    at = stpcpy(at, "1");
    for (int i = 0; i < depth; i++)
        at = stpcpy(at, close);
    return json;
}

Test(scan, every_type)
{
    const char *json = document(SIZE_MAX);
    cr_assert_null(scan_bytes(&strict, json, strlen(json)));
    char id[SAGA_UUID_TEXT_SIZE];
    saga_uuid_format(&body.id, id);
    cr_assert_str_eq(id, "01890a5d-ac96-774b-bcce-b302099a8057");
    cr_assert(
        reads(body.name, "a\xc3\xa9\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 '\n"));
    cr_assert(body.small == INT16_MIN && body.medium == INT32_MAX && body.large == INT64_MIN);
    cr_assert_eq(body.at_us, INT64_C(1795450200500000));
    cr_assert(reads(body.extra, "{'a' : [1.5e-3, true,\r\nfalse, null, '\\\\', {}]}"));
    const struct item *items = body.items.at;
    cr_assert_eq(body.items.count, 2);
    cr_assert(reads(items[0].sku, "x") && items[0].quantity == 1);
    cr_assert(reads(items[1].sku, "y") && items[1].quantity == 0);
    cr_assert(reads(body.place.city, "") && body.place.floor == 0);
}

Test(scan, plain_texts_are_slices)
{
    cr_assert_null(scan("{'name':'abc','extra': [1] }"));
    cr_assert_eq(body.name.at, input + 9);
    cr_assert(body.extra.at == strchr(input, '[') && body.extra.len == 3);
}

Test(scan, absent_members_are_zero)
{
    static const struct body zero;
    cr_assert_null(scan("{}"));
    cr_assert_arr_eq(&body, &zero, sizeof zero);
}

Test(scan, missing_members_are_named)
{
    for (size_t i = 0; i < COUNT(members); i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "member '%s' is missing", strict.fields[i].name);
        const char *json = document(i);
        cr_assert_str_eq(scan_bytes(&strict, json, strlen(json)), expected);
        cr_assert_null(scan("%s", json));
    }
    cr_assert_str_eq(scan("{'items':[{'sku':'a'},{}]}"), "member 'sku' is missing");
    cr_assert_str_eq(scan("{'place':{'city':''}}"), "member 'floor' is missing");
}

Test(scan, truncated_anywhere)
{
    static const struct saga_shape nothing = {.size = sizeof(struct body)};
    char json[1024];
    snprintf(json, sizeof json, "%s", document(SIZE_MAX));
    size_t len = strlen(json);
    for (size_t i = 0; i < len; i++) {
        cr_assert_not_null(scan_bytes(&loose, json, i), "%zu", i);
        cr_assert_not_null(scan_bytes(&nothing, json, i), "%zu", i);
        cr_assert_not_null(check_bytes(json, i), "%zu", i);
    }
    cr_assert_null(scan_bytes(&nothing, json, len));
    cr_assert_null(check_bytes(json, len));
}

/* Whatever a byte turns into: nothing beyond the input is read. */
Test(scan, any_byte_changed)
{
    char json[1024];
    snprintf(json, sizeof json, "%s", document(SIZE_MAX));
    size_t len = strlen(json), refused = 0;
    for (size_t i = 0; i < len; i++) {
        char was = json[i];
        for (int c = 0; c < 256; c += 3) {
            json[i] = (char)c;
            refused += scan_bytes(&loose, json, len) != NULL;
        }
        json[i] = was;
    }
    cr_assert_gt(refused, len * 20);
}

Test(scan, no_text)
{
    cr_assert_not_null(scan_object(&arena, (struct saga_text){0}, &loose, &body));
    cr_assert_not_null(scan_check((struct saga_text){0}));
    cr_assert_not_null(scan(" \n"));
}

Test(scan, bytes_behind)
{
    cr_assert_null(scan(" \t\r\n{ \t\r\n} \t\r\n"));
    expect(false, "", "{}}|{} x|{}{}|{},|{}\v|{}\f|{}\xc2\xa0|\xef\xbb\xbf{}|// {}", "");
    cr_assert_not_null(scan_bytes(&loose, "{}", 3));
    expect_value(false, "1 1|{} {}|null,|\v1");
}

Test(scan, top_must_be_an_object)
{
    static const char tops[] = "[]|'a'|1|null|[{}]";
    expect(false, "", tops, "");
    expect_value(true, tops);
}

static const char values[] =
    "0|-0|10|1.0|-1.25e+10|1E-2|1e400|true|false|null|[]|[ 1 , 2]|{ }|''|[[]]|"
    "99999999999999999999|'\x7f'|{'a':{'a':1}, 'b':[{'a':1},{'a':2}]}";
static const char no_values[] =
    "|01|-01|1.|.5|-|+1|1e|1e+|1.e1|0x10|NaN|-NaN|Infinity|tru|True|nul|nulll|[|]|[1,]|"
    "[,1]|[1 2]|[1}|{|}|{'a'}|{'a':}|{,}|{a:1}|{'a':1,}|{'a' 1}|{1:1}|{'a':1]|"
    "{'a':1 'b':2}|{null:1}|a|'a|'a\\'|//|1/**/|truefalse|'''|[1]2|-a|1,|"
    "{'a':1,,'b':2}";

Test(scan, skipped_values)
{
    for (const char *left = values, *text; (text = next(&left)) != NULL;) {
        cr_assert_null(scan("{'new':%s,'small':7}", text), "%s", text);
        cr_assert_eq(body.small, 7);
        cr_assert_null(scan("{'extra':%s}", text), "%s", text);
        cr_assert(reads(body.extra, text));
        cr_assert_null(check_bytes(text, strlen(text)), "%s", text);
    }
    cr_assert_null(scan("{'smal':1,'smalls':2,'':3}"));
    cr_assert_eq(body.small, 0);
}

Test(scan, no_values)
{
    expect(false, "{'new':", no_values, "}");
    expect(false, "{'extra':", no_values, "}");
    expect_value(false, no_values);
}

Test(scan, duplicate_members)
{
    const char *text, *twice = "'small':1,'small':1|'new':1,'old':2,'new':3|'new':{'a':1,'a':1}|"
                               "'small':1,'\\u0073mall':1|'extra':[{'':1,'':1}]|"
                               "'items':[{'sku':'','sku':''}]|"
                               "'place':{'city':'','floor':1,'floor':2}";
    while ((text = next(&twice)) != NULL)
        cr_assert_str_eq(scan("{%s}", text), "a duplicate member", "%s", text);
    expect_value(false, "{'a':1,'a':1}|[{'a':1,'b':2,'b':2}]");
    cr_assert_null(scan("{'small':1,'place':{'city':'','floor':2,'small':3}}"));
}

Test(scan, sixteen_deep)
{
    for (int depth = 1; depth <= 17; depth++) {
        bool fits = depth < 16; /* within the top object */
        cr_assert_eq(scan("{'new':%s}", nested("[", "]", depth)) == NULL, fits, "%d", depth);
        cr_assert_eq(scan("{'new':%s}", nested("{'a':", "}", depth)) == NULL, fits);
        const char *items = nested("[", "]", depth - 1); /* and an item of a list */
        bool inside = scan("{'items':[{'sku':'','new':%s}]}", items) == NULL;
        cr_assert_eq(inside, depth < 15, "%d", depth);
    }
    expect_value(true, nested("[", "]", 16));
    expect_value(false, nested("[", "]", 17));
}

Test(scan, wide_is_not_deep)
{
    cr_assert_null(scan("{'new':[%s[]],'extra':[%s{}],'items':[%s{'sku':''}]}",
                        "[],[[]],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],",
                        "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},",
                        "{'sku':''},{'sku':''},{'sku':''},{'sku':''},"));
}

Test(scan, sixty_four_members)
{
    char json[1024];
    for (int i = 0, len = 0; i < 65; i++) {
        len += sprintf(json + len, "%c'm%d':1", i ? ',' : '{', i);
        if (i >= 63)
            cr_assert_eq(scan("%s}", json) == NULL, i == 63, "%d", i);
    }
}

Test(scan, lists_of_any_length)
{
    static char json[8192];
    for (int count = 0; count <= 100; count++) {
        int len = sprintf(json, "[");
        for (int i = 0; i < count; i++)
            len += sprintf(json + len, "%s{'quantity':%d,'sku':'s%d'}", i ? "," : "", i, i);
        cr_assert_null(scan("{'items':%s ]}", json));
        cr_assert_eq(body.items.count, (size_t)count);
        const struct item *items = body.items.at;
        for (int i = 0; i < count; i++) {
            snprintf(json, sizeof json, "s%d", i);
            cr_assert(items[i].quantity == i && reads(items[i].sku, json), "%d", i);
        }
    }
    expect(false, "{'items':", "[{'sku':''},]|[,]|[1]|[{'sku':''} {}]|[{'sku':''}}", "}");
}

/* ---- members that do not fit ---- */

Test(scan, integers_at_their_limits)
{
    expect(true, "{'small':", "32767|-32768", "}");
    expect(true, "{'medium':", "2147483647|-2147483648", "}");
    expect(true, "{'large':", "9223372036854775807|-9223372036854775808", "}");
    expect(false, "{'small':", "32768|-32769|4294967296", "}");
    expect(false, "{'medium':", "2147483648|-2147483649|4294967297", "}");
    expect(false, "{'large':", "9223372036854775808|-9223372036854775809|18446744073709551617",
           "}");
    cr_assert_null(scan("{'large':9223372036854775807,'medium':-0,'small': 10 }"));
    cr_assert(body.large == INT64_MAX && body.medium == 0 && body.small == 10);
    cr_assert_str_eq(scan("{'small':32768}"), "member 'small' is out of range");
}

Test(scan, wrong_types)
{
    const char *text, *wrong =
                          "'id':1|'id':'01890a5d-ac96-774b-bcce-b302099a805'|'id':null|'id':''|"
                          "'name':1|'name':null|'name':{}|'at_us':1795450200|'at_us':''|"
                          "'at_us':'2026-02-29T00:00:00Z'|'items':{}|'items':null|'items':''|"
                          "'small':2.0|'medium':1e3|'large':-0.0|'large':1E0";
    while ((text = next(&wrong)) != NULL) {
        char name[32];
        int len = (int)strcspn(text + 1, "'");
        snprintf(name, sizeof name, "member '%.*s' must be ", len, text + 1);
        const char *error = scan("{%s}", text);
        cr_assert(error != NULL && strncmp(error, name, strlen(name)) == 0, "%s", text);
    }
    expect(false, "{'small':", "'1'|null|true|[1]|{}||1 2|1a|--1", "}");
    expect(false, "{'place':", "[]|null|''|1", "}");
    cr_assert_str_eq(scan("{'small':2.0}"), "member 'small' must be an integer");
}
