/*
 * reader.c: the door's reads: a thread that serves Redis and deals out rounds, and a thread that
 * may block on PostgreSQL.
 *
 * There is one round. Its turn says whose it is:
 *
 *      FREE --reader_give--> GIVEN --round_run--> ANSWERED --reader_deliver--> FREE
 *      (reader thread)       (database thread)    (reader thread)
 *
 * Reads themselves are touched by the reader thread only, so one that gives up while the database
 * hangs can be done at once: the round holds copies of the keys.
 */
#include "runtime/reader_inside.h"

#include "ports/failpoint.h"
#include "ports/log.h"
#include "ports/system.h"
#include "runtime/config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define AWAY_PATIENCE_US 1000000 /* reads wait this long for a database that went away */
#define STOP_LIMIT_S 3
#define ROUND_MEMORY_MAX (4 << 20) /* kept between rounds */
#define COMPLAINT_US 1000000       /* between two of them */

struct reader *reader_new(const struct saga_service *service, char *errbuf, size_t errbuf_size)
{
    struct redis *redis = redis_new(config.redis_url, errbuf, errbuf_size);
    struct reader *reader = calloc(1, sizeof *reader);
    pthread_condattr_t attr;
    char name[64];

    if (reader == NULL)
        abort();
    if (redis == NULL) {
        free(reader);
        return NULL;
    }
    reader->service = service;
    reader->redis = redis;
    snprintf(name, sizeof name, "%s reader", service->name);
    reader->pg = pg_new(config.database_url, name);
    reader->round.arena.size_max = ROUND_MEMORY_MAX;
    reader->scratch.size_max = ROUND_MEMORY_MAX;
    reader->submitted_last = &reader->submitted;
    reader->waiting_last = &reader->waiting;
    reader->next_end_us = INT64_MAX;
    atomic_store(&reader->database_fd, -1);
    pthread_mutex_init(&reader->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&reader->wake, &attr);
    pthread_cond_init(&reader->work, &attr);
    pthread_condattr_destroy(&attr);
    return reader;
}

bool reader_submit(struct reader *reader, struct read *read)
{
    pthread_mutex_lock(&reader->lock);
    bool taken = !reader->stopping && reader->outstanding < READER_QUEUE_MAX;
    if (taken) {
        reader->outstanding++;
        read->next = NULL;
        if (reader->submitted == NULL)
            pthread_cond_signal(&reader->wake);
        *reader->submitted_last = read;
        reader->submitted_last = &read->next;
    }
    pthread_mutex_unlock(&reader->lock);
    return taken;
}

bool reader_redis_ok(struct reader *reader)
{
    return atomic_load(&reader->redis_ok);
}

bool reader_database_ok(struct reader *reader)
{
    return atomic_load(&reader->database_ok);
}

const char *reader_epoch(struct reader *reader, unsigned *ret_number)
{
    pthread_mutex_lock(&reader->lock);
    const struct prefix *epoch = reader->epoch;
    *ret_number = epoch != NULL ? reader->epoch_number : 0;
    pthread_mutex_unlock(&reader->lock);
    return epoch != NULL ? epoch->text : "";
}

void reader_withdraw_epoch(struct reader *reader)
{
    reader->epoch = NULL;
}

void reader_doubt(struct reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    reader->doubted = true;
    reader_withdraw_epoch(reader);
    pthread_cond_signal(&reader->work);
    pthread_mutex_unlock(&reader->lock);
}

void reader_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_us)
{
    struct timespec until = {until_us / 1000000, until_us % 1000000 * 1000};

    pthread_cond_timedwait(cond, lock, &until);
}

void reader_done(struct reader *reader, struct read *read, bool answered)
{
    pthread_mutex_lock(&reader->lock);
    reader->outstanding--;
    pthread_mutex_unlock(&reader->lock);
    read->answered = answered;
    read->done(read);
}

/* ---- Redis ---- */

static struct saga_text joined(struct arena *arena, struct saga_text one, struct saga_text other)
{
    char *at = arena_alloc(arena, one.len + other.len + 1);

    memcpy(at, one.at, one.len);
    if (other.len > 0)
        memcpy(at + one.len, other.at, other.len);
    return (struct saga_text){at, one.len + other.len};
}

/* What is of another version was written by a later program, or an earlier one: PostgreSQL knows it
 * too. Somebody shall know, though not once for each. */
static struct saga_text read_version(struct reader *reader, struct saga_text value)
{
    struct saga_text version = saga_text(READER_MEMORY_VERSION);
    int64_t now_us = system_monotonic_us();

    if (value.at == NULL)
        return value;
    if (value.len >= version.len && memcmp(value.at, version.at, version.len) == 0)
        return (struct saga_text){value.at + version.len, value.len - version.len};
    if (now_us >= reader->next_complaint_us) {
        reader->next_complaint_us = now_us + COMPLAINT_US;
        log_line(LOG_WARN, NULL,
                 "redis: a value that does not begin with \"%s\", the version that this program"
                 " knows: it is not used",
                 READER_MEMORY_VERSION);
    }
    return (struct saga_text){NULL, 0};
}

/* I4: what Redis has is told, or added to, only while the session lives in which the epoch was
 * read: a database that is replaced has ended it before. */
static struct saga_text epoch_now(struct reader *reader, unsigned *ret_number)
{
    struct saga_text epoch = saga_text(reader_epoch(reader, ret_number));

    if (epoch.len > 0 && pg_ended(atomic_load(&reader->database_fd)))
        return (struct saga_text){"", 0};
    return epoch;
}

/* The SETs first: who asks for what was just remembered shall find it. */
static void redis_serve(struct reader *reader, struct read *reads, size_t count)
{
    struct arena *arena = &reader->scratch;
    unsigned number;
    struct saga_text prefix = epoch_now(reader, &number);
    struct saga_text *keys = arena_alloc(arena, 2 * count * sizeof *keys);
    struct saga_text *values = keys + count;
    int64_t *seconds = arena_alloc(arena, count * sizeof *seconds);
    size_t sets = 0, gets = 0;
    bool set_ok = prefix.len > 0, get_ok = prefix.len > 0;

    for (struct read *read = reads; read != NULL; read = read->next) {
        if (read->kind != READ_REMEMBER || read->epoch != number)
            continue; /* the commit may have been one of the database before */
        keys[sets] = joined(arena, prefix, read->key);
        values[sets] = joined(arena, saga_text(READER_MEMORY_VERSION), read->value);
        seconds[sets++] = read->seconds;
    }
    if (sets > 0 && FAILPOINT(key_unremembered))
        set_ok = false;
    if (set_ok && sets > 0)
        atomic_store(&reader->redis_ok,
                     set_ok = redis_set(reader->redis, keys, values, seconds, sets));
    for (struct read *read = reads; read != NULL; read = read->next)
        if (read->kind == READ_RECALL)
            keys[gets++] = joined(arena, prefix, read->key);
    if (gets > 0 && FAILPOINT(key_unrecalled))
        get_ok = false;
    if (get_ok && gets > 0)
        atomic_store(&reader->redis_ok,
                     get_ok = redis_get(reader->redis, arena, keys, gets, values));
    gets = 0;
    for (struct read *read = reads, *next; read != NULL; read = next) {
        next = read->next;
        bool recall = read->kind == READ_RECALL;
        if (recall) {
            read->value = (struct saga_text){NULL, 0};
            if (get_ok)
                read->value = read_version(reader, values[gets]);
            if (read->value.at != NULL)
                read->value = arena_copy(read->arena, read->value);
            gets++;
        }
        reader_done(reader, read, recall ? get_ok : set_ok);
    }
    if (prefix.len > 0)
        reader->redis_used_us = system_monotonic_us();
    arena_reset(arena);
}

/* ---- the reader thread ---- */

/* What PostgreSQL would refuse, and with it the keys of everybody else in the statement. */
static bool key_sound(struct saga_text key, enum saga_type type)
{
    if (type == SAGA_UUID)
        return key.len == sizeof(struct saga_uuid);
    for (size_t i = 0; i < key.len;) {
        uint8_t first = (uint8_t)key.at[i++];
        size_t more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
        uint32_t code = more == 0 ? first : first & (0x3Fu >> more);
        static const uint32_t least[] = {1, 0x80, 0x800, 0x10000}; /* U+0000: never */
        if ((first >= 0x80 && first < 0xC2) || first > 0xF4 || more > key.len - i)
            return false;
        for (size_t j = 0; j < more; j++, i++) {
            if (((uint8_t)key.at[i] & 0xC0) != 0x80)
                return false;
            code = code << 6 | ((uint8_t)key.at[i] & 0x3F);
        }
        if (code < least[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
            return false;
    }
    return key.at != NULL;
}

static void reads_sort_out(struct reader *reader, struct read *reads)
{
    struct read *memory = NULL, **memory_last = &memory;
    size_t memory_count = 0;

    for (struct read *read = reads, *next; read != NULL; read = next) {
        next = read->next;
        read->row = NULL;
        memset(read->counts, 0, sizeof read->counts);
        read->reasons_count = 0;
        bool query = read->kind == READ_QUERY;
        if (read->kind == READ_RECALL || read->kind == READ_REMEMBER) {
            read->next = NULL;
            *memory_last = read;
            memory_last = &read->next;
            memory_count++;
        } else if ((query && !key_sound(read->key, read->query->shape->fields[0].type)) ||
                   (read->kind == READ_GAUGE && reader->service->gauge == NULL)) {
            reader_done(reader, read, true); /* there can be no such row */
        } else {
            if (!query) {
                read->query = NULL;
                read->key = (struct saga_text){NULL, 0};
            }
            reader_keep(reader, read);
        }
    }
    if (memory_count > 0)
        redis_serve(reader, memory, memory_count);
}

/* What a wait ended with. */
struct woken {
    struct read *reads;
    bool connected, stopping;
    enum turn turn;
    int64_t away_until_us;
};

static struct woken reader_wait(struct reader *reader)
{
    struct woken woken;

    pthread_mutex_lock(&reader->lock);
    for (;;) {
        int64_t now_us = system_monotonic_us();
        int64_t until_us = reader->redis_used_us + READER_PING_US;
        woken.away_until_us =
            reader->connected ? INT64_MAX : reader->away_since_us + AWAY_PATIENCE_US;
        if (reader->next_end_us < until_us)
            until_us = reader->next_end_us;
        if (reader->waiting != NULL && woken.away_until_us < until_us)
            until_us = woken.away_until_us;
        bool can_give = reader->waiting != NULL && reader->connected && reader->turn == FREE;
        if (can_give && reader->again_us < until_us)
            until_us = reader->again_us;
        if (reader->submitted != NULL || reader->turn == ANSWERED || reader->stopping ||
            until_us <= now_us)
            break;
        reader_wait_until(&reader->wake, &reader->lock, until_us);
    }
    woken.reads = reader->submitted;
    woken.connected = reader->connected;
    woken.stopping = reader->stopping;
    woken.turn = reader->turn;
    reader->submitted = NULL;
    reader->submitted_last = &reader->submitted;
    pthread_mutex_unlock(&reader->lock);
    return woken;
}

static void *reader_main(void *opaque)
{
    struct reader *reader = opaque;

    for (;;) {
        struct woken woken = reader_wait(reader);
        if (woken.stopping) {
            reads_sort_out(reader, woken.reads);
            reader_abandon(reader);
            return NULL;
        }
        bool is_free = woken.turn != GIVEN;
        if (woken.turn == ANSWERED)
            reader_deliver(reader);
        reads_sort_out(reader, woken.reads);
        int64_t now_us = system_monotonic_us();
        reader_expire(reader, now_us, woken.away_until_us <= now_us);
        if (is_free && woken.connected && reader->waiting != NULL && now_us >= reader->again_us)
            reader_give(reader);
        if (now_us >= reader->redis_used_us + READER_PING_US) {
            atomic_store(&reader->redis_ok, redis_alive(reader->redis));
            reader->redis_used_us = system_monotonic_us();
        }
    }
}

/* ---- start and stop ---- */

bool reader_start(struct reader *reader)
{
    sigset_t all, before;

    reader->away_since_us = system_monotonic_us();
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = pthread_create(&reader->thread, NULL, reader_main, reader) == 0;
    if (ok && pthread_create(&reader->database_thread, NULL, reader_database_main, reader) != 0)
        abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    reader->started = ok;
    return ok;
}

void reader_stop(struct reader *reader)
{
    struct timespec until;

    if (reader == NULL || !reader->started)
        return;
    reader->started = false;
    pthread_mutex_lock(&reader->lock);
    reader->stopping = true;
    pthread_cond_signal(&reader->wake);
    pthread_cond_signal(&reader->work);
    pthread_mutex_unlock(&reader->lock);
    pthread_join(reader->thread, NULL);
    /* A database that hangs shall not hold up the end of the process. */
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STOP_LIMIT_S;
    reader->stuck =
        pthread_clockjoin_np(reader->database_thread, NULL, CLOCK_MONOTONIC, &until) != 0;
}

void reader_free(struct reader *reader)
{
    if (reader == NULL)
        return;
    reader_stop(reader);
    if (reader->stuck)
        return; /* its thread still uses it */
    for (size_t i = 0; i < reader->round.count; i++)
        pg_result_free(reader->round.statements[i].result);
    for (struct prefix *prefix = reader->prefixes, *before; prefix != NULL; prefix = before) {
        before = prefix->before;
        free(prefix);
    }
    pg_free(reader->pg);
    redis_free(reader->redis);
    arena_free(&reader->round.arena);
    arena_free(&reader->scratch);
    pthread_cond_destroy(&reader->wake);
    pthread_cond_destroy(&reader->work);
    pthread_mutex_destroy(&reader->lock);
    free(reader);
}
