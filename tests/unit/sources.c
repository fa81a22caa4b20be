/*
 * sources.c: Kafka records on their way into a batch: some are held for company, and when the
 * process ends they are let go. With a consumer whose every record the test chooses; engine,
 * database and dead letters are none.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ports/system.h"
#include "runtime/engine_inside.h"

#define BATCH 8

/* ---- what sources.c asks of others ---- */

static struct kafka_record coming[64];
static size_t coming_count, released;
static bool partition_went;

size_t kafka_consumer_take(struct kafka_consumer *consumer, struct kafka_record *records,
                           size_t max)
{
    (void)consumer;
    size_t count = coming_count < max ? coming_count : max;
    memcpy(records, coming, count * sizeof *records);
    memmove(coming, coming + count, (coming_count - count) * sizeof *coming);
    coming_count -= count;
    return count;
}

void kafka_record_read(struct arena *arena, struct kafka_record *record)
{
    (void)arena, (void)record;
}

bool kafka_consumer_reads(struct kafka_consumer *consumer, const struct kafka_record *record)
{
    (void)consumer, (void)record;
    return !partition_went;
}

void kafka_consumer_release(struct kafka_consumer *consumer, struct kafka_record *records,
                            size_t count)
{
    (void)consumer, (void)records;
    released += count;
}

void kafka_consumer_ignore(struct kafka_consumer *consumer)
{
    (void)consumer;
}

bool hearing_is_patient(const struct engine *engine, struct saga_text topic)
{
    (void)engine;
    return saga_text_equal(topic, SAGA_TEXT("payment.done"));
}

static size_t asked; /* for timers and redrives */

enum pg_status engine_ask(struct engine *engine, const char *sql, const struct pg_param *params,
                          size_t count, struct pg_result **ret_result)
{
    (void)engine, (void)sql, (void)params, (void)count, (void)ret_result;
    asked++;
    return PG_LOST;
}

struct saga_text park_bytes(struct arena *arena, struct saga_text kept)
{
    (void)arena;
    return kept;
}

size_t park_headers(struct arena *arena, struct saga_text kept,
                    struct envelope_header ret_headers[ENVELOPE_HEADERS_MAX], bool *ret_too_many)
{
    (void)arena, (void)kept, (void)ret_headers, (void)ret_too_many;
    return 0;
}

/* ---- an engine with nothing but these ---- */

static const struct saga_command command = {.name = "wish"};
static const struct saga_timer timer = {.command = &command, .due = "SELECT"};
static const struct saga_service service = {.name = "sources-test", .timer = &timer};
static struct engine *engine;

static void begin(void)
{
    config.batch_max = BATCH;
    engine = calloc(1, sizeof *engine);
    engine->service = &service;
    engine->batch = batch_new(&service, BATCH, 1024 * 1024);
    engine->records = calloc(BATCH, sizeof *engine->records);
    engine->records_taken = calloc(BATCH, sizeof *engine->records_taken);
    engine->records_held = calloc(BATCH, sizeof *engine->records_held);
    engine->patience = patience_new(BATCH);
    engine->patient_kinds = 1;
    engine->consumer = (struct kafka_consumer *)engine; /* there is one: the stubs above */
    engine->queue_tail = &engine->queue_head;
    engine->wake_fd = eventfd(0, EFD_NONBLOCK);
    pthread_mutex_init(&engine->lock, NULL);
    engine->next_tick_us = engine->next_timer_us = INT64_MAX;
}

static void end(void)
{
    sources_forget(engine);
    patience_free(engine->patience);
    batch_free(engine->batch);
    free(engine->records);
    free(engine->records_taken);
    free(engine->records_held);
    close(engine->wake_fd);
    free(engine);
}

TestSuite(sources, .init = begin, .fini = end);

static void comes(const char *topic, int64_t offset, const char *key)
{
    coming[coming_count++] =
        (struct kafka_record){.topic = saga_text(topic), .offset = offset, .key = saga_text(key)};
}

static size_t collect(void)
{
    sources_release(engine);
    batch_reset(engine->batch);
    sources_collect(engine);
    return batch_count(engine->batch);
}

Test(sources, a_held_record_goes_with_one_of_its_order)
{
    comes("payment.done", 1, "a");
    comes("payment.done", 2, "b");
    cr_assert_eq(collect(), 0);
    comes("order.shipped", 1, "a");
    cr_assert_eq(collect(), 2);
    cr_assert_eq(batch_at(engine->batch, 0)->in.offset, 1);
    cr_assert(saga_text_equal(batch_at(engine->batch, 0)->in.topic, SAGA_TEXT("payment.done")));
    cr_assert_eq(collect(), 0);
    cr_assert_eq(released, 2);
    cr_assert_lt(patience_end_us(engine->patience), INT64_MAX);
}

/* Of six orders; a batch has room for eight records. */
Test(sources, a_full_batch_leaves_none_behind_that_waited_for_one_in_it)
{
    static const char *const orders[] = {"a", "b", "c", "d", "e", "f"};
    for (int i = 0; i < 6; i++)
        comes("payment.done", i, orders[i]);
    cr_assert_eq(collect(), 0);
    for (int i = 0; i < 6; i++)
        comes("order.shipped", i, orders[i]);
    for (size_t shipped = 0, count; (count = collect()) > 0; shipped += count / 2) {
        cr_assert(count % 2 == 0 && shipped + count / 2 <= 6);
        for (size_t i = 0; i < count; i++)
            cr_assert_eq(batch_at(engine->batch, i)->in.offset,
                         (int64_t)(shipped + i % (count / 2)));
    }
    cr_assert_eq(patience_end_us(engine->patience), INT64_MAX);
}

/* What is held wakes the engine when its time is over: one that takes nothing any more would wake
 * up for it again and again until the process had ended. */
Test(sources, a_drain_lets_go_what_is_held)
{
    for (int i = 0; i < 3 * BATCH; i++)
        comes("payment.done", i, "a");
    for (int i = 0; i < 3; i++)
        cr_assert_eq(collect(), 0);
    cr_assert_lt(patience_end_us(engine->patience), INT64_MAX);
    atomic_store(&engine->draining, true);
    comes("order.shipped", 1, "a");
    cr_assert_eq(collect(), 0);
    cr_assert_eq(patience_end_us(engine->patience), INT64_MAX);
    cr_assert_eq(released, 3 * BATCH); /* and none of them was stored */
    cr_assert_eq(coming_count, 1);     /* the other was never taken */
}

/* Another instance has them now. */
Test(sources, what_is_ours_no_more_is_let_go)
{
    comes("payment.done", 1, "a");
    cr_assert_eq(collect(), 0);
    partition_went = true;
    comes("order.shipped", 1, "a");
    cr_assert_eq(collect(), 1);
    cr_assert_eq(released, 1);
    cr_assert(saga_text_equal(batch_at(engine->batch, 0)->in.topic, SAGA_TEXT("order.shipped")));
}

/* ---- commands ---- */

static void busy(struct engine_command *given, enum engine_outcome outcome)
{
    (void)given, (void)outcome;
    cr_assert_fail("a command was given up");
}

static void wish(struct engine_command *given)
{
    *given = (struct engine_command){.command = &command, .give_up_us = INT64_MAX, .done = busy};
    *engine->queue_tail = given;
    engine->queue_tail = &given->next;
    engine->queue_count++;
}

static size_t records_in_batch(void)
{
    size_t count = 0;
    for (size_t i = 0; i < batch_count(engine->batch); i++)
        count += batch_at(engine->batch, i)->in.command == NULL;
    return count;
}

/* More wishes than a batch has room for, all the time: an engine that took them first heard nothing
 * any more, and no order came to its end. */
Test(sources, commands_leave_room_for_records_timers_and_letters)
{
    static struct engine_command wishes[8 * BATCH];
    for (size_t i = 0; i < 8 * BATCH; i++)
        wish(&wishes[i]);
    for (int i = 0; i < BATCH; i++)
        comes("order.shipped", i, "a");
    engine->next_tick_us = engine->next_timer_us = 0;
    cr_assert_eq(collect(), BATCH);
    cr_assert_eq(asked, 2);
    cr_assert_eq(records_in_batch(), BATCH / 2);
    cr_assert_eq(collect(), BATCH);
    cr_assert_eq(records_in_batch(), BATCH / 2);
    cr_assert_eq(collect(), BATCH); /* no more records: all of it is theirs */
    cr_assert_eq(records_in_batch(), 0);
}

Test(sources, records_leave_room_for_commands)
{
    static struct engine_command one;
    for (int i = 0; i < 2 * BATCH; i++)
        comes("order.shipped", i, "a");
    wish(&one);
    cr_assert_eq(collect(), BATCH);
    cr_assert_eq(records_in_batch(), BATCH - 1);
}

/* Who hands a command over wakes the engine if there was none: so who leaves some has to. */
Test(sources, commands_that_are_left_wake_the_engine)
{
    static struct engine_command wishes[BATCH + 1];
    uint64_t count;
    for (size_t i = 0; i < BATCH + 1; i++)
        wish(&wishes[i]);
    cr_assert_eq(collect(), BATCH);
    cr_assert_eq(read(engine->wake_fd, &count, sizeof count), sizeof count);
    cr_assert_eq(collect(), 1);
    cr_assert_lt(read(engine->wake_fd, &count, sizeof count), 0);
}
