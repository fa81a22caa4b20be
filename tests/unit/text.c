/* text.c: UUIDs and times as text and back, at their limits, and texts that are neither. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "saga/types.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)

/* ---- texts ---- */

Test(text, absent_is_not_empty)
{
    cr_assert(saga_text_equal((struct saga_text){0}, saga_text(NULL)));
    cr_assert_not(saga_text_equal((struct saga_text){0}, SAGA_TEXT("")));
    cr_assert(saga_text_equal(SAGA_TEXT(""), saga_text("")));
}

Test(text, equal)
{
    cr_assert(saga_text_equal(SAGA_TEXT("a\0b"), SAGA_TEXT("a\0b")));
    cr_assert_not(saga_text_equal(SAGA_TEXT("a\0b"), SAGA_TEXT("a\0c")));
    cr_assert_not(saga_text_equal(SAGA_TEXT("ab"), SAGA_TEXT("abc")));
}

/* ---- UUIDs ---- */

#define ID "01890a5d-ac96-774b-bcce-b3f2e99a8057"

static const struct saga_uuid id = {{0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x77, 0x4b, 0xbc, 0xce,
                                     0xb3, 0xf2, 0xe9, 0x9a, 0x80, 0x57}};

/* In memory of exactly its size, so that a read beyond it is seen. */
static bool parse_uuid(const char *text, size_t len, struct saga_uuid *ret_id)
{
    char *copy = malloc(len);
    memcpy(copy, text, len);
    bool parsed = saga_uuid_parse((struct saga_text){copy, len}, ret_id);
    free(copy);
    return parsed;
}

Test(text, uuid_format)
{
    char text[SAGA_UUID_TEXT_SIZE];
    saga_uuid_format(&id, text);
    cr_assert_str_eq(text, ID);
    saga_uuid_format(&(struct saga_uuid){{0}}, text);
    cr_assert_str_eq(text, "00000000-0000-0000-0000-000000000000");
}

Test(text, uuid_parse_either_case)
{
    struct saga_uuid read;
    cr_assert(parse_uuid(ID, 36, &read));
    cr_assert_arr_eq(&read, &id, sizeof id);
    memset(&read, 0, sizeof read);
    cr_assert(parse_uuid("01890A5D-AC96-774B-BCCE-B3F2E99A8057", 36, &read));
    cr_assert_arr_eq(&read, &id, sizeof id);
}

Test(text, uuid_every_byte_value)
{
    for (int byte = 0; byte < 256; byte++) {
        struct saga_uuid said, read;
        char text[SAGA_UUID_TEXT_SIZE];
        memset(&said, byte, sizeof said);
        said.bytes[byte % 16] ^= 0x5a;
        saga_uuid_format(&said, text);
        cr_assert(parse_uuid(text, 36, &read));
        cr_assert_arr_eq(&read, &said, sizeof said);
    }
}

Test(text, uuid_characters)
{
    static const char bad[] = "gG/:@`-{ ";
    for (size_t i = 0; i < 36; i++) {
        for (size_t k = 0; k < sizeof bad; k++) {
            char text[] = ID;
            struct saga_uuid read = {{7}};
            text[i] = text[i] == '-' && bad[k] == '-' ? '0' : bad[k];
            cr_assert_not(parse_uuid(text, 36, &read), "%s", text);
            cr_assert(read.bytes[0] == 7 && read.bytes[1] == 0);
        }
    }
}

Test(text, uuid_lengths)
{
    struct saga_uuid read;
    static const char text[] = ID "00";
    for (size_t len = 0; len < sizeof text; len++)
        cr_assert_eq(parse_uuid(text, len, &read), len == 36, "%zu", len);
    cr_assert_not(saga_uuid_parse((struct saga_text){0}, &read));
    cr_assert_not(parse_uuid("01890a5dac96774bbcceb3f2e99a8057", 32, &read));
    cr_assert_not(parse_uuid("{" ID "}", 38, &read));
}

/* ---- times ---- */

static bool parse(const char *text, size_t len, int64_t *ret_time_us)
{
    char *copy = malloc(len);
    memcpy(copy, text, len);
    bool parsed = saga_time_parse((struct saga_text){copy, len}, ret_time_us);
    free(copy);
    return parsed;
}

static const char *format(int64_t time_us)
{
    static char text[SAGA_TIME_TEXT_SIZE];
    memset(text, '#', sizeof text);
    saga_time_format(time_us, text);
    return text;
}

Test(text, time_format)
{
    cr_assert_str_eq(format(0), "1970-01-01T00:00:00.000Z");
    cr_assert_str_eq(format(INT64_C(1795453800123000)), "2026-11-23T17:10:00.123Z");
    cr_assert_str_eq(format(INT64_C(1709210096000000)), "2024-02-29T12:34:56.000Z");
    cr_assert_str_eq(format(DAY - 1), "1970-01-01T23:59:59.999Z");
    cr_assert_str_eq(format(DAY), "1970-01-02T00:00:00.000Z");
}

Test(text, time_format_cuts_microseconds)
{
    cr_assert_str_eq(format(999), "1970-01-01T00:00:00.000Z");
    cr_assert_str_eq(format(1999), "1970-01-01T00:00:00.001Z");
    cr_assert_str_eq(format(-1), "1969-12-31T23:59:59.999Z");
    cr_assert_str_eq(format(-1000), "1969-12-31T23:59:59.999Z");
    cr_assert_str_eq(format(-1001), "1969-12-31T23:59:59.998Z");
}

Test(text, time_format_limits)
{
    int64_t first = INT64_C(-62135596800) * SECOND, end = INT64_C(253402300800) * SECOND;
    cr_assert_str_eq(format(first), "0001-01-01T00:00:00.000Z");
    cr_assert_str_eq(format(first - 1), "0001-01-01T00:00:00.000Z");
    cr_assert_str_eq(format(INT64_MIN), "0001-01-01T00:00:00.000Z");
    cr_assert_str_eq(format(end - 1), "9999-12-31T23:59:59.999Z");
    cr_assert_str_eq(format(end), "9999-12-31T23:59:59.999Z");
    cr_assert_str_eq(format(INT64_MAX), "9999-12-31T23:59:59.999Z");
}

/* Both ways, around the ends of each month of all years, against the C library. */
Test(text, time_of_every_year)
{
    for (int year = 1; year <= 9999; year++) {
        for (int month = 0; month < 12; month++) {
            struct tm first = {.tm_year = year - 1900, .tm_mon = month, .tm_mday = 1}, tm;
            for (int back = 0; back <= 2; back++) {
                char text[96];
                int64_t read;
                time_t seconds = timegm(&first) - back;
                gmtime_r(&seconds, &tm);
                snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.000Z", tm.tm_year + 1900,
                         tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
                if (tm.tm_year + 1900 < 1)
                    continue;
                cr_assert_str_eq(format(seconds * SECOND), text);
                cr_assert(parse(text, 24, &read) && read == seconds * SECOND, "%s", text);
            }
        }
    }
}

Test(text, time_parse)
{
    static const struct sample {
        const char *text;
        int64_t time_us;
    } samples[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-23t17:10:00z", INT64_C(1795453800000000)},
        {"0001-01-01T00:00:00Z", INT64_C(-62135596800000000)},
        {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
        /* leap years and seconds */
        {"2000-02-29T00:00:00Z", INT64_C(951782400000000)},
        {"1900-03-01T00:00:00Z", INT64_C(-2203891200000000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000000)},
        /* offsets */
        {"1970-01-01T00:00:00+00:00", 0},
        {"1970-01-01T00:00:00-00:00", 0},
        {"1970-01-01T05:45:00+05:45", 0},
        {"1969-12-31T16:30:00-07:30", 0},
        {"1970-01-01T23:59:00+23:59", 0},
        {"1969-12-31T00:01:00-23:59", 0},
        /* fractions */
        {"1970-01-01T00:00:00.1Z", 100000},
        {"1970-01-01T00:00:00.012Z", 12000},
        {"1970-01-01T00:00:00.123456Z", 123456},
        {"1970-01-01T00:00:00.1234567Z", 123456},
        {"1970-01-01T00:00:00.999999999Z", 999999},
        {"1970-01-01T00:00:00.000000001Z", 0},
        {"1969-12-31T23:59:59.25Z", -750000},
        {"1970-01-01T01:00:00.5+01:00", 500000},
    };
    for (size_t i = 0; i < COUNT(samples); i++) {
        int64_t time_us = 42;
        cr_assert(parse(samples[i].text, strlen(samples[i].text), &time_us), "%s", samples[i].text);
        cr_assert_eq(time_us, samples[i].time_us, "%s", samples[i].text);
    }
}

Test(text, no_times)
{
    static const char *const none[] = {
        /* dates */
        "2026-00-10T00:00:00Z", "2026-13-10T00:00:00Z", "2026-11-00T00:00:00Z",
        "2026-01-32T00:00:00Z", "2026-04-31T00:00:00Z", "2026-06-31T00:00:00Z",
        "2026-09-31T00:00:00Z", "2026-11-31T00:00:00Z", "2026-02-29T00:00:00Z",
        "2024-02-30T00:00:00Z", "1900-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
        "2026-11-99T00:00:00Z", "2026-99-01T00:00:00Z",
        /* times of day */
        "2026-11-23T24:00:00Z", "2026-11-23T00:60:00Z", "2026-11-23T00:00:61Z",
        /* offsets */
        "2026-11-23T00:00:00", "2026-11-23T00:00:00+24:00", "2026-11-23T00:00:00+00:60",
        "2026-11-23T00:00:00+0100", "2026-11-23T00:00:00+1:00", "2026-11-23T00:00:00+01",
        "2026-11-23T00:00:00 Z", "2026-11-23T00:00:00UTC", "2026-11-23T00:00:00Z+01:00",
        /* fractions */
        "2026-11-23T00:00:00.Z", "2026-11-23T00:00:00.", "2026-11-23T00:00:00,5Z",
        "2026-11-23T00:00:00.0000000000Z", "2026-11-23T00:00:00.5.5Z", "2026-11-23T00:00:00.-5Z",
        /* forms */
        "2026-11-23", "20261123T000000Z", "2026-11-23T00:00Z", "26-11-23T00:00:00Z",
        "+2026-11-23T00:00:00Z", "-026-11-23T00:00:00Z", "12026-11-23T00:00:00Z",
        "2026/11/23T00:00:00Z", "2026-1-23T00:00:00Z", "2026-11-23T0:00:00Z",
        "2026-W47-1T00:00:00Z", "2026-11-23T00.00.00Z", " 2026-11-23T00:00:00Z",
        "2026-11-23T00:00:00Z ", "2026-11- 3T00:00:00Z", "1795453800", "now"};
    for (size_t i = 0; i < COUNT(none); i++) {
        int64_t time_us;
        cr_assert_not(parse(none[i], strlen(none[i]), &time_us), "%s", none[i]);
    }
}

Test(text, no_times_cut_short)
{
    static const char *const whole[] = {"2026-11-23T17:10:00.123456789+02:00",
                                        "2026-11-23T17:10:00.123456789Z"};
    int64_t time_us;
    for (size_t i = 0; i < COUNT(whole); i++)
        for (size_t len = 0; len < strlen(whole[i]); len++)
            cr_assert_not(parse(whole[i], len, &time_us), "%.*s", (int)len, whole[i]);
    cr_assert_not(parse("2026-11-23T17:10:00Z", 21, &time_us));
    cr_assert_not(parse("2026-11-23\00017:10:00Z", 20, &time_us));
    cr_assert_not(saga_time_parse((struct saga_text){0}, &time_us));
}
