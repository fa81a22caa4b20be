/* json.c: writes JSON into one growing buffer; the hot path of every event that is said. */
#include "saga/json.h"

#include <stdlib.h>

#define JSON_SIZE_MAX (64u * 1024 * 1024)
#define JSON_SIZE_FIRST 1024

void saga_json_clear(struct saga_json *json)
{
    free(json->at);
    *json = (struct saga_json){.max = json->max};
}

void saga_json_reset(struct saga_json *json)
{
    json->len = 0;
    json->bad = json->comma = false;
}

/* Room for `more` bytes, or NULL and the buffer is bad. */
static char *grow(struct saga_json *json, size_t more)
{
    if (json->bad)
        return NULL;
    size_t max = json->max ? json->max : JSON_SIZE_MAX;
    if (more > max || json->len > max - more) {
        json->bad = true;
        return NULL;
    }
    if (json->size - json->len < more) {
        size_t size = json->size ? json->size : JSON_SIZE_FIRST;
        while (size - json->len < more)
            size *= 2;
        char *at = realloc(json->at, size);
        if (at == NULL)
            abort(); /* as in arena.c: else an answer, or a row, would be half written */
        json->at = at;
        json->size = size;
    }
    return json->at + json->len;
}

static void put(struct saga_json *json, const char *bytes, size_t len)
{
    char *to = len > 0 ? grow(json, len) : NULL;
    if (to == NULL)
        return;
    memcpy(to, bytes, len);
    json->len += len;
}

/* Longest stretches that need no escape go as they are. */
static void put_string(struct saga_json *json, struct saga_text text)
{
    static const char hex[] = "0123456789abcdef";
    put(json, "\"", 1);
    size_t plain = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        put(json, text.at + plain, i - plain);
        plain = i + 1;
        char escape[6] = {'\\', (char)c, '0', '0', '0', '0'};
        size_t len = 2;
        if (c == '\n') {
            escape[1] = 'n';
        } else if (c == '\t') {
            escape[1] = 't';
        } else if (c == '\r') {
            escape[1] = 'r';
        } else if (c < 0x20) {
            escape[1] = 'u';
            escape[4] = hex[c >> 4];
            escape[5] = hex[c & 15];
            len = 6;
        }
        put(json, escape, len);
    }
    put(json, text.at + plain, text.len - plain);
    put(json, "\"", 1);
}

/* The comma before, and the name. */
static void begin(struct saga_json *json, const char *name)
{
    if (json->comma)
        put(json, ",", 1);
    json->comma = true;
    if (name == NULL)
        return;
    put_string(json, saga_text(name));
    put(json, ":", 1);
}

void saga_json_open(struct saga_json *json, const char *name, char bracket)
{
    begin(json, name);
    put(json, &bracket, 1);
    json->comma = false;
}

void saga_json_close(struct saga_json *json, char bracket)
{
    put(json, &bracket, 1);
    json->comma = true;
}

void saga_json_text(struct saga_json *json, const char *name, struct saga_text value)
{
    begin(json, name);
    if (value.at == NULL)
        put(json, "null", 4);
    else
        put_string(json, value);
}

void saga_json_int(struct saga_json *json, const char *name, int64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    begin(json, name);
    do
        digits[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (value < 0)
        digits[--at] = '-';
    put(json, digits + at, sizeof digits - at);
}

void saga_json_bool(struct saga_json *json, const char *name, bool value)
{
    begin(json, name);
    put(json, value ? "true" : "false", value ? 4 : 5);
}

void saga_json_time(struct saga_json *json, const char *name, int64_t time_us)
{
    char text[SAGA_TIME_TEXT_SIZE];
    if (time_us == 0) {
        saga_json_text(json, name, (struct saga_text){0});
        return;
    }
    saga_time_format(time_us, text);
    saga_json_text(json, name, (struct saga_text){text, SAGA_TIME_TEXT_SIZE - 1});
}

void saga_json_uuid(struct saga_json *json, const char *name, const struct saga_uuid *id)
{
    char text[SAGA_UUID_TEXT_SIZE];
    saga_uuid_format(id, text);
    saga_json_text(json, name, (struct saga_text){text, SAGA_UUID_TEXT_SIZE - 1});
}

void saga_json_raw(struct saga_json *json, const char *name, struct saga_text value)
{
    begin(json, name);
    if (value.at == NULL)
        put(json, "null", 4);
    else
        put(json, value.at, value.len);
}

static int64_t read_int(enum saga_type type, const void *at)
{
    int64_t value = 0;
    if (type == SAGA_INT16) {
        int16_t narrow;
        memcpy(&narrow, at, sizeof narrow);
        value = narrow;
    } else if (type == SAGA_INT32) {
        int32_t narrow;
        memcpy(&narrow, at, sizeof narrow);
        value = narrow;
    } else {
        memcpy(&value, at, sizeof value);
    }
    return value;
}

static void put_list(struct saga_json *json, const struct saga_field *field,
                     const struct saga_list *list)
{
    saga_json_open(json, field->name, '[');
    for (size_t i = 0; i < list->count; i++)
        saga_json_object(json, NULL, field->inside,
                         (const char *)list->at + i * field->inside->size);
    saga_json_close(json, ']');
}

static void put_field(struct saga_json *json, const struct saga_field *field, const void *at)
{
    struct saga_text text;
    switch (field->type) {
    case SAGA_UUID:
        saga_json_uuid(json, field->name, at);
        return;
    case SAGA_STRING:
    case SAGA_JSON:
        memcpy(&text, at, sizeof text);
        if (text.at == NULL && field->optional)
            return;
        (field->type == SAGA_JSON ? saga_json_raw : saga_json_text)(json, field->name, text);
        return;
    case SAGA_INT16:
    case SAGA_INT32:
    case SAGA_INT64:
        saga_json_int(json, field->name, read_int(field->type, at));
        return;
    case SAGA_TIME:
        if (read_int(SAGA_INT64, at) != 0 || !field->optional)
            saga_json_time(json, field->name, read_int(SAGA_INT64, at));
        return;
    case SAGA_LIST:
        put_list(json, field, at);
        return;
    case SAGA_OBJECT:
        saga_json_object(json, field->name, field->inside, at);
        return;
    }
}

void saga_json_members(struct saga_json *json, const struct saga_shape *shape, const void *body)
{
    for (size_t i = 0; i < shape->count; i++)
        put_field(json, &shape->fields[i], (const char *)body + shape->fields[i].offset);
}

void saga_json_object(struct saga_json *json, const char *name, const struct saga_shape *shape,
                      const void *body)
{
    saga_json_open(json, name, '{');
    saga_json_members(json, shape, body);
    saga_json_close(json, '}');
}
