/* backstage.c: an engine and a reader that answer at once; see backstage.h. */
#include "backstage.h"

#include <stdio.h>
#include <string.h>

struct backstage backstage;

/* ---- the engine ---- */

void engine_on_outcome(struct engine *engine,
                       void (*told)(void *opaque, const struct saga_uuid *order_id,
                                    struct saga_text news),
                       void *opaque)
{
    (void)engine, (void)told, (void)opaque;
}

bool engine_submit(struct engine *engine, struct engine_command *command)
{
    (void)engine;
    if (backstage.refuses)
        return false;
    if (backstage.submitted != NULL)
        backstage.submitted(command);
    command->done(command, ENGINE_COMMITTED);
    return true;
}

void engine_expire(struct engine *engine)
{
    (void)engine;
}

void engine_health(struct engine *engine, struct engine_health *ret)
{
    (void)engine;
    *ret = backstage.health;
}

void engine_lags(struct engine *engine,
                 void (*each)(void *opaque, const char *topic, int32_t partition, int64_t lag),
                 void *opaque)
{
    (void)engine;
    each(opaque, "a", 0, 7);
    each(opaque, "a", 1, -1);
}

/* ---- the reader ---- */

static void read_query(struct read *read)
{
    read->row = backstage.row;
    if (read->row != NULL)
        return;
    if (backstage.has == NULL || !backstage.has(read))
        return;
    char *row = arena_alloc(read->arena, read->query->shape->size);
    memcpy(row + read->query->shape->fields[0].offset, &read->key, sizeof read->key);
    read->row = row;
}

bool reader_submit(struct reader *reader, struct read *read)
{
    (void)reader;
    read->answered = !backstage.away;
    if (read->answered && read->kind == READ_QUERY)
        read_query(read);
    if (read->answered && read->kind == READ_GAUGE)
        read->counts[0] = 3;
    if (read->answered && read->kind == READ_DEAD_LETTERS) {
        snprintf(read->reasons[0].reason, sizeof read->reasons[0].reason, "poison");
        read->reasons[0].count = 2;
        read->reasons_count = 1;
    }
    read->done(read);
    return true;
}

const char *reader_epoch(struct reader *reader, unsigned *ret_number)
{
    (void)reader;
    *ret_number = 0;
    return "";
}

bool reader_redis_ok(struct reader *reader)
{
    (void)reader;
    return !backstage.away;
}

bool reader_database_ok(struct reader *reader)
{
    (void)reader;
    return !backstage.away;
}
