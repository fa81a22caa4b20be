/* recover.c: after the connection to the database was lost, or before there is one. */
#include "ports/failpoint.h"
#include "ports/system.h"
#include "runtime/engine_inside.h"
#include "saga_sql.h"

#define CONNECT_MS 3000

bool recover_connect(struct engine *engine)
{
    int wait_ms = ENGINE_WAIT_FIRST_MS;
    while (!atomic_load(&engine->stop)) {
        enum pg_status status = pg_connect(engine->pg, CONNECT_MS);
        engine_lose_if(engine, status == PG_OK && FAILPOINT(start_connected));
        const char *why = pg_error(engine->pg);
        if (status == PG_OK && relay_open(engine, &why) && !FAILPOINT(start_lane_taken)) {
            engine_database_is(engine, NULL);
            return true;
        }
        engine_database_is(engine, why);
        log_line(LOG_WARN, NULL, "database: %s; next try in %d ms", why, wait_ms);
        pg_disconnect(engine->pg);
        engine_wait_for_database(engine, &wait_ms);
    }
    return false;
}

/* Whether the batch whose COMMIT was not answered is in the lane that is ours again: the old
 * session is gone, so the table tells the truth. That the lane is that long proves nothing: it may
 * have been another's meanwhile. False: the connection is lost again. */
static bool look_up(struct engine *engine, bool *ret_happened)
{
    struct arena *arena = batch_arena(engine->batch);
    size_t count;
    const struct batch_event *events = batch_events(engine->batch, &count);
    const struct batch_event *last = &events[count - 1];
    struct pg_param params[] = {pg_int32(arena, engine->lanes[0]->number), pg_int(arena, last->seq),
                                pg_uuid(&last->order_id), pg_text(saga_text(last->event->name)),
                                pg_time(arena, last->said_us)};
    struct pg_result *result = NULL;
    if (engine_ask(engine, sql_find_commit, params, 5, &result) != PG_OK)
        return false;
    *ret_happened = pg_result_count(result) == 1;
    pg_result_free(result);
    return true;
}

/* Another lane: the old session still holds ours, and may yet commit. Records may run again, the
 * barrier knows them (I1); requests are answered "busy", safe to repeat with their key. */
static void give_up_commands(struct engine *engine, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        sources_give_up(engine, batch_at(engine->batch, i));
}

bool recover(struct engine *engine, size_t from, size_t to)
{
    bool in_doubt = engine->in_doubt, happened = false;
    int32_t lane = engine->lanes_count > 0 ? engine->lanes[0]->number : -1;
    do {
        if (engine->lost != NULL)
            engine->lost(engine->lost_opaque);
        engine_database_is(engine, pg_error(engine->pg));
        pg_disconnect(engine->pg);
        if (!recover_connect(engine))
            return true;
        if (in_doubt && (engine->lanes[0]->number != lane || FAILPOINT(doubt_unresolved))) {
            give_up_commands(engine, from, to);
            in_doubt = false;
        }
    } while (in_doubt && !look_up(engine, &happened));
    engine->in_doubt = false;
    if (in_doubt && !happened)
        log_line(LOG_INFO, NULL, "a commit in doubt had not happened");
    if (happened) {
        log_line(LOG_INFO, NULL, "a commit in doubt had happened");
        engine_announce(engine, from, to);
    }
    return happened;
}
