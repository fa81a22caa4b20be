/*
 * ports_http.c: the HTTP port, started here, against clients that keep the rules to the byte, break
 * them by a byte, take their time, or go away. Every test has a server of its own.
 */
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
    const char *id = http_header(exchange, "X-Request-Id");
    http_answer_header(exchange, "X-Request-Id", id ? id : "none");
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

TestSuite(ports_http, .timeout = 60);

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

/* One answer with a short body, on a connection that goes on. */
static const char *hear_one(int fd, const char *its_end)
{
    static char text[4096];
    size_t len = 0;
    do {
        ssize_t got = recv(fd, text + len, sizeof text - 1 - len, 0);
        cr_assert_gt(got, 0, "after %.*s", (int)len, text);
        len += (size_t)got;
        text[len] = '\0';
    } while (strstr(text, its_end) == NULL);
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

/* ---- sizes ---- */

struct request {
    char *text;
    size_t len;
};

static void put(struct request *request, const char *bytes, size_t len)
{
    request->text = realloc(request->text, request->len + len);
    cr_assert_not_null(request->text);
    memcpy(request->text + request->len, bytes, len);
    request->len += len;
}

static void put_text(struct request *request, const char *text)
{
    put(request, text, strlen(text));
}

static void put_many(struct request *request, char byte, size_t count)
{
    char *many = malloc(count + 1);
    cr_assert_not_null(many);
    memset(many, byte, count);
    put(request, many, count);
    free(many);
}

#define HOST "Host: a\r\nConnection: close\r\n"
#define HOST_SIZE (4 + 1 + 4 + 10 + 5 + 4)
#define HOST_FIELDS 2

/* How an answer begins that libmicrohttpd sent, and one that went past it because of a cut. */
#define READ "413 Content Too Large\r\nDate"
#define CUT "413 Content Too Large\r\nConnection"

/* Zero: as little as will do. A chunked body is sent in chunks of 60000 bytes. */
struct size {
    size_t target, headers, fields, body;
    bool chunked;
    int status;
    const char *part; /* of the answer */
    bool library;     /* its answer, not ours */
};

static void put_head(struct request *request, const struct size *size)
{
    char line[80];
    put_text(request, size->body > 0 ? "POST /now?" : "GET /now?");
    put_many(request, 't', size->target > 5 ? size->target - 5 : 0);
    put_text(request, " HTTP/1.1\r\n" HOST);
    for (size_t i = HOST_FIELDS; i < size->fields; i++)
        put_text(request, "A: b\r\n");
    /* Of 1000 bytes each, the last as long as it takes. */
    for (size_t left = size->headers ? size->headers - HOST_SIZE : 0; left > 0;) {
        size_t now = left >= 2000 ? 1000 : left;
        put_text(request, "B: ");
        put_many(request, 'b', now - 5);
        put_text(request, "\r\n");
        left -= now;
    }
    if (size->chunked)
        put_text(request, "Transfer-Encoding: chunked\r\n");
    snprintf(line, sizeof line, "Content-Length: %zu\r\n", size->body);
    if (size->body > 0 && !size->chunked)
        put_text(request, line);
    put_text(request, "\r\n");
}

static void put_body(struct request *request, const struct size *size)
{
    char line[20];
    for (size_t left = size->body; left > 0;) {
        size_t now = size->chunked && left > 60000 ? 60000 : left;
        snprintf(line, sizeof line, "%zx\r\n", now);
        if (size->chunked)
            put_text(request, line);
        put_many(request, 'c', now);
        if (size->chunked)
            put_text(request, "\r\n");
        left -= now;
    }
    if (size->chunked)
        put_text(request, "0\r\n\r\n");
}

static void expect(const struct size *size)
{
    struct request request = {0};
    put_head(&request, size);
    put_body(&request, size);
    int fd = dial(), asked_before = asked;
    say(fd, request.text, request.len);
    const char *answer = hear(fd);
    cr_expect_eq(status_of(answer), size->status, "%zu %zu %zu %zu: %.80s", size->target,
                 size->headers, size->fields, size->body, answer);
    cr_expect(size->part == NULL || strstr(answer, size->part) != NULL, "%s", answer);
    cr_expect_eq(is_ours(answer), size->status >= 400 && !size->library, "%.300s", answer);
    cr_expect_eq(asked - asked_before, size->status == 200);
    free(request.text);
}

Test(ports_http, sizes)
{
    static const struct size sizes[] = {
        {.body = 1, .status = 200, .part = "1 bytes"},
        {.body = HTTP_BODY_MAX, .status = 200, .part = "65536 bytes"},
        {.body = HTTP_BODY_MAX + 1, .status = 413},
        {.chunked = true, .body = HTTP_BODY_MAX, .status = 200, .part = "65536 bytes"},
        {.chunked = true, .body = HTTP_BODY_MAX + 1, .status = 413},
        {.chunked = true, .body = HTTP_BODY_MAX + HTTP_SWALLOW_MAX, .status = 413, .part = READ},
        {.chunked = true, .body = HTTP_BODY_MAX + HTTP_SWALLOW_MAX + 1, .status = 413, .part = CUT},
        {.chunked = true, .body = 20000000, .status = 413, .part = CUT},
        {.target = HTTP_TARGET_MAX, .status = 200},
        {.target = HTTP_TARGET_MAX + 1, .status = 414},
        {.target = 20000, .status = 414},
        {.target = 60000, .status = 414, .library = true},
        {.headers = HTTP_HEADERS_MAX, .status = 200},
        {.headers = HTTP_HEADERS_MAX + 1, .status = 431},
        {.headers = 28000, .status = 431},
        {.headers = 60000, .status = 431, .library = true},
        {.headers = 1000000, .status = 431, .library = true},
        {.fields = HTTP_FIELDS_MAX, .status = 200},
        {.fields = HTTP_FIELDS_MAX + 1, .status = 431},
        {.fields = 300, .status = 431},
        {.fields = 5000, .status = 431, .library = true},
        {.target = HTTP_TARGET_MAX, .headers = HTTP_HEADERS_MAX, .status = 200},
        {.target = HTTP_TARGET_MAX, .headers = HTTP_HEADERS_MAX + 1, .status = 431},
    };
    start_patient();
    for (size_t i = 0; i < COUNT(sizes); i++)
        expect(&sizes[i]);
    stop();
}

/* ---- forms ---- */

/* What is sent, then no more (half_close), and what comes back before the end. */
Test(ports_http, forms)
{
    static const struct {
        const char *bytes;
        bool half_close;
        int status, asked;
        const char *part, *no_part; /* of the answer */
    } forms[] = {
        {GET("/now") CLOSE, false, 200, 1, "\r\n\r\n0 bytes", NULL},
        {GET("/now") CLOSE, true, 200, 1, "\r\n\r\n0 bytes", NULL},
        {"HEAD /now HTTP/1.1\r\nHost: a\r\n" CLOSE, false, 200, 1, "Content-Length: 7\r\n",
         "0 bytes"},
        {POST "Content-Length: 2\r\n" CLOSE "{}", true, 200, 1, "2 bytes", NULL},
        {POST "Transfer-Encoding: chunked\r\n" CLOSE "2\r\n{}\r\n0\r\nA: b\r\n\r\n", false, 200, 1,
         "2 bytes", NULL},
        {GET("/now") "\r\n" POST "Content-Length: 1\r\n\r\n1" GET("/now") CLOSE, false, 200, 3,
         "1 bytes", NULL},
        {POST "Content-Length: 2\r\nExpect: 100-continue\r\n" CLOSE "{}", false, 100, 1,
         "\r\n\r\n2 bytes", NULL},
        {POST "Content-Length: 65537\r\nExpect: 100-continue\r\n" CLOSE, false, 413, 0, "the port",
         "100 Continue"},
        {"GET /now HTTP/9.9\r\nHost: a\r\n\r\n", false, 505, 0, NULL, NULL},
        {"GET /now HTTP/1.1\r\n\r\n", false, 400, 0, NULL, NULL},
        {POST "Content-Length: x\r\n\r\n", false, 400, 0, NULL, NULL},
    };
    start_patient();
    for (size_t i = 0; i < COUNT(forms); i++) {
        int fd = dial(), before = asked;
        say_text(fd, forms[i].bytes);
        if (forms[i].half_close)
            shutdown(fd, SHUT_WR);
        const char *answer = hear(fd);
        cr_expect_eq(status_of(answer), forms[i].status, "%s: %s", forms[i].bytes, answer);
        cr_expect_eq(asked - before, forms[i].asked, "%s: %d", forms[i].bytes, asked - before);
        cr_expect(forms[i].part == NULL || strstr(answer, forms[i].part) != NULL, "%s", answer);
        cr_expect(forms[i].no_part == NULL || strstr(answer, forms[i].no_part) == NULL, "%s",
                  answer);
    }
    stop();
}

/* No more comes: the end is seen at once, or (libmicrohttpd misses one that comes together with the
 * last bytes) when the time is over. */
Test(ports_http, cut_short)
{
    static const char *const parts[] = {
        "",
        "GET /now HT",
        GET("/now"),
        POST "Content-Length: 3\r\n\r\n{}",
        POST "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        POST "Transfer-Encoding: chunked\r\n\r\n0\r\n",
    };
    start(100, SOON, SOON, FOR_EVER);
    for (size_t i = 0; i < COUNT(parts); i++) {
        int fd = dial();
        say_text(fd, parts[i]);
        shutdown(fd, SHUT_WR);
        const char *answer = hear(fd);
        cr_expect(*answer == '\0' || status_of(answer) == 408, "%s: %s", parts[i], answer);
    }
    cr_assert_eq(asked, 0);
    stop();
}

/* Half closed while it waits: it still gets its answer. */
Test(ports_http, half_closed_and_held)
{
    start_patient();
    int fd = dial();
    say_text(fd, GET("/held") CLOSE);
    shutdown(fd, SHUT_WR);
    wait_for(&asked, 1);
    http_wake(server);
    cr_assert_eq(status_of(hear(fd)), 200);
    stop();
}

/* ---- times ---- */

/* Sends a byte now and then until something comes back or the connection ends. */
static const char *drip(int fd, const char *bytes)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int64_t end_us = system_monotonic_us() + 20000000;
    while (poll(&ready, 1, 10) == 0) {
        say(fd, bytes, *bytes ? 1 : 0);
        bytes += *bytes ? 1 : 0;
        cr_assert_lt(system_monotonic_us(), end_us, "it may drip for ever");
    }
    return hear(fd);
}

#define X10(text) text text text text text text text text text text
#define X1000 X10(X10(X10("x")))

Test(ports_http, too_slow)
{
    static const struct {
        const char *begin, *drip;
        int status;
        bool first_only; /* else also as the second request of its connection */
    } slow[] = {
        {"", "GET /" X1000, 408, false}, /* the first line */
        {"GE", "", 408, true},           /* no more of it comes */
        {GET("/now") "X-Request-Id: r-1\r\nB: c\r\n", "A: " X1000, 408, false}, /* the head */
        {POST "X-Request-Id: r-1\r\nContent-Length: 5000\r\n\r\n", X1000, 408, false},
        {POST "X-Request-Id: r-1\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n", X1000, 408, false},
        {POST "X-Request-Id: r-1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: " X1000, 408,
         false},
        {POST "X-Request-Id: r-1\r\nContent-Length: 5000\r\n\r\n", "", 408, false},
        {"", "", 0, false}, /* says nothing */
    };
    start(100, SOON, SOON, FOR_EVER);
    for (size_t i = 0; i < COUNT(slow); i++)
        for (int kept = 0; kept <= !slow[i].first_only; kept++) {
            int64_t begun_us = system_monotonic_us();
            int fd = dial();
            if (kept) {
                say_text(fd, GET("/now") "\r\n");
                hear_one(fd, "0 bytes");
            }
            int asked_before = asked;
            say_text(fd, slow[i].begin);
            const char *answer = drip(fd, slow[i].drip);
            cr_expect_geq(system_monotonic_us() - begun_us, SOON * 1000, "%s", slow[i].begin);
            cr_expect_eq(status_of(answer), slow[i].status, "%zu.%d: %s", i, kept, answer);
            cr_expect_eq(asked, asked_before);
            if (slow[i].status == 0)
                continue;
            cr_expect(is_ours(answer), "%s", answer);
            cr_expect_not_null(strstr(answer, "\r\nConnection: close\r\n"), "%s", answer);
            cr_expect_not_null(strstr(answer, "\r\nContent-Length: 17\r\n"), "%s", answer);
            cr_expect_not_null(strstr(answer, "\r\nDate: "), "%s", answer);
            cr_expect_not_null(strstr(answer, strstr(slow[i].begin, "r-1") != NULL
                                                  ? "\r\nX-Request-Id: r-1\r\n"
                                                  : "\r\nX-Request-Id: none\r\n"),
                               "%s", answer);
        }
    stop();
}

/* Nobody has asked anything: an answer would be taken for that to the next request. The kernel's
 * clock for what has come is a coarse one, so these stand in it at every place. */
Test(ports_http, kept_and_silent)
{
    int fds[90];
    start(100, SOON, SOON, FOR_EVER);
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = dial();
        say_text(fds[i], GET("/now") "\r\n");
        hear_one(fds[i], "0 bytes");
        clock_pause_ms(1);
    }
    for (size_t i = 0; i < COUNT(fds); i++)
        cr_expect_str_empty(hear(fds[i]), "%zu", i);
    stop();
}

/* A request that waits for its answer is not slow: others, which came later, are cut meanwhile. */
Test(ports_http, held_is_not_slow)
{
    start(100, SOON, SOON, SOON);
    int fd = dial();
    say_text(fd, POST "Content-Length: 1\r\n\r\n1" GET("/held") CLOSE);
    wait_for(&asked, 2);
    for (int i = 0; i < 3; i++) {
        int slow = dial();
        say_text(slow, GET("/now"));
        cr_assert_eq(status_of(hear(slow)), 408);
    }
    http_wake(server);
    const char *answer = hear(fd);
    cr_assert_not_null(strstr(answer, "1 bytes"), "%s", answer);
    cr_assert_not_null(strstr(answer, "\r\n\r\nheld"), "%s", answer);
    stop();
}

/* Who takes its answer a byte at a time gets a part of it, then the end. */
Test(ports_http, answer_not_taken)
{
    start(100, FOR_EVER, FOR_EVER, SOON);
    int fd = dial_slow(4096);
    char byte;
    size_t taken = 0;
    say_text(fd, GET("/big") CLOSE);
    wait_for(&asked, 1);
    while (over == 0) {
        cr_assert_eq(recv(fd, &byte, 1, 0), 1);
        taken++;
    }
    for (char part[4096]; taken < BIG;) {
        ssize_t got = recv(fd, part, sizeof part, 0);
        if (got <= 0)
            break;
        taken += (size_t)got;
    }
    cr_assert_lt(taken, BIG);
    close(fd);
    stop();
}

/* ---- many, and the end ---- */

/* One more than the limit is connected, and waits until another has gone. */
Test(ports_http, one_too_many)
{
    start(2, FOR_EVER, FOR_EVER, FOR_EVER);
    int first = dial(), second = dial();
    say_text(first, GET("/now") "\r\n");
    hear_one(first, "0 bytes");
    say_text(second, GET("/now") "\r\n");
    hear_one(second, "0 bytes");
    int third = dial();
    say_text(third, GET("/now") CLOSE);
    for (int i = 0; i < 10; i++) {
        say_text(second, GET("/now") "\r\n");
        hear_one(second, "0 bytes");
    }
    struct pollfd ready = {.fd = third, .events = POLLIN};
    cr_assert_eq(poll(&ready, 1, 0), 0);
    int64_t begun_us = system_monotonic_us();
    close(first);
    cr_assert_eq(status_of(hear(third)), 200);
    cr_assert_lt(system_monotonic_us() - begun_us, 500000, "taken up at once, not in a next round");
    close(second);
    stop();
}

/* Quiesced, it takes no connection more, answers what is under way, and ends. */
Test(ports_http, quiesced)
{
    start_patient();
    int idle = dial(), fd = dial(), half = dial();
    say_text(half, POST "Content-Length: 2\r\n\r\n1");
    say_text(fd, GET("/held") "\r\n");
    wait_for(&asked, 1);
    held_count = 0; /* kept back from the wake that quiesces */
    http_server_quiesce(server);
    for (int last; (last = dial_slow(0)) >= 0;)
        close(last);
    say_text(half, "2");
    cr_assert_not_null(strstr(hear(half), "\r\nConnection: close\r\n"));
    held_count = 1;
    http_wake(server);
    const char *answer = hear(fd);
    cr_assert_eq(status_of(answer), 200);
    cr_assert_not_null(strstr(answer, "\r\nConnection: close\r\n"), "%s", answer);
    end();
    cr_assert_eq(status_of(hear(idle)), 0);
}

/* Stopped, it lets nobody hang: what the handler has not answered is 503, what it never had ends.
 */
Test(ports_http, stopped)
{
    start_patient();
    int idle = dial(), half = dial(), fd = dial();
    say_text(half, POST "Content-Length: 2\r\n\r\n1");
    say_text(fd, GET("/held") "\r\n");
    wait_for(&asked, 1);
    held_count = 0;
    stop();
    const char *answer = hear(fd);
    cr_assert(*answer == '\0' || status_of(answer) == 503, "%s", answer);
    cr_assert_eq(status_of(hear(half)), 0);
    cr_assert_eq(status_of(hear(idle)), 0);
}
