/* ports_http.h: what both tests of the HTTP port do: start it, and be its clients. Every test has a
 * server of its own. */
#include "ports/http.h"
#include "ports/system.h"
#include "support/clock.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FOR_EVER 60000 /* ms: longer than any test */
#define SOON 400
#define BIG ((size_t)16 * 1024 * 1024)
#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n"
#define POST "POST /now HTTP/1.1\r\nHost: a\r\n"
#define CLOSE "Connection: close\r\n\r\n"

/* ---- the server ---- */

static struct http_server *server;
static pthread_t thread;
static uint16_t port;
static _Atomic int asked, refused, over; /* how often */
static struct http_exchange *held[16]; /* the HTTP thread's: asked for /held, answered on a wake */
static _Atomic size_t held_count;

/* /now: answered at once with the size of the body; /held: on the next wake; /big: with much. */
static void on_request(void *opaque, struct http_exchange *exchange)
{
    (void)opaque;
    char text[32];
    bool hold = saga_text_equal(http_path(exchange), SAGA_TEXT("/held"));
    if (hold)
        held[held_count++] = exchange;
    asked++;
    if (hold)
        return;
    if (saga_text_equal(http_path(exchange), SAGA_TEXT("/big"))) {
        char *big = calloc(1, BIG);
        cr_assert_not_null(big);
        http_answer(exchange, 200, "text/plain", (struct saga_text){big, BIG});
        free(big);
    } else {
        snprintf(text, sizeof text, "%zu bytes", http_body(exchange).len);
        http_answer(exchange, 200, "text/plain", saga_text(text));
    }
}

static void on_refused(void *opaque, struct http_exchange *exchange, enum http_refusal why,
                       int status)
{
    (void)opaque, (void)why;
    refused++;
    struct saga_text id = http_header(exchange, "X-Request-Id");
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)id.len, id.len > 0 ? id.at : "");
    http_answer_header(exchange, "X-Request-Id", id.len > 0 ? text : "none");
    http_answer(exchange, status, "application/problem+json", SAGA_TEXT("{\"by\":\"the port\"}"));
}

static void on_over(void *opaque, struct http_exchange *exchange)
{
    (void)opaque, (void)exchange;
    over++;
}

static void on_woken(void *opaque)
{
    (void)opaque;
    while (held_count > 0)
        http_answer(held[--held_count], 200, "text/plain", SAGA_TEXT("held"));
}

static int on_tick(void *opaque)
{
    (void)opaque;
    return -1;
}

static void *run(void *opaque)
{
    (void)opaque;
    http_server_run(server);
    return NULL;
}

static void start(unsigned connections, int64_t idle_ms, int64_t request_ms, int64_t answer_ms)
{
    static const struct http_handler handler = {on_request, on_refused, on_over,
                                                on_woken,   on_tick,    NULL};
    struct http_limits limits = {connections, idle_ms, request_ms, answer_ms};
    char errbuf[200];
    for (int i = 0; server == NULL && i < 100; i++) {
        port = (uint16_t)(12000 + (getpid() + i * 100) % 20000);
        server = http_server_new("127.0.0.1", port, &handler, &limits, errbuf, sizeof errbuf);
    }
    cr_assert_not_null(server, "%s", errbuf);
    cr_assert_eq(pthread_create(&thread, NULL, run, NULL), 0);
}

static void start_patient(void)
{
    start(100, FOR_EVER, FOR_EVER, FOR_EVER);
}

/* The loop has ended or ends now; what was asked or refused is over, each once. */
static void end(void)
{
    pthread_join(thread, NULL);
    http_server_free(server);
    cr_assert_eq(over, asked + refused);
}

static void stop(void)
{
    http_server_stop(server);
    end();
}

/* ---- the clients ---- */

static int dial_slow(int buffer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval timeout = {.tv_sec = 10};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (buffer > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static int dial(void)
{
    int fd = dial_slow(0);
    cr_assert_geq(fd, 0);
    return fd;
}

/* As much as is taken: a server may stop listening in the middle. */
static void say(int fd, const char *bytes, size_t len)
{
    for (ssize_t sent; len > 0; bytes += sent, len -= (size_t)sent)
        if ((sent = send(fd, bytes, len, MSG_NOSIGNAL)) <= 0)
            return;
}

static void say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

/* All that comes until the server closes. */
static const char *hear(int fd)
{
    static char text[65536];
    size_t len = 0;
    for (ssize_t got; (got = recv(fd, text + len, sizeof text - 1 - len, 0)) > 0;)
        len += (size_t)got;
    text[len] = '\0';
    close(fd);
    return text;
}

static int status_of(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? (int)strtol(answer + 9, NULL, 10) : 0;
}

static bool is_ours(const char *answer)
{
    return strstr(answer, "{\"by\":\"the port\"}") != NULL;
}

static void wait_for(_Atomic int *count, int value)
{
    for (int64_t end_us = system_monotonic_us() + 10000000; *count < value;)
        cr_assert_lt(system_monotonic_us(), end_us);
}
