/* sources.c: what fills a batch: commands, Kafka records, due timers, redriven dead letters. */
#include "runtime/engine_inside.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "core/scan.h"
#include "ports/failpoint.h"
#include "ports/system.h"
#include "saga_sql.h"

#define REDRIVES_MAX 100 /* at once */

/* Only while there is room. */
static struct batch_message *add_message(struct engine *engine, struct source **ret_source)
{
    struct batch_message *message = batch_add(engine->batch);
    if (message == NULL)
        abort();
    *ret_source = arena_alloc(batch_arena(engine->batch), sizeof **ret_source);
    message->source = *ret_source;
    return message;
}

/* As much of a batch as one kind of message may take while others may be waiting. */
static size_t share(void)
{
    return (size_t)(config.batch_max + 1) / 2;
}

static bool room(const struct engine *engine)
{
    return batch_count(engine->batch) < (size_t)config.batch_max &&
           !arena_full(batch_arena(engine->batch));
}

void sources_answer(struct engine *engine, struct batch_message *message,
                    enum engine_outcome outcome)
{
    (void)engine;
    struct source *source = message->source;
    struct engine_command *command = source->command;
    if (command == NULL)
        return;
    source->command = NULL;
    command->outcome = outcome;
    command->done(command, outcome);
}

void sources_give_up(struct engine *engine, struct batch_message *message)
{
    struct source *source = message->source;
    if (source->command == NULL)
        return;
    sources_answer(engine, message, ENGINE_BUSY); /* its memory is the door's again */
    message->skip = true;
    message->result = BATCH_DUPLICATE;
}

/* Commands that waited too long are told so: in the batch in hand, and in the queue. */
void sources_expire(struct engine *engine)
{
    int64_t now_us = system_monotonic_us();
    bool all = atomic_load(&engine->draining);
    for (size_t i = 0; i < batch_count(engine->batch); i++) {
        struct batch_message *message = batch_at(engine->batch, i);
        struct source *source = message->source;
        if (source->command != NULL && (all || source->command->give_up_us <= now_us))
            sources_give_up(engine, message);
    }
    pthread_mutex_lock(&engine->lock);
    struct engine_command *keep = NULL, **keep_tail = &keep, *gone = NULL, *next;
    size_t kept = 0;
    for (struct engine_command *command = engine->queue_head; command != NULL; command = next) {
        next = command->next;
        if (all || command->give_up_us <= now_us) {
            command->next = gone;
            gone = command;
        } else {
            *keep_tail = command;
            keep_tail = &command->next;
            kept++;
        }
    }
    *keep_tail = NULL;
    engine->queue_head = keep;
    engine->queue_tail = kept > 0 ? keep_tail : &engine->queue_head;
    engine->queue_count = kept;
    pthread_mutex_unlock(&engine->lock);
    engine_refuse(gone);
}

/* So many at most; true if some are left. */
static bool take_commands(struct engine *engine, size_t max)
{
    struct engine_command *expired = NULL;
    size_t count = 0;
    int64_t now_us = system_monotonic_us();
    pthread_mutex_lock(&engine->lock);
    while (engine->queue_head != NULL && count < max && room(engine)) {
        struct engine_command *command = engine->queue_head;
        engine->queue_head = command->next;
        if (engine->queue_head == NULL)
            engine->queue_tail = &engine->queue_head;
        engine->queue_count--;
        if (command->give_up_us <= now_us) {
            command->next = expired;
            expired = command;
            continue;
        }
        struct source *source;
        struct batch_message *message = add_message(engine, &source);
        source->command = command;
        message->in.command = command->command;
        message->in.order_id = command->order_id;
        /* The events that carry it may be sent after the command was given up. */
        message->in.traceparent = arena_copy(batch_arena(engine->batch), command->traceparent);
        message->in.body = command->body;
        message->in.reply = command->reply;
        message->in.said_us = command->said_us;
        count++;
    }
    bool left = engine->queue_head != NULL;
    pthread_mutex_unlock(&engine->lock);
    engine_refuse(expired);
    return left;
}

static const struct saga_event *find_event(const struct engine *engine, struct saga_text topic)
{
    for (const struct saga_event *const *event = engine->hears; *event != NULL; event++)
        if (saga_text_equal(saga_text((*event)->name), topic))
            return *event;
    return NULL;
}

/* Reads envelope and body; what cannot be read is poison with its reason, and has no order. */
static void read_record(struct engine *engine, struct batch_message *message,
                        const struct envelope_header *headers, size_t headers_count,
                        bool headers_too_many, struct saga_text key, struct saga_text value)
{
    struct envelope envelope;
    const char *reason = headers_too_many ? "too_many_headers" : NULL;
    const struct saga_event *event = find_event(engine, message->in.topic);
    if (reason == NULL)
        reason = envelope_read(headers, headers_count, message->in.topic, key, &envelope);
    if (reason == NULL && event == NULL)
        reason = "unknown_event";
    if (reason == NULL && value.at == NULL)
        reason = "no_value";
    if (reason == NULL) {
        void *body = arena_alloc(batch_arena(engine->batch), event->shape->size);
        if (scan_object(batch_arena(engine->batch), value, event->shape, body) != NULL)
            reason = "unreadable_value";
        else if (memcmp((char *)body + event->shape->fields[0].offset, &envelope.order_id,
                        sizeof envelope.order_id) != 0)
            reason = "order_id_is_not_subject";
        message->in.body = body;
    }
    if (reason != NULL) {
        message->skip = true;
        message->result = BATCH_POISON;
        message->reason = reason;
        return;
    }
    message->in.event = event;
    message->in.order_id = envelope.order_id;
    message->in.event_id = envelope.id;
    message->in.traceparent = envelope.traceparent;
    message->in.said_us = envelope.time_us;
}

/* Whoever writes a record says when it was, and the database has no time after this. */
static int64_t record_time_us(const struct kafka_record *record)
{
    const int64_t max_ms = INT64_C(253402300799000); /* 9999-12-31T23:59:59Z */
    return (record->timestamp_ms < max_ms ? record->timestamp_ms : max_ms) * 1000;
}

static void add_record(struct engine *engine, const struct kafka_record *taken)
{
    struct kafka_record *record = &engine->records[engine->records_count++];
    struct source *source;
    *record = *taken;
    kafka_record_read(batch_arena(engine->batch), record);
    struct batch_message *message = add_message(engine, &source);
    source->record = record;
    source->record_time_us = record_time_us(record);
    message->in.topic = record->topic;
    message->in.partition = record->partition;
    message->in.offset = record->offset;
    read_record(engine, message, record->headers, record->headers_count, record->headers_too_many,
                record->key, record->value);
}

/* Those that were held for long, or for these, and are still ours. */
static void add_held(struct engine *engine, const struct kafka_record *urgent, size_t urgent_count)
{
    size_t max = (size_t)config.batch_max - batch_count(engine->batch) - urgent_count;
    struct kafka_record *held = engine->records_held;
    size_t count =
        patience_let_go(engine->patience, urgent, urgent_count, system_monotonic_us(), held, max);
    for (size_t i = 0; i < count; i++) {
        if (kafka_consumer_reads(engine->consumer, &held[i]))
            add_record(engine, &held[i]);
        else
            kafka_consumer_release(engine->consumer, &held[i], 1);
    }
}

/* So many at most; true if they were as many, and there is room for more. */
static bool take_some_records(struct engine *engine, size_t max)
{
    struct kafka_record *taken = engine->records_taken;
    size_t count = 0, urgent = 0;
    if (!patience_full(engine->patience))
        count = kafka_consumer_take(engine->consumer, taken, max);
    for (size_t i = 0; i < count; i++) {
        if (hearing_is_patient(engine, taken[i].topic))
            patience_hold(engine->patience, &taken[i], system_monotonic_us());
        else
            taken[urgent++] = taken[i];
    }
    add_held(engine, taken, urgent); /* first: they came before, and the order's row learns so */
    for (size_t i = 0; i < urgent; i++)
        add_record(engine, &taken[i]);
    return count == max && room(engine);
}

static void take_records(struct engine *engine)
{
    if (atomic_load(&engine->draining)) {
        engine_lose_if(engine, FAILPOINT(drain_begun));
        sources_forget(engine); /* for the next life; nothing waits for its time any more */
        if (engine->consumer != NULL)
            kafka_consumer_ignore(engine->consumer);
        return;
    }
    if (engine->consumer == NULL)
        return;
    for (bool more = room(engine); more;) {
        size_t left = (size_t)config.batch_max - batch_count(engine->batch);
        more = take_some_records(engine, patience_share(left, engine->patient_kinds));
    }
}

void sources_release(struct engine *engine)
{
    if (engine->consumer != NULL)
        kafka_consumer_release(engine->consumer, engine->records, engine->records_count);
    engine->records_count = 0;
}

void sources_forget(struct engine *engine)
{
    struct kafka_record *held = engine->records_held;
    size_t count, max = (size_t)config.batch_max;
    while ((count = patience_let_go(engine->patience, NULL, 0, INT64_MAX, held, max)) > 0)
        kafka_consumer_release(engine->consumer, held, count);
}

/* Page by page through what is due, once a second: a timer that the database rejects comes again
 * with the next round, behind all others, and keeps none of them waiting. */
static void take_timers(struct engine *engine)
{
    const struct saga_timer *timer = engine->service->timer;
    int64_t now_us = system_monotonic_us();
    if (timer == NULL || now_us < engine->next_timer_us || !room(engine))
        return;
    engine->next_timer_us = now_us + ENGINE_TICK_US;
    struct arena *arena = batch_arena(engine->batch);
    size_t left = (size_t)config.batch_max - batch_count(engine->batch);
    int32_t max = (int32_t)(left < share() ? left : share());
    struct pg_param params[] = {pg_time(arena, system_now_us()), pg_int32(arena, max),
                                pg_uuid(&engine->timer_after)};
    struct pg_result *result = NULL;
    if (engine_ask(engine, timer->due, params, 3, &result) != PG_OK)
        return;
    size_t count = pg_result_count(result);
    if (count > 0 && FAILPOINT(timers_taken))
        pg_disconnect(engine->pg);
    for (size_t i = 0; i < count; i++) { /* at most max: what there is room for */
        struct source *source;
        struct batch_message *message = add_message(engine, &source);
        message->in.command = timer->command;
        memcpy(&message->in.order_id, pg_result_bytes(result, i, 0).at, sizeof(struct saga_uuid));
        message->in.said_us = system_now_us();
        engine->timer_after = message->in.order_id;
    }
    if (count == (size_t)max)
        engine->next_timer_us = 0;
    else
        memset(&engine->timer_after, 0, sizeof engine->timer_after);
    pg_result_free(result);
}

/* The rate of orders: that of the messages which are most frequent among those of one kind. */
static void note_arrivals(struct engine *engine, size_t from)
{
    struct {
        const void *kind;
        unsigned count;
    } kinds[16] = {{NULL, 0}};
    unsigned most = 0;
    for (size_t i = from; i < batch_count(engine->batch); i++) {
        const struct saga_message *in = &batch_at(engine->batch, i)->in;
        const void *kind = in->event != NULL ? (const void *)in->event : in->command;
        size_t k = 0;
        while (k < 15 && kinds[k].count > 0 && kinds[k].kind != kind)
            k++;
        kinds[k].kind = kind;
        if (++kinds[k].count > most)
            most = kinds[k].count;
    }
    linger_note(&engine->linger, system_monotonic_us(), most);
}

/* Commands may come faster than they are done, and so may records: neither keeps the other out. */
static bool take_all(struct engine *engine)
{
    size_t before = batch_count(engine->batch);
    take_commands(engine, share());
    take_records(engine);
    if (take_commands(engine, SIZE_MAX))
        engine_wake(engine); /* else nobody would say that they are there */
    if (batch_count(engine->batch) == before)
        return false;
    note_arrivals(engine, before);
    return true;
}

void sources_collect(struct engine *engine)
{
    int64_t now_us = system_monotonic_us();
    take_timers(engine); /* first: now and then, and they leave room */
    if (now_us >= engine->next_tick_us) {
        engine->next_tick_us = now_us + ENGINE_TICK_US;
        park_redrives(engine);
    }
    if (take_all(engine)) {
        /* A short wait for company, by the measured rate; then whatever came goes along. */
        int64_t linger = linger_us(&engine->linger, system_monotonic_us());
        if (linger > 0 && room(engine)) {
            struct timespec wait = {.tv_nsec = linger * 1000};
            ppoll(NULL, 0, &wait, NULL);
            take_all(engine);
        }
    }
}

/* ---- redrive ---- */

void park_redrives(struct engine *engine)
{
    if (!room(engine))
        return;
    struct arena *arena = batch_arena(engine->batch);
    struct pg_param max =
        pg_int32(arena, (int32_t)(share() < REDRIVES_MAX ? share() : REDRIVES_MAX));
    struct pg_result *result = NULL;
    if (engine_ask(engine, sql_find_redrives, &max, 1, &result) != PG_OK)
        return;
    if (pg_result_count(result) > 0 && FAILPOINT(letters_taken))
        pg_disconnect(engine->pg);
    for (size_t i = 0; i < pg_result_count(result) && room(engine); i++) {
        struct source *source;
        struct batch_message *message = add_message(engine, &source);
        message->letter = pg_result_int(result, i, 0, 0);
        message->in.topic = arena_copy(arena, pg_result_bytes(result, i, 2));
        message->in.partition = (int32_t)pg_result_int(result, i, 3, -1);
        message->in.offset = pg_result_int(result, i, 4, -1);
        struct saga_text key = park_bytes(arena, pg_result_bytes(result, i, 6));
        struct saga_text value = park_bytes(arena, pg_result_bytes(result, i, 8));
        struct envelope_header headers[ENVELOPE_HEADERS_MAX];
        bool too_many;
        size_t count = park_headers(arena, pg_result_bytes(result, i, 7), headers, &too_many);
        read_record(engine, message, headers, count, too_many, key, value);
    }
    pg_result_free(result);
}
