/* park.c: dead letters: written with the batch, taken up again on demand (I7). */
#include "runtime/park.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/scan.h"
#include "ports/system.h"
#include "runtime/engine_inside.h"
#include "runtime/metrics.h"
#include "saga/json.h"
#include "saga_sql.h"

/* The columns of park.sql; id is the table's. */
static const struct saga_shape park_shape = SAGA_SHAPE(
    struct park_row, SAGA_FIELD(struct park_row, order_id, SAGA_UUID),
    SAGA_FIELD(struct park_row, reason, SAGA_STRING),
    SAGA_FIELD(struct park_row, detail, SAGA_STRING),
    SAGA_FIELD(struct park_row, state, SAGA_INT16), SAGA_FIELD(struct park_row, topic, SAGA_STRING),
    SAGA_FIELD(struct park_row, record_partition, SAGA_INT32),
    SAGA_FIELD(struct park_row, record_offset, SAGA_INT64),
    SAGA_FIELD(struct park_row, record_time_us, SAGA_TIME),
    SAGA_FIELD(struct park_row, record_key, SAGA_STRING),
    SAGA_FIELD(struct park_row, record_headers, SAGA_STRING),
    SAGA_FIELD(struct park_row, record_value, SAGA_STRING),
    SAGA_FIELD(struct park_row, parked_us, SAGA_TIME));
static const struct saga_shape again_shape =
    SAGA_SHAPE(struct park_row, SAGA_FIELD(struct park_row, id, SAGA_INT64),
               SAGA_FIELD(struct park_row, state, SAGA_INT16),
               SAGA_FIELD(struct park_row, reason, SAGA_STRING));
static const struct saga_shape id_shape =
    SAGA_SHAPE(struct park_row, SAGA_FIELD(struct park_row, id, SAGA_INT64));
static const struct saga_shape order_shape =
    SAGA_SHAPE(struct park_row, SAGA_FIELD(struct park_row, order_id, SAGA_UUID));

/* ---- bytes as text ---- */

#define BASE64_MARK "base64:"
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* How many of the bytes, from the first, may stand in a text column as they are: whole characters
 * of UTF-8, without NUL. */
static size_t text_len(struct saga_text bytes)
{
    size_t i = 0;
    while (i < bytes.len) {
        unsigned char c = (unsigned char)bytes.at[i];
        size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : 3;
        if (c == 0 || (c >= 0x80 && c < 0xc2) || c > 0xf4 || more > bytes.len - i - 1)
            return i;
        for (size_t k = 1; k <= more; k++)
            if (((unsigned char)bytes.at[i + k] & 0xc0) != 0x80)
                return i;
        if (more > 0) {
            unsigned char second = (unsigned char)bytes.at[i + 1];
            if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
                (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
                return i;
        }
        i += more + 1;
    }
    return i;
}

static bool is_text(struct saga_text bytes)
{
    return text_len(bytes) == bytes.len;
}

static bool is_marked(struct saga_text bytes)
{
    size_t mark = sizeof BASE64_MARK - 1;
    return bytes.len >= mark && memcmp(bytes.at, BASE64_MARK, mark) == 0;
}

static struct saga_text to_base64(struct arena *arena, struct saga_text bytes)
{
    size_t mark = sizeof BASE64_MARK - 1;
    char *text = arena_alloc(arena, mark + (bytes.len + 2) / 3 * 4);
    memcpy(text, BASE64_MARK, mark);
    size_t len = mark;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)(unsigned char)bytes.at[i] << 16;
        if (left > 1)
            group |= (uint32_t)(unsigned char)bytes.at[i + 1] << 8;
        if (left > 2)
            group |= (unsigned char)bytes.at[i + 2];
        text[len++] = base64_digits[group >> 18];
        text[len++] = base64_digits[(group >> 12) & 63];
        text[len++] = left > 1 ? base64_digits[(group >> 6) & 63] : '=';
        text[len++] = left > 2 ? base64_digits[group & 63] : '=';
    }
    return (struct saga_text){text, len};
}

static struct saga_text keep_bytes(struct arena *arena, struct saga_text bytes)
{
    bool plain = bytes.at == NULL || (is_text(bytes) && !is_marked(bytes));
    return plain ? bytes : to_base64(arena, bytes);
}

struct saga_text park_bytes(struct arena *arena, struct saga_text kept)
{
    size_t mark = sizeof BASE64_MARK - 1;
    if (kept.len < mark || memcmp(kept.at, BASE64_MARK, mark) != 0)
        return kept.at ? arena_copy(arena, kept) : kept;
    char *bytes = arena_alloc(arena, kept.len);
    size_t len = 0;
    uint32_t group = 0;
    unsigned digits = 0;
    for (size_t i = mark; i < kept.len && kept.at[i] != '='; i++) {
        const char *digit = strchr(base64_digits, kept.at[i]);
        group = group << 6 | (uint32_t)(digit ? digit - base64_digits : 0);
        if (++digits % 4 == 0) {
            bytes[len++] = (char)(group >> 16 & 0xff);
            bytes[len++] = (char)(group >> 8 & 0xff);
            bytes[len++] = (char)(group & 0xff);
        }
    }
    if (digits % 4 == 2) {
        bytes[len++] = (char)(group >> 4 & 0xff);
    } else if (digits % 4 == 3) {
        bytes[len++] = (char)(group >> 10 & 0xff);
        bytes[len++] = (char)(group >> 2 & 0xff);
    }
    return (struct saga_text){bytes, len};
}

/* Headers are kept as one text, a line each: name, tab, value; bytes as above, and those that would
 * not stand in a line as base64. Without a tab: the value is null. An empty line: there were more
 * of them than a record may have. */
static void put_word(struct arena *arena, struct saga_text bytes, char **end)
{
    bool plain = bytes.len > 0 && is_text(bytes) && !is_marked(bytes) &&
                 memchr(bytes.at, '\t', bytes.len) == NULL &&
                 memchr(bytes.at, '\n', bytes.len) == NULL;
    struct saga_text word = plain ? bytes : to_base64(arena, bytes);
    memcpy(*end, word.at, word.len);
    *end += word.len;
}

struct saga_text park_keep_headers(struct arena *arena, const struct kafka_record *record)
{
    size_t size = 2;
    for (size_t i = 0; i < record->headers_count; i++)
        size += (strlen(record->headers[i].name) + record->headers[i].value.len) * 2 + 32;
    char *text = arena_alloc(arena, size), *end = text;
    for (size_t i = 0; i < record->headers_count; i++) {
        put_word(arena, saga_text(record->headers[i].name), &end);
        if (record->headers[i].value.at != NULL) {
            *end++ = '\t';
            put_word(arena, record->headers[i].value, &end);
        }
        *end++ = '\n';
    }
    if (record->headers_too_many)
        *end++ = '\n';
    return (struct saga_text){text, (size_t)(end - text)};
}

size_t park_headers(struct arena *arena, struct saga_text kept,
                    struct envelope_header ret_headers[ENVELOPE_HEADERS_MAX], bool *ret_too_many)
{
    size_t count = 0;
    const char *at = kept.at, *end = kept.at + kept.len;
    *ret_too_many = false;
    while (at < end && !*ret_too_many) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            break;
        const char *tab = memchr(at, '\t', (size_t)(line_end - at));
        size_t name_len = (size_t)((tab ? tab : line_end) - at);
        *ret_too_many = line_end == at || count == ENVELOPE_HEADERS_MAX;
        if (*ret_too_many)
            break;
        struct saga_text name = park_bytes(arena, (struct saga_text){at, name_len}), value = {0};
        char *copy = arena_alloc(arena, name.len + 1);
        memcpy(copy, name.at, name.len);
        if (tab != NULL)
            value = park_bytes(arena, (struct saga_text){tab + 1, (size_t)(line_end - tab - 1)});
        ret_headers[count++] = (struct envelope_header){copy, value};
        at = line_end + 1;
    }
    return count;
}

struct saga_text park_detail(struct arena *arena, const char *error)
{
    struct saga_text text = saga_text(error);
    text.len = text_len(text);
    return arena_copy(arena, text);
}

/* ---- with the batch ---- */

static bool parked(const struct batch_message *message)
{
    return message->in.command == NULL &&
           (message->result == BATCH_POISON || message->result == BATCH_HELD);
}

const char *park_count(const struct batch_message *message)
{
    if (!parked(message))
        return NULL;
    const char *reason = message->result == BATCH_HELD ? "held_up" : message->reason;
    char labels[96];
    snprintf(labels, sizeof labels, "reason=\"%s\"", reason);
    metric_add(metric_counter("saga_dead_letters_total", "Records parked.", labels), 1);
    return reason;
}

static struct park_row *park_row(struct engine *engine, const struct batch_message *message)
{
    struct arena *arena = batch_arena(engine->batch);
    const struct source *source = message->source;
    struct park_row *row = arena_alloc(arena, sizeof *row);
    bool held = message->result == BATCH_HELD;
    row->id = message->letter;
    row->order_id = message->in.order_id;
    row->state = held ? PARK_HELD : PARK_PARKED;
    row->reason = saga_text(held ? "held_up" : message->reason);
    if (message->reason != NULL && strcmp(message->reason, "rejected_by_database") == 0)
        row->detail = park_detail(arena, engine->error);
    if (source->record == NULL)
        return row;
    row->topic = source->record->topic;
    row->record_partition = source->record->partition;
    row->record_offset = source->record->offset;
    row->record_time_us = source->record_time_us > 0 ? source->record_time_us : 1;
    row->record_key = keep_bytes(arena, source->record->key);
    row->record_headers = park_keep_headers(arena, source->record);
    row->record_value = keep_bytes(arena, source->record->value);
    row->parked_us = system_now_us();
    return row;
}

void park_send(struct engine *engine, size_t from, size_t to)
{
    struct {
        const void **rows;
        size_t count;
    } fresh, again, gone, moved;
    struct arena *arena = batch_arena(engine->batch);
    fresh.rows = arena_alloc(arena, (to - from + 1) * sizeof *fresh.rows);
    again.rows = arena_alloc(arena, (to - from + 1) * sizeof *again.rows);
    gone.rows = arena_alloc(arena, (to - from + 1) * sizeof *gone.rows);
    moved.rows = arena_alloc(arena, (to - from + 1) * sizeof *moved.rows);
    fresh.count = again.count = gone.count = moved.count = 0;
    for (size_t i = from; i < to; i++) {
        const struct batch_message *message = batch_at(engine->batch, i);
        if (message->in.command != NULL || (!parked(message) && message->letter == 0))
            continue;
        struct park_row *row = park_row(engine, message);
        if (!parked(message))
            gone.rows[gone.count++] = row;
        else if (message->letter != 0)
            again.rows[again.count++] = row;
        else
            fresh.rows[fresh.count++] = row;
        if (!parked(message) || row->state == PARK_HELD)
            moved.rows[moved.count++] = row;
    }
    if (fresh.count > 0)
        engine_send_rows(engine, sql_park, &park_shape, fresh.rows, fresh.count);
    if (again.count > 0)
        engine_send_rows(engine, sql_park_again, &again_shape, again.rows, again.count);
    if (gone.count > 0)
        engine_send_rows(engine, sql_mark_redriven, &id_shape, gone.rows, gone.count);
    /* Also who was just held: what it waits for may have been discarded, and come again. */
    if (moved.count > 0)
        engine_send_rows(engine, sql_release_held, &order_shape, moved.rows, moved.count);
}
