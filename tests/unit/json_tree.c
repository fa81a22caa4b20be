/* json_tree.c: bodies from outside: each rule and its fault, all of them at once, and no JSON. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "ports/json_tree.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct item {
    struct saga_text sku;
    int64_t quantity;
};

struct place {
    struct saga_text city;
    int16_t floor;
};

struct body {
    struct saga_uuid id;
    struct saga_text plain, name, slug, code;
    int16_t small;
    int32_t medium;
    int64_t large, count, at_us;
    struct saga_list items, others;
    struct place place;
    struct saga_text extra, tags;
};

static const struct saga_rule name_rule = {.min = 1, .max = 4, .visible_ascii = true};
static const struct saga_rule slug_rule = {.min = 0, .max = 3, .extra = "._-"};
static const struct saga_rule code_rule = {.one_of = (const char *const[]){"AB", "C", NULL},
                                           .must = "must be AB or C"};
static const struct saga_rule count_rule = {.min = -1, .max = 5};
static const struct saga_rule items_rule = {.min = 1, .max = 3, .distinct = "sku"};
static const struct saga_rule tags_rule = {.members_max = 2, .name_max = 3, .value_max = 4};

static const struct saga_shape item_shape =
    SAGA_SHAPE(struct item, SAGA_FIELD(struct item, sku, SAGA_STRING),
               SAGA_FIELD(struct item, quantity, SAGA_INT64, .optional = true));
static const struct saga_shape place_shape =
    SAGA_SHAPE(struct place, SAGA_FIELD(struct place, city, SAGA_STRING),
               SAGA_FIELD(struct place, floor, SAGA_INT16));
#define FIELD(member_, type_, ...)                                                                 \
    SAGA_FIELD(struct body, member_, type_, .optional = true, __VA_ARGS__)
static const struct saga_shape shape = SAGA_SHAPE(
    struct body, FIELD(id, SAGA_UUID), FIELD(plain, SAGA_STRING),
    FIELD(name, SAGA_STRING, .rule = &name_rule), FIELD(slug, SAGA_STRING, .rule = &slug_rule),
    FIELD(code, SAGA_STRING, .rule = &code_rule), FIELD(small, SAGA_INT16),
    FIELD(medium, SAGA_INT32), FIELD(large, SAGA_INT64),
    FIELD(count, SAGA_INT64, .rule = &count_rule), FIELD(at_us, SAGA_TIME),
    FIELD(items, SAGA_LIST, .inside = &item_shape, .rule = &items_rule),
    FIELD(others, SAGA_LIST, .inside = &item_shape),
    FIELD(place, SAGA_OBJECT, .inside = &place_shape), FIELD(extra, SAGA_JSON),
    FIELD(tags, SAGA_JSON, .rule = &tags_rule));

static struct arena arena;
static struct body body;
static char faults[65536], *faults_end;
static size_t faults_count;
static const char *reason;

static void teardown(void)
{
    arena_free(&arena);
}

TestSuite(json_tree, .fini = teardown);

static void note(void *opaque, const char *pointer, const char *detail)
{
    cr_assert_eq(opaque, &arena);
    if (faults_count++ < 100)
        faults_end += sprintf(faults_end, "%s%s %s", *faults ? "|" : "", pointer, detail);
}

/* Tests write ' for "; the input is as large as its text, and gone when its struct is looked at. */
static enum json_tree_result bind_bytes(const char *json, size_t len)
{
    char *copy = malloc(len);
    for (size_t i = 0; i < len; i++)
        copy[i] = json[i] == '\'' ? '"' : json[i];
    arena_reset(&arena);
    memset(&body, 0xa5, sizeof body);
    faults_end = faults;
    *faults = '\0';
    faults_count = 0;
    reason = NULL;
    enum json_tree_result result =
        json_tree_bind(&arena, (struct saga_text){copy, len}, &shape, &body, note, &arena, &reason);
    free(copy);
    return result;
}

static void expect(const char *json, const char *expected)
{
    enum json_tree_result result = bind_bytes(json, strlen(json));
    cr_expect_eq(result, *expected ? JSON_TREE_FAULTY : JSON_TREE_OK, "%s", json);
    cr_expect_str_eq(faults, expected, "%s: %s", json, faults);
}

/* This member alone, with each value of a list that is parted by bars. */
static void expect_each(const char *name, const char *values, const char *expected)
{
    for (size_t len; *(values += *values == '|') != '\0'; values += len) {
        char json[256];
        len = strcspn(values, "|");
        snprintf(json, sizeof json, "{'%s':%.*s}", name, (int)len, values);
        expect(json, expected);
    }
}

static void expect_malformed(const char *json, size_t len)
{
    cr_expect_eq(bind_bytes(json, len), JSON_TREE_MALFORMED, "%.*s", (int)len, json);
    cr_expect(reason != NULL && *reason != '\0' && faults_count == 0, "%.*s", (int)len, json);
    /* Found by fuzz order_http: a quotation of the body ended within a character. */
    for (const char *at = reason; at != NULL && *at != '\0'; at++)
        cr_expect(*at >= 0x20 && *at < 0x7f, "%.*s: %s", (int)len, json, reason);
}

static bool reads(struct saga_text text, const char *expected)
{
    return saga_text_equal(text, saga_text(expected));
}

static const char whole[] =
    "{'id':'01890A5D-ac96-774b-bcce-b302099a8057','plain':'\\u00e9 \\ud83d\\ude00\\n','name':'!~',"
    "'slug':'a-Z','code':'AB','small':-32768,'medium':-2147483648,'large':-9223372036854775808,"
    "'count':5,'at_us':'2026-11-23T17:10:00.123Z','items':[{'sku':'x','quantity':1},{'sku':'y'}],"
    "'others':[],'place':{'city':'','floor':32767},'extra':[1],'tags':{'abc':'1234'}}";

Test(json_tree, every_type)
{
    expect(whole, "");
    char id[SAGA_UUID_TEXT_SIZE];
    saga_uuid_format(&body.id, id);
    cr_assert_str_eq(id, "01890a5d-ac96-774b-bcce-b302099a8057");
    cr_assert(reads(body.plain, "\xc3\xa9 \xf0\x9f\x98\x80\n") && reads(body.name, "!~"));
    cr_assert(reads(body.slug, "a-Z") && reads(body.code, "AB"));
    cr_assert(body.small == INT16_MIN && body.medium == INT32_MIN && body.large == INT64_MIN);
    cr_assert(body.count == 5 && body.at_us == INT64_C(1795453800123000));
    const struct item *items = body.items.at;
    cr_assert(body.items.count == 2 && body.others.count == 0);
    cr_assert(reads(items[0].sku, "x") && items[0].quantity == 1);
    cr_assert(reads(items[1].sku, "y") && items[1].quantity == 0);
    cr_assert(reads(body.place.city, "") && body.place.floor == INT16_MAX);
    cr_assert(reads(body.extra, "[1]") && reads(body.tags, "{\"abc\":\"1234\"}"));
}

Test(json_tree, absent_members_are_zero)
{
    static const struct body zero;
    expect(" { } \r\n\t", "");
    cr_assert_arr_eq(&body, &zero, sizeof zero);
}

Test(json_tree, top_must_be_an_object)
{
    static const char *const tops[] = {"[]", "[{}]", "1", "'a'", "null", "true"};
    for (size_t i = 0; i < COUNT(tops); i++)
        expect(tops[i], "# must be an object");
}

/* ---- types and rules ---- */

Test(json_tree, required)
{
    expect("{'place':{}}", "#/place/city is required|#/place/floor is required");
    expect("{'items':[{'sku':''},{}]}", "#/items/1/sku is required");
}

Test(json_tree, unknown)
{
    expect("{'new':1}", "#/new is not known here");
    expect("{'Small':1,'smal':1}", "#/Small is not known here|#/smal is not known here");
    expect("{'place':{'city':'','floor':0,'x':{}}}", "#/place/x is not known here");
    expect("{'others':[{'sku':'','y':[]}]}", "#/others/0/y is not known here");
}

Test(json_tree, pointers_are_escaped)
{
    expect("{'a/b~c %\xc3\xa9\\n':1}", "#/a~1b~0c%20%25%C3%A9%0A is not known here");
    expect("{'':1}", "#/ is not known here");
    expect("{'a-._!$&()*+,;=:@?Z09':1}", "#/a-._!$&()*+,;=:@?Z09 is not known here");
    expect("{'\\\\^`{}<>[]#':1}", "#/%5C%5E%60%7B%7D%3C%3E%5B%5D%23 is not known here");
}

Test(json_tree, long_names)
{
    static const char letters[] = "a ~%";
    for (size_t i = 0; i < 4; i++) {
        for (int len = 900; len < 1200; len++) {
            static char json[2048];
            memset(json, letters[i], sizeof json);
            memcpy(json, "{'", 2);
            memcpy(json + len, "':1,'small':''}", 16);
            cr_assert_eq(bind_bytes(json, strlen(json)), JSON_TREE_FAULTY);
            cr_assert(faults_count == 2 && strlen(faults) < 2048);
            cr_assert_eq(strncmp(faults, "#/small must be an integer|#/", 29), 0);
        }
    }
}

Test(json_tree, wrong_types)
{
    expect_each("id", "1|null|{}|''|'01890a5d'", "#/id must be a UUID");
    expect_each("plain", "1|null|{}|[]|true", "#/plain must be a string");
    expect_each("at_us", "1|null|''|'2026-02-29T00:00:00Z'", "#/at_us must be an RFC 3339 time");
    expect_each("small", "'1'|null|true|[]|1.5", "#/small must be an integer");
    expect_each("items", "{}|null|''|1", "#/items must be an array");
    expect_each("place", "[]|null|''|1", "#/place must be an object");
    expect_each("others", "[1]|[null]|[[]]|['']", "#/others/0 must be an object");
    expect_each("tags", "[]|null|'a'|1", "#/tags must be an object");
}

Test(json_tree, two_point_zero_is_no_integer)
{
    expect_each("small", "2.0|1e0|-0.0|1E2", "#/small must be an integer");
    expect_each("medium", "2.0|1e0", "#/medium must be an integer");
    expect_each("large", "2.0|1e0", "#/large must be an integer");
    expect_each("count", "2.0|1e0", "#/count must be an integer");
}

Test(json_tree, integers_at_their_limits)
{
    expect_each("small", "32767|-32768|-0|0", "");
    expect_each("small", "32768|-32769|9223372036854775807", "#/small is out of range");
    expect_each("medium", "2147483647|-2147483648", "");
    expect_each("medium", "2147483648|-2147483649", "#/medium is out of range");
    expect_each("large", "9223372036854775807|-9223372036854775808", "");
    expect_each("count", "-1|0|5", "");
    expect_each("count", "-2|6", "#/count must be an integer from -1 to 5");
}

Test(json_tree, texts_at_their_limits)
{
    static const char name[] = "#/name must be 1 to 4 bytes long, of visible ASCII";
    expect_each("name", "'!'|'~~~~'", "");
    expect_each("name", "''|'abcde'|'a b'|'\x7f'|'\xc3\xa9'|'\\t'", name);
    static const char slug[] =
        "#/slug must be 0 to 3 bytes long, of letters, digits, \".\", \"_\", \"-\"";
    expect_each("slug", "''|'._-'|'azA'|'Z09'", "");
    expect_each("slug", "'abcd'|'/'|':'|'@'|'['|'`'|'{'|' '|'\xc3\xa9'|'\x7f'", slug);
    expect_each("code", "'AB'|'C'", "");
    expect_each("code", "''|'A'|'ABC'|'ab'|'D'|'C '", "#/code must be AB or C");
}

Test(json_tree, lists_at_their_limits)
{
    expect_each("items", "[{'sku':'a'}]|[{'sku':'a'},{'sku':'b'},{'sku':'c'}]", "");
    expect_each("items", "[]|[{'sku':'a'},{'sku':'b'},{'sku':'c'},{'sku':'d'}]",
                "#/items must be 1 to 3 items long");
}

Test(json_tree, distinct)
{
    expect_each("items", "[{'sku':'a'},{'sku':'b'},{'sku':'\\u0061'}]",
                "#/items/2/sku must be distinct; item 0 has it too");
    expect_each("items", "[{'sku':'a'},{'sku':'a'},{'sku':'a'}]",
                "#/items/1/sku must be distinct; item 0 has it too|"
                "#/items/2/sku must be distinct; item 0 has it too");
    expect_each("items", "[{'sku':''},{'sku':'A'},{'sku':'a'}]", "");
    expect_each("items", "[{'sku':1},{'sku':1}]",
                "#/items/0/sku must be a string|#/items/1/sku must be a string");
    expect_each("others", "[{'sku':'a'},{'sku':'a'}]", "");
}

Test(json_tree, members)
{
    expect_each("tags", "{}|{'':''}|{'abc':'1234','d':'\xc3\xa9\xc3\xa9'}", "");
    expect_each("tags", "{'a':'','b':'','c':''}", "#/tags must have at most 2 members");
    expect_each("tags", "{'abcd':''}", "#/tags/abcd must have a name of at most 3 bytes");
    expect_each("tags", "{'\xc3\xa9\xc3\xa9':''}",
                "#/tags/%C3%A9%C3%A9 must have a name of at most 3 bytes");
    expect_each("tags", "{'a':'12345'}|{'a':1}|{'a':null}|{'a':{}}|{'a':'\xc3\xa9\xc3\xa9x'}",
                "#/tags/a must be a string of at most 4 bytes");
}

Test(json_tree, all_faults)
{
    expect("{'new':1,'id':1,'plain':1,'name':'','slug':'/','code':'','small':99999,'medium':'',"
           "'large':2.0,'count':6,'at_us':'','items':[{'quantity':'','sku':'a'},{},{'sku':'a',"
           "'z':1}],'others':[7],'place':{'floor':null,'extra':1},'tags':{'a':1,'long':1,'b':''}}",
           "#/id must be a UUID|#/plain must be a string|"
           "#/name must be 1 to 4 bytes long, of visible ASCII|#/slug must be 0 to 3 bytes long, "
           "of letters, digits, \".\", \"_\", \"-\"|#/code must be AB or C|"
           "#/small is out of range|#/medium must be an integer|#/large must be an integer|"
           "#/count must be an integer from -1 to 5|#/at_us must be an RFC 3339 time|"
           "#/items/0/quantity must be an integer|#/items/1/sku is required|"
           "#/items/2/z is not known here|#/items/2/sku must be distinct; item 0 has it too|"
           "#/others/0 must be an object|#/place/city is required|"
           "#/place/floor must be an integer|#/place/extra is not known here|"
           "#/tags must have at most 2 members|#/tags/a must be a string of at most 4 bytes|"
           "#/tags/long must have a name of at most 3 bytes|"
           "#/tags/long must be a string of at most 4 bytes|#/new is not known here");
}

Test(json_tree, hundreds_of_faults)
{
    static char json[16384];
    char *end = stpcpy(json, "{'others':[{}");
    for (int i = 1; i < 500; i++)
        end = stpcpy(end, ",{}");
    stpcpy(end, "]}");
    cr_assert_eq(bind_bytes(json, strlen(json)), JSON_TREE_FAULTY);
    cr_assert_eq(faults_count, 500);
}

/* ---- values that are kept as JSON ---- */

Test(json_tree, canonical)
{
    static const struct pair {
        const char *json, *dump;
    } pairs[] = {
        {"{'b':1,\n'a':[1.0, {'d':null,'c':true}], '':{}}",
         "{\"\":{},\"a\":[1.0,{\"c\":true,\"d\":null}],\"b\":1}"},
        {"{'a' : [ 1.00 , {'c':true,'d':null} ],'':{ },'b':1}",
         "{\"\":{},\"a\":[1.0,{\"c\":true,\"d\":null}],\"b\":1}"},
        {"'\\u00e9\\/\\u0041'", "\"\xc3\xa9/A\""},
        {" null ", "null"},
        {"false", "false"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"0.1", "0.10000000000000001"},
        {"[ ]", "[]"},
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        expect_each("extra", pairs[i].json, "");
        cr_assert(reads(body.extra, pairs[i].dump), "%.*s", (int)body.extra.len, body.extra.at);
    }
    expect_each("tags", "{'b':'2', 'a':'1'}", "");
    cr_assert(reads(body.tags, "{\"a\":\"1\",\"b\":\"2\"}"));
}

/* ---- what is no JSON ---- */

Test(json_tree, malformed)
{
    static const char *const malformed[] = {
        "", " ", "{", "}", "{]", "{'small'}", "{'small':}", "{'small':1,}", "{,}", "{'small' 1}",
        "{small:1}", "{1:1}", "{'extra':[1,]}", "{'extra':[1 2]}", "{'extra':01}", "{'extra':1.}",
        "{'extra':.5}", "{'extra':+1}", "{'extra':-}", "{'extra':0x10}", "{'extra':NaN}",
        "{'extra':Infinity}", "{'extra':True}", "{'extra':nulll}", "{'extra':undefined}", "{/**/}",
        "{} x", "{}{}", "{},", "{}]", "\xef\xbb\xbf{}",
        /* duplicate members */
        "{'small':1,'small':1}", "{'new':1,'new':2}", "{'extra':{'a':1,'\\u0061':1}}",
        /* numbers */
        "{'large':9223372036854775808}", "{'large':-9223372036854775809}", "{'extra':1e400}",
        "{'extra':-1e400}", "{'new':123456789012345678901234567890}",
        /* strings */
        "{'plain':'\n'}", "{'plain':'\x1f'}", "{'plain':'a}", "{'plain':'\\x41'}",
        "{'plain':'\\u12'}", "{'plain':'\\u12g4'}", "{'plain':'\\u0000'}", "{'\\u0000':1}",
        "{'plain':'\\ud800'}", "{'plain':'\\udc00'}", "{'plain':'\\ud800\\u0041'}",
        "{'plain':'\\ud800\\ud800'}", "{'plain':'\\udc00\\ud800'}", "{'\\udfff':1}",
        /* not UTF-8 */
        "{'plain':'\x80'}", "{'plain':'\xff'}", "{'plain':'\xc0\xaf'}", "{'plain':'\xc3'}",
        "{'plain':'\xe0\x9f\xbf'}", "{'plain':'\xed\xa0\x80'}", "{'plain':'\xf0\x8f\xbf\xbf'}",
        "{'plain':'\xf4\x90\x80\x80'}", "{'plain':'\xf0\x9f\x98'}", "{'\xe2\x82':1}", "\xff"};
    for (size_t i = 0; i < COUNT(malformed); i++)
        expect_malformed(malformed[i], strlen(malformed[i]));
    expect_malformed("{}", 3);
    expect_malformed("{'plain':'a\0b'}", 15);
    expect_malformed("{'plain':'\\u00e\xcc\x8d\xd3\xdd'}", 21);
    cr_assert_eq(
        json_tree_bind(&arena, (struct saga_text){0}, &shape, &body, note, &arena, &reason),
        JSON_TREE_MALFORMED);
}

Test(json_tree, truncated_anywhere)
{
    for (size_t len = 0; len < sizeof whole - 1; len++)
        expect_malformed(whole, len);
}

Test(json_tree, sixteen_deep)
{
    static const char *const around[][2] = {{"[", "]"}, {"{'a':", "}"}};
    for (size_t i = 0; i < COUNT(around); i++) {
        for (int depth = 14; depth <= 17; depth++) {
            char json[256], *end = stpcpy(json, "{'extra':");
            for (int k = 1; k < depth; k++)
                end = stpcpy(end, around[i][0]);
            end = stpcpy(end, "'[{\\'[{'");
            for (int k = 1; k < depth; k++)
                end = stpcpy(end, around[i][1]);
            end = stpcpy(end, "}");
            enum json_tree_result result = bind_bytes(json, strlen(json));
            cr_assert_eq(result, depth <= 16 ? JSON_TREE_OK : JSON_TREE_MALFORMED, "%d", depth);
        }
    }
    cr_assert_str_eq(reason, "nested deeper than 16");
}

Test(json_tree, wide_is_not_deep)
{
    char json[256], *end = stpcpy(json, "{'extra':[{}");
    for (int i = 0; i < 40; i++)
        end = stpcpy(end, i % 2 ? ",[]" : ",{}");
    stpcpy(end, "]}");
    expect(json, "");
}
