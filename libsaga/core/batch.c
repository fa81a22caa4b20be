/* batch.c: the identity map and the decisions of one batch; see batch.h. */
#include "core/batch.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/barrier.h"
#include "core/scan.h"
#include "saga/json.h"

#define EVENT_BYTES_MAX (512 * 1024)

/* A row as the database has it, and as the handlers want it. */
struct entry {
    struct entry *next; /* of the hash chain */
    struct saga_text key;
    void *row;    /* NULL: there is none */
    size_t order; /* among the table's entries: flush in the order of first touch */
    bool asked;   /* the database was asked */
    bool inserted, changed;
};

/* How to take back one change of the message that is being decided. */
struct change {
    struct entry *entry;
    void *row;
    bool inserted, changed;
};

struct list {
    const void **at;
    size_t count, size;
};

struct table {
    const struct saga_table *def;
    struct entry **buckets;
    size_t buckets_count; /* a power of two */
    struct list entries;  /* struct entry *, in the order of first touch */
    struct list appended; /* const void *rows */
    struct list removed;  /* const struct saga_text *keys */
};

struct saga_tx {
    struct batch *batch;
    struct batch_message *message;
    const struct saga_step *step;
    bool refused, duplicate;
};

struct batch {
    const struct saga_service *service;
    struct arena arena;
    struct batch_message *messages;
    size_t messages_count, messages_max;
    size_t from, to;
    struct table tables[BATCH_TABLES_MAX];
    size_t tables_count;
    size_t loading; /* wants for other tables are not taken now */
    struct batch_event *events;
    size_t events_count, events_size;
    struct change *changes;
    size_t changes_count, changes_size;
    struct saga_json json;
    struct hold {
        struct saga_uuid order_id;
        bool here; /* poison in this very batch: holds redriven ones too */
    } * holds;
    size_t holds_count, holds_size;
};

static void *check(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static void list_add(struct list *list, const void *item)
{
    if (list->count == list->size) {
        list->size = list->size ? list->size * 2 : 64;
        list->at = check(realloc(list->at, list->size * sizeof *list->at));
    }
    list->at[list->count++] = item;
}

struct batch *batch_new(const struct saga_service *service, size_t messages_max, size_t arena_max)
{
    struct batch *batch = check(calloc(1, sizeof *batch));
    batch->service = service;
    batch->arena.size_max = arena_max;
    batch->messages_max = messages_max;
    batch->messages = check(calloc(messages_max, sizeof *batch->messages));
    batch->json.max = EVENT_BYTES_MAX;
    for (const struct saga_table *const *def = service->tables; def && *def; def++) {
        assert(batch->tables_count < BATCH_TABLES_MAX);
        struct table *table = &batch->tables[batch->tables_count++];
        table->def = *def;
        table->buckets_count = 1024;
        table->buckets = check(calloc(table->buckets_count, sizeof *table->buckets));
    }
    return batch;
}

void batch_free(struct batch *batch)
{
    if (batch == NULL)
        return;
    for (size_t i = 0; i < batch->tables_count; i++) {
        free(batch->tables[i].buckets);
        free(batch->tables[i].entries.at);
        free(batch->tables[i].appended.at);
        free(batch->tables[i].removed.at);
    }
    saga_json_clear(&batch->json);
    arena_free(&batch->arena);
    free(batch->messages);
    free(batch->events);
    free(batch->changes);
    free(batch->holds);
    free(batch);
}

/* Rows, changes and results go; messages and the memory they live in stay. */
void batch_retry(struct batch *batch)
{
    for (size_t i = 0; i < batch->tables_count; i++) {
        struct table *table = &batch->tables[i];
        memset(table->buckets, 0, table->buckets_count * sizeof *table->buckets);
        table->entries.count = table->appended.count = table->removed.count = 0;
    }
    batch->events_count = batch->changes_count = 0;
    batch->holds_count = 0;
    for (size_t i = batch->from; i < batch->to; i++) {
        struct batch_message *message = &batch->messages[i];
        if (message->skip)
            continue;
        message->step = message->op = message->outcome = message->reason = NULL;
        message->result = BATCH_DONE;
    }
}

void batch_reset(struct batch *batch)
{
    batch_retry(batch);
    batch->messages_count = batch->from = batch->to = 0;
    arena_reset(&batch->arena);
}

struct arena *batch_arena(struct batch *batch)
{
    return &batch->arena;
}

struct batch_message *batch_add(struct batch *batch)
{
    if (batch->messages_count == batch->messages_max)
        return NULL;
    struct batch_message *message = &batch->messages[batch->messages_count++];
    *message = (struct batch_message){.in = {.partition = -1, .offset = -1}};
    batch->to = batch->messages_count;
    return message;
}

void batch_drop_last(struct batch *batch)
{
    assert(batch->messages_count > 0);
    batch->to = --batch->messages_count;
}

size_t batch_count(const struct batch *batch)
{
    return batch->messages_count;
}

struct batch_message *batch_at(struct batch *batch, size_t index)
{
    assert(index < batch->messages_count);
    return &batch->messages[index];
}

void batch_select(struct batch *batch, size_t from, size_t to)
{
    assert(from <= to && to <= batch->messages_count);
    batch->from = from;
    batch->to = to;
}

/* ---- the identity map ---- */

static struct table *find_table(struct batch *batch, const struct saga_table *def)
{
    for (size_t i = 0; i < batch->tables_count; i++)
        if (batch->tables[i].def == def)
            return &batch->tables[i];
    abort(); /* a handler named a table that its service does not declare */
}

/* FNV-1a: keys are ours or short, and a batch is bounded. */
static size_t hash_key(struct saga_text key)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.at[i]) * UINT64_C(1099511628211);
    return (size_t)(hash ^ (hash >> 29));
}

static struct entry *find_entry(struct table *table, struct saga_text key)
{
    struct entry *entry = table->buckets[hash_key(key) & (table->buckets_count - 1)];
    while (entry != NULL && !saga_text_equal(entry->key, key))
        entry = entry->next;
    return entry;
}

static struct entry *touch_entry(struct batch *batch, struct table *table, struct saga_text key)
{
    struct entry *entry = find_entry(table, key);
    if (entry != NULL)
        return entry;
    entry = arena_alloc(&batch->arena, sizeof *entry);
    entry->key = arena_copy(&batch->arena, key);
    entry->order = table->entries.count;
    list_add(&table->entries, entry);
    struct entry **bucket = &table->buckets[hash_key(key) & (table->buckets_count - 1)];
    entry->next = *bucket;
    *bucket = entry;
    return entry;
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
        touch_entry(tx->batch, find_table(tx->batch, def), key);
}

static int compare_keys(const void *left, const void *right)
{
    const struct saga_text *a = left, *b = right;
    size_t shorter = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->at, b->at, shorter);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static void want_rows(struct batch *batch, struct batch_message *message,
                      const struct saga_table *loading)
{
    struct saga_tx tx = {.batch = batch, .message = message};
    const struct saga_message *in = &message->in;
    if (in->command != NULL) {
        if (in->command->wants != NULL)
            in->command->wants(&tx, in);
        return;
    }
    struct saga_text key = saga_uuid_key(&in->order_id);
    for (const struct saga_watch *const *watch = batch->service->watches; watch && *watch; watch++)
        if ((*watch)->table == loading)
            for (saga_events on = (*watch)->on; *on != NULL; on++)
                if (strcmp((*on)->name, in->event->name) == 0)
                    saga_want(&tx, loading, key);
    for (const struct saga_step *const *step = batch->service->steps; step && *step; step++) {
        bool undo;
        const struct saga_edge *edge = barrier_edge(*step, in->event->name, &undo);
        if (edge == NULL)
            continue;
        tx.step = *step;
        saga_want(&tx, (*step)->table, key);
        if (edge->wants != NULL)
            edge->wants(&tx, in);
    }
}

size_t batch_wanted(struct batch *batch, size_t number, const struct saga_text **ret_keys)
{
    struct table *table = &batch->tables[number];
    *ret_keys = NULL;
    if (table->def->load == NULL)
        return 0;
    batch->loading = number;
    for (size_t i = batch->from; i < batch->to; i++)
        if (!batch->messages[i].skip)
            want_rows(batch, &batch->messages[i], table->def);
    if (table->entries.count == 0)
        return 0;
    struct saga_text *keys = arena_alloc(&batch->arena, table->entries.count * sizeof *keys);
    size_t count = 0;
    for (size_t i = 0; i < table->entries.count; i++) {
        struct entry *entry = (struct entry *)(uintptr_t)table->entries.at[i];
        if (!entry->asked)
            keys[count++] = entry->key;
        entry->asked = true;
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    *ret_keys = keys;
    return count;
}

void *batch_loaded(struct batch *batch, size_t number, struct saga_text key)
{
    struct table *table = &batch->tables[number];
    struct entry *entry = touch_entry(batch, table, key);
    entry->asked = true;
    entry->row = arena_alloc(&batch->arena, table->def->shape->size);
    return entry->row;
}

/* ---- what handlers call ---- */

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
    struct entry *entry = find_entry(table, key);
    if (entry == NULL || !entry->asked)
        return NULL;
    (void)tx;
    return entry;
}

const void *saga_row(struct saga_tx *tx, const struct saga_table *def, struct saga_text key)
{
    struct entry *entry = wanted_entry(tx, find_table(tx->batch, def), key);
    return entry ? entry->row : NULL;
}

void *saga_edit(struct saga_tx *tx, const struct saga_table *def, struct saga_text key)
{
    struct table *table = find_table(tx->batch, def);
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
    struct table *table = find_table(tx->batch, def);
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
    struct table *table = find_table(tx->batch, def);
    void *copy = arena_alloc(&tx->batch->arena, def->shape->size);
    memcpy(copy, row, def->shape->size);
    list_add(&table->appended, copy);
}

void saga_remove(struct saga_tx *tx, const struct saga_table *def, struct saga_text key)
{
    struct table *table = find_table(tx->batch, def);
    struct saga_text *copy = arena_alloc(&tx->batch->arena, sizeof *copy);
    *copy = arena_copy(&tx->batch->arena, key);
    list_add(&table->removed, copy);
}

void saga_emit(struct saga_tx *tx, const struct saga_event *event, const void *body)
{
    struct batch *batch = tx->batch;
    saga_json_reset(&batch->json);
    saga_json_object(&batch->json, NULL, event->shape, body);
    if (batch->json.bad)
        abort(); /* an event is bounded by the request that began its order */
    if (batch->events_count == batch->events_size) {
        batch->events_size = batch->events_size ? batch->events_size * 2 : 64;
        batch->events = check(realloc(batch->events, batch->events_size * sizeof *batch->events));
    }
    batch->events[batch->events_count++] =
        (struct batch_event){.event = event,
                             .order_id = tx->message->in.order_id,
                             .traceparent = tx->message->in.traceparent,
                             .payload = arena_copy(&batch->arena, saga_json_done(&batch->json)),
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

/* ---- decide ---- */

/* A message's place in the batch's lists, to take back what it did. */
struct mark {
    size_t events;
    size_t appended[BATCH_TABLES_MAX], removed[BATCH_TABLES_MAX];
};

static struct mark take_mark(struct batch *batch)
{
    struct mark mark = {.events = batch->events_count};
    for (size_t i = 0; i < batch->tables_count; i++) {
        mark.appended[i] = batch->tables[i].appended.count;
        mark.removed[i] = batch->tables[i].removed.count;
    }
    batch->changes_count = 0;
    return mark;
}

static void undo_to(struct batch *batch, const struct mark *mark)
{
    while (batch->changes_count > 0) {
        struct change *change = &batch->changes[--batch->changes_count];
        change->entry->row = change->row;
        change->entry->inserted = change->inserted;
        change->entry->changed = change->changed;
    }
    batch->events_count = mark->events;
    for (size_t i = 0; i < batch->tables_count; i++) {
        batch->tables[i].appended.count = mark->appended[i];
        batch->tables[i].removed.count = mark->removed[i];
    }
}

static enum saga_state read_state(const struct saga_step *step, const void *row)
{
    int16_t state;
    memcpy(&state, (const char *)row + step->state, sizeof state);
    return (enum saga_state)state;
}

static void write_state(const struct saga_step *step, void *row, enum saga_state state)
{
    int16_t value = (int16_t)state;
    memcpy((char *)row + step->state, &value, sizeof value);
}

/* "undone", said for an action that never ran: nothing but the order id, the first field. */
static void say_bare(struct saga_tx *tx, const struct saga_event *event)
{
    assert(event->shape->fields[0].type == SAGA_UUID);
    char *body = arena_alloc(&tx->batch->arena, event->shape->size);
    memcpy(body + event->shape->fields[0].offset, &tx->message->in.order_id,
           sizeof(struct saga_uuid));
    saga_emit(tx, event, body);
}

static enum saga_verdict run_step(struct saga_tx *tx, const struct saga_step *step,
                                  const struct saga_edge *edge, bool undo)
{
    struct batch_message *message = tx->message;
    struct saga_text key = saga_uuid_key(&message->in.order_id);
    const void *row = saga_row(tx, step->table, key);
    enum saga_state state = row ? read_state(step, row) : SAGA_NONE;
    if (state < SAGA_NONE || state > SAGA_VOID)
        return saga_poison(tx, "unknown_barrier_state");
    enum barrier_move move = barrier_move(step->kind, state, undo);

    message->step = step->name;
    message->op = undo ? "undo" : "action";
    tx->step = step;
    tx->refused = false;
    enum saga_verdict verdict = SAGA_OK;
    if (move == BARRIER_RUN || move == BARRIER_FENCE) {
        if (row == NULL)
            saga_insert(tx, step->table, key);
        if (move == BARRIER_RUN)
            verdict = edge->run ? edge->run(tx, &message->in) : SAGA_OK;
        else if (edge->run_void != NULL)
            verdict = edge->run_void(tx, &message->in);
        else if (edge->says != NULL)
            say_bare(tx, edge->says);
        write_state(step, saga_step_row(tx), barrier_next(state, move, undo, tx->refused));
    }
    tx->step = NULL;
    if (move == BARRIER_DUPLICATE || move == BARRIER_REFUSED)
        message->result = BATCH_DUPLICATE;
    else if (move == BARRIER_FENCE || move == BARRIER_VOIDED || move == BARRIER_TOO_LATE)
        message->result = BATCH_VOID;
    else
        message->result = tx->refused ? BATCH_REFUSED : BATCH_DONE;
    return verdict;
}

static enum saga_verdict run_watches(struct saga_tx *tx)
{
    struct batch_message *message = tx->message;
    for (const struct saga_watch *const *watch = tx->batch->service->watches; watch && *watch;
         watch++) {
        for (saga_events on = (*watch)->on; *on != NULL; on++) {
            if (strcmp((*on)->name, message->in.event->name) != 0)
                continue;
            message->op = "watch";
            message->step = message->in.event->name;
            enum saga_verdict verdict = (*watch)->run(tx, &message->in);
            if (verdict != SAGA_OK)
                return verdict;
        }
    }
    return SAGA_OK;
}

static enum saga_verdict run_message(struct saga_tx *tx)
{
    struct batch_message *message = tx->message;
    if (message->in.command != NULL) {
        message->step = message->in.command->name;
        message->op = "command";
        return message->in.command->run(tx, &message->in);
    }
    enum saga_verdict verdict = run_watches(tx);
    if (tx->duplicate)
        message->result = BATCH_DUPLICATE;
    for (const struct saga_step *const *step = tx->batch->service->steps;
         verdict == SAGA_OK && step && *step; step++) {
        bool undo;
        const struct saga_edge *edge = barrier_edge(*step, message->in.event->name, &undo);
        if (edge != NULL)
            verdict = run_step(tx, *step, edge, undo);
    }
    return verdict;
}

static void hold(struct batch *batch, const struct saga_uuid *order_id, bool here)
{
    if (batch->holds_count == batch->holds_size) {
        batch->holds_size = batch->holds_size ? batch->holds_size * 2 : 16;
        batch->holds = check(realloc(batch->holds, batch->holds_size * sizeof *batch->holds));
    }
    batch->holds[batch->holds_count++] = (struct hold){*order_id, here};
}

void batch_hold(struct batch *batch, const struct saga_uuid *order_id)
{
    hold(batch, order_id, false);
}

/* I7: what comes behind a parked message of its order waits there. Parked orders are few. */
static bool held(const struct batch *batch, const struct batch_message *message)
{
    if (message->in.event == NULL)
        return false;
    for (size_t i = 0; i < batch->holds_count; i++)
        if ((batch->holds[i].here || !message->redriven) &&
            memcmp(&batch->holds[i].order_id, &message->in.order_id, sizeof(struct saga_uuid)) == 0)
            return true;
    return false;
}

void batch_decide(struct batch *batch, int64_t now_us)
{
    for (size_t i = batch->from; i < batch->to; i++) {
        struct batch_message *message = &batch->messages[i];
        if (message->skip) {
            if (message->in.event != NULL)
                hold(batch, &message->in.order_id, true);
            continue;
        }
        if (held(batch, message)) {
            message->result = BATCH_HELD;
            continue;
        }
        message->in.now_us = now_us;
        struct saga_tx tx = {.batch = batch, .message = message};
        struct mark mark = take_mark(batch);
        enum saga_verdict verdict = run_message(&tx);
        if (verdict == SAGA_OK) {
            if (message->in.command != NULL && tx.duplicate)
                message->result = BATCH_DUPLICATE;
            continue;
        }
        undo_to(batch, &mark);
        if (message->in.event != NULL)
            hold(batch, &message->in.order_id, true);
        message->result = BATCH_POISON;
        message->outcome = NULL;
        if (message->reason == NULL)
            message->reason = "handler_failed";
    }
    batch->changes_count = 0;
}

/* ---- flush ---- */

static struct batch_set collect(struct batch *batch, struct table *table, bool inserted)
{
    struct batch_set set = {0};
    size_t size = table->entries.count + (inserted ? table->appended.count : 0);
    if (size == 0)
        return set;
    set.rows = arena_alloc(&batch->arena, size * sizeof *set.rows);
    for (size_t i = 0; i < table->entries.count; i++) {
        const struct entry *entry = table->entries.at[i];
        if (inserted ? entry->inserted : entry->changed && !entry->inserted)
            set.rows[set.count++] = entry->row;
    }
    for (size_t i = 0; inserted && i < table->appended.count; i++)
        set.rows[set.count++] = table->appended.at[i];
    return set;
}

struct batch_set batch_inserts(struct batch *batch, size_t table)
{
    return collect(batch, &batch->tables[table], true);
}

struct batch_set batch_updates(struct batch *batch, size_t table)
{
    return collect(batch, &batch->tables[table], false);
}

struct batch_set batch_removes(struct batch *batch, size_t table)
{
    return (struct batch_set){batch->tables[table].removed.at, batch->tables[table].removed.count};
}

struct batch_event *batch_events(struct batch *batch, size_t *ret_count)
{
    *ret_count = batch->events_count;
    return batch->events;
}
