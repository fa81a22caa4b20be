/*
 * redis.c: a URL as somebody set it, and what a Redis may answer: through the port, over hiredis'
 * own reader, with a connection that only listens. A value that is given back is one that was sent.
 *
 * Input: the URL up to the first newline; the rest is what the server says.
 */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "ports/redis.h"

#define KEYS 3

static redisReader *reader;
static redisContext connection;

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* ---- hiredis, without a socket ---- */

redisContext *redisConnectWithTimeout(const char *ip, int port, const struct timeval tv)
{
    (void)tv;
    check(*ip != '\0' && port > 0 && port <= 65535);
    connection.err = 0;
    return &connection;
}

int redisSetTimeout(redisContext *context, const struct timeval tv)
{
    (void)context, (void)tv;
    return REDIS_OK;
}

int redisAppendCommandArgv(redisContext *context, int argc, const char **argv, const size_t *lens)
{
    (void)context;
    for (int i = 0; i < argc; i++)
        check(argv[i] != NULL && lens[i] > 0);
    return REDIS_OK;
}

int redisGetReply(redisContext *context, void **reply)
{
    *reply = NULL;
    if (redisReaderGetReply(reader, reply) != REDIS_OK)
        context->err = REDIS_ERR_PROTOCOL;
    else if (*reply == NULL) /* it hung up in the middle */
        context->err = REDIS_ERR_EOF;
    return context->err == 0 ? REDIS_OK : REDIS_ERR;
}

void *redisCommand(redisContext *context, const char *format, ...)
{
    void *reply;
    (void)format;
    return redisGetReply(context, &reply) == REDIS_OK ? reply : NULL;
}

void redisFree(redisContext *context)
{
    (void)context;
}

/* ---- the input ---- */

/* hiredis 0.14 believes any number of elements, and asks for the memory: that is not ours. */
static bool is_huge(const char *at, size_t len)
{
    for (size_t i = 0; i + 4 < len; i++)
        if (at[i] == '*' && strspn(at + i + 1, "0123456789+- ") > 3)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    static const struct saga_text keys[KEYS] = {{"a", 1}, {"b", 1}, {"c", 1}};
    static const int64_t seconds[KEYS] = {1, 0, 90000};
    struct saga_text values[KEYS];
    char why[300] = "", *text = malloc(size + 1);
    check(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    char *said = text, *url = strsep(&said, "\n");
    size_t said_len = said ? size - (size_t)(said - text) : 0;
    struct redis *redis = redis_new(url, why, sizeof why);
    check((redis == NULL) == (*why != '\0'));
    if (redis != NULL && said != NULL && !is_huge(said, said_len)) {
        reader = redisReaderCreate();
        redisReaderFeed(reader, said, said_len);
        redis_get(redis, &arena, keys, KEYS, values);
        for (size_t i = 0; i < KEYS; i++)
            check(values[i].at == NULL || values[i].len == 0 ||
                  memmem(said, said_len, values[i].at, values[i].len) != NULL);
        redis_set(redis, keys, keys, seconds, KEYS);
        redis_alive(redis);
        redisReaderFree(reader);
    }
    redis_free(redis);
    free(text);
    arena_reset(&arena);
    return 0;
}
