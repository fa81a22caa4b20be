/* refused.c: an event that the broker refused goes into the outbox again, when a person asks. */
#include "runtime/engine_inside.h"

#include "ports/failpoint.h"
#include "ports/system.h"
#include "saga_sql.h"

/* One statement, so one transaction. If its answer is lost, the session is too, and the lane is
 * read anew from the table. */
void refused_work(struct engine *engine)
{
    int64_t now_us = system_monotonic_us();
    if (now_us < engine->next_refused_us)
        return;
    engine->next_refused_us = now_us + ENGINE_TICK_US;
    struct arena arena = {0};
    struct lane *lane = engine->lanes[0];
    struct pg_param params[] = {pg_int32(&arena, upkeep_slot()), pg_int32(&arena, lane->number),
                                pg_int(&arena, lane->last)};
    struct pg_result *result = NULL;
    int64_t said = 0;
    if (engine_ask(engine, sql_say_refused, params, 3, &result) == PG_OK)
        said = pg_result_int(result, 0, 0, 0);
    if (said > 0 && FAILPOINT(refused_said)) {
        pg_disconnect(engine->pg); /* the lane will be read anew */
    } else if (said > 0) {
        if (lane->state == LANE_LIVE)
            lane_full(lane); /* they are read from the table */
        lane_committed(lane, lane->last + said);
        log_line(LOG_INFO, NULL, "said again: %lld events that the broker had refused",
                 (long long)said);
    }
    pg_result_free(result);
    arena_free(&arena);
}
