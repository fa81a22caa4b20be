/* watch.c: who looks at the stack while it is harmed; see watch.h. */
#include "watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "customers.h"
#include "story.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/http.h"
#include "support/stack.h"

#define SECONDS_MAX (CUSTOMERS_SECONDS_MAX + 600)
#define SERVICES 4
/* An answer counts for the second in which it was asked for, or not at all. */
#define TIMEOUT_MS 700
#define AUDITS_MAX 4000
#define AUDIT_PAUSE_S 3 /* the machine is for the load */
#define AUDIT_S 180     /* a look that takes longer is none */
#define SAID_MAX 4000

static const struct {
    enum part part;
    const char *address;
} services[SERVICES] = {{PART_ORDER, "ORDER_API"},
                        {PART_PAYMENT, "PAYMENT_OPS"},
                        {PART_INVENTORY, "INVENTORY_API"},
                        {PART_SHIPPING, "SHIPPING_OPS"}};

struct watch {
    int64_t begin_us;
    pthread_t looker, auditor;
    atomic_bool ending;
    bool ended;
    struct http_pool *pools[SERVICES];
    size_t now; /* the looker's: the second that is going on */
    atomic_size_t whole;
    struct watch_second seconds[SECONDS_MAX];
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool audits_on, looking;
    size_t audits_count;
    struct watch_audit audits[AUDITS_MAX];
};

/* ---- each second ---- */

double watch_sum(const char *text, const char *name)
{
    size_t len = strlen(name);
    double sum = 0;
    bool any = false;

    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        const char *value = end == NULL ? NULL : memrchr(line, ' ', (size_t)(end - line));
        if (strncmp(line, name, len) == 0 && (line[len] == ' ' || line[len] == '{') &&
            value != NULL) {
            sum += strtod(value, NULL);
            any = true;
        }
        line = end == NULL ? NULL : end + 1;
    }
    return any ? sum : -1;
}

/* tag: the second, which service, and whether it was asked for its metrics. */
static void answered(void *opaque, uint64_t tag, const struct http_answer *answer)
{
    struct watch *watch = opaque;
    size_t second = tag >> 8, service = tag >> 1 & 0x7f;
    enum part part = services[service].part;
    struct watch_second *now = &watch->seconds[second];

    if (second != watch->now || answer->status == 0)
        return;
    if ((tag & 1) == 0) {
        now->silent &= (uint8_t)~PART(part);
        if (answer->status != 200)
            now->not_ready |= (uint8_t)PART(part);
    } else if (answer->status == 200) {
        now->backlog[part] = watch_sum(answer->body, "saga_outbox_pending");
        if (part == PART_ORDER)
            now->in_flight = watch_sum(answer->body, "saga_orders_in_flight");
    }
}

static void begin_second(struct watch *watch, size_t second)
{
    struct watch_second *now = &watch->seconds[second];

    now->in_flight = -1;
    now->silent = PARTS_SERVICES;
    for (size_t part = 0; part < PARTS; part++)
        now->backlog[part] = -1;
    watch->now = second;
    atomic_store_explicit(&watch->whole, second, memory_order_release);
}

static void *look(void *opaque)
{
    struct watch *watch = opaque;

    for (size_t last = SECONDS_MAX; !atomic_load(&watch->ending);) {
        size_t second = (size_t)((clock_us() - watch->begin_us) / 1000000);
        if (second >= SECONDS_MAX)
            break;
        /* One that was slept through was not looked at. */
        for (size_t next = last == SECONDS_MAX ? 0 : last + 1; next <= second; next++)
            begin_second(watch, next);
        for (size_t i = 0; i < SERVICES; i++) {
            if (second != last) {
                http_pool_send(watch->pools[i], second << 8 | i << 1, "GET", "/readyz", NULL, NULL);
                http_pool_send(watch->pools[i], second << 8 | i << 1 | 1, "GET", "/metrics", NULL,
                               NULL);
            }
            http_pool_work(watch->pools[i], 5000);
        }
        last = second;
    }
    return NULL;
}

/* ---- the auditor ---- */

char *watch_broken_lines(const char *text)
{
    char *lines = calloc(1, SAID_MAX);
    size_t len = 0;

    if (lines == NULL)
        abort();
    while (*text != '\0') {
        size_t line = strcspn(text, "\n");
        const char *broken = strstr(text, " BROKEN ");
        if (broken != NULL && broken < text + line && len + line + 2 < SAID_MAX) {
            memcpy(lines + len, text, line);
            len += line;
            lines[len++] = '\n';
        }
        text += line + (text[line] == '\n');
    }
    if (len > 0)
        return lines;
    free(lines);
    return NULL;
}

/* timeout's own: it took too long, and was ended by SIGTERM or SIGKILL. */
#define TOOK_TOO_LONG 124
#define KILLED 137

int watch_audit_status(int exit_status)
{
    if (exit_status == 0 || exit_status == 2)
        return exit_status;
    return exit_status == TOOK_TOO_LONG || exit_status == KILLED ? 2 : 1;
}

/* Without the lock. wait NULL: as it is now. */
static struct watch_audit audit(const char *wait, int limit_s)
{
    char limit[16], *output = NULL;
    const char *argv[] = {"timeout", "-k", "5", limit, "deploy/audit", NULL, NULL, NULL, NULL};

    snprintf(limit, sizeof limit, "%d", limit_s);
    if (wait != NULL) {
        argv[5] = "--settled";
        argv[6] = "--wait";
        argv[7] = wait;
    }
    struct watch_audit seen = {.begin_us = clock_us()};
    int status = command_run(stack_root(), argv, &output);
    seen.end_us = clock_us();
    seen.status = watch_audit_status(status);
    if (seen.status == 1)
        seen.said = watch_broken_lines(output);
    /* One that is broken and does not say so has not run as it should. */
    if (seen.status == 1 && seen.said == NULL &&
        asprintf(&seen.said, "the auditor has ended with %d: %.*s", status, SAID_MAX, output) < 0)
        abort();
    free(output);
    return seen;
}

static void note_audit(struct watch *watch, struct watch_audit seen)
{
    if (watch->audits_count < AUDITS_MAX)
        watch->audits[watch->audits_count++] = seen;
    else
        free(seen.said);
}

static void pause_auditor(struct watch *watch, int seconds)
{
    struct timespec end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += seconds;
    while (!atomic_load(&watch->ending) &&
           pthread_cond_clockwait(&watch->changed, &watch->lock, CLOCK_MONOTONIC, &end) == 0)
        ;
}

static void *audit_again_and_again(void *opaque)
{
    struct watch *watch = opaque;

    pthread_mutex_lock(&watch->lock);
    while (!atomic_load(&watch->ending)) {
        if (!watch->audits_on || watch->audits_count >= AUDITS_MAX - 1) {
            pthread_cond_wait(&watch->changed, &watch->lock);
            continue;
        }
        watch->looking = true;
        pthread_mutex_unlock(&watch->lock);
        struct watch_audit seen = audit(NULL, AUDIT_S);
        pthread_mutex_lock(&watch->lock);
        note_audit(watch, seen);
        watch->looking = false;
        pthread_cond_broadcast(&watch->changed);
        pause_auditor(watch, AUDIT_PAUSE_S);
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

void watch_audit_on(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->audits_on = true;
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
}

void watch_audit_off(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->audits_on = false;
    while (watch->looking)
        pthread_cond_wait(&watch->changed, &watch->lock);
    pthread_mutex_unlock(&watch->lock);
}

bool watch_settle(struct watch *watch, int seconds)
{
    char wait[16];

    watch_audit_off(watch);
    snprintf(wait, sizeof wait, "%d", seconds);
    struct watch_audit seen = audit(wait, seconds + AUDIT_S);
    seen.last = true;
    pthread_mutex_lock(&watch->lock);
    note_audit(watch, seen);
    pthread_mutex_unlock(&watch->lock);
    return seen.status == 0;
}

/* ---- begin and end ---- */

struct watch *watch_begin(void)
{
    struct watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL)
        abort();
    for (size_t i = 0; i < SERVICES; i++)
        watch->pools[i] =
            http_pool_new(stack_address(services[i].address), 4, TIMEOUT_MS, answered, watch);
    pthread_mutex_init(&watch->lock, NULL);
    pthread_cond_init(&watch->changed, NULL);
    watch->begin_us = clock_us();
    if (pthread_create(&watch->looker, NULL, look, watch) != 0 ||
        pthread_create(&watch->auditor, NULL, audit_again_and_again, watch) != 0)
        abort();
    return watch;
}

/* Of the first, which are those that are shown: with all at their end it is the whole story. */
static void tell_stories(struct watch *watch)
{
    size_t told = 0;

    for (size_t n = 0; n < watch->audits_count && told < WATCH_TOLD_MAX; n++) {
        char *said = watch->audits[n].said;
        if (said == NULL)
            continue;
        watch->audits[n].said = story_weave(said, story_of);
        free(said);
        told++;
    }
}

void watch_end(struct watch *watch)
{
    if (watch->ended)
        return;
    watch->ended = true;
    pthread_mutex_lock(&watch->lock);
    atomic_store(&watch->ending, true);
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->looker, NULL);
    pthread_join(watch->auditor, NULL);
    tell_stories(watch);
}

int64_t watch_began_us(const struct watch *watch)
{
    return watch->begin_us;
}

size_t watch_seconds(const struct watch *watch)
{
    return atomic_load_explicit(&watch->whole, memory_order_acquire);
}

struct watch_second watch_second(const struct watch *watch, size_t second)
{
    return watch->seconds[second];
}

size_t watch_audits(const struct watch *watch)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&watch->lock;

    pthread_mutex_lock(lock);
    size_t count = watch->audits_count;
    pthread_mutex_unlock(lock);
    return count;
}

struct watch_audit watch_audit(const struct watch *watch, size_t n)
{
    return watch->audits[n];
}

void watch_free(struct watch *watch)
{
    if (watch == NULL)
        return;
    watch_end(watch);
    for (size_t i = 0; i < SERVICES; i++)
        http_pool_free(watch->pools[i]);
    for (size_t i = 0; i < watch->audits_count; i++)
        free(watch->audits[i].said);
    pthread_mutex_destroy(&watch->lock);
    pthread_cond_destroy(&watch->changed);
    free(watch);
}
