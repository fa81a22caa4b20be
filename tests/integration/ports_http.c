/*
 * ports_http.c: the HTTP port, started here, against clients that keep the rules to the byte, or
 * break them by a byte.
 */
#include "ports_http.h"

TestSuite(ports_http, .timeout = 60);

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
    size_t target, arguments, headers, fields, body;
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
    for (size_t i = 0; i < size->arguments; i++)
        put_text(request, i == 0 ? "a" : "&a");
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
    cr_expect_eq(status_of(answer), size->status, "%zu %zu %zu %zu %zu: %.80s", size->target,
                 size->arguments, size->headers, size->fields, size->body, answer);
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
        {.arguments = HTTP_ARGUMENTS_MAX, .status = 200},
        {.arguments = HTTP_ARGUMENTS_MAX + 1, .status = 414},
        {.arguments = 520, .status = 414},
        {.arguments = 4000, .status = 414},
        {.arguments = HTTP_ARGUMENTS_MAX, .headers = HTTP_HEADERS_MAX, .status = 200},
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

/* ---- a body that is too large, and is sent all the same ---- */

/* The answer is here, and not yet read. */
static int dial_too_large(size_t body)
{
    char head[200], first;
    int fd = dial();
    snprintf(head, sizeof head, POST "Content-Length: %zu\r\n\r\n", body);
    say_text(fd, head);
    cr_assert_eq(recv(fd, &first, 1, MSG_PEEK), 1);
    return fd;
}

/* How much of it was taken. */
static size_t send_body(int fd, size_t len)
{
    static const char piece[8192];
    size_t sent = 0;
    while (sent < len) {
        size_t next = len - sent < sizeof piece ? len - sent : sizeof piece;
        ssize_t now = send(fd, piece, next, MSG_NOSIGNAL);
        if (now <= 0)
            break;
        sent += (size_t)now;
    }
    return sent;
}

/* Who is told by a failed send that he was cut off may never look for his answer. */
Test(ports_http, too_large_and_sent)
{
    static const size_t bodies[] = {HTTP_BODY_MAX + 1, HTTP_BODY_MAX + HTTP_SWALLOW_MAX};
    start_patient();
    for (size_t i = 0; i < COUNT(bodies); i++) {
        int fd = dial_too_large(bodies[i]);
        cr_expect_eq(send_body(fd, bodies[i]), bodies[i]);
        const char *answer = hear(fd);
        cr_expect_eq(status_of(answer), 413, "%s", answer);
        cr_expect(is_ours(answer) && strstr(answer, "Connection: close\r\n") != NULL, "%s", answer);
    }
    stop();
    cr_assert_eq(asked, 0);
}

/* But for that there is a bound, */
Test(ports_http, far_too_large)
{
    start_patient();
    int fd = dial_too_large(BIG);
    cr_assert_lt(send_body(fd, BIG), BIG);
    cr_assert_eq(status_of(hear(fd)), 413);
    stop();
}

/* and a time, */
Test(ports_http, too_large_and_never_sent)
{
    start(100, FOR_EVER, FOR_EVER, SOON);
    int fd = dial_too_large(HTTP_BODY_MAX + 1);
    wait_for(&over, 1);
    cr_assert_eq(status_of(hear(fd)), 413);
    stop();
}

/* and an end does not wait for it. */
Test(ports_http, too_large_and_the_end)
{
    start_patient();
    int fd = dial_too_large(HTTP_BODY_MAX + 1);
    http_server_quiesce(server);
    end();
    cr_assert_eq(status_of(hear(fd)), 413);
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
        {"HEAD /now HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", false, 413, 0,
         "Content-Length: 17\r\n", "the port"},
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

/* Half closed while it waits: it still gets its answer, whoever was there before it. */
Test(ports_http, half_closed_and_held)
{
    start_patient();
    int older = dial(), fd = dial();
    say_text(older, GET("/now") "\r\n");
    wait_for(&asked, 1);
    say_text(fd, GET("/held") CLOSE);
    shutdown(fd, SHUT_WR);
    wait_for(&asked, 2);
    http_wake(server);
    cr_assert_eq(status_of(hear(fd)), 200);
    close(older);
    stop();
}

/* libmicrohttpd says nothing to a head with two faults, and nothing of its end to us: an end of
 * ours waits for what is under way. */
Test(ports_http, two_faults)
{
    struct request heads[2] = {0};
    for (size_t i = 0; i < COUNT(heads); i++) {
        put_text(&heads[i], "GET /now HTTP/1.1\r\n");
        put_text(&heads[i], i == 0 ? "" : "Host: a\r\nContent-Length: x\r\n");
        put_text(&heads[i], "Cookie: a=");
        put_many(&heads[i], 'x', 17000);
        put_text(&heads[i], "\r\n\r\n");
    }
    start_patient();
    for (size_t i = 0; i < COUNT(heads); i++) {
        int fd = dial();
        say(fd, heads[i].text, heads[i].len);
        const char *answer = hear(fd);
        cr_expect(*answer == '\0' || status_of(answer) == 431, "%s", answer);
        free(heads[i].text);
    }
    http_server_quiesce(server);
    end();
}
