/* text.c: UUIDs and times as text, and back. */
#include "saga/types.h"

static const char hex_digits[] = "0123456789abcdef";

void saga_uuid_format(const struct saga_uuid *id, char ret_text[SAGA_UUID_TEXT_SIZE])
{
    char *at = ret_text;
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = hex_digits[id->bytes[i] >> 4];
        *at++ = hex_digits[id->bytes[i] & 15];
    }
    *at = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool saga_uuid_parse(struct saga_text text, struct saga_uuid *ret_id)
{
    struct saga_uuid id;
    if (text.at == NULL || text.len != SAGA_UUID_TEXT_SIZE - 1)
        return false;
    const char *at = text.at;
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *at++ != '-')
            return false;
        int high = hex_value(at[0]), low = hex_value(at[1]);
        if (high < 0 || low < 0)
            return false;
        id.bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    *ret_id = id;
    return true;
}

/* ---- times: days since 1970-01-01 in the proleptic Gregorian calendar ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Years are counted from March, so that the leap day is the last of its year. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    if (month <= 2)
        year--;
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static void date_from_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    days += 719468;
    int64_t era = floor_div(days, 146097);
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = year_of_era + era * 400 + (*month <= 2);
}

static char *put_digits(char *at, int64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + digits;
}

#define DAY_US INT64_C(86400000000)
/* 0001-01-01 and the end of 9999: what four digits can say; beyond is cut off. */
#define TIME_MIN_US (-INT64_C(719162) * DAY_US)
#define TIME_MAX_US (INT64_C(2932897) * DAY_US - 1)

void saga_time_format(int64_t time_us, char ret_text[SAGA_TIME_TEXT_SIZE])
{
    if (time_us < TIME_MIN_US)
        time_us = TIME_MIN_US;
    if (time_us > TIME_MAX_US)
        time_us = TIME_MAX_US;
    int64_t days = floor_div(time_us, DAY_US), rest_ms = (time_us - days * DAY_US) / 1000;
    int64_t year, month, day;
    date_from_days(days, &year, &month, &day);
    char *at = put_digits(ret_text, year, 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = 'T';
    at = put_digits(at, rest_ms / 3600000, 2);
    *at++ = ':';
    at = put_digits(at, rest_ms / 60000 % 60, 2);
    *at++ = ':';
    at = put_digits(at, rest_ms / 1000 % 60, 2);
    *at++ = '.';
    at = put_digits(at, rest_ms % 1000, 3);
    *at++ = 'Z';
    *at = '\0';
}

/* Reads exactly `digits` digits and moves on; false if they are not there. */
static bool take_digits(struct saga_text *text, int digits, int64_t *ret_value)
{
    int64_t value = 0;
    if (text->len < (size_t)digits)
        return false;
    for (int i = 0; i < digits; i++) {
        if (text->at[i] < '0' || text->at[i] > '9')
            return false;
        value = value * 10 + (text->at[i] - '0');
    }
    text->at += digits;
    text->len -= (size_t)digits;
    *ret_value = value;
    return true;
}

static bool take_char(struct saga_text *text, const char *any_of)
{
    if (text->len == 0 || *text->at == '\0' || strchr(any_of, *text->at) == NULL)
        return false;
    text->at++;
    text->len--;
    return true;
}

static bool take_fraction(struct saga_text *text, int64_t *ret_us)
{
    int64_t us = 0;
    int digits = 0;
    for (; text->len > 0 && *text->at >= '0' && *text->at <= '9'; digits++) {
        if (digits < 6)
            us = us * 10 + (*text->at - '0');
        text->at++;
        text->len--;
    }
    for (int i = digits; i < 6; i++)
        us *= 10;
    *ret_us = us;
    return digits >= 1 && digits <= 9;
}

static bool take_offset(struct saga_text *text, int64_t *ret_minutes)
{
    if (take_char(text, "Zz")) {
        *ret_minutes = 0;
        return true;
    }
    bool minus = text->len > 0 && *text->at == '-';
    int64_t hours, minutes;
    if (!take_char(text, "+-") || !take_digits(text, 2, &hours) || !take_char(text, ":") ||
        !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_minutes = (minus ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool saga_time_parse(struct saga_text text, int64_t *ret_time_us)
{
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year, month, day, hour, minute, second, us = 0, offset;
    if (text.at == NULL || !take_digits(&text, 4, &year) || !take_char(&text, "-") ||
        !take_digits(&text, 2, &month) || !take_char(&text, "-") || !take_digits(&text, 2, &day) ||
        !take_char(&text, "Tt") || !take_digits(&text, 2, &hour) || !take_char(&text, ":") ||
        !take_digits(&text, 2, &minute) || !take_char(&text, ":") ||
        !take_digits(&text, 2, &second))
        return false;
    if (take_char(&text, ".") && !take_fraction(&text, &us))
        return false;
    if (!take_offset(&text, &offset) || text.len != 0)
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month < 1 || month > 12 || day < 1 || day > month_days[month - 1] ||
        (month == 2 && day == 29 && !leap) || hour > 23 || minute > 59 || second > 60)
        return false;
    *ret_time_us = days_from_date(year, month, day) * DAY_US +
                   ((hour * 60 + minute - offset) * 60 + second) * 1000000 + us;
    return true;
}
