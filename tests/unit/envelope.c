/* envelope.c: what is written is read again, and every reason for which an event is refused. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/envelope.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SUBJECT "01890a5d-ac96-774b-bcce-b302099a8057"
#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static struct arena arena;
static struct envelope_header headers[ENVELOPE_HEADERS_MAX + 1];
static size_t count;
static struct envelope said, heard;

static void setup(void)
{
    said = (struct envelope){.id = SAGA_TEXT("order-7"),
                             .source = SAGA_TEXT("/order-svc"),
                             .type = SAGA_TEXT("order.placed"),
                             .time_us = INT64_C(1795453800123000),
                             .traceparent = SAGA_TEXT(TRACE)};
    saga_uuid_parse(SAGA_TEXT(SUBJECT), &said.order_id);
    count = envelope_write(&arena, &said, headers);
}

static void teardown(void)
{
    arena_free(&arena);
}

TestSuite(envelope, .init = setup, .fini = teardown);

static struct envelope_header *find(const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(headers[i].name, name) == 0)
            return &headers[i];
    cr_assert_fail("no header %s", name);
    return NULL;
}

static const char *hear(void)
{
    return envelope_read(headers, count, SAGA_TEXT("order.placed"), SAGA_TEXT(SUBJECT), &heard);
}

/* With one header's value replaced, for once. */
static const char *hear_with(const char *name, struct saga_text value)
{
    struct envelope_header *header = find(name), before = *header;
    header->value = value;
    const char *reason = hear();
    *header = before;
    return reason;
}

static bool same(struct saga_text text, const char *expected)
{
    return saga_text_equal(text, saga_text(expected));
}

/* ---- what is written ---- */

Test(envelope, headers)
{
    static const struct pair {
        const char *name, *value;
    } pairs[] = {
        {"ce_specversion", "1.0"},   {"ce_id", "order-7"},
        {"ce_source", "/order-svc"}, {"ce_type", "order.placed"},
        {"ce_subject", SUBJECT},     {"ce_time", "2026-11-23T17:10:00.123Z"},
        {"ce_schemaversion", "1"},   {"content-type", "application/json"},
        {"traceparent", TRACE},
    };
    cr_assert_eq(count, COUNT(pairs));
    for (size_t i = 0; i < COUNT(pairs); i++)
        cr_assert(same(find(pairs[i].name)->value, pairs[i].value), "%s", pairs[i].name);
}

Test(envelope, no_trace_is_no_header)
{
    said.traceparent = (struct saga_text){0};
    count = envelope_write(&arena, &said, headers);
    cr_assert_eq(count, 8);
    cr_assert_null(hear());
    cr_assert_null(heard.traceparent.at);
}

Test(envelope, round_trip)
{
    cr_assert_null(hear());
    cr_assert(saga_text_equal(heard.id, said.id));
    cr_assert(saga_text_equal(heard.source, said.source));
    cr_assert(saga_text_equal(heard.type, said.type));
    cr_assert_arr_eq(&heard.order_id, &said.order_id, sizeof said.order_id);
    cr_assert_eq(heard.time_us, said.time_us);
    cr_assert(saga_text_equal(heard.traceparent, said.traceparent));
}

Test(envelope, values_are_slices_of_the_headers)
{
    cr_assert_null(hear());
    cr_assert_eq(heard.id.at, find("ce_id")->value.at);
    cr_assert_eq(heard.source.at, find("ce_source")->value.at);
}

/* ---- what is refused ---- */

Test(envelope, missing)
{
    static const struct missing {
        const char *name, *reason;
    } missing[] = {
        {"ce_specversion", "missing_ce_specversion"},
        {"ce_schemaversion", "missing_ce_schemaversion"},
        {"content-type", "wrong_content_type"},
        {"ce_id", "missing_ce_id"},
        {"ce_source", "missing_ce_source"},
        {"ce_type", "missing_ce_type"},
        {"ce_subject", "missing_ce_subject"},
        {"ce_time", "missing_ce_time"},
    };
    for (size_t i = 0; i < COUNT(missing); i++) {
        cr_expect_str_eq(hear_with(missing[i].name, (struct saga_text){0}), missing[i].reason);
        struct envelope_header *header = find(missing[i].name), before = *header;
        header->name = "CE_OTHER";
        cr_expect_str_eq(hear(), missing[i].reason);
        *header = before;
    }
    cr_assert_null(hear());
}

Test(envelope, invalid)
{
    static const struct invalid {
        const char *name, *value, *reason;
    } invalid[] = {
        {"ce_specversion", "0.3", "unknown_specversion"},
        {"ce_specversion", "1.00", "unknown_specversion"},
        {"ce_specversion", "", "unknown_specversion"},
        {"ce_schemaversion", "2", "unknown_schemaversion"},
        {"ce_schemaversion", "1.0", "unknown_schemaversion"},
        {"content-type", "", "wrong_content_type"},
        {"content-type", "text/plain", "wrong_content_type"},
        {"content-type", "application/jso", "wrong_content_type"},
        {"content-type", "application/jsonl", "wrong_content_type"},
        {"content-type", "application/cloudevents+json", "wrong_content_type"},
        {"ce_id", "", "invalid_ce_id"},
        {"ce_id", "a b", "invalid_ce_id"},
        {"ce_id", "a\x7f", "invalid_ce_id"},
        {"ce_id", "\xc3\xa9", "invalid_ce_id"},
        {"ce_source", "", "invalid_ce_source"},
        {"ce_source", "/order\n", "invalid_ce_source"},
        {"ce_type", "", "type_is_not_topic"},
        {"ce_type", "order.place", "type_is_not_topic"},
        {"ce_type", "order.placed2", "type_is_not_topic"},
        {"ce_type", "Order.placed", "type_is_not_topic"},
        {"ce_subject", "", "invalid_ce_subject"},
        {"ce_subject", "01890a5d-ac96-774b-bcce-b302099a805", "invalid_ce_subject"},
        {"ce_subject", "01890a5d-ac96-774b-bcce-b302099a8056", "key_is_not_subject"},
        {"ce_time", "", "invalid_ce_time"},
        {"ce_time", "1795453800", "invalid_ce_time"},
        {"ce_time", "2026-11-23T17:10:00.123", "invalid_ce_time"},
    };
    for (size_t i = 0; i < COUNT(invalid); i++) {
        const char *reason = hear_with(invalid[i].name, saga_text(invalid[i].value));
        cr_expect_str_eq(reason, invalid[i].reason, "%s: %s", invalid[i].name, invalid[i].value);
    }
}

Test(envelope, key_and_topic)
{
    struct saga_text topic = SAGA_TEXT("order.placed"), none = {0};
    struct saga_text upper = SAGA_TEXT("01890A5D-AC96-774B-BCCE-B302099A8057");
    cr_assert_str_eq(envelope_read(headers, count, topic, none, &heard), "key_is_not_subject");
    cr_assert_str_eq(envelope_read(headers, count, topic, upper, &heard), "key_is_not_subject");
    cr_assert_str_eq(envelope_read(headers, count, none, SAGA_TEXT(SUBJECT), &heard),
                     "type_is_not_topic");
}

Test(envelope, lengths)
{
    char text[256];
    memset(text, '~', sizeof text);
    cr_assert_null(hear_with("ce_id", (struct saga_text){text, 64}));
    cr_assert_eq(heard.id.len, 64);
    cr_assert_str_eq(hear_with("ce_id", (struct saga_text){text, 65}), "invalid_ce_id");
    cr_assert_null(hear_with("ce_id", SAGA_TEXT("!")));
    cr_assert_null(hear_with("ce_source", (struct saga_text){text, 255}));
    cr_assert_str_eq(hear_with("ce_source", (struct saga_text){text, 256}), "invalid_ce_source");
}

Test(envelope, content_type_may_have_parameters)
{
    cr_assert_null(hear_with("content-type", SAGA_TEXT("application/json; charset=utf-8")));
    cr_assert_null(hear_with("content-type", SAGA_TEXT("application/json;charset=utf-8")));
}

Test(envelope, time_of_any_offset)
{
    cr_assert_null(hear_with("ce_time", SAGA_TEXT("2026-11-23T19:10:00.123456789+02:00")));
    cr_assert_eq(heard.time_us, INT64_C(1795453800123456));
}

Test(envelope, too_many_headers)
{
    while (count < ENVELOPE_HEADERS_MAX)
        headers[count++] = (struct envelope_header){"other", SAGA_TEXT("x")};
    cr_assert_null(hear());
    headers[count++] = (struct envelope_header){"other", SAGA_TEXT("x")};
    cr_assert_str_eq(hear(), "too_many_headers");
    cr_assert_str_eq(envelope_read(NULL, 0, said.type, SAGA_TEXT(SUBJECT), &heard),
                     "missing_ce_specversion");
}

Test(envelope, invalid_trace_is_dropped)
{
    heard.traceparent = SAGA_TEXT("before");
    cr_assert_null(hear_with("traceparent", SAGA_TEXT("00-0-0-01")));
    cr_assert_null(heard.traceparent.at);
}

/* ---- traceparent ---- */

/* In memory of exactly its size, so that a read beyond it is seen. */
static bool valid(const char *text, size_t len)
{
    char *copy = malloc(len);
    memcpy(copy, text, len);
    bool valid = traceparent_valid((struct saga_text){copy, len});
    free(copy);
    return valid;
}

Test(envelope, traceparent_length)
{
    static const char trace[] = TRACE "-more";
    for (size_t len = 0; len < sizeof trace; len++)
        cr_assert_eq(valid(trace, len), len == 55, "%zu", len);
    cr_assert_not(traceparent_valid((struct saga_text){0}));
}

Test(envelope, traceparent_characters)
{
    for (size_t i = 0; i < 55; i++) {
        static const char bad[] = "gF/:`@ ";
        for (size_t k = 0; k < sizeof bad; k++) {
            char trace[] = TRACE;
            trace[i] = bad[k];
            cr_assert_not(valid(trace, 55), "%s", trace);
        }
        char trace[] = TRACE;
        trace[i] = trace[i] == '-' ? '0' : '-';
        cr_assert_not(valid(trace, 55), "%s", trace);
    }
}

Test(envelope, traceparent_version)
{
    static const char *const versions[] = {"01", "0f", "10", "ff"};
    for (size_t i = 0; i < COUNT(versions); i++) {
        char trace[] = TRACE;
        memcpy(trace, versions[i], 2);
        cr_assert_not(valid(trace, 55), "%s", trace);
    }
}

Test(envelope, traceparent_ids)
{
    static const struct ids {
        const char *trace;
        bool valid;
    } ids[] = {
        {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
        {"00-00000000000000000000000000000000-0000000000000000-ff", false},
        {"00-10000000000000000000000000000000-0000000000000001-00", true},
        {"00-00000000000000000000000000000001-1000000000000000-00", true},
        {"00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-ff", true},
    };
    for (size_t i = 0; i < COUNT(ids); i++)
        cr_assert_eq(valid(ids[i].trace, 55), ids[i].valid, "%s", ids[i].trace);
}
