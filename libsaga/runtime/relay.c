/* relay.c: the transactional outbox: rows in with the batch, out to Kafka, cursor behind the proof.
 */
#include "runtime/engine_inside.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "ports/failpoint.h"
#include "ports/system.h"
#include "runtime/metrics.h"
#include "saga_sql.h"

#define CHUNK 2000            /* rows read at once when behind */
#define CURSOR_IDLE_US 200000 /* the cursor is written with the next batch, or after this */
/* Reports are looked at with the next batch, or after this: nobody waits for them, and a wake-up
 * for each would cost as much as the event. */
#define REPORTS_US 20000
#define COMMIT_US 1000000 /* offsets are committed to Kafka this often */
#define FLUSH_MS 5000
#define LOOK_AGAIN_US 1000000 /* at a table that was of no use */

/* ---- the producer ---- */

static struct lane *find_lane(struct engine *engine, int32_t number)
{
    for (size_t i = 0; i < engine->lanes_count; i++)
        if (engine->lanes[i]->number == number)
            return engine->lanes[i];
    return NULL;
}

static void delivered(void *opaque, int32_t number, int64_t seq, enum saga_verdict verdict,
                      const char *error)
{
    struct engine *engine = opaque;
    struct lane *lane = find_lane(engine, number);
    if (lane == NULL)
        return;
    if (FAILPOINT(event_delivered))
        verdict = SAGA_RETRY;
    if (verdict == SAGA_OK) {
        lane_acked(lane, seq);
    } else if (verdict == SAGA_POISON && !engine->producer_dead &&
               engine->refused_count < ENGINE_REFUSED_MAX) {
        engine->refused[engine->refused_count].lane = number;
        engine->refused[engine->refused_count].seq = seq;
        snprintf(engine->refused[engine->refused_count].error, 96, "%s", error);
        engine->refused_count++;
    } else {
        /* I6: not acknowledged is not sent. The producer goes with all that is in flight; the
         * rows are read again from the table. */
        if (!engine->producer_dead)
            log_line(LOG_WARN, NULL, "kafka: not delivered: %s", error);
        engine->producer_dead = true;
    }
}

static void make_producer(struct engine *engine)
{
    char why[256] = "a test has asked for this";
    if (!FAILPOINT(producer_unmade))
        engine->producer =
            kafka_producer_new(config.kafka_bootstrap, engine->service->name,
                               config.delivery_s * 1000, delivered, engine, why, sizeof why);
    engine->next_producer_us = 0;
    if (engine->producer == NULL) {
        log_line(LOG_ERROR, NULL, "kafka: no producer: %s", why);
        engine->next_producer_us = system_monotonic_us() + LOOK_AGAIN_US;
    }
}

static void drop_producer(struct engine *engine)
{
    uint32_t random;
    system_random(&random, sizeof random);
    kafka_producer_free(engine->producer);
    engine->producer = NULL;
    engine->producer_dead = false;
    engine->refused_count = 0; /* they are sent again, and may be taken then */
    for (size_t i = 0; i < engine->lanes_count; i++)
        lane_failed(engine->lanes[i], system_monotonic_us(), random);
}

/* Hands one row over and moves the lane; false when no more can be sent now. */
static bool hand_over(struct engine *engine, struct arena *arena, struct lane *lane,
                      const struct outbox_row *row)
{
    lane_said(lane, row->seq, row->created_us);
    if (engine->producer == NULL || engine->producer_dead || lane_room(lane) <= 0)
        return false;
    enum saga_verdict verdict =
        outbox_send(&engine->source, lane->number, row, engine->producer, arena);
    if (verdict == SAGA_RETRY)
        return false;
    if (verdict == SAGA_FATAL) {
        engine->producer_dead = true;
        return false;
    }
    lane_sent(lane, row->seq);
    if (verdict == SAGA_POISON)
        delivered(engine, lane->number, row->seq, SAGA_POISON, "refused by the producer");
    return true;
}

/* ---- with the batch ---- */

void relay_send_outbox(struct engine *engine, size_t from, size_t to, struct arena *arena)
{
    (void)from;
    (void)to;
    struct lane *lane = engine->lanes[0];
    size_t count;
    struct batch_event *events = batch_events(engine->batch, &count);
    if (count > 0) {
        struct outbox_row *rows = arena_alloc(arena, count * sizeof *rows);
        const void **pointers = arena_alloc(arena, count * sizeof *pointers);
        for (size_t i = 0; i < count; i++) {
            events[i].seq = lane->last + 1 + (int64_t)i;
            rows[i] = (struct outbox_row){.seq = events[i].seq,
                                          .order_id = events[i].order_id,
                                          .type = saga_text(events[i].event->name),
                                          .traceparent = events[i].traceparent,
                                          .payload = events[i].payload,
                                          .created_us = events[i].said_us};
            pointers[i] = &rows[i];
        }
        struct pg_param params[8];
        params[0] = pg_int32(arena, upkeep_slot());
        params[1] = pg_int32(arena, lane->number);
        for (size_t i = 0; i < outbox_shape.count; i++)
            params[2 + i] = pg_array(arena, outbox_shape.fields[i].type, pointers, count,
                                     outbox_shape.fields[i].offset);
        pg_send(engine->pg, sql_insert_outbox, params, 8, NULL);
    }
    if (lane->acked > lane->written) {
        struct pg_param params[] = {pg_int32(arena, lane->number), pg_int(arena, lane->acked)};
        pg_send(engine->pg, sql_write_cursor, params, 2, NULL);
    }
}

void relay_publish(struct engine *engine)
{
    struct lane *lane = engine->lanes[0];
    size_t count;
    struct batch_event *events = batch_events(engine->batch, &count);
    if (lane->written < lane->acked)
        lane->written = lane->acked;
    if (count == 0)
        return;
    if (lane->last < events[count - 1].seq)
        lane_committed(lane, events[count - 1].seq);
    for (size_t i = 0; i < count; i++)
        lane_said(lane, events[i].seq, events[i].said_us);
    for (size_t i = 0; i < count && lane->state == LANE_LIVE; i++) {
        struct outbox_row row = {.seq = events[i].seq,
                                 .order_id = events[i].order_id,
                                 .type = saga_text(events[i].event->name),
                                 .traceparent = events[i].traceparent,
                                 .payload = events[i].payload,
                                 .created_us = events[i].said_us};
        if (!hand_over(engine, batch_arena(engine->batch), lane, &row))
            lane_full(lane);
    }
}

/* ---- between batches ---- */

/* Sends a row of the table; one that is out or was parked is passed over. False: not now. */
static bool catch_up_row(struct engine *engine, struct arena *arena, struct lane *lane,
                         const struct outbox_row *row)
{
    if (row->payload.at != NULL && !lane_is_out(lane, row->seq))
        return hand_over(engine, arena, lane, row);
    lane_sent(lane, row->seq);
    lane_acked(lane, row->seq);
    return true;
}

/* False: the row that is next is not there. */
static bool catch_up_rows(struct engine *engine, struct arena *arena, struct lane *lane,
                          const struct pg_result *result)
{
    size_t count = pg_result_count(result);
    for (size_t i = 0; i < count && lane->sent < lane->last; i++) {
        struct outbox_row row;
        struct arena_mark mark = arena_mark(arena); /* the producer has its own copy */
        if (!pg_result_read(result, i, &outbox_shape, arena, &row))
            return false;
        if (row.seq <= lane->sent) /* out, and counted with a parked one before it */
            continue;
        if (row.seq != lane->sent + 1)
            return false;
        if (!catch_up_row(engine, arena, lane, &row)) {
            lane->look_us = system_monotonic_us() + REPORTS_US; /* they make room */
            return true;
        }
        arena_rewind(arena, mark);
    }
    return lane->sent == lane->last || count == CHUNK;
}

static void tell_hole(struct lane *lane)
{
    if (lane_lacks(lane, system_monotonic_us() + LOOK_AGAIN_US))
        log_line(LOG_ERROR, NULL, "outbox row %d/%lld is missing: no row behind it is sent",
                 lane->number, (long long)lane->sent + 1);
}

/* To read a few rows costs nearly as much as to read many: not before there is room for as many as
 * are read at once, or for all. */
static bool worth_reading(const struct lane *lane)
{
    int64_t room = lane_room(lane);
    return room >= CHUNK || room >= lane->last - lane->sent;
}

static void catch_up(struct engine *engine, struct lane *lane)
{
    if (lane->sent == lane->last) {
        lane_caught_up(lane);
        return;
    }
    if (!worth_reading(lane) || FAILPOINT(backlog_unread))
        return;
    struct arena arena = {0};
    struct pg_param params[] = {pg_int32(&arena, lane->number), pg_int(&arena, lane->sent),
                                pg_int32(&arena, CHUNK)};
    struct pg_result *result = NULL;
    if (engine_ask(engine, sql_read_outbox, params, 3, &result) != PG_OK)
        lane->look_us = system_monotonic_us() + LOOK_AGAIN_US;
    else if (!catch_up_rows(engine, &arena, lane, result))
        tell_hole(lane);
    pg_result_free(result);
    arena_free(&arena);
    if (lane->sent == lane->last && !engine->producer_dead)
        lane_caught_up(lane);
}

static void write_cursor(struct engine *engine, struct lane *lane)
{
    struct arena arena = {0};
    int64_t acked = lane->acked;
    if (FAILPOINT(cursor_unwritten))
        pg_disconnect(engine->pg);
    struct pg_param params[] = {pg_int32(&arena, lane->number), pg_int(&arena, acked)};
    if (engine_ask(engine, sql_write_cursor, params, 2, NULL) == PG_OK)
        lane->written = acked;
    arena_free(&arena);
}

static void park_refused(struct engine *engine)
{
    while (engine->refused_count > 0) {
        struct arena arena = {0};
        int32_t number = engine->refused[engine->refused_count - 1].lane;
        int64_t seq = engine->refused[engine->refused_count - 1].seq;
        struct pg_param params[] = {
            pg_int32(&arena, number), pg_int(&arena, seq),
            pg_text(saga_text(engine->refused[engine->refused_count - 1].error))};
        if (FAILPOINT(refused_unparked))
            pg_disconnect(engine->pg);
        enum pg_status status = engine_ask(engine, sql_park_refused, params, 3, NULL);
        arena_free(&arena);
        if (status != PG_OK)
            return;
        engine->refused_count--;
        log_line(LOG_ERROR, NULL, "outbox row %d/%lld parked: refused by the broker", number,
                 (long long)seq);
        struct lane *lane = find_lane(engine, number);
        if (lane != NULL)
            lane_acked(lane, seq); /* parked: resolved, though never sent */
    }
}

/* Reads how far a lane is and opens it; its lock is held. */
static bool open_lane(struct engine *engine, struct lane *lane, int32_t number)
{
    struct arena arena = {0};
    struct pg_param param = pg_int32(&arena, number);
    struct pg_result *result = NULL;
    bool ok = engine_ask(engine, sql_read_lane, &param, 1, &result) == PG_OK &&
              pg_result_count(result) == 1;
    if (ok) {
        lane_open(lane, number, pg_result_int(result, 0, 0, 0), pg_result_int(result, 0, 1, 0));
        lane_said(lane, lane->acked + 1, pg_result_int(result, 0, 2, 0));
    }
    pg_result_free(result);
    arena_free(&arena);
    return ok;
}

static struct lane *new_lane(void)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        abort();
    return lane;
}

static bool ask_bool(struct engine *engine, const char *sql, int32_t number)
{
    struct arena arena = {0};
    struct pg_param param = pg_int32(&arena, number);
    struct pg_result *result = NULL;
    bool yes =
        engine_ask(engine, sql, &param, 1, &result) == PG_OK && pg_result_int(result, 0, 0, 0) == 1;
    pg_result_free(result);
    arena_free(&arena);
    return yes;
}

/* Lanes that dead instances left behind: their lock is free, their rows are not out. */
static void adopt_lanes(struct engine *engine)
{
    struct arena arena = {0};
    struct pg_param param = pg_int32(&arena, engine->lanes[0]->number);
    struct pg_result *result = NULL;
    if (engine_ask(engine, sql_find_orphans, &param, 1, &result) == PG_OK) {
        for (size_t i = 0; i < pg_result_count(result) && engine->lanes_count < ENGINE_LANES_MAX;
             i++) {
            int32_t number = (int32_t)pg_result_int(result, i, 0, 0);
            if (find_lane(engine, number) != NULL || !ask_bool(engine, sql_try_lane, number))
                continue;
            if (FAILPOINT(lane_adopted))
                pg_disconnect(engine->pg);
            struct lane *lane = new_lane();
            if (!open_lane(engine, lane, number)) {
                ask_bool(engine, sql_release_lane, number); /* locks of a session are counted */
                free(lane);
                break;
            }
            engine->lanes[engine->lanes_count++] = lane;
            log_line(LOG_INFO, NULL, "lane %d adopted: %lld rows were left behind", number,
                     (long long)(lane->last - lane->acked));
        }
    }
    pg_result_free(result);
    arena_free(&arena);
}

/* An adopted lane that is drained goes back. */
static void release_lanes(struct engine *engine)
{
    for (size_t i = 1; i < engine->lanes_count; i++) {
        struct lane *lane = engine->lanes[i];
        if (lane->acked < lane->last)
            continue;
        write_cursor(engine, lane);
        if (FAILPOINT(lane_drained))
            pg_disconnect(engine->pg);
        if (lane->written < lane->acked || !ask_bool(engine, sql_release_lane, lane->number))
            continue;
        free(lane);
        engine->lanes[i] = engine->lanes[--engine->lanes_count];
        i--;
    }
}

/* A row of which it is not known when it was said is read from the table next; till then the one
 * before it stands for it. */
static void tell(struct engine *engine)
{
    int64_t pending = 0, oldest_us = 0, before_us = atomic_load(&engine->oldest_us);
    bool holed = false;
    for (size_t i = 0; i < engine->lanes_count; i++) {
        const struct lane *lane = engine->lanes[i];
        int64_t said_us = lane_oldest_us(lane);
        pending += lane->last - lane->acked;
        holed = holed || lane->holed;
        if (lane->acked < lane->last && said_us == 0)
            said_us = before_us;
        if (said_us != 0 && (oldest_us == 0 || said_us < oldest_us))
            oldest_us = said_us;
    }
    /* readyz asks from another thread, and the producer comes and goes. */
    atomic_store(&engine->kafka_ok, engine->producer == NULL
                                        ? engine->next_producer_us == 0
                                        : kafka_producer_connected(engine->producer));
    atomic_store(&engine->outbox_holed, holed);
    atomic_store(&engine->pending, pending);
    atomic_store(&engine->oldest_us, oldest_us);
}

void relay_work(struct engine *engine)
{
    int64_t now_us = system_monotonic_us();
    if (engine->producer != NULL)
        kafka_producer_serve(engine->producer);
    engine->next_reports_us = now_us + REPORTS_US;
    /* Before it is dropped: what is refused at once may be more than there is room for. */
    if (engine->refused_count > 0)
        park_refused(engine);
    if (engine->producer_dead)
        drop_producer(engine);
    if (engine->producer == NULL && now_us >= engine->next_producer_us)
        make_producer(engine);
    for (size_t i = 0; i < engine->lanes_count; i++) {
        struct lane *lane = engine->lanes[i];
        lane_resume(lane, now_us);
        if (lane->state == LANE_BEHIND && now_us >= lane->look_us)
            catch_up(engine, lane);
    }
    struct lane *own = engine->lanes[0];
    if (own->written == own->acked)
        engine->next_cursor_us = now_us + CURSOR_IDLE_US;
    else if (now_us >= engine->next_cursor_us) {
        engine->next_cursor_us = now_us + CURSOR_IDLE_US; /* also if it cannot be written */
        write_cursor(engine, own);
    }
    release_lanes(engine);
    if (now_us >= engine->next_commit_us) {
        static unsigned ticks;
        engine->next_commit_us = now_us + COMMIT_US;
        if (engine->consumer != NULL && !FAILPOINT(offsets_uncommitted))
            kafka_consumer_commit(engine->consumer);
        if (++ticks % 2 == 0)
            adopt_lanes(engine);
    }
    tell(engine);
}

/* When relay_work has to be called though nothing has arrived. */
int64_t relay_next_us(const struct engine *engine)
{
    int64_t next_us = engine->next_commit_us;
    for (size_t i = 0; i < engine->lanes_count; i++) {
        const struct lane *lane = engine->lanes[i];
        if (lane->state == LANE_BACKOFF && lane->resume_us < next_us)
            next_us = lane->resume_us;
        if (lane->state == LANE_BEHIND && worth_reading(lane) && !engine->producer_dead &&
            lane->look_us < next_us)
            next_us = lane->look_us;
        if (lane->written < lane->acked && engine->next_cursor_us < next_us)
            next_us = engine->next_cursor_us;
        if (lane->sent > lane->acked && engine->next_reports_us < next_us)
            next_us = engine->next_reports_us;
    }
    return next_us;
}

bool relay_idle(const struct engine *engine)
{
    for (size_t i = 0; i < engine->lanes_count; i++)
        if (engine->lanes[i]->acked < engine->lanes[i]->last)
            return false;
    return true;
}

/* ---- beginning and end of a session ---- */

/* The first lane that is free, its own of before if it can be had. */
static bool take_lane(struct engine *engine, const char **ret_why)
{
    struct arena arena = {0};
    int32_t before = engine->lanes_count > 0 ? engine->lanes[0]->number : 0;
    struct pg_param param = pg_int32(&arena, before);
    struct pg_result *result = NULL;
    enum pg_status status = engine_ask(engine, sql_take_lane, &param, 1, &result);
    bool ok = status == PG_OK && pg_result_count(result) == 1;
    *ret_why = status == PG_OK ? "no outbox lane is free" : pg_error(engine->pg);
    if (ok) {
        /* Locks of adopted lanes died with the session. */
        while (engine->lanes_count > 1)
            free(engine->lanes[--engine->lanes_count]);
        if (engine->lanes_count == 0)
            engine->lanes[engine->lanes_count++] = new_lane();
        ok = open_lane(engine, engine->lanes[0], (int32_t)pg_result_int(result, 0, 0, 0));
    }
    if (ok && engine->lanes[0]->number != before)
        log_line(LOG_INFO, NULL, "writes outbox lane %d", engine->lanes[0]->number);
    pg_result_free(result);
    arena_free(&arena);
    return ok;
}

bool relay_open(struct engine *engine, const char **ret_why)
{
    /* What is in flight will be sent again: what comes of the first copy is not what comes of it.
     * Nor of the same number in a database that was put back, so no report may come any more. */
    if (engine->producer != NULL)
        drop_producer(engine);
    if (!outbox_read_epoch(engine->pg, &engine->source, ret_why))
        return false;
    *ret_why = "it is read-only";
    return !engine->source.read_only && take_lane(engine, ret_why);
}

void relay_close(struct engine *engine)
{
    if (engine->producer != NULL && kafka_producer_connected(engine->producer))
        kafka_producer_flush(engine->producer, FLUSH_MS);
    if (engine->lanes_count > 0 && pg_connected(engine->pg) &&
        engine->lanes[0]->written < engine->lanes[0]->acked)
        write_cursor(engine, engine->lanes[0]);
    kafka_producer_free(engine->producer);
    engine->producer = NULL;
    pg_disconnect(engine->pg);
}
