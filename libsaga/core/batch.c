/* batch.c: the identity map and the decisions of one batch; see batch.h. */
#include <assert.h>
#include <stdlib.h>

#include "core/barrier.h"
#include "core/batch_inside.h"

#define CHUNK_SIZE ((size_t)1024 * 1024) /* a column of the largest batch fits into one */

static void *check(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

void batch_list_add(struct list *list, const void *item)
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
    batch->arena.chunk = CHUNK_SIZE;
    batch->messages_max = messages_max;
    batch->messages = check(calloc(messages_max, sizeof *batch->messages));
    batch->json.max = BATCH_EVENT_BYTES_MAX;
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

/* A try may be repeated for as long as a disk is full. */
static void free_tries(struct batch *batch)
{
    if (batch->is_begun)
        arena_rewind(&batch->arena, batch->begun);
    batch->begun = arena_mark(&batch->arena);
    batch->is_begun = true;
}

/* Rows, changes and results go; messages and the memory they live in stay. */
void batch_retry(struct batch *batch)
{
    free_tries(batch);
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
        message->news = (struct saga_text){0};
        message->result = BATCH_DONE;
    }
}

void batch_reset(struct batch *batch)
{
    batch_retry(batch);
    batch->messages_count = batch->from = batch->to = 0;
    batch->is_begun = false;
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
    batch->is_begun = false;
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

struct table *batch_table(struct batch *batch, const struct saga_table *def)
{
    for (size_t i = 0; i < batch->tables_count; i++)
        if (batch->tables[i].def == def)
            return &batch->tables[i];
    abort(); /* a handler named a table that its service does not declare */
}

/* FNV-1a: keys are ours or short, and a batch is bounded. */
struct entry *batch_find(struct table *table, struct saga_text key)
{
    struct entry *entry = table->buckets[saga_text_hash(key) & (table->buckets_count - 1)];
    while (entry != NULL && !saga_text_equal(entry->key, key))
        entry = entry->next;
    return entry;
}

struct entry *batch_touch(struct batch *batch, struct table *table, struct saga_text key)
{
    struct entry *entry = batch_find(table, key);
    if (entry != NULL)
        return entry;
    entry = arena_alloc(&batch->arena, sizeof *entry);
    entry->key = arena_copy(&batch->arena, key);
    entry->order = table->entries.count;
    batch_list_add(&table->entries, entry);
    struct entry **bucket = &table->buckets[saga_text_hash(key) & (table->buckets_count - 1)];
    entry->next = *bucket;
    *bucket = entry;
    return entry;
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
    struct entry *entry = batch_touch(batch, table, key);
    entry->asked = true;
    entry->row = arena_alloc(&batch->arena, table->def->shape->size);
    return entry->row;
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

void batch_hold(struct batch *batch, const struct saga_uuid *order_id, int64_t letter)
{
    if (batch->holds_count == batch->holds_size) {
        batch->holds_size = batch->holds_size ? batch->holds_size * 2 : 16;
        batch->holds = check(realloc(batch->holds, batch->holds_size * sizeof *batch->holds));
    }
    batch->holds[batch->holds_count++] = (struct hold){*order_id, letter};
}

/* I7: what comes behind a parked message of its order waits there; a redriven one is behind those
 * that were parked before it. Parked orders are few. */
static bool held(const struct batch *batch, const struct batch_message *message)
{
    if (message->in.event == NULL)
        return false;
    for (size_t i = 0; i < batch->holds_count; i++)
        if ((message->letter == 0 || batch->holds[i].letter < message->letter) &&
            memcmp(&batch->holds[i].order_id, &message->in.order_id, sizeof(struct saga_uuid)) == 0)
            return true;
    return false;
}

static void end_hold(struct batch *batch, int64_t letter)
{
    for (size_t i = 0; letter != 0 && i < batch->holds_count; i++)
        if (batch->holds[i].letter == letter)
            batch->holds[i--] = batch->holds[--batch->holds_count];
}

void batch_decide(struct batch *batch, int64_t now_us)
{
    for (size_t i = batch->from; i < batch->to; i++) {
        struct batch_message *message = &batch->messages[i];
        if (message->skip) {
            if (message->in.event != NULL)
                batch_hold(batch, &message->in.order_id, 0);
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
        if (verdict == SAGA_OK && tx.too_large)
            verdict = saga_poison(&tx, "event_too_large");
        if (verdict == SAGA_OK) {
            end_hold(batch, message->letter);
            if (message->in.command != NULL && tx.duplicate)
                message->result = BATCH_DUPLICATE;
            continue;
        }
        undo_to(batch, &mark);
        if (message->in.event != NULL)
            batch_hold(batch, &message->in.order_id, 0);
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
