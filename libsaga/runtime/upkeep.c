/* upkeep.c: what only ever grows is cut: acknowledged outbox rows, idempotency keys. */
#include "ports/failpoint.h"
#include "ports/system.h"
#include "runtime/engine_inside.h"
#include "saga_sql.h"

#define SLOTS 8
#define TRUNCATE_US 10000000
#define KEYS_US 10000000
#define KEYS_MAX 1000        /* at once: some milliseconds in which no batch runs */
#define KEYS_AGAIN_US 100000 /* when there may be more */

static int64_t slot_us(void)
{
    return config.outbox_keep_s * 1000000 / (SLOTS - 3) + 1000000;
}

int32_t upkeep_slot(void)
{
    return (int32_t)(system_now_us() / slot_us() % SLOTS);
}

static void truncate_slots(struct engine *engine)
{
    struct arena arena = {0};
    int32_t current = upkeep_slot();
    if (FAILPOINT(outbox_untruncated))
        pg_disconnect(engine->pg);
    for (int32_t age = 2; age < SLOTS; age++) {
        int32_t slot = (current + SLOTS - age) % SLOTS;
        struct pg_param params[] = {pg_int32(&arena, slot),
                                    pg_int32(&arena, (int32_t)config.outbox_keep_s)};
        enum pg_status status = engine_ask(engine, sql_truncate_outbox, params, 2, NULL);
        if (status != PG_OK && status != PG_CONFLICT)
            break; /* a lock that is taken now is free another time */
    }
    arena_free(&arena);
}

static bool expire_keys(struct engine *engine)
{
    struct arena arena = {0};
    struct pg_param params[] = {
        pg_time(&arena, system_now_us() - config.key_keep_s * 1000000),
        pg_int32(&arena, KEYS_MAX),
    };
    struct pg_result *result = NULL;
    if (FAILPOINT(keys_unexpired))
        pg_disconnect(engine->pg);
    bool more = engine_ask(engine, engine->service->expire_keys, params, 2, &result) == PG_OK &&
                pg_result_int(result, 0, 0, 0) == KEYS_MAX;
    pg_result_free(result);
    arena_free(&arena);
    return more;
}

void upkeep_work(struct engine *engine)
{
    int64_t now_us = system_monotonic_us();
    if (now_us >= engine->next_truncate_us) {
        engine->next_truncate_us = now_us + TRUNCATE_US;
        truncate_slots(engine);
    }
    if (engine->service->expire_keys != NULL && now_us >= engine->next_keys_us)
        engine->next_keys_us = now_us + (expire_keys(engine) ? KEYS_AGAIN_US : KEYS_US);
}
