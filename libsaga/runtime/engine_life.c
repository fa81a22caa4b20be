/* engine_life.c: an engine is made, started, handed work, asked how it is, and ended. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ports/system.h"
#include "runtime/engine_inside.h"

#define ARENA_MAX (32u * 1024 * 1024)

static bool watch_fd(struct engine *engine, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

struct engine *engine_new(const struct saga_service *service, char *errbuf, size_t errbuf_size)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return NULL;
    engine->service = service;
    outbox_source_of(service, &engine->source);
    engine->queue_tail = &engine->queue_head;
    atomic_store(&engine->kafka_ok, true); /* until something else is known */
    engine->linger.fixed_us = (int32_t)config.linger_us;
    pthread_mutex_init(&engine->lock, NULL);
    engine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    engine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    engine->pg = pg_new(config.database_url, service->name);
    engine->batch = batch_new(service, (size_t)config.batch_max, ARENA_MAX);
    size_t max = (size_t)config.batch_max;
    engine->records = calloc(max, sizeof *engine->records);
    engine->records_taken = calloc(max, sizeof *engine->records);
    engine->records_held = calloc(max, sizeof *engine->records);
    engine->patience = patience_new(max);
    if (engine->wake_fd < 0 || engine->epoll_fd < 0 || engine->records == NULL ||
        engine->records_taken == NULL || engine->records_held == NULL ||
        !watch_fd(engine, engine->wake_fd)) {
        snprintf(errbuf, errbuf_size, "the engine cannot start: %s", strerror(errno));
        return NULL;
    }
    size_t count = hearing_events(service, engine->hears);
    return count == 0 || hearing_open(engine, errbuf, errbuf_size) ? engine : NULL;
}

bool engine_start(struct engine *engine)
{
    return pthread_create(&engine->thread, NULL, engine_run, engine) == 0;
}

bool engine_submit(struct engine *engine, struct engine_command *command)
{
    if (atomic_load(&engine->pending) >= config.backlog_max)
        return false;
    pthread_mutex_lock(&engine->lock);
    bool taken = !atomic_load(&engine->draining) && engine->queue_count < ENGINE_QUEUE_MAX;
    bool first = engine->queue_count == 0;
    if (taken) {
        command->next = NULL;
        *engine->queue_tail = command;
        engine->queue_tail = &command->next;
        engine->queue_count++;
    }
    pthread_mutex_unlock(&engine->lock);
    if (taken && first)
        engine_wake(engine);
    return taken;
}

void engine_drain(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock); /* after this no command is taken any more */
    atomic_store(&engine->draining, true);
    pthread_mutex_unlock(&engine->lock);
    engine_wake(engine);
}

void engine_expire(struct engine *engine)
{
    int64_t now_us = system_monotonic_us();
    struct engine_command *gone = NULL, **tail = &gone;
    pthread_mutex_lock(&engine->lock);
    while (engine->queue_head != NULL && engine->queue_head->give_up_us <= now_us) {
        *tail = engine->queue_head;
        tail = &engine->queue_head->next;
        engine->queue_head = engine->queue_head->next;
        engine->queue_count--;
    }
    if (engine->queue_head == NULL)
        engine->queue_tail = &engine->queue_head;
    *tail = NULL;
    pthread_mutex_unlock(&engine->lock);
    engine_refuse(gone);
}

bool engine_join(struct engine *engine, int64_t until_us)
{
    struct timespec until = {until_us / 1000000, until_us % 1000000 * 1000};
    return pthread_clockjoin_np(engine->thread, NULL, CLOCK_MONOTONIC, &until) == 0;
}

void engine_free(struct engine *engine)
{
    if (engine == NULL)
        return;
    for (size_t i = 0; i < engine->lanes_count; i++)
        free(engine->lanes[i]);
    batch_free(engine->batch);
    pg_free(engine->pg);
    kafka_consumer_free(engine->consumer);
    kafka_producer_free(engine->producer);
    close(engine->wake_fd);
    close(engine->epoll_fd);
    pthread_mutex_destroy(&engine->lock);
    patience_free(engine->patience);
    free(engine->records);
    free(engine->records_taken);
    free(engine->records_held);
    free(engine);
}

void engine_on_outcome(struct engine *engine,
                       void (*told)(void *opaque, const struct saga_uuid *order_id,
                                    struct saga_text news),
                       void *opaque)
{
    engine->told = told;
    engine->told_opaque = opaque;
}

void engine_on_loss(struct engine *engine, void (*lost)(void *opaque), void *opaque)
{
    engine->lost = lost;
    engine->lost_opaque = opaque;
}

void engine_health(struct engine *engine, struct engine_health *ret)
{
    *ret = (struct engine_health){.started = atomic_load(&engine->started),
                                  .database = atomic_load(&engine->database_ok),
                                  .outbox_pending = atomic_load(&engine->pending),
                                  .outbox_oldest_us = atomic_load(&engine->oldest_us)};
    int hearing = atomic_load(&engine->hearing);
    ret->kafka = atomic_load(&engine->kafka_ok) && hearing != HEARING_BROKEN;
    ret->lost = hearing == HEARING_LOST;
    ret->holed = atomic_load(&engine->outbox_holed);
    pthread_mutex_lock(&engine->lock);
    ret->accepting = !atomic_load(&engine->draining) && ret->database &&
                     ret->outbox_pending < config.backlog_max;
    memcpy(ret->detail, engine->detail[0] != '\0' ? engine->detail : engine->hearing_detail,
           sizeof ret->detail);
    pthread_mutex_unlock(&engine->lock);
    if (ret->holed && ret->detail[0] == '\0')
        snprintf(ret->detail, sizeof ret->detail,
                 "outbox: a row is missing, and no row behind it is sent: the log names it");
}

void engine_lags(struct engine *engine,
                 void (*each)(void *opaque, const char *topic, int32_t partition, int64_t lag),
                 void *opaque)
{
    if (engine->consumer != NULL)
        kafka_consumer_lags(engine->consumer, each, opaque);
}
