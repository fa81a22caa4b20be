/* engine.c: one batch = one transaction = one arena; the seven verbs and the loop around them. */
#include "runtime/engine_inside.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/barrier.h"
#include "ports/failpoint.h"
#include "ports/system.h"
#include "runtime/metrics.h"
#include "saga_sql.h"

#define CONFLICTS_MAX 20
#define WAIT_MAX_MS 2000
#define DRAIN_MAX_US 15000000

/* ---- small tools ---- */

static void engine_detail(struct engine *engine, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&engine->lock);
    vsnprintf(engine->detail, sizeof engine->detail, format, arguments);
    pthread_mutex_unlock(&engine->lock);
    va_end(arguments);
}

void engine_database_is(struct engine *engine, const char *why)
{
    bool was_well = atomic_exchange(&engine->database_ok, why == NULL);
    if (why != NULL)
        engine_detail(engine, "database: %.100s", why);
    else if (!was_well)
        engine_detail(engine, "%s", "");
}

void engine_wait_for_database(struct engine *engine, int *wait_ms)
{
    /* Asked first: nobody may be left who was not told when it stops. */
    bool draining = atomic_load(&engine->draining);
    sources_expire(engine);
    if (draining) {
        atomic_store(&engine->stop, true); /* what is in doubt or unsent is found at the start */
        return;
    }
    poll(NULL, 0, *wait_ms);
    *wait_ms = *wait_ms * 2 > WAIT_MAX_MS ? WAIT_MAX_MS : *wait_ms * 2;
}

void engine_send_rows(struct engine *engine, const char *sql, const struct saga_shape *shape,
                      const void *const *rows, size_t count)
{
    struct pg_param params[PG_PARAMS_MAX];
    assert(shape->count <= PG_PARAMS_MAX);
    for (size_t i = 0; i < shape->count; i++)
        params[i] = pg_array(batch_arena(engine->batch), shape->fields[i].type, rows, count,
                             shape->fields[i].offset);
    pg_send(engine->pg, sql, params, shape->count, NULL);
}

enum pg_status engine_ask(struct engine *engine, const char *sql, const struct pg_param *params,
                          size_t count, struct pg_result **ret_result)
{
    if (!pg_connected(engine->pg))
        return PG_LOST;
    pg_send(engine->pg, sql, params, count, ret_result);
    return pg_sync(engine->pg);
}

/* ---- the verbs ---- */

static void collect(struct engine *engine)
{
    sources_collect(engine);
}

/* Which orders have dead letters. Queued with the first load, answered with it. */
static bool recall(struct engine *engine, size_t from, size_t to, struct pg_result **holds)
{
    struct arena *arena = batch_arena(engine->batch);
    struct saga_text *keys = arena_alloc(arena, (to - from + 1) * sizeof *keys);
    size_t count = 0;
    for (size_t i = from; i < to; i++) {
        struct batch_message *message = batch_at(engine->batch, i);
        if (message->in.event != NULL && !message->skip)
            keys[count++] = saga_uuid_key(&message->in.order_id);
    }
    if (count == 0)
        return false;
    pg_send(engine->pg, sql_begin, NULL, 0, NULL);
    struct pg_param param = pg_keys(arena, SAGA_UUID, keys, count);
    pg_send(engine->pg, sql_find_holds, &param, 1, holds);
    return true;
}

static enum pg_status take_rows(struct engine *engine, size_t number,
                                const struct pg_result *result)
{
    const struct saga_shape *shape = engine->service->tables[number]->shape;
    for (size_t i = 0; i < pg_result_count(result); i++) {
        void *row = batch_loaded(engine->batch, number, pg_result_bytes(result, i, 0));
        if (!pg_result_read(result, i, shape, batch_arena(engine->batch), row))
            return PG_BROKEN;
    }
    return PG_OK;
}

/* One query a table, in the tables' order, so that locks are taken in (table, key) order. */
static enum pg_status load(struct engine *engine, bool *begun, struct pg_result **holds)
{
    struct arena *arena = batch_arena(engine->batch);
    for (size_t number = 0; engine->service->tables[number] != NULL; number++) {
        const struct saga_text *keys;
        size_t count = batch_wanted(engine->batch, number, &keys);
        if (count == 0)
            continue;
        const struct saga_table *table = engine->service->tables[number];
        if (!*begun)
            pg_send(engine->pg, sql_begin, NULL, 0, NULL);
        *begun = true;
        struct pg_param param = pg_keys(arena, table->shape->fields[0].type, keys, count);
        struct pg_result *result = NULL;
        pg_send(engine->pg, table->load, &param, 1, &result);
        enum pg_status status = pg_sync(engine->pg);
        if (status == PG_OK)
            status = take_rows(engine, number, result);
        pg_result_free(result);
        if (status != PG_OK)
            return status;
        for (size_t i = 0; i < pg_result_count(*holds); i++) {
            struct saga_uuid id;
            memcpy(&id, pg_result_bytes(*holds, i, 0).at, sizeof id);
            batch_hold(engine->batch, &id, pg_result_int(*holds, i, 1, 0));
        }
        pg_result_free(*holds);
        *holds = NULL;
    }
    return PG_OK;
}

static void decide(struct engine *engine)
{
    batch_decide(engine->batch, system_now_us());
}

/* Business rows, dead letters, outbox rows and the cursor: one transaction (I3). */
static void flush(struct engine *engine, size_t from, size_t to, bool begun)
{
    if (!begun)
        pg_send(engine->pg, sql_begin, NULL, 0, NULL);
    for (size_t i = 0; engine->service->tables[i] != NULL; i++) {
        const struct saga_table *table = engine->service->tables[i];
        struct batch_set set = batch_inserts(engine->batch, i);
        if (set.count > 0)
            engine_send_rows(engine, table->insert, table->shape, set.rows, set.count);
        set = batch_updates(engine->batch, i);
        if (set.count > 0)
            engine_send_rows(engine, table->update, table->shape, set.rows, set.count);
        set = batch_removes(engine->batch, i);
        if (set.count > 0) {
            struct saga_text *keys =
                arena_alloc(batch_arena(engine->batch), set.count * sizeof *keys);
            for (size_t k = 0; k < set.count; k++)
                keys[k] = *(const struct saga_text *)set.rows[k];
            struct pg_param param =
                pg_keys(batch_arena(engine->batch), table->shape->fields[0].type, keys, set.count);
            pg_send(engine->pg, table->remove, &param, 1, NULL);
        }
    }
    park_send(engine, from, to);
    relay_send_outbox(engine, from, to, batch_arena(engine->batch));
}

static bool unanswered(void)
{
    return FAILPOINT(commit_unanswered);
}

static enum pg_status commit(struct engine *engine)
{
    size_t events;
    batch_events(engine->batch, &events);
    engine->in_doubt = events > 0;
    pg_send(engine->pg, sql_commit, NULL, 0, NULL);
    enum pg_status status = pg_sync_answered(engine->pg, unanswered);
    if (status != PG_LOST)
        engine->in_doubt = false;
    return status;
}

static void note_message(struct engine *engine, const struct batch_message *message)
{
    const char *parked = park_count(message);
    struct log_about about = {.order_id = &message->in.order_id,
                              .traceparent = message->in.traceparent,
                              .topic = message->in.topic,
                              .partition = message->in.partition,
                              .offset = message->in.offset};
    if (parked != NULL)
        log_line(LOG_WARN, &about, "parked: %s", parked);
    else if (message->result == BATCH_POISON)
        log_line(LOG_WARN, &about, "%s failed: %s %s", message->in.command->name, message->reason,
                 engine->error);
    else if (log_enabled(LOG_DEBUG) && message->step != NULL)
        log_line(LOG_DEBUG, &about, "%s %s: %d", message->step, message->op, (int)message->result);
    if (message->outcome != NULL && engine->told != NULL)
        engine->told(engine->told_opaque, &message->in.order_id, message->news);
}

/* The batch is committed: events to the producer, answers to the door, offsets to be stored. */
void engine_announce(struct engine *engine, size_t from, size_t to)
{
    engine_lose_if(engine, FAILPOINT(batch_committed));
    relay_publish(engine);
    if (FAILPOINT(batch_published))
        engine->producer_dead = true;
    counts_add(engine->batch, from, to);
    for (size_t i = from; i < to; i++) {
        struct batch_message *message = batch_at(engine->batch, i);
        note_message(engine, message);
        sources_answer(engine, message,
                       message->result == BATCH_POISON ? ENGINE_FAILED : ENGINE_COMMITTED);
    }
    engine_lose_if(engine, FAILPOINT(batch_answered));
    for (size_t i = from; i < to; i++) {
        const struct source *source = batch_at(engine->batch, i)->source;
        if (source->record != NULL)
            kafka_consumer_store(engine->consumer, source->record); /* I5: after the commit */
    }
    engine_lose_if(engine, FAILPOINT(batch_announced));
}

/* ---- one batch, whatever happens ---- */

static enum pg_status attempt(struct engine *engine, size_t from, size_t to)
{
    batch_select(engine->batch, from, to);
    batch_retry(engine->batch);
    struct pg_result *holds = NULL;
    bool begun = recall(engine, from, to, &holds);
    enum pg_status status = load(engine, &begun, &holds);
    pg_result_free(holds);
    engine_lose_if(engine, FAILPOINT(batch_loaded));
    if (status != PG_OK)
        return status;
    decide(engine);
    engine_lose_if(engine, FAILPOINT(batch_decided));
    flush(engine, from, to, begun);
    engine_lose_if(engine, FAILPOINT(batch_flushed));
    status = commit(engine);
    if (status == PG_OK)
        engine_announce(engine, from, to);
    return status;
}

/* What the database will not have, however often it is tried: it rejects the data, or a key stays
 * taken though the rows were loaded anew. Other conflicts (a deadlock) are nobody's fault. */
static bool is_refused(const struct engine *engine, enum pg_status status)
{
    return status == PG_REJECTED ||
           (status == PG_CONFLICT && strcmp(pg_sqlstate(engine->pg), "23505") == 0);
}

/* False if it was to be parked already: then it is not the message, not even parking it works. */
static bool give_up_message(struct batch_message *message)
{
    if (message->skip)
        return false;
    message->skip = true;
    message->result = BATCH_POISON;
    message->reason = "rejected_by_database";
    return true;
}

static void try_later(struct engine *engine, int *wait_ms)
{
    engine_database_is(engine, engine->error);
    log_line(LOG_ERROR, NULL, "database: %s; next try in %d ms", engine->error, *wait_ms);
    engine_wait_for_database(engine, wait_ms);
}

static void run_batch(struct engine *engine, size_t from, size_t to)
{
    int conflicts = 0, losses = 0, wait_ms = ENGINE_WAIT_FIRST_MS;
    while (!atomic_load(&engine->stop)) {
        enum pg_status status = attempt(engine, from, to);
        if (status == PG_OK) {
            engine_database_is(engine, NULL);
            return;
        }
        snprintf(engine->error, sizeof engine->error, "%s", pg_error(engine->pg));
        if (status == PG_LOST) {
            if (recover(engine, from, to))
                return;
            /* It takes a session, and loses it at this: not as fast as that can be done. */
            if (++losses > 1)
                try_later(engine, &wait_ms);
            continue;
        }
        if (status == PG_CONFLICT && ++conflicts < CONFLICTS_MAX)
            continue;
        conflicts = 0;
        if (is_refused(engine, status)) {
            if (to - from > 1) {
                size_t middle = from + (to - from) / 2;
                run_batch(engine, from, middle);
                run_batch(engine, middle, to);
                return;
            }
            if (give_up_message(batch_at(engine->batch, from)))
                continue;
        }
        try_later(engine, &wait_ms);
    }
}

static void finish_batch(struct engine *engine)
{
    batch_reset(engine->batch);
    sources_release(engine);
}

void engine_wait(struct engine *engine, int64_t wait_us)
{
    struct epoll_event events[4];
    epoll_wait(engine->epoll_fd, events, 4, wait_us <= 0 ? 0 : (int)((wait_us + 999) / 1000));
    uint64_t count;
    if (read(engine->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        abort();
}

static void wait_for_work(struct engine *engine)
{
    int64_t until_us = engine->next_tick_us, relay_us = relay_next_us(engine);
    int64_t patience_us = patience_end_us(engine->patience);
    until_us = relay_us < until_us ? relay_us : until_us;
    until_us = patience_us < until_us ? patience_us : until_us;
    if (engine->service->timer != NULL && engine->next_timer_us < until_us)
        until_us = engine->next_timer_us;
    engine_wait(engine, until_us - system_monotonic_us());
}

static void count_round_trips(struct engine *engine)
{
    uint64_t now = pg_round_trips(engine->pg);
    if (now == engine->round_trips)
        return;
    metric_add(metric_counter("saga_database_round_trips_total",
                              "Round trips of the engine to PostgreSQL.", ""),
               (double)(now - engine->round_trips));
    engine->round_trips = now;
}

/* The loop, read aloud: wait, gather a batch, run it, see to the outbox. */
static void engine_loop_once(struct engine *engine)
{
    wait_for_work(engine);
    collect(engine);
    size_t count = batch_count(engine->batch);
    if (count > 0) {
        static const double bounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
        metric_observe(metric_histogram("saga_batch_size", "Messages in a batch.", "", bounds,
                                        sizeof bounds / sizeof *bounds),
                       (double)count);
        engine_lose_if(engine, FAILPOINT(batch_collected));
        run_batch(engine, 0, count);
    }
    finish_batch(engine);
    relay_work(engine);
    refused_work(engine);
    upkeep_work(engine);
    count_round_trips(engine);
}

/* Nothing is left to do, or what is left waits for a Kafka that is away: it is in the table, and is
 * found there at the next start. */
static bool drained(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    bool empty = atomic_load(&engine->draining) && engine->queue_count == 0;
    pthread_mutex_unlock(&engine->lock);
    bool away = engine->producer == NULL || !kafka_producer_connected(engine->producer);
    return empty && (relay_idle(engine) || away);
}

void *engine_run(void *opaque)
{
    struct engine *engine = opaque;
    recover_connect(engine);
    int64_t drain_until_us = 0;
    while (!atomic_load(&engine->stop) && !drained(engine)) {
        if (!pg_connected(engine->pg) && recover(engine, 0, 0))
            break;
        engine_loop_once(engine);
        if (atomic_load(&engine->draining) && drain_until_us == 0)
            drain_until_us = system_monotonic_us() + DRAIN_MAX_US;
        if (drain_until_us != 0 && system_monotonic_us() > drain_until_us)
            break;
        hearing_work(engine);
    }
    sources_expire(engine);
    sources_forget(engine);
    if (engine->consumer != NULL && FAILPOINT(drain_ended))
        kafka_consumer_drop(engine->consumer);
    else if (engine->consumer != NULL)
        kafka_consumer_leave(engine->consumer);
    relay_close(engine);
    return NULL;
}
