/* scan.c: one strict pass over a JSON text, straight into a struct; see scan.h. */
#include "core/scan.h"

#include <stdio.h>

#define DEPTH_MAX 16
/* Names of one object are compared with each other, so they are bounded. */
#define MEMBERS_MAX 64

struct scan {
    struct arena *arena; /* NULL: only check */
    const char *at, *end;
    const char *error; /* the first one; later ones are its consequences */
    int depth;
};

static bool fail(struct scan *scan, const char *error)
{
    if (scan->error == NULL)
        scan->error = error;
    return false;
}

/* An error that names a member: kept in the arena, as the caller's errors are static or there. */
static bool fail_member(struct scan *scan, const char *name, const char *rule)
{
    if (scan->error != NULL || scan->arena == NULL)
        return fail(scan, rule);
    size_t size = strlen(name) + strlen(rule) + 16;
    char *text = arena_alloc(scan->arena, size);
    snprintf(text, size, "member '%s' %s", name, rule);
    return fail(scan, text);
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
        scan->at++;
}

static bool take(struct scan *scan, char c)
{
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

/* ---- strings ---- */

static bool take_hex4(struct scan *scan, uint32_t *ret_code)
{
    uint32_t code = 0;
    if (scan->end - scan->at < 4)
        return fail(scan, "a \\u escape is cut short");
    for (int i = 0; i < 4; i++) {
        char c = *scan->at++;
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A') + 10;
        else
            return fail(scan, "a \\u escape needs four hex digits");
        code = code << 4 | digit;
    }
    *ret_code = code;
    return true;
}

/* After "\u": one code point, a surrogate pair as one. */
static bool take_code_point(struct scan *scan, uint32_t *ret_code)
{
    uint32_t code, low;
    if (!take_hex4(scan, &code))
        return false;
    if (code == 0)
        return fail(scan, "U+0000 is not taken");
    if (code >= 0xdc00 && code <= 0xdfff)
        return fail(scan, "a lone surrogate");
    if (code >= 0xd800 && code <= 0xdbff) {
        if (scan->end - scan->at < 2 || scan->at[0] != '\\' || scan->at[1] != 'u')
            return fail(scan, "a lone surrogate");
        scan->at += 2;
        if (!take_hex4(scan, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return fail(scan, "a lone surrogate");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *ret_code = code;
    return true;
}

/* Well-formed UTF-8 (RFC 3629) from at; its length, 0 if it is none. */
static size_t utf8_length(const char *text, const char *end)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t left = (size_t)(end - text);
    unsigned char low = 0x80, high = 0xbf;
    size_t len;
    if (at[0] >= 0xc2 && at[0] <= 0xdf) {
        len = 2;
    } else if ((at[0] & 0xf0) == 0xe0) {
        len = 3;
        low = at[0] == 0xe0 ? 0xa0 : 0x80;
        high = at[0] == 0xed ? 0x9f : 0xbf;
    } else if (at[0] >= 0xf0 && at[0] <= 0xf4) {
        len = 4;
        low = at[0] == 0xf0 ? 0x90 : 0x80;
        high = at[0] == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (left < len || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    return len;
}

static size_t put_code_point(char *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* Reads over the string's inside up to its end quote; *ret_escaped: it holds escapes. */
static bool walk_string(struct scan *scan, bool *ret_escaped)
{
    uint32_t code;
    *ret_escaped = false;
    while (scan->at < scan->end) {
        unsigned char c = (unsigned char)*scan->at;
        if (c == '"')
            return true;
        if (c < 0x20)
            return fail(scan, "a control character in a string");
        if (c >= 0x80) {
            size_t len = utf8_length(scan->at, scan->end);
            if (len == 0)
                return fail(scan, "not UTF-8");
            scan->at += len;
            continue;
        }
        scan->at++;
        if (c != '\\')
            continue;
        *ret_escaped = true;
        if (scan->at == scan->end)
            break;
        c = (unsigned char)*scan->at++;
        if (c == 'u' ? !take_code_point(scan, &code) : c == 0 || !strchr("\"\\/bfnrt", c))
            return fail(scan, "an unknown escape");
    }
    return fail(scan, "a string without its end");
}

/* The same text without its escapes, which were checked; never longer than before. */
static struct saga_text unescape(struct scan *scan, const char *from, const char *to)
{
    char *out = arena_alloc(scan->arena, (size_t)(to - from) + 1), *end = out;
    struct scan inside = {.at = from, .end = to};
    while (inside.at < to) {
        char c = *inside.at++;
        uint32_t code;
        if (c != '\\') {
            *end++ = c;
            continue;
        }
        c = *inside.at++;
        if (c == 'u') {
            if (take_code_point(&inside, &code))
                end += put_code_point(end, code);
        } else {
            static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
            const char *name = strchr(names, c);
            *end++ = name ? values[name - names] : c;
        }
    }
    return (struct saga_text){out, (size_t)(end - out)};
}

static bool take_string(struct scan *scan, struct saga_text *ret_text)
{
    bool escaped;
    if (!take(scan, '"'))
        return fail(scan, "a string is expected");
    const char *from = scan->at;
    if (!walk_string(scan, &escaped))
        return false;
    const char *to = scan->at++;
    if (ret_text != NULL)
        *ret_text = escaped && scan->arena ? unescape(scan, from, to)
                                           : (struct saga_text){from, (size_t)(to - from)};
    return true;
}

/* ---- numbers ---- */

static bool digit_at(const struct scan *scan)
{
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

static bool take_digits(struct scan *scan)
{
    if (!digit_at(scan))
        return fail(scan, "a number needs a digit");
    while (digit_at(scan))
        scan->at++;
    return true;
}

static bool take_number(struct scan *scan, bool *ret_integer)
{
    *ret_integer = true;
    if (scan->at < scan->end && *scan->at == '-')
        scan->at++;
    if (scan->at < scan->end && *scan->at == '0')
        scan->at++;
    else if (!take_digits(scan))
        return false;
    if (scan->at < scan->end && *scan->at == '.') {
        scan->at++;
        *ret_integer = false;
        if (!take_digits(scan))
            return false;
    }
    if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) {
        scan->at++;
        *ret_integer = false;
        if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
            scan->at++;
        return take_digits(scan);
    }
    return true;
}

static bool take_integer(struct scan *scan, int64_t *ret_value)
{
    bool integer;
    skip_space(scan);
    const char *from = scan->at;
    if (!take_number(scan, &integer))
        return false;
    if (!integer)
        return false;
    bool minus = *from == '-';
    int64_t value = 0;
    for (from += minus; from < scan->at; from++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *from - '0', &value))
            return false;
    /* Gathered below zero, as that side reaches one further. */
    if (!minus && __builtin_sub_overflow((int64_t)0, value, &value))
        return false;
    *ret_value = value;
    return true;
}

/* ---- values ---- */

static bool take_value(struct scan *scan);

static bool take_word(struct scan *scan, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
        return fail(scan, "not a JSON value");
    scan->at += len;
    return true;
}

static bool known_name(const struct saga_text *names, size_t count, struct saga_text name)
{
    for (size_t i = 0; i < count; i++)
        if (saga_text_equal(names[i], name))
            return true;
    return false;
}

static bool take_members(struct scan *scan, const struct saga_shape *shape, void *body);

static bool take_array(struct scan *scan)
{
    if (take(scan, ']'))
        return true;
    do
        if (!take_value(scan))
            return false;
    while (take(scan, ','));
    return take(scan, ']') || fail(scan, "an array without its end");
}

static bool deeper(struct scan *scan)
{
    return ++scan->depth <= DEPTH_MAX || fail(scan, "deeper than 16");
}

/* Any value, checked and left alone. */
static bool take_value(struct scan *scan)
{
    bool integer, ok;
    skip_space(scan);
    if (scan->at == scan->end)
        return fail(scan, "a value is missing");
    switch (*scan->at) {
    case '"':
        return take_string(scan, NULL);
    case '{':
        return take_members(scan, NULL, NULL);
    case '[':
        scan->at++;
        ok = deeper(scan) && take_array(scan);
        scan->depth--;
        return ok;
    case 't':
        return take_word(scan, "true");
    case 'f':
        return take_word(scan, "false");
    case 'n':
        return take_word(scan, "null");
    default:
        return take_number(scan, &integer);
    }
}

static bool take_list(struct scan *scan, const struct saga_field *field, void *at)
{
    const struct saga_shape *shape = field->inside;
    size_t size = 0;
    struct saga_list list = {0};
    char *items = NULL;
    if (!take(scan, '['))
        return fail_member(scan, field->name, "must be an array");
    if (!deeper(scan))
        return false;
    while (!take(scan, ']')) {
        if (list.count > 0 && !take(scan, ','))
            return fail(scan, "an array without its end");
        if (list.count == size) {
            size_t more = size ? size * 2 : 8;
            char *grown = arena_alloc(scan->arena, more * shape->size);
            if (size > 0)
                memcpy(grown, items, size * shape->size);
            items = grown;
            size = more;
        }
        if (!take_members(scan, shape, items + list.count * shape->size))
            return false;
        list.count++;
    }
    scan->depth--;
    list.at = items;
    memcpy(at, &list, sizeof list);
    return true;
}

static bool take_int(struct scan *scan, const struct saga_field *field, void *at)
{
    int64_t value;
    if (!take_integer(scan, &value))
        return fail_member(scan, field->name, "must be an integer");
    if (field->type == SAGA_INT64) {
        memcpy(at, &value, sizeof value);
        return true;
    }
    int64_t max = field->type == SAGA_INT16 ? INT16_MAX : INT32_MAX;
    if (value < -max - 1 || value > max)
        return fail_member(scan, field->name, "is out of range");
    int16_t narrow16 = (int16_t)value;
    int32_t narrow32 = (int32_t)value;
    if (field->type == SAGA_INT16)
        memcpy(at, &narrow16, sizeof narrow16);
    else
        memcpy(at, &narrow32, sizeof narrow32);
    return true;
}

static bool take_field(struct scan *scan, const struct saga_field *field, void *at)
{
    struct saga_text text;
    struct saga_uuid id;
    int64_t time_us;
    skip_space(scan);
    const char *from = scan->at;
    bool string = from < scan->end && *from == '"';
    switch (field->type) {
    case SAGA_UUID:
    case SAGA_STRING:
    case SAGA_TIME:
        if (!string)
            return fail_member(scan, field->name, "must be a string");
        if (!take_string(scan, &text))
            return false;
        if (field->type == SAGA_STRING)
            memcpy(at, &text, sizeof text);
        else if (field->type == SAGA_UUID ? !saga_uuid_parse(text, &id)
                                          : !saga_time_parse(text, &time_us))
            return fail_member(scan, field->name,
                               field->type == SAGA_UUID ? "must be a UUID"
                                                        : "must be an RFC 3339 time");
        else if (field->type == SAGA_UUID)
            memcpy(at, &id, sizeof id);
        else
            memcpy(at, &time_us, sizeof time_us);
        return true;
    case SAGA_INT16:
    case SAGA_INT32:
    case SAGA_INT64:
        return take_int(scan, field, at);
    case SAGA_JSON:
        if (!take_value(scan))
            return false;
        text = (struct saga_text){from, (size_t)(scan->at - from)};
        memcpy(at, &text, sizeof text);
        return true;
    case SAGA_LIST:
        return take_list(scan, field, at);
    case SAGA_OBJECT:
        return take_members(scan, field->inside, at);
    }
    return fail(scan, "an unknown type");
}

static const struct saga_field *find_field(const struct saga_shape *shape, struct saga_text name,
                                           size_t *ret_index)
{
    for (size_t i = 0; shape != NULL && i < shape->count; i++) {
        if (saga_text_equal(saga_text(shape->fields[i].name), name)) {
            *ret_index = i;
            return &shape->fields[i];
        }
    }
    return NULL;
}

static bool all_there(struct scan *scan, const struct saga_shape *shape, uint64_t seen)
{
    for (size_t i = 0; shape != NULL && i < shape->count; i++)
        if ((seen >> i & 1) == 0 && !shape->fields[i].optional)
            return fail_member(scan, shape->fields[i].name, "is missing");
    return true;
}

/* An object; members that the shape names go into body, the others are checked. */
static bool take_members(struct scan *scan, const struct saga_shape *shape, void *body)
{
    struct saga_text names[MEMBERS_MAX];
    size_t count = 0;
    uint64_t seen = 0;
    if (!take(scan, '{'))
        return fail(scan, "an object is expected");
    if (!deeper(scan))
        return false;
    while (!take(scan, '}')) {
        size_t index;
        if (count > 0 && !take(scan, ','))
            return fail(scan, "an object without its end");
        if (count == MEMBERS_MAX)
            return fail(scan, "too many members");
        if (!take_string(scan, &names[count]))
            return false;
        if (known_name(names, count, names[count]))
            return fail(scan, "a duplicate member");
        if (!take(scan, ':'))
            return fail(scan, "a member without a value");
        const struct saga_field *field = find_field(shape, names[count++], &index);
        if (field == NULL ? !take_value(scan)
                          : !take_field(scan, field, (char *)body + field->offset))
            return false;
        if (field != NULL)
            seen |= UINT64_C(1) << index;
    }
    scan->depth--;
    return all_there(scan, shape, seen);
}

static const char *finish(struct scan *scan, bool ok)
{
    skip_space(scan);
    if (ok && scan->at != scan->end)
        fail(scan, "bytes behind the value");
    return scan->error;
}

const char *scan_object(struct arena *arena, struct saga_text json, const struct saga_shape *shape,
                        void *ret_body)
{
    struct scan scan = {.arena = arena, .at = json.at, .end = json.at + json.len};
    memset(ret_body, 0, shape->size);
    if (json.len == 0)
        return "no JSON text";
    return finish(&scan, take_members(&scan, shape, ret_body));
}

const char *scan_check(struct saga_text json)
{
    struct scan scan = {.at = json.at, .end = json.at + json.len};
    if (json.len == 0)
        return "no JSON text";
    return finish(&scan, take_value(&scan));
}
