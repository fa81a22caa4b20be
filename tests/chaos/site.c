/* site.c: what is the same in every form: the parts' names, and asking them. */
#include "site.h"

#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/client.h"
#include "support/clock.h"
#include "support/http.h"
#include "support/stack.h"

#define ASK_MS 2000

const char *const part_names[PARTS] = {"postgres",    "redis",         "kafka",       "order-svc",
                                       "payment-svc", "inventory-svc", "shipping-svc"};

static bool service_ready(enum part part)
{
    static const char *const addresses[PARTS] = {[PART_ORDER] = "ORDER_API",
                                                 [PART_PAYMENT] = "PAYMENT_OPS",
                                                 [PART_INVENTORY] = "INVENTORY_API",
                                                 [PART_SHIPPING] = "SHIPPING_OPS"};
    struct http_answer *answer =
        http_call(stack_address(addresses[part]), "GET", "/readyz", NULL, NULL, ASK_MS);
    bool ready = answer->status == 200;
    http_answer_free(answer);
    return ready;
}

static bool postgres_ready(void)
{
    const char *const names[] = {"dbname", "connect_timeout", NULL};
    const char *const values[] = {stack_address("ADMIN_DB"), "2", NULL};
    /* Who is let in has had its name and database looked up in tables. */
    PGconn *connection = PQconnectdbParams(names, values, 1);
    bool ready = PQstatus(connection) == CONNECTION_OK;
    PQfinish(connection);
    return ready;
}

static bool redis_ready(void)
{
    const struct timeval timeout = {ASK_MS / 1000, ASK_MS % 1000 * 1000};
    char host[32];
    int port;

    if (sscanf(stack_address("REDIS_URL"), "redis://%31[0-9.]:%d", host, &port) != 2)
        return false;
    redisContext *redis = redisConnectWithTimeout(host, port, timeout);
    if (redis == NULL || redis->err != 0 || redisSetTimeout(redis, timeout) != REDIS_OK) {
        redisFree(redis);
        return false;
    }
    redisReply *reply = redisCommand(redis, "PING");
    bool ready = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    redisFree(redis);
    return ready;
}

/* A broker that is still fenced off answers too, but names no brokers. */
static bool kafka_ready(void)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_t *kafka = client_new(stack_address("KAFKA_BOOTSTRAP"), NULL);

    if (kafka == NULL)
        return false;
    bool ready = rd_kafka_metadata(kafka, 1, NULL, &metadata, ASK_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (ready) {
        ready = metadata->broker_cnt > 0 && metadata->topic_cnt > 0;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_destroy(kafka);
    return ready;
}

static bool answers(enum part part)
{
    switch (part) {
    case PART_POSTGRES:
        return postgres_ready();
    case PART_REDIS:
        return redis_ready();
    case PART_KAFKA:
        return kafka_ready();
    default:
        return service_ready(part);
    }
}

bool site_ready(const struct site *site, enum part part, int seconds)
{
    return site_all_ready(site, PART(part), seconds);
}

bool site_all_ready(const struct site *site, unsigned parts, int seconds)
{
    int64_t end_us = clock_us() + (int64_t)seconds * 1000000;

    for (unsigned part = 0; part < PARTS; part++) {
        if (!(parts & PART(part)))
            continue;
        while (site->pid(part) == 0 || !answers(part)) {
            if (clock_us() >= end_us)
                return false;
            clock_pause_ms(50);
        }
    }
    return true;
}

long long site_process_born(pid_t pid)
{
    char path[40], line[512], state;
    long long born;

    if (pid <= 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    /* The name in brackets may hold anything. */
    const char *rest = fgets(line, sizeof line, file) == NULL ? NULL : strrchr(line, ')');
    fclose(file);
    if (rest == NULL ||
        sscanf(rest,
               ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s"
               " %*s %*s %*s %*s %*s %*s %*s %*s %*s %lld",
               &state, &born) != 2 ||
        state == 'Z' || state == 'X')
        return 0;
    return born;
}

long long site_born(const struct site *site, enum part part)
{
    return site_process_born(site->pid(part));
}
