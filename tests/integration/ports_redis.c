/*
 * ports_redis.c: the Redis port alone: against a real server (REDIS_URL), and against one of our
 * own that says what a real one says seldom.
 */
#include "ports/redis.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/clock.h"

#define LIMIT_US 200000 /* the port's own: for a connection, and for each wait */
#define MANY 2000       /* more than are on their way at once, 512 */

static struct arena arena;
static char why[256];

static struct redis *redis_of(const char *url)
{
    struct redis *redis = redis_new(url, why, sizeof why);
    cr_assert_not_null(redis, "%s", why);
    return redis;
}

static struct saga_text numbered(const char *name, int64_t number)
{
    char text[80];
    int len =
        snprintf(text, sizeof text, "test:%d:%s:%lld", (int)getpid(), name, (long long)number);
    return arena_copy(&arena, (struct saga_text){text, (size_t)len});
}

TestSuite(redis, .timeout = 60);

Test(redis, urls)
{
    static const struct {
        const char *url;
        bool good;
    } cases[] = {
        {"redis://127.0.0.1", true},
        {"redis://127.0.0.1:6379", true},
        {"redis://localhost:1/", true},
        {"redis://h:65535/16383", true},
        {"", false},
        {"redis://", false},
        {"redis://:6379", false},
        {"rediss://h:6379", false}, /* no TLS here: not silently without */
        {"redis://user:secret@h:6379", false},
        {"http://h", false},
        {"redis://h:", false},
        {"redis://h:0", false},
        {"redis://h:65536", false},
        {"redis://h:-1", false},
        {"redis://h:6379x", false},
        {"redis://h:6379/x", false},
        {"redis://h:6379/-1", false},
        {"redis://h:6379/16384", false},
        {"redis://h:6379/0/", false},
        {"redis://h:6379?db=1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct redis *redis = redis_new(cases[i].url, why, sizeof why);
        cr_assert_eq(redis != NULL, cases[i].good, "%s", cases[i].url);
        if (redis == NULL)
            cr_assert_not_null(strstr(why, cases[i].url), "%s", why);
        redis_free(redis);
    }
    char url[400];
    for (size_t len = 255; len <= 256; len++) { /* the longest name, and one more */
        snprintf(url, sizeof url, "redis://%0*d", (int)len, 0);
        struct redis *redis = redis_new(url, why, sizeof why);
        cr_assert_eq(redis != NULL, len == 255);
        redis_free(redis);
    }
    redis_free(NULL);
}

Test(redis, what_was_set_is_there)
{
    const char *url = getenv("REDIS_URL");
    cr_assert_not_null(url, "REDIS_URL is not set; deploy/env prints it");
    struct redis *redis = redis_of(url);
    struct saga_text keys[MANY], values[MANY], found[MANY];
    int64_t seconds[MANY];
    cr_assert(redis_alive(redis));
    cr_assert(redis_get(redis, &arena, keys, 0, found));
    cr_assert(redis_set(redis, keys, values, seconds, 0));
    for (size_t i = 0; i < MANY; i++) {
        keys[i] = numbered("key", (int64_t)i);
        values[i] = numbered("value", (int64_t)i);
        seconds[i] = i == 3 ? 0 : 60; /* 0 counts as 1: never for ever */
    }
    values[1] = (struct saga_text){"", 0};
    values[2] = (struct saga_text){"a\0b\r\n$-1\r\n", 10};
    cr_assert(redis_set(redis, keys, values, seconds, MANY));
    keys[MANY - 1] = numbered("nobody", 0);
    cr_assert(redis_get(redis, &arena, keys, MANY, found));
    for (size_t i = 0; i < MANY - 1; i++)
        cr_assert(saga_text_equal(found[i], values[i]), "%zu", i);
    cr_assert_null(found[MANY - 1].at);
    cr_assert(CLOCK_UNTIL(5, (redis_get(redis, &arena, keys + 3, 1, found), found[0].at == NULL)));
    redis_free(redis);
}

/* ---- a server of our own: says the same to everything ---- */

static struct {
    int fd;
    pthread_t thread;
    const char *says; /* NULL: nothing, and it keeps the connection */
    bool closes;      /* after an answer */
    atomic_int accepted;
    char url[64];
} server;

static void *serve(void *opaque)
{
    char bytes[4096];
    int fd;
    while ((fd = accept(server.fd, NULL, NULL)) >= 0) {
        atomic_fetch_add(&server.accepted, 1);
        while (read(fd, bytes, sizeof bytes) > 0) {
            if (server.says != NULL && send(fd, server.says, strlen(server.says), MSG_NOSIGNAL) < 0)
                break;
            if (server.closes)
                break;
        }
        close(fd);
    }
    return opaque;
}

static void server_begin(const char *says, bool closes)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.says = says;
    server.closes = closes;
    server.fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(server.fd, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(server.fd, 8), 0);
    cr_assert_eq(getsockname(server.fd, (struct sockaddr *)&address, &size), 0);
    snprintf(server.url, sizeof server.url, "redis://127.0.0.1:%d", ntohs(address.sin_port));
    cr_assert_eq(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void server_end(void)
{
    shutdown(server.fd, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.fd);
}

/* For each kind of answer: what a GET, a SET and a PING make of it. */
Test(redis, answers_of_every_kind)
{
    static const struct {
        const char *says;
        bool get, set;
        const char *value; /* of the GET */
    } cases[] = {
        {"$3\r\nabc\r\n", true, false, "abc"},
        {"$0\r\n\r\n", true, false, ""},
        {"$-1\r\n", true, false, NULL},
        {"+OK\r\n", false, true, NULL},
        {":7\r\n", false, false, NULL},
        {"*0\r\n", false, false, NULL},
        {"*2\r\n$1\r\na\r\n$1\r\nb\r\n", false, false, NULL},
        {"-ERR no\r\n", false, false, NULL},
        {"-OOM command not allowed\r\n", false, false, NULL},
        {"-LOADING Redis is loading\r\n", false, false, NULL},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", false, false, NULL},
        {"$999999999999999999999\r\n", false, false, NULL},
        {"", false, false, NULL}, /* closes */
        {"$5\r\nab", false, false, NULL},
    };
    struct saga_text key = SAGA_TEXT("k"), value = SAGA_TEXT("v"), found;
    int64_t second = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        server_begin(cases[i].says, true);
        struct redis *redis = redis_of(server.url);
        found = SAGA_TEXT("of old");
        cr_assert_eq(redis_get(redis, &arena, &key, 1, &found), cases[i].get, "GET: %s",
                     cases[i].says);
        cr_assert_eq(found.at == NULL, cases[i].value == NULL, "GET: %s", cases[i].says);
        if (cases[i].value != NULL)
            cr_assert(saga_text_equal(found, saga_text(cases[i].value)));
        redis_free(redis);
        redis = redis_of(server.url);
        cr_assert_eq(redis_set(redis, &key, &value, &second, 1), cases[i].set, "SET: %s",
                     cases[i].says);
        redis_free(redis);
        redis = redis_of(server.url);
        cr_assert_eq(redis_alive(redis), cases[i].set, "PING: %s", cases[i].says);
        redis_free(redis);
        server_end();
    }
}

/* One that hangs costs its caller the limit, once; then it is not asked for a while, but again. */
Test(redis, a_server_that_hangs)
{
    server_begin(NULL, false);
    struct redis *redis = redis_of(server.url);
    int64_t from_us = clock_us();
    cr_assert_not(redis_alive(redis));
    cr_assert_lt(clock_us() - from_us, 2 * LIMIT_US);
    from_us = clock_us();
    for (int i = 0; i < 100; i++)
        cr_assert_not(redis_alive(redis));
    cr_assert_lt(clock_us() - from_us, LIMIT_US / 4);
    cr_assert_eq(atomic_load(&server.accepted), 1);
    server.says = "+PONG\r\n";
    cr_assert(CLOCK_UNTIL(5, redis_alive(redis)), "it is never asked again");
    redis_free(redis);
    server_end();
}

Test(redis, a_server_that_is_away)
{
    server_begin("+PONG\r\n", false);
    struct redis *redis = redis_of(server.url);
    server_end();
    int64_t from_us = clock_us();
    struct saga_text key = SAGA_TEXT("k"), found = SAGA_TEXT("of old");
    for (int i = 0; i < 100; i++)
        cr_assert_not(redis_get(redis, &arena, &key, 1, &found));
    cr_assert_lt(clock_us() - from_us, LIMIT_US);
    cr_assert_null(found.at);
    redis_free(redis);
}

/* A server that was restarted meanwhile has closed the connection: no reason to fail or wait. */
Test(redis, a_connection_that_was_closed)
{
    server_begin("+PONG\r\n", true);
    struct redis *redis = redis_of(server.url);
    for (int i = 1; i <= 5; i++) {
        cr_assert(redis_alive(redis), "%d", i);
        cr_assert_eq(atomic_load(&server.accepted), i);
    }
    redis_free(redis);
    server_end();
}
