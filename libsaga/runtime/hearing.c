/* hearing.c: the consumer's life within the engine: made anew when it cannot go on, and told of. */
#include <assert.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "core/barrier.h"
#include "ports/failpoint.h"
#include "ports/system.h"
#include "runtime/engine_inside.h"

#define JOIN_FIRST_US 1000000
#define JOIN_MAX_US 30000000
#define OUTSIDE_US 30000000 /* a group is dealt anew in less, also if a member does not answer */

/* ---- what it hears ---- */

static void add_events(const struct saga_event **events, size_t *count, saga_events on)
{
    for (; on != NULL && *on != NULL; on++) {
        bool known = false;
        for (size_t i = 0; i < *count; i++)
            known = known || strcmp(events[i]->name, (*on)->name) == 0;
        assert(known || *count < HEARING_MAX);
        if (!known)
            events[(*count)++] = *on;
    }
}

size_t hearing_events(const struct saga_service *service,
                      const struct saga_event *ret_events[HEARING_MAX + 1])
{
    size_t count = 0;
    for (const struct saga_watch *const *watch = service->watches; watch && *watch; watch++)
        add_events(ret_events, &count, (*watch)->on);
    for (const struct saga_step *const *step = service->steps; step && *step; step++) {
        add_events(ret_events, &count, (*step)->action.on);
        add_events(ret_events, &count, (*step)->undo.on);
    }
    ret_events[count] = NULL;
    return count;
}

static bool says_nothing(const struct saga_service *service, const struct saga_event *event)
{
    for (const struct saga_step *const *step = service->steps; step && *step; step++) {
        bool undo;
        const struct saga_edge *edge = barrier_edge(*step, event->name, &undo);
        if (edge != NULL && (edge->says != NULL || edge->refuses != NULL))
            return false;
    }
    return true;
}

bool hearing_is_patient(const struct engine *engine, struct saga_text topic)
{
    for (size_t i = 0; engine->hears[i] != NULL; i++)
        if (saga_text_equal(saga_text(engine->hears[i]->name), topic))
            return engine->hears_patiently[i];
    return false;
}

/* ---- the consumer ---- */

static void told(void *opaque, const char *what)
{
    (void)opaque;
    log_line(LOG_WARN, NULL, "kafka: %s", what);
}

bool hearing_open(struct engine *engine, char *errbuf, size_t size)
{
    const char *topics[HEARING_MAX + 1] = {0};
    for (size_t i = 0; engine->hears[i] != NULL; i++) {
        topics[i] = engine->hears[i]->name;
        engine->hears_patiently[i] = says_nothing(engine->service, engine->hears[i]);
        engine->patient_kinds += engine->hears_patiently[i];
    }
    engine->consumer = kafka_consumer_new(config.kafka_bootstrap, engine->service->name,
                                          engine->service->name, topics, told, NULL, errbuf, size);
    if (engine->consumer == NULL)
        return false;
    int fd = kafka_consumer_fd(engine->consumer);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Called all the time: only what is new costs the lock. */
static void tell(struct engine *engine, enum hearing_state state, const char *why)
{
    if (atomic_exchange(&engine->hearing, (int)state) == (int)state)
        return;
    pthread_mutex_lock(&engine->lock);
    snprintf(engine->hearing_detail, sizeof engine->hearing_detail, "%s%.180s",
             state == HEARING_WELL ? "" : "kafka: ", why);
    pthread_mutex_unlock(&engine->lock);
}

/* Full jitter: instances that lost their group together do not come back together. */
static void back_off(struct engine *engine)
{
    uint32_t random;
    int64_t limit_us = JOIN_FIRST_US << (engine->join_failures < 5 ? engine->join_failures : 5);
    if (limit_us > JOIN_MAX_US)
        limit_us = JOIN_MAX_US;
    system_random(&random, sizeof random);
    engine->join_failures++;
    engine->next_join_us = system_monotonic_us() + limit_us / 2 + random % (limit_us / 2 + 1);
}

static void leave_without(struct engine *engine, const char *why)
{
    if (engine->join_failures == 0)
        log_line(LOG_ERROR, NULL, "kafka: %s; tries again with a new consumer", why);
    tell(engine, HEARING_BROKEN, why);
    sources_forget(engine);
    kafka_consumer_drop(engine->consumer);
    back_off(engine);
}

static void join_again(struct engine *engine)
{
    char why[160];
    if (kafka_consumer_join(engine->consumer, why, sizeof why))
        engine->next_join_us = 0;
    else
        back_off(engine);
}

/* Nothing fails, and nothing is heard: the client library says nothing of why. */
static void note_outside(struct engine *engine)
{
    int64_t now_us = system_monotonic_us();
    if (engine->outside_since_us == 0)
        engine->outside_since_us = now_us;
    if (now_us - engine->outside_since_us < OUTSIDE_US ||
        atomic_load(&engine->hearing) == HEARING_BROKEN)
        return;
    log_line(LOG_WARN, NULL, "kafka: not in its group for 30 s: it hears nothing");
    tell(engine, HEARING_BROKEN, "not in its group: it hears nothing");
}

static void note_joined(struct engine *engine)
{
    if (engine->join_failures > 0)
        log_line(LOG_INFO, NULL, "kafka: the new consumer has its partitions");
    else if (atomic_load(&engine->hearing) == HEARING_BROKEN)
        log_line(LOG_INFO, NULL, "kafka: in its group again, after %lld s",
                 (long long)(system_monotonic_us() - engine->outside_since_us) / 1000000);
    engine->join_failures = 0;
    engine->outside_since_us = 0;
    const char *why = kafka_consumer_lost(engine->consumer);
    tell(engine, why ? HEARING_LOST : HEARING_WELL, why ? why : "");
    atomic_store(&engine->started, true);
}

/* Between batches, so that nothing is in hand when the consumer goes. */
void hearing_work(struct engine *engine)
{
    if (engine->consumer == NULL) { /* it hears nothing */
        atomic_store(&engine->started, true);
        return;
    }
    if (engine->next_join_us != 0) {
        if (system_monotonic_us() >= engine->next_join_us)
            join_again(engine);
        return;
    }
    const char *why = kafka_consumer_error(engine->consumer);
    if (why == NULL && FAILPOINT(consumer_failed))
        why = "a failpoint";
    if (why != NULL)
        leave_without(engine, why);
    else if (kafka_consumer_joined(engine->consumer))
        note_joined(engine);
    else
        note_outside(engine);
}
