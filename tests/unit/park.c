/* park.c: a record that is parked comes back as it was, whatever bytes it is made of. */
#include <criterion/criterion.h>

#include "runtime/engine_inside.h"

static struct arena arena;

static void teardown(void)
{
    arena_free(&arena);
}

TestSuite(park, .fini = teardown);

static bool same(struct saga_text left, struct saga_text right)
{
    return (left.at == NULL) == (right.at == NULL) && saga_text_equal(left, right);
}

static void come_back(const struct envelope_header *headers, size_t count, bool too_many)
{
    struct envelope_header back[ENVELOPE_HEADERS_MAX];
    bool back_too_many;
    struct kafka_record record = {
        .headers = headers, .headers_count = count, .headers_too_many = too_many};
    struct saga_text kept = park_keep_headers(&arena, &record);
    cr_assert_null(memchr(kept.at, '\0', kept.len), "PostgreSQL takes no U+0000");
    cr_assert_eq(park_headers(&arena, kept, back, &back_too_many), count);
    cr_assert_eq(back_too_many, too_many);
    for (size_t i = 0; i < count; i++) {
        cr_expect_str_eq(back[i].name, headers[i].name, "%zu", i);
        cr_expect(same(back[i].value, headers[i].value), "%zu: %.*s", i, (int)back[i].value.len,
                  back[i].value.at);
    }
}

Test(park, headers_of_any_bytes_come_back)
{
    static const struct envelope_header headers[] = {
        {"ce_id", {"payment-1", 9}},
        {"", {"no name", 7}},
        {"", {NULL, 0}},
        {"null", {NULL, 0}},
        {"empty", {"", 0}},
        {"two\nlines", {"first\nsecond\n", 13}},
        {"tab\tname", {"\tvalue\t", 7}},
        {"base64:name", {"base64:", 7}},
        {"base64", {"base64:%%%", 10}},
        {"nul", {"a\0b", 3}},
        {"bytes", {"\xff\xfe\n", 3}},
        {"\xc3", {"\xc3\xa9", 2}},
        {"ce_id", {"again", 5}},
    };
    come_back(headers, sizeof headers / sizeof *headers, false);
    come_back(headers, sizeof headers / sizeof *headers, true);
    come_back(headers, 0, false);
    come_back(headers, 0, true);
}

/* At the limit all are kept; one more is not, and that there was one is. */
Test(park, as_many_headers_as_may_be)
{
    struct envelope_header headers[ENVELOPE_HEADERS_MAX];
    for (size_t i = 0; i < ENVELOPE_HEADERS_MAX; i++)
        headers[i] = (struct envelope_header){"x-more", {"and\nmore", 8}};
    come_back(headers, ENVELOPE_HEADERS_MAX, false);
    come_back(headers, ENVELOPE_HEADERS_MAX, true);
}

/* Each length of group, each byte. */
Test(park, every_byte_of_a_value_comes_back)
{
    char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    for (size_t len = 1; len <= sizeof bytes; len++) {
        struct envelope_header header = {"x", {bytes, len}};
        come_back(&header, 1, false);
    }
}

/* As rows have them from before this was so. */
Test(park, older_rows_are_read)
{
    struct envelope_header back[ENVELOPE_HEADERS_MAX];
    bool too_many;
    struct saga_text kept = SAGA_TEXT("ce_id\ta b\nx\tbase64:AP8=\ny\t\n");
    cr_assert_eq(park_headers(&arena, kept, back, &too_many), 3);
    cr_assert(!too_many);
    cr_assert(same(back[0].value, SAGA_TEXT("a b")) && same(back[1].value, SAGA_TEXT("\0\xff")));
    cr_assert(same(back[2].value, SAGA_TEXT("")));
}

/* The room for an error ends at some byte, and servers do not speak English only. */
Test(park, an_error_is_cut_at_a_character)
{
    static const struct {
        const char *error, *detail;
    } cases[] = {
        {"", ""},
        {"value too long", "value too long"},
        {"Wert zu gro\xc3\x9f", "Wert zu gro\xc3\x9f"},
        {"Wert zu gro\xc3", "Wert zu gro"},
        {"\xe5\x80\xa4\xe3\x81", "\xe5\x80\xa4"},
        {"\xf0\x9f\x98", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect(saga_text_equal(park_detail(&arena, cases[i].error), saga_text(cases[i].detail)),
                  "%zu", i);
}
