/* world.c: the four services in memory; see world.h. */
#include "world.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/scan.h"
#include "inventory-svc/service.h"
#include "order-svc/service.h"
#include "payment-svc/service.h"
#include "saga/json.h"
#include "shipping-svc/service.h"

static const struct saga_service *const services[WORLD_SERVICES] = {
    &order_service, &payment_service, &inventory_service, &shipping_service};

int world_deciding;

struct rows {
    void **at;
    size_t count;
};

struct world {
    struct batch *batches[WORLD_SERVICES];
    struct rows tables[WORLD_SERVICES][BATCH_TABLES_MAX];
    struct world_event *events;
    size_t events_count, settled;
    struct arena arena; /* rows and payloads: all that ever was */
    int64_t now_us;
    const char *reason;
    bool has_strangers;
};

struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof *world);
    for (int i = 0; i < WORLD_SERVICES; i++)
        world->batches[i] = batch_new(services[i], 16, 1024 * 1024);
    world->now_us = INT64_C(1800000000000000);
    world->arena.size_max = (size_t)1024 * 1024 * 1024;
    return world;
}

void world_free(struct world *world)
{
    for (int i = 0; i < WORLD_SERVICES; i++) {
        batch_free(world->batches[i]);
        for (size_t t = 0; t < BATCH_TABLES_MAX; t++)
            free(world->tables[i][t].at);
    }
    free(world->events);
    arena_free(&world->arena);
    free(world);
}

/* ---- rows ---- */

static size_t table_number(int service, const char *name)
{
    for (size_t i = 0; services[service]->tables[i] != NULL; i++)
        if (strcmp(services[service]->tables[i]->name, name) == 0)
            return i;
    cr_assert_fail("%s has no table %s", services[service]->name, name);
    abort();
}

static struct saga_text key_of(const struct saga_table *table, const void *row)
{
    const struct saga_field *field = &table->shape->fields[0];
    struct saga_text text;
    if (field->type == SAGA_UUID)
        return (struct saga_text){(const char *)row + field->offset, sizeof(struct saga_uuid)};
    memcpy(&text, (const char *)row + field->offset, sizeof text);
    return text;
}

/* With texts of its own: those of a batch are gone after it. */
static void *keep_row(struct world *world, const struct saga_shape *shape, const void *row)
{
    char *copy = arena_alloc(&world->arena, shape->size);
    memcpy(copy, row, shape->size);
    for (size_t i = 0; i < shape->count; i++) {
        struct saga_text text;
        if (shape->fields[i].type != SAGA_STRING && shape->fields[i].type != SAGA_JSON)
            continue;
        memcpy(&text, copy + shape->fields[i].offset, sizeof text);
        text = arena_copy(&world->arena, text);
        memcpy(copy + shape->fields[i].offset, &text, sizeof text);
    }
    return copy;
}

static size_t find_row(const struct rows *rows, const struct saga_table *table,
                       struct saga_text key)
{
    size_t i = 0;
    while (i < rows->count && !saga_text_equal(key_of(table, rows->at[i]), key))
        i++;
    return i;
}

static void add_row(struct rows *rows, void *row)
{
    rows->at = realloc(rows->at, (rows->count + 1) * sizeof *rows->at);
    rows->at[rows->count++] = row;
}

void world_put(struct world *world, int service, const char *name, const void *row)
{
    size_t number = table_number(service, name);
    add_row(&world->tables[service][number],
            keep_row(world, services[service]->tables[number]->shape, row));
}

size_t world_count(const struct world *world, int service, const char *name)
{
    return world->tables[service][table_number(service, name)].count;
}

const void *world_row(const struct world *world, int service, const char *name, size_t number)
{
    return world->tables[service][table_number(service, name)].at[number];
}

const void *world_find(const struct world *world, int service, const char *name,
                       const struct saga_uuid *order_id)
{
    size_t number = table_number(service, name);
    const struct rows *rows = &world->tables[service][number];
    size_t row = find_row(rows, services[service]->tables[number], saga_uuid_key(order_id));
    return row < rows->count ? rows->at[row] : NULL;
}

/* The whole of it. */
struct new_order_row {
    struct saga_uuid order_id;
    struct saga_text customer_id, currency;
    int64_t total;
    struct saga_text items, payment_method, shipping_address, metadata;
    int32_t facts;
    int16_t placement;
    struct saga_text timeline;
    int64_t deadline_at, created_at;
};

void world_adopt(struct world *world, const struct saga_uuid *id)
{
    for (size_t i = 0; i < world_count(world, WORLD_ORDER, "orders, new"); i++) {
        const struct new_order_row *row = world_row(world, WORLD_ORDER, "orders, new", i);
        if (memcmp(&row->order_id, id, sizeof *id) == 0)
            world_put(world, WORLD_ORDER, "orders",
                      &(struct order_row){.order_id = *id,
                                          .facts = row->facts,
                                          .placement = row->placement,
                                          .timeline = row->timeline,
                                          .created_at = row->created_at,
                                          .updated_at = row->created_at});
    }
}

/* ---- one message ---- */

static void load(struct world *world, int service)
{
    struct batch *batch = world->batches[service];
    for (size_t number = 0; services[service]->tables[number] != NULL; number++) {
        const struct saga_table *table = services[service]->tables[number];
        const struct rows *rows = &world->tables[service][number];
        const struct saga_text *keys;
        size_t count = batch_wanted(batch, number, &keys);
        for (size_t i = 0; i < count; i++) {
            size_t row = find_row(rows, table, keys[i]);
            if (row < rows->count)
                memcpy(batch_loaded(batch, number, keys[i]), rows->at[row], table->shape->size);
        }
    }
}

/* All that the batch decided, as text. */
static void dump(struct world *world, int service, struct saga_json *json)
{
    struct batch *batch = world->batches[service];
    size_t count;
    const struct batch_event *events = batch_events(batch, &count);
    saga_json_open(json, NULL, '[');
    for (size_t i = 0; i < count; i++) {
        saga_json_text(json, NULL, saga_text(events[i].event->name));
        saga_json_raw(json, NULL, events[i].payload);
    }
    for (size_t number = 0; services[service]->tables[number] != NULL; number++) {
        const struct saga_shape *shape = services[service]->tables[number]->shape;
        const struct batch_set sets[] = {batch_inserts(batch, number),
                                         batch_updates(batch, number)};
        for (size_t k = 0; k < 2; k++)
            for (size_t i = 0; i < sets[k].count; i++)
                saga_json_object(json, NULL, shape, sets[k].rows[i]);
        saga_json_int(json, NULL, (int64_t)batch_removes(batch, number).count);
    }
    saga_json_int(json, NULL, batch_at(batch, 0)->result);
    saga_json_close(json, ']');
}

static void decide(struct world *world, int service, struct saga_json *json)
{
    world_deciding++;
    batch_select(world->batches[service], 0, 1);
    batch_retry(world->batches[service]);
    load(world, service);
    batch_decide(world->batches[service], world->now_us);
    world_deciding--;
    dump(world, service, json);
}

static void add_event(struct world *world, const char *name, const struct saga_uuid *order_id,
                      struct saga_text value)
{
    world->events = realloc(world->events, (world->events_count + 1) * sizeof *world->events);
    world->events[world->events_count++] = (struct world_event){
        name, *order_id, (char *)(uintptr_t)arena_copy(&world->arena, value).at};
}

static void apply(struct world *world, int service)
{
    struct batch *batch = world->batches[service];
    for (size_t number = 0; services[service]->tables[number] != NULL; number++) {
        const struct saga_table *table = services[service]->tables[number];
        struct rows *rows = &world->tables[service][number];
        struct batch_set set = batch_inserts(batch, number);
        for (size_t i = 0; i < set.count; i++) {
            if (table->load != NULL)
                cr_assert_eq(find_row(rows, table, key_of(table, set.rows[i])), rows->count,
                             "%s: a key twice", table->name);
            add_row(rows, keep_row(world, table->shape, set.rows[i]));
        }
        set = batch_updates(batch, number);
        for (size_t i = 0; i < set.count; i++) {
            size_t row = find_row(rows, table, key_of(table, set.rows[i]));
            cr_assert_lt(row, rows->count);
            cr_assert_not_null(table->update, "%s is never updated", table->name);
            rows->at[row] = keep_row(world, table->shape, set.rows[i]);
        }
        set = batch_removes(batch, number);
        for (size_t i = 0; i < set.count; i++) {
            size_t row = find_row(rows, table, *(const struct saga_text *)set.rows[i]);
            if (row < rows->count)
                rows->at[row] = rows->at[--rows->count];
        }
    }
    size_t count;
    const struct batch_event *events = batch_events(batch, &count);
    for (size_t i = 0; i < count; i++)
        add_event(world, events[i].event->name, &events[i].order_id, events[i].payload);
}

void world_say(struct world *world, const char *name, const struct saga_uuid *order_id,
               struct saga_text value)
{
    world->has_strangers = true;
    add_event(world, name, order_id, value);
}

static enum batch_result run(struct world *world, int service)
{
    struct saga_json first = {0}, second = {0};
    world->now_us += 1000;
    decide(world, service, &first);
    decide(world, service, &second);
    cr_assert(saga_text_equal(saga_json_done(&first), saga_json_done(&second)),
              "decided twice, and it was not the same:\n%.*s\n%.*s", (int)first.len, first.at,
              (int)second.len, second.at);
    saga_json_clear(&first);
    saga_json_clear(&second);
    apply(world, service);
    world->reason = batch_at(world->batches[service], 0)->reason;
    return batch_at(world->batches[service], 0)->result;
}

enum batch_result world_command(struct world *world, int service, const char *name,
                                const struct saga_uuid *order_id, const void *body, void *reply)
{
    batch_reset(world->batches[service]);
    struct batch_message *message = batch_add(world->batches[service]);
    for (size_t i = 0; services[service]->commands[i] != NULL; i++)
        if (strcmp(services[service]->commands[i]->name, name) == 0)
            message->in.command = services[service]->commands[i];
    cr_assert_not_null(message->in.command, "%s", name);
    message->in.order_id = *order_id;
    message->in.body = body;
    message->in.reply = reply;
    return run(world, service);
}

/* ---- events ---- */

static const struct saga_event *find_in(saga_events events, const char *name)
{
    for (; events != NULL && *events != NULL; events++)
        if (strcmp((*events)->name, name) == 0)
            return *events;
    return NULL;
}

static const struct saga_event *heard_by(int service, const char *name)
{
    const struct saga_event *event = NULL;
    for (size_t i = 0; event == NULL && services[service]->watches && services[service]->watches[i];
         i++)
        event = find_in(services[service]->watches[i]->on, name);
    for (size_t i = 0; event == NULL && services[service]->steps[i] != NULL; i++) {
        event = find_in(services[service]->steps[i]->action.on, name);
        if (event == NULL)
            event = find_in(services[service]->steps[i]->undo.on, name);
    }
    return event;
}

/* What a handler says is what its step's table declares: the model explores the tables. */
static void check_said(const struct world *world, size_t from, int service, const char *heard,
                       enum batch_result result)
{
    for (size_t i = from; i < world->events_count; i++) {
        const char *name = world->events[i].name;
        bool declared = false;
        for (size_t k = 0; services[service]->steps[k] != NULL; k++) {
            const struct saga_step *step = services[service]->steps[k];
            const struct saga_edge *edges[] = {&step->action, &step->undo};
            for (size_t e = 0; e < 2; e++) {
                const struct saga_event *said =
                    result == BATCH_REFUSED ? edges[e]->refuses : edges[e]->says;
                if (find_in(edges[e]->on, heard) != NULL && said != NULL)
                    declared = declared || strcmp(said->name, name) == 0;
            }
        }
        cr_assert(declared, "%s says %s on %s, and does not declare it", services[service]->name,
                  name, heard);
    }
}

bool world_deliver(struct world *world, size_t number, int service, enum batch_result *ret_result)
{
    const struct world_event *said = &world->events[number];
    const struct saga_event *event = heard_by(service, said->name);
    size_t before = world->events_count;
    if (event == NULL)
        return false;
    batch_reset(world->batches[service]);
    struct batch_message *message = batch_add(world->batches[service]);
    struct arena *arena = batch_arena(world->batches[service]);
    void *body = arena_alloc(arena, event->shape->size);
    const char *why = scan_object(arena, saga_text(said->payload), event->shape, body);
    if (why != NULL && world->has_strangers) { /* parked */
        if (ret_result != NULL)
            *ret_result = BATCH_POISON;
        return true;
    }
    cr_assert_null(why, "%s: %s: %s", said->name, why, said->payload);
    message->in.event = event;
    message->in.order_id = said->order_id;
    message->in.body = body;
    message->in.said_us = world->now_us;
    enum batch_result result = run(world, service);
    check_said(world, before, service, event->name, result);
    if (ret_result != NULL)
        *ret_result = result;
    return true;
}

void world_settle(struct world *world)
{
    for (; world->settled < world->events_count; world->settled++)
        for (int service = 0; service < WORLD_SERVICES; service++)
            world_deliver(world, world->settled, service, NULL);
}

size_t world_events(const struct world *world)
{
    return world->events_count;
}

const struct world_event *world_event(const struct world *world, size_t number)
{
    return &world->events[number];
}

const char *world_reason(const struct world *world)
{
    return world->reason;
}
