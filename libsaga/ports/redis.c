/* redis.c: pipelined GETs and SETs over one hiredis connection that never slows its caller much. */
#include "ports/redis.h"

#include "ports/system.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define REDIS_LIMIT_US 200000 /* for a connection, and for each wait for bytes */
#define REDIS_BACKOFF_MIN_US 100000
#define REDIS_BACKOFF_MAX_US 2000000
#define REDIS_PIPELINE_MAX 512 /* commands on their way at once */

struct redis {
    char host[256];
    uint16_t port;
    int database;
    redisContext *context; /* NULL: not connected */
    unsigned failures;     /* in a row */
    int64_t resume_us;     /* not tried before */
};

/* "host[:port][/db]"; false if it is none. */
static bool url_read(const char *url, struct redis *redis)
{
    static const char scheme[] = "redis://";

    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *at = url + sizeof scheme - 1;
    size_t len = strcspn(at, ":/@?#");
    if (len == 0 || len >= sizeof redis->host)
        return false;
    memcpy(redis->host, at, len);
    at += len;
    redis->port = 6379;
    char *end;
    if (*at == ':') {
        unsigned long port = strtoul(at + 1, &end, 10);
        if (end == at + 1 || at[1] < '0' || at[1] > '9' || port == 0 || port > UINT16_MAX)
            return false;
        redis->port = (uint16_t)port;
        at = end;
    }
    if (*at == '/' && at[1] != '\0') {
        unsigned long database = strtoul(at + 1, &end, 10);
        if (at[1] < '0' || at[1] > '9' || database > 16383)
            return false;
        redis->database = (int)database;
        at = end;
    } else if (*at == '/') {
        at++;
    }
    return *at == '\0';
}

struct redis *redis_new(const char *url, char *errbuf, size_t errbuf_size)
{
    struct redis *redis = calloc(1, sizeof *redis);

    if (redis == NULL)
        abort();
    if (!url_read(url, redis)) {
        snprintf(errbuf, errbuf_size, "not a Redis URL of the form redis://host:port/db: %s", url);
        free(redis);
        return NULL;
    }
    return redis;
}

static void redis_hang_up(struct redis *redis)
{
    if (redis->context != NULL)
        redisFree(redis->context);
    redis->context = NULL;
}

void redis_free(struct redis *redis)
{
    if (redis == NULL)
        return;
    redis_hang_up(redis);
    free(redis);
}

static void redis_fail(struct redis *redis)
{
    int64_t wait_us = REDIS_BACKOFF_MIN_US << (redis->failures < 5 ? redis->failures : 5);

    redis_hang_up(redis);
    redis->failures++;
    if (wait_us > REDIS_BACKOFF_MAX_US)
        wait_us = REDIS_BACKOFF_MAX_US;
    redis->resume_us = system_monotonic_us() + wait_us;
}

/* hiredis 0.14 writes with write(): without this a Redis that went away would kill the process.
 * The signal is the writing thread's own, and the connection belongs to one thread. */
static void pipe_signal_block(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static bool redis_select(struct redis *redis)
{
    if (redis->database == 0)
        return true;
    redisReply *reply = redisCommand(redis->context, "SELECT %d", redis->database);
    bool ok = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    return ok;
}

/* Connected, unless the back-off says "not now". */
static bool redis_ready(struct redis *redis)
{
    struct timeval limit = {.tv_sec = 0, .tv_usec = REDIS_LIMIT_US};

    if (redis->context != NULL)
        return true;
    if (redis->failures > 0 && system_monotonic_us() < redis->resume_us)
        return false;
    pipe_signal_block();
    redis->context = redisConnectWithTimeout(redis->host, redis->port, limit);
    if (redis->context == NULL || redis->context->err != 0 ||
        redisSetTimeout(redis->context, limit) != REDIS_OK || !redis_select(redis)) {
        redis_fail(redis);
        return false;
    }
    return true;
}

/* One command of a round: its words, and who takes the reply (false: it says "I cannot"). */
struct redis_round {
    int (*words)(void *opaque, size_t index, const char *ret_words[5], size_t ret_lens[5]);
    bool (*take)(void *opaque, size_t index, const redisReply *reply);
    void *opaque;
};

/* False with context->err set if the connection failed; *ret_able false if Redis said "cannot". */
static bool round_part(struct redis *redis, const struct redis_round *round, size_t from, size_t to,
                       bool *ret_able)
{
    const char *words[5];
    size_t lens[5];

    for (size_t i = from; i < to; i++) {
        int count = round->words(round->opaque, i, words, lens);
        if (redisAppendCommandArgv(redis->context, count, words, lens) != REDIS_OK)
            return false;
    }
    for (size_t i = from; i < to; i++) {
        void *reply = NULL;
        if (redisGetReply(redis->context, &reply) != REDIS_OK)
            return false;
        if (!round->take(round->opaque, i, reply))
            *ret_able = false;
        freeReplyObject(reply);
    }
    return true;
}

static bool round_run(struct redis *redis, const struct redis_round *round, size_t count)
{
    bool able = true;

    for (int attempt = 0; attempt < 2; attempt++) {
        bool fresh = redis->context == NULL;
        if (!redis_ready(redis))
            return false;
        bool ok = true;
        for (size_t from = 0; ok && from < count; from += REDIS_PIPELINE_MAX) {
            size_t left = count - from;
            ok = round_part(redis, round, from,
                            from + (left < REDIS_PIPELINE_MAX ? left : REDIS_PIPELINE_MAX), &able);
        }
        if (ok) {
            redis->failures = 0;
            return able;
        }
        /* A restarted Redis closed the idle connection: that alone is no reason to wait. */
        bool closed =
            redis->context->err == REDIS_ERR_EOF ||
            (redis->context->err == REDIS_ERR_IO && (errno == EPIPE || errno == ECONNRESET));
        if (fresh || !closed) {
            redis_fail(redis);
            return false;
        }
        redis_hang_up(redis);
        able = true;
    }
    return false;
}

/* ---- GET ---- */

struct get_round {
    struct arena *arena;
    const struct saga_text *keys;
    struct saga_text *values;
};

static int get_words(void *opaque, size_t index, const char *ret_words[5], size_t ret_lens[5])
{
    const struct get_round *get = opaque;

    ret_words[0] = "GET", ret_lens[0] = 3;
    ret_words[1] = get->keys[index].at, ret_lens[1] = get->keys[index].len;
    return 2;
}

static bool get_take(void *opaque, size_t index, const redisReply *reply)
{
    struct get_round *get = opaque;

    get->values[index] = (struct saga_text){NULL, 0};
    if (reply->type == REDIS_REPLY_STRING)
        get->values[index] =
            arena_copy(get->arena, (struct saga_text){reply->str, (size_t)reply->len});
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_NIL;
}

bool redis_get(struct redis *redis, struct arena *arena, const struct saga_text *keys, size_t count,
               struct saga_text *ret_values)
{
    struct get_round get = {arena, keys, ret_values};
    struct redis_round round = {get_words, get_take, &get};

    if (count == 0 || round_run(redis, &round, count))
        return true;
    for (size_t i = 0; i < count; i++)
        ret_values[i] = (struct saga_text){NULL, 0};
    return false;
}

/* ---- SET ---- */

struct set_round {
    const struct saga_text *keys, *values;
    const int64_t *seconds;
    char number[24];
};

static int set_words(void *opaque, size_t index, const char *ret_words[5], size_t ret_lens[5])
{
    struct set_round *set = opaque;
    int64_t seconds = set->seconds[index] > 0 ? set->seconds[index] : 1;

    ret_words[0] = "SET", ret_lens[0] = 3;
    ret_words[1] = set->keys[index].at, ret_lens[1] = set->keys[index].len;
    ret_words[2] = set->values[index].at, ret_lens[2] = set->values[index].len;
    ret_words[3] = "EX", ret_lens[3] = 2;
    ret_words[4] = set->number;
    ret_lens[4] = (size_t)snprintf(set->number, sizeof set->number, "%lld", (long long)seconds);
    return 5;
}

static bool set_take(void *opaque, size_t index, const redisReply *reply)
{
    (void)opaque;
    (void)index;
    return reply->type == REDIS_REPLY_STATUS;
}

bool redis_set(struct redis *redis, const struct saga_text *keys, const struct saga_text *values,
               const int64_t *seconds, size_t count)
{
    struct set_round set = {.keys = keys, .values = values, .seconds = seconds};
    struct redis_round round = {set_words, set_take, &set};

    return count == 0 || round_run(redis, &round, count);
}

/* ---- PING ---- */

static int ping_words(void *opaque, size_t index, const char *ret_words[5], size_t ret_lens[5])
{
    (void)opaque;
    (void)index;
    ret_words[0] = "PING", ret_lens[0] = 4;
    return 1;
}

bool redis_alive(struct redis *redis)
{
    struct redis_round round = {ping_words, set_take, NULL};

    return round_run(redis, &round, 1);
}
