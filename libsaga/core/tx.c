/* tx.c: what a handler may do to the batch; see saga/tx.h. */
#include "saga/tx.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/batch_inside.h"
#include "core/scan.h"

static void *check(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

/* Writes the key into the first column of a row. */
static void set_key(struct batch *batch, const struct table *table, void *row, struct saga_text key)
{
    const struct saga_field *field = &table->def->shape->fields[0];
    char *at = (char *)row + field->offset;
    if (field->type == SAGA_UUID) {
        assert(key.len == sizeof(struct saga_uuid));
        memcpy(at, key.at, key.len);
    } else {
        struct saga_text copy = arena_copy(&batch->arena, key);
        memcpy(at, &copy, sizeof copy);
    }
}

void saga_want(struct saga_tx *tx, const struct saga_table *def, struct saga_text key)
{
    if (def == tx->batch->tables[tx->batch->loading].def)
        batch_touch(tx->batch, batch_table(tx->batch, def), key);
}

static void note_change(struct batch *batch, struct entry *entry)
{
    if (batch->changes_count == batch->changes_size) {
        batch->changes_size = batch->changes_size ? batch->changes_size * 2 : 64;
        batch->changes =
            check(realloc(batch->changes, batch->changes_size * sizeof *batch->changes));
    }
    batch->changes[batch->changes_count++] =
        (struct change){entry, entry->row, entry->inserted, entry->changed};
}

static struct entry *wanted_entry(struct saga_tx *tx, struct table *table, struct saga_text key)
{
    struct entry *entry = batch_find(table, key);
    if (entry == NULL || !entry->asked)
        return NULL;
    (void)tx;
    return entry;
}

const void *saga_row(struct saga_tx *tx, const struct saga_table *def, struct saga_text key)
{
    struct entry *entry = wanted_entry(tx, batch_table(tx->batch, def), key);
    return entry ? entry->row : NULL;
}

void *saga_edit(struct saga_tx *tx, const struct saga_table *def, struct saga_text key)
{
    struct table *table = batch_table(tx->batch, def);
    struct entry *entry = wanted_entry(tx, table, key);
    if (entry == NULL || entry->row == NULL)
        return NULL;
    for (size_t i = 0; i < tx->batch->changes_count; i++)
        if (tx->batch->changes[i].entry == entry)
            return entry->row; /* this message's own copy already */
    note_change(tx->batch, entry);
    void *copy = arena_alloc(&tx->batch->arena, def->shape->size);
    memcpy(copy, entry->row, def->shape->size);
    entry->row = copy;
    entry->changed = true;
    return copy;
}

void *saga_insert(struct saga_tx *tx, const struct saga_table *def, struct saga_text key)
{
    struct table *table = batch_table(tx->batch, def);
    struct entry *entry = wanted_entry(tx, table, key);
    assert(entry != NULL); /* the handler did not want the row */
    if (entry->row != NULL)
        return NULL;
    note_change(tx->batch, entry);
    entry->row = arena_alloc(&tx->batch->arena, def->shape->size);
    entry->inserted = true;
    set_key(tx->batch, table, entry->row, key);
    return entry->row;
}

void *saga_step_row(struct saga_tx *tx)
{
    assert(tx->step != NULL);
    return saga_edit(tx, tx->step->table, saga_uuid_key(&tx->message->in.order_id));
}

void saga_append(struct saga_tx *tx, const struct saga_table *def, const void *row)
{
    struct table *table = batch_table(tx->batch, def);
    void *copy = arena_alloc(&tx->batch->arena, def->shape->size);
    memcpy(copy, row, def->shape->size);
    batch_list_add(&table->appended, copy);
}

void saga_remove(struct saga_tx *tx, const struct saga_table *def, struct saga_text key)
{
    struct table *table = batch_table(tx->batch, def);
    struct saga_text *copy = arena_alloc(&tx->batch->arena, sizeof *copy);
    *copy = arena_copy(&tx->batch->arena, key);
    batch_list_add(&table->removed, copy);
}

struct saga_text saga_write(struct saga_tx *tx, const struct saga_shape *shape, const void *body)
{
    struct saga_json *json = &tx->batch->json;
    saga_json_reset(json);
    saga_json_object(json, NULL, shape, body);
    if (json->bad) { /* a record may be larger than any order of ours: batch_decide parks it (I7) */
        tx->too_large = true;
        return SAGA_TEXT("");
    }
    return arena_copy(&tx->batch->arena, saga_json_done(json));
}

void saga_emit(struct saga_tx *tx, const struct saga_event *event, const void *body)
{
    struct batch *batch = tx->batch;
    struct saga_text payload = saga_write(tx, event->shape, body);
    if (batch->events_count == batch->events_size) {
        batch->events_size = batch->events_size ? batch->events_size * 2 : 64;
        batch->events = check(realloc(batch->events, batch->events_size * sizeof *batch->events));
    }
    batch->events[batch->events_count++] =
        (struct batch_event){.event = event,
                             .order_id = tx->message->in.order_id,
                             .traceparent = tx->message->in.traceparent,
                             .payload = payload,
                             .said_us = tx->message->in.now_us,
                             .cause = tx->message};
}

void saga_refuse(struct saga_tx *tx, const struct saga_event *event, const void *body)
{
    tx->refused = true;
    saga_emit(tx, event, body);
}

void saga_duplicate(struct saga_tx *tx)
{
    tx->duplicate = true;
}

void saga_outcome(struct saga_tx *tx, const char *outcome, int64_t began_us)
{
    tx->message->outcome = outcome;
    tx->message->began_us = began_us;
}

void saga_news(struct saga_tx *tx, const void *news, size_t size)
{
    assert(size <= SAGA_NEWS_MAX);
    tx->message->news = arena_copy(&tx->batch->arena, (struct saga_text){news, size});
}

enum saga_verdict saga_poison(struct saga_tx *tx, const char *reason)
{
    tx->message->reason = reason;
    return SAGA_POISON;
}

void *saga_alloc(struct saga_tx *tx, size_t size)
{
    return arena_alloc(&tx->batch->arena, size);
}

struct saga_text saga_copy(struct saga_tx *tx, struct saga_text text)
{
    return arena_copy(&tx->batch->arena, text);
}

struct saga_text saga_format(struct saga_tx *tx, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(len >= 0);
    char *text = arena_alloc(&tx->batch->arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return (struct saga_text){text, (size_t)len};
}

bool saga_parse(struct saga_tx *tx, struct saga_text json, const struct saga_shape *shape,
                void *ret_struct)
{
    return scan_object(&tx->batch->arena, json, shape, ret_struct) == NULL;
}
