/* scan_strings.c: strings of events: UTF-8 and escapes, what they read as and what is refused. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/scan.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct body {
    struct saga_text name;
};

static const struct saga_shape shape =
    SAGA_SHAPE(struct body, SAGA_FIELD(struct body, name, SAGA_STRING, .optional = true));

static struct arena arena;
static char *input;
static struct body body;

static void teardown(void)
{
    free(input);
    arena_free(&arena);
}

TestSuite(scan_strings, .fini = teardown);

/* The input is as large as its text, so that a read beyond it is seen. */
static const char *scan(const char *before, const char *text, size_t len, const char *after)
{
    size_t size = strlen(before) + len + strlen(after);
    free(input);
    input = malloc(size);
    memcpy(mempcpy(mempcpy(input, before, strlen(before)), text, len), after, strlen(after));
    arena_reset(&arena);
    return scan_object(&arena, (struct saga_text){input, size}, &shape, &body);
}

Test(scan_strings, escapes)
{
    static const struct escape {
        const char *json, *text;
    } escapes[] = {
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
        {"\\u0001\\u007F", "\x01\x7f"},
        {"\\u0080\\u07ff", "\xc2\x80\xdf\xbf"},
        {"\\u0800\\uD7ff\\ue000\\uFFFF", "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"},
        {"\\ud800\\udc00\\uDBFF\\uDFFF", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"a\\u00e9z\\\\u0041", "a\xc3\xa9z\\u0041"},
        {"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf", "\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf"},
        {"\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
         "\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"}};
    for (size_t i = 0; i < COUNT(escapes); i++) {
        const char *json = escapes[i].json;
        cr_assert_null(scan("{\"name\":\"", json, strlen(json), "\"}"), "%zu", i);
        cr_assert(saga_text_equal(body.name, saga_text(escapes[i].text)), "%zu", i);
        cr_assert_null(scan_check((struct saga_text){input + 8, strlen(json) + 2}), "%zu", i);
    }
}

Test(scan_strings, escaped_names)
{
    cr_assert_null(scan("{\"", "\\u006eam\\u0065", 14, "\":\"x\"}"));
    cr_assert(saga_text_equal(body.name, SAGA_TEXT("x")));
}

/* As a known string, a skipped one, a name and within a skipped value. */
static void expect_no_string(const char *text, size_t len)
{
    static const char *const around[][2] = {{"{\"name\":\"", "\"}"},
                                            {"{\"new\":\"", "\"}"},
                                            {"{\"", "\":1}"},
                                            {"{\"new\":[{\"", "\":1}]}"}};
    for (size_t i = 0; i < COUNT(around); i++) {
        cr_assert_null(scan(around[i][0], "x", 1, around[i][1]));
        cr_assert_not_null(scan(around[i][0], text, len, around[i][1]), "%zu %s", i, text);
    }
}

/* Of a list that is parted by bars. */
static void expect_no_strings(const char *list)
{
    for (size_t len; *(list += *list == '|') != '\0'; list += len)
        expect_no_string(list, len = strcspn(list, "|"));
}

Test(scan_strings, not_utf8)
{
    expect_no_strings("\x80|\xbf|\xfe|\xff|\xf8\x88\x80\x80\x80");
    expect_no_strings(
        "\xc0\x80|\xc1\xbf|\xe0\x80\x80|\xe0\x9f\xbf|\xf0\x8f\xbf\xbf"); /* overlong */
    expect_no_strings("\xed\xa0\x80|\xed\xbf\xbf");                      /* surrogates */
    expect_no_strings("\xf4\x90\x80\x80|\xf5\x80\x80\x80");              /* beyond U+10FFFF */
    expect_no_strings("\xc3|\xe2\x82|\xf0\x9f\x98");                     /* cut short */
    expect_no_strings("\xc3(|\xe2(\xa1|\xe2\x82(|\xf0(\x98\x80|\xf0\x9f(\x80|\xf0\x9f\x98(");
    expect_no_strings("\xc3\xc3|\xe2\x82\xc0|\xf0\x9f\x98\xff");
}

Test(scan_strings, lone_surrogates)
{
    expect_no_strings("\\ud800|\\udc00|\\udfff|\\udbff|\\ud800x|\\ud800\\n|\\ud800\\u0041");
    expect_no_strings("\\ud800\\ud800|\\ud800\\ue000|\\ud800\\udbff|\\udc00\\ud800");
    expect_no_strings("\\ud83d\\\\ude00|\\ud83d\\ude0|\\ud83d\\u");
}

Test(scan_strings, no_such_escapes)
{
    expect_no_strings("\\x41|\\0|\\a|\\'|\\U0041|\\ |\\\n|\\\xc3\xa9");
    expect_no_strings("\\u|\\u1|\\u12|\\u123|\\u00g0|\\u 041|\\u+041|\\u-001");
    expect_no_string("\\\0", 2);
}

Test(scan_strings, control_characters)
{
    expect_no_strings("\\u0000|a\\u0000b");
    for (char c = 0; c < 0x20; c++)
        expect_no_string((char[]){'a', c, 'b'}, 3);
}
