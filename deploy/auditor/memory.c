/* memory.c: SCAN and MGET over all keys of the order database as it is now. */
#include "memory.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text.h"

#define SCAN_COUNT 1000
#define SLACK_S 600 /* for clocks, and an audit takes its time */

/* redis://host:port/db */
static redisContext *dial(const char *url)
{
    char host[128];
    int port = 0, number = 0;
    if (sscanf(url, "redis://%127[^:/]:%d/%d", host, &port, &number) < 2) {
        fprintf(stderr, "audit: REDIS_URL is not redis://host:port/number\n");
        return NULL;
    }
    redisContext *redis = redisConnectWithTimeout(host, port, (struct timeval){3, 0});
    if (redis != NULL && redis->err == 0 && number != 0)
        freeReplyObject(redisCommand(redis, "SELECT %d", number));
    if (redis != NULL && redis->err == 0)
        return redis;
    fprintf(stderr, "audit: redis: %s\n", redis ? redis->errstr : "no memory");
    if (redis != NULL)
        redisFree(redis);
    return NULL;
}

/*
 * Redis was told to keep the key for as long as the database keeps the row, and some of that time
 * may be over: so a row that is younger than what is left of it has not been let go. This asks for
 * no setting, which is the services' and not ours. left_s: -1: for ever.
 */
static bool may_be_gone(long long created_us, long long left_s)
{
    return left_s != -1 && left_s <= (int64_t)time(NULL) - created_us / 1000000 + SLACK_S;
}

static size_t later_values;

/* value: "1 <order id> <fingerprint> <created> <deadline>", 1 being its version. What is none of it
 * is a lie too, about an order that no database has; but one of a later version is not understood
 * by the services either. */
static bool add(struct spill *spill, const char *key, const char *value, long long left_s)
{
    char *version_end;
    if (strtol(value, &version_end, 10) > 1 && *version_end == ' ') {
        later_values++;
        return true;
    }
    struct entry entry = {.kind = ENTRY_KEY};
    char id[64] = "", fingerprint[128] = "", *text;
    long long created_us = 0, deadline_us = 0;
    if (sscanf(value, "1 %63s %127s %lld %lld", id, fingerprint, &created_us, &deadline_us) != 4 ||
        !text_uuid(id, strlen(id), &entry.id))
        memset(&entry.id, 0xff, sizeof entry.id);
    /* Redis takes keys of any length. */
    int len = asprintf(&text, "%s %s %lld %lld", key, fingerprint, created_us, deadline_us);
    if (len < 0)
        abort();
    entry.hash = text_hash(text, (size_t)len);
    free(text);
    entry.state = may_be_gone(created_us, left_s);
    return spill_add(spill, &entry);
}

static bool read_values(redisContext *redis, const redisReply *keys, size_t prefix_len,
                        struct spill *spill)
{
    bool good = true;
    for (size_t i = 0; i < keys->elements; i++) {
        redisAppendCommand(redis, "TTL %b", keys->element[i]->str, keys->element[i]->len);
        redisAppendCommand(redis, "GET %b", keys->element[i]->str, keys->element[i]->len);
    }
    for (size_t i = 0; i < keys->elements; i++) {
        redisReply *left = NULL, *value = NULL;
        bool got = redisGetReply(redis, (void **)&left) == REDIS_OK &&
                   redisGetReply(redis, (void **)&value) == REDIS_OK;
        if (got && left->type == REDIS_REPLY_INTEGER && value->type == REDIS_REPLY_STRING)
            good =
                good && add(spill, keys->element[i]->str + prefix_len, value->str, left->integer);
        freeReplyObject(left);
        freeReplyObject(value);
        if (!got)
            return false;
    }
    return good;
}

bool memory_read(const char *redis_url, const char *prefix, struct spill *spill)
{
    redisContext *redis = dial(redis_url);
    if (redis == NULL)
        return false;
    char cursor[32] = "0", pattern[128];
    bool good = true;
    later_values = 0;
    snprintf(pattern, sizeof pattern, "%s*", prefix);
    do {
        redisReply *reply =
            redisCommand(redis, "SCAN %s MATCH %s COUNT %d", cursor, pattern, SCAN_COUNT);
        good = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
        if (good) {
            snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
            good = read_values(redis, reply->element[1], strlen(prefix), spill);
        }
        freeReplyObject(reply);
    } while (good && strcmp(cursor, "0") != 0);
    if (!good)
        fprintf(stderr, "audit: redis: its keys could not be read: %s\n", redis->errstr);
    if (later_values > 0)
        fprintf(stderr, "audit: redis: %zu values of a later version, not checked\n", later_values);
    redisFree(redis);
    return good;
}
