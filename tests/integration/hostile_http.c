/*
 * hostile_http.c: requests of which it is in doubt where they end, and requests that no route
 * takes. Each of them hides a whole good order where somebody might take it for a request of its
 * own: in the body, behind the last chunk, behind a length that reads in two ways. What is refused
 * has its exact answer, and what it hid is no order: no row, no event. And what is no HTTP at all.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/clock.h"
#include "support/db.h"
#include "support/http_message.h"
#include "support/orders.h"
#include "support/problem.h"
#include "support/stack.h"
#include "support/unharmed.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TIMEOUT_S 10
#define SIZE (256 * 1024)

static int cases, accepted;

static void begin(void)
{
    unharmed_begin();
    cases = accepted = 0;
}

/* The last line of each test: Criterion does not count what fails in a .fini. */
static void end(void)
{
    unharmed_end(accepted, 0);
    fprintf(stderr, "hostile_http: %d cases, %d orders\n", cases, accepted);
}

TestSuite(hostile_http, .init = begin, .timeout = 120);

/* ---- what is sent ---- */

#define LINE "POST /v1/orders HTTP/1.1\r\n"
#define TYPE "Content-Type: application/json\r\n"
#define POST LINE "Host: a\r\n" TYPE
#define LAST "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define READY "{\"status\":\"ready\",\"detail\":\"\","
#define ALIVE "{\"status\":\"alive\"}"
#define BODY                                                                                       \
    "{\"customer_id\":\"smuggled\",\"currency\":\"EUR\",\"items\":[{\"sku\":\"SKU-1\","            \
    "\"quantity\":1,\"unit_amount\":1}],\"payment_method\":\"pm_card\",\"shipping_address\":"      \
    "{\"country\":\"DE\"}}"

static char hidden[1024], sent[SIZE];

/*
 * %O a good order, %o its length, %p the same in hex; %H a whole request with it, %h its length, %i
 * the same in hex; %F so many zeros that the body is too large; %z a NUL; %% a %.
 */
static size_t put_part(char letter, char *to)
{
    static char filler[80000];
    size_t hidden_len = (size_t)snprintf(hidden, sizeof hidden,
                                         POST "Content-Length: %zu\r\n\r\n%s", strlen(BODY), BODY);
    switch (letter) {
    case 'O':
        return (size_t)sprintf(to, "%s", BODY);
    case 'o':
        return (size_t)sprintf(to, "%zu", strlen(BODY));
    case 'p':
        return (size_t)sprintf(to, "%zx", strlen(BODY));
    case 'H':
        return (size_t)sprintf(to, "%s", hidden);
    case 'h':
        return (size_t)sprintf(to, "%zu", hidden_len);
    case 'i':
        return (size_t)sprintf(to, "%zx", hidden_len);
    case 'F':
        memset(filler, '0', sizeof filler - 1);
        return (size_t)sprintf(to, "%s", filler);
    case '%':
        *to = '%';
        return 1;
    default:
        *to = '\0';
        return 1;
    }
}

static size_t expand(const char *text)
{
    size_t len = 0;
    for (; *text != '\0'; text++) {
        cr_assert_lt(len, SIZE - 80000);
        if (*text == '%')
            len += put_part(*++text, sent + len);
        else
            sent[len++] = *text;
    }
    return len;
}

/* ---- what comes back ---- */

/* Sends all, and takes what comes until the server closes; that it does is asserted. */
static void converse(const char *base, const char *bytes, size_t len, struct http_buffer *ret)
{
    struct sockaddr_in address = http_address(base);
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    for (size_t at = 0; at < len;) { /* who closes early has answered */
        ssize_t n = send(fd, bytes + at, len - at, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    ssize_t n;
    do {
        http_buffer_reserve(ret, 65536);
        n = recv(fd, ret->at + ret->len, ret->size - ret->len, 0);
        ret->len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    bool closed = n == 0 || errno == ECONNRESET; /* a reset: it has not read all that was sent */
    close(fd);
    cr_assert(closed, "open after %.300s: %.*s", bytes, (int)ret->len, ret->at);
}

/* An answer that says yes, as a whole. */
static void check_yes(const struct http_answer *answer, bool last)
{
    const char *differs = answer->status == 201 ? order_differs(answer, BODY, strlen(BODY)) : NULL;
    cr_expect_null(differs, "%s", differs);
    bool alive =
        answer->body_len == strlen(ALIVE) && memcmp(answer->body, ALIVE, strlen(ALIVE)) == 0;
    bool ready = !last && strncmp(answer->body, READY, strlen(READY)) == 0;
    cr_expect(answer->status != 200 || alive || ready, "%.200s", answer->body);
}

/* The statuses of all answers, with a space before each; the first of them. */
static const char *statuses(struct http_buffer *in, struct http_answer *ret_first)
{
    static char told[200];
    size_t len = 0, at = 0;
    *told = '\0';
    while (at < in->len && len < sizeof told - 8) {
        struct http_buffer rest = {in->at + at, in->len - at, in->size - at};
        struct http_answer answer;
        if (strncmp(rest.at, "HTTP/1.1 100 ", 13) == 0) { /* none, yet */
            at += (size_t)((char *)memmem(rest.at, rest.len, "\r\n\r\n", 4) - rest.at) + 4;
            continue;
        }
        if (http_parse(&rest, true, &answer) != HTTP_COMPLETE)
            break;
        if (at == 0)
            *ret_first = answer;
        at += answer.head_len + 4 + answer.body_len;
        check_yes(&answer, at == in->len);
        len += (size_t)snprintf(told + len, sizeof told - len, " %d", answer.status);
    }
    if (at < in->len)
        snprintf(told + len, sizeof told - len, " and more");
    return told;
}

static int64_t smuggled(void)
{
    return db_int(DB_ORDER, "SELECT count(*) FROM orders WHERE customer_id = 'smuggled'", NULL);
}

struct exchange {
    const char *request;
    const char *answers; /* the statuses, a space before each */
    const char *code;    /* of the first, or libmicrohttpd's page; NULL: none that refuses */
    int orders;
};

static void check(const char *base, const struct exchange *exchange)
{
    char text[SIZE / 64];
    struct http_buffer in = {0};
    struct http_answer first = {0};
    int64_t before = smuggled();
    snprintf(text, sizeof text, "%s" LAST, exchange->request);
    size_t len = expand(text);
    converse(base, sent, len, &in);
    const char *told = statuses(&in, &first);
    cases++;
    accepted += exchange->orders;
    cr_expect_str_eq(told, exchange->answers, "%s:%s, not%s", exchange->request, told,
                     exchange->answers);
    if (exchange->code != NULL) {
        const char *differs = problem_is_page(exchange->code)
                                  ? page_differs(in.at, in.len, exchange->code)
                                  : problem_differs(&first, atoi(exchange->answers), exchange->code,
                                                    NULL, NULL, NULL);
        cr_expect_null(differs, "%s: %s", exchange->request, differs);
    }
    cr_expect_eq(smuggled(), before + exchange->orders, "%s: an order too many or too few",
                 exchange->request);
    free(in.at);
}

static void check_all(const char *base, const struct exchange *exchanges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(base, &exchanges[i]);
}

/* ---- where a body ends ---- */

#define DOUBT(headers, body)                                                                       \
    {                                                                                              \
        POST headers "\r\n" body, " 400", "ambiguous_length", 0                                    \
    }
#define NO_HTTP(request)                                                                           \
    {                                                                                              \
        request, " 400", "malformed_request", 0                                                    \
    }
/* libmicrohttpd's own, and then it closes. */
#define LARGE_CHUNK(body)                                                                          \
    {                                                                                              \
        POST "Transfer-Encoding: chunked\r\n\r\n" body, " 413", "page:chunk_too_large", 0          \
    }
/* It sends the head of this one twice: what it tells of the length of its page holds for both. */
#define LENGTH(value)                                                                              \
    {                                                                                              \
        POST "Content-Length:" value "\r\n\r\n%H", " 400 and more", "page:length", 0               \
    }
#define CHUNK(body)                                                                                \
    {                                                                                              \
        POST "Transfer-Encoding: chunked\r\n\r\n" body, " 400", "page:chunk", 0                    \
    }
#define FIELDS_4 "A: b\r\nA: b\r\nA: b\r\nA: b\r\n"
#define FIELDS_16 FIELDS_4 FIELDS_4 FIELDS_4 FIELDS_4
#define ORDERED(headers, body)                                                                     \
    {                                                                                              \
        POST headers "\r\n" body, " 201 200", NULL, 1                                              \
    }

/* What is in chunks is the last of its connection. */
#define ORDERED_IN_CHUNKS(encoding, body)                                                          \
    {                                                                                              \
        POST "Transfer-Encoding: " encoding "\r\n\r\n" body, " 201", NULL, 1                       \
    }

/* That the hidden ones would be seen: sent as what they are, they are orders. */
static const struct exchange orders[] = {
    {"%H", " 201 200", NULL, 1},
    {"%H%H%H", " 201 201 201 200", NULL, 3},
    {POST "Content-Length: 0\r\n\r\n%H", " 400 201 200", "malformed_json", 1},
    {POST "\r\n%H", " 400 201 200", "malformed_json", 1},
    {POST "Expect: 100-continue\r\nContent-Length: %o\r\n\r\n%O", " 201 200", NULL, 1},
    ORDERED("Content-Length: 000%o\r\n", "%O"), /* digits, as many as one likes */
    ORDERED("Content-Length:%o\r\n", "%O"),
    ORDERED("Content-Length: \t %o\r\n", "%O"),
    ORDERED("content-length: %o\r\n", "%O"),
    ORDERED_IN_CHUNKS("chunked", "%p\r\n%O\r\n0\r\n\r\n"),
    ORDERED_IN_CHUNKS("CHUNKED", "000%p\r\n%O\r\n000\r\n\r\n"),
    ORDERED_IN_CHUNKS("chunked", "%p;ext=\"1\"\r\n%O\r\n0;ext\r\n\r\n"),
    ORDERED_IN_CHUNKS("chunked", "%p\r\n%O\r\n0\r\nContent-Length: 9999\r\n\r\n"),
    ORDERED_IN_CHUNKS("chunked", "%p\r\n%O\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ORDERED_IN_CHUNKS("chunked", "%p\r\n%O\r\n0\r\n\r\n%H"),
    /* libmicrohttpd takes a line feed alone for the end of a line, and a NUL for one without more.
     */
    ORDERED_IN_CHUNKS("chunked", "%p;\n%O\r\n0\r\n\r\n%H"),
    ORDERED_IN_CHUNKS("chunked", "%p\r\n%O\r\n0\r\n%zX: a\r\n%H\r\n\r\n"),
};

static const struct exchange lengths[] = {
    LENGTH(" x"),
    LENGTH(" -1"),
    LENGTH(" +%h"),
    LENGTH(" -%h"),
    LENGTH(" 0x%i"),
    LENGTH(" %h.0"),
    LENGTH(" %h, %h"),
    LENGTH(" %h %h"),
    LENGTH(" %h;"),
    LENGTH(" \"%h\""),
    LENGTH(" "),
    LENGTH(" 0,%h"),
    LENGTH(" %h\t "), /* which would be fine, but is safe */
    {POST "Content-Length: 99999999999999999999999\r\n\r\n%H", " 413 and more",
     "page:length_too_large", 0},
    {POST "Content-Length: 99999999999999999999\r\n\r\n{}", " 413 and more",
     "page:length_too_large", 0},
    DOUBT("Content-Length: 0\r\nContent-Length: %h\r\n", "%H"),
    DOUBT("Content-Length: %h\r\nContent-Length: %h\r\n", "%H"),
    DOUBT("Content-Length: %h\r\ncontent-length: 0\r\n", "%H"),
    DOUBT("Content-Length: 2\r\nContent-Length: 3\r\n", "{}x"),
    DOUBT("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"),
    DOUBT("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    DOUBT("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "%i\r\n%H\r\n0\r\n\r\n"),
    DOUBT("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n%H"),
    DOUBT("Content-Length: %h\r\nTransfer-Encoding: identity\r\n", "%H"),
    {"POST /v1/orders HTTP/1.0\r\n" TYPE "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n%H", " 400",
     "ambiguous_length", 0},
    {"POST /v1/orders HTTP/1.0\r\nConnection: keep-alive\r\n" TYPE
     "Transfer-Encoding: chunked\r\nContent-Length: %h\r\n\r\n%H",
     " 400", "ambiguous_length", 0},
};

static const struct exchange encodings[] = {
    DOUBT("Transfer-Encoding: xchunked\r\n", "%H"),
    DOUBT("Transfer-Encoding: chunkedx\r\n", "%H"),
    DOUBT("Transfer-Encoding: \x0b"
          "chunked\r\n",
          "%H"),
    DOUBT("Transfer-Encoding: chunked;q=1\r\n", "%H"),
    DOUBT("Transfer-Encoding: \"chunked\"\r\n", "%H"),
    DOUBT("Transfer-Encoding: identity\r\n", "%H"),
    DOUBT("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n%H"),
    DOUBT("Transfer-Encoding: gzip\r\n", ""),
    DOUBT("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
    DOUBT("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
    DOUBT("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n%H"),
    DOUBT("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n%H"),
    DOUBT("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n%H"),
    DOUBT("Transfer-Encoding: chunked\r\ntransfer-encoding: x\r\n", "0\r\n\r\n%H"),
    DOUBT("Transfer-Encoding: \r\n", "%H"),
};

static const struct exchange chunks[] = {
    CHUNK("-%i\r\n%H\r\n0\r\n\r\n"),
    CHUNK("+%i\r\n%H\r\n0\r\n\r\n"),
    CHUNK("0x%i\r\n%H\r\n0\r\n\r\n"),
    CHUNK("%i_\r\n%H\r\n0\r\n\r\n"),
    CHUNK("\r\n%H\r\n0\r\n\r\n"),
    CHUNK(";x\r\n%H\r\n0\r\n\r\n"),
    CHUNK("zz\r\n{}\r\n0\r\n\r\n"),
    CHUNK("g\r\n%H\r\n0\r\n\r\n"),
    LARGE_CHUNK("10000000000000000\r\n%H\r\n0\r\n\r\n"),
    LARGE_CHUNK("10000000000000002\r\n{}\r\n0\r\n\r\n%H"),
    LARGE_CHUNK("fffffffffffffffff\r\n%H\r\n0\r\n\r\n"),
    CHUNK("2\r\n{}0\r\n\r\n%H"),
    CHUNK("2\r\n{}x\r\n0\r\n\r\n%H"),
};

static const struct exchange names[] = {
    NO_HTTP(POST "Content-Length : %h\r\n\r\n%H"),
    NO_HTTP(POST "Content-Length\t: %h\r\n\r\n%H"),
    NO_HTTP(POST "Transfer-Encoding : chunked\r\n\r\n%i\r\n%H\r\n0\r\n\r\n"),
    NO_HTTP(POST "Transfer-Encoding\t: chunked\r\nContent-Length: %h\r\n\r\n%H"),
    NO_HTTP(POST "Content Length: %h\r\n\r\n%H"),
    NO_HTTP(POST "\x0b"
                 "Content-Length: %h\r\n\r\n%H"),
    NO_HTTP(POST "Content-Length\x0b: %h\r\n\r\n%H"),
    NO_HTTP(POST "\"Content-Length\": %h\r\n\r\n%H"),
    NO_HTTP(POST "Content-L\xc3\xa4nge: %h\r\n\r\n%H"),
    NO_HTTP(POST "X: a\rContent-Length: %h\r\n\r\n%H"),
    NO_HTTP(POST "Content-Length: %h\r\nX: \r\r\n\r\n%H"),
    NO_HTTP(POST "Host: b\r\nContent-Length: %h\r\n\r\n%H"),
    {POST "Content-Length\r\n\r\n%H", " 400", "page:syntax", 0},
    {LINE TYPE "Content-Length: %h\r\n\r\n%H", " 400 and more", "page:host", 0}, /* no Host */
    /* libmicrohttpd takes what has no name for the end of the head, and a NUL for the end of a
       word. */
    NO_HTTP(POST ": 0\r\nContent-Length: %h\r\n\r\n%H"),
    NO_HTTP(POST ": 0\r\n%H"),
    NO_HTTP(POST "%zX: 0\r\nContent-Length: %h\r\n\r\n%H"),
    NO_HTTP(POST "%zX: 0\r\n%H"),
    {LINE "%zX: 0\r\nHost: a\r\n" TYPE "Content-Length: %h\r\n\r\n%H", " 400 and more", "page:host",
     0},
    {POST FIELDS_16 FIELDS_16 FIELDS_16 FIELDS_16 "%zX: 0\r\n%H", " 431", "headers_too_large", 0},
    NO_HTTP(POST "X: a%zb\r\nContent-Length: %h\r\n\r\n%H"),
    NO_HTTP(POST "Content-Length: %h%z0\r\n\r\n%H"),
    NO_HTTP(POST "Content-Length: 0%z\r\n\r\n%H"),
    {POST "Content-Length%z: %h\r\n\r\n%H", " 400", "page:syntax", 0},
    {"POST /v1/orders\r\n" TYPE "Content-Length: %h\r\n\r\n%H", " 400", "page:syntax", 0},
};

/* A line that ends with a line feed alone. */
static const struct exchange line_feeds[] = {
    NO_HTTP("POST /v1/orders HTTP/1.1\nHost: a\r\n" TYPE "Content-Length: %h\r\n\r\n%H"),
    NO_HTTP(POST "X: a\nContent-Length: %h\r\n\r\n%H"),
    NO_HTTP(POST "Content-Length: %h\n\r\n%H"),
    NO_HTTP(POST "X: a\r\n\n%H"),
    NO_HTTP(POST "\n%H"),
    NO_HTTP(POST "X: a\n\n%H"),
};

/* A line that goes on in the next one. */
static const struct exchange folds[] = {
    NO_HTTP(POST "Content-Length:\r\n %h\r\n\r\n%H"),
    NO_HTTP(POST "Content-Length: 0\r\n %h\r\n\r\n%H"),
    NO_HTTP(POST "Content-Length: %h\r\n \r\n\r\n%H"),
    NO_HTTP(POST "X: a\r\n Content-Length: %h\r\n\r\n%H"),
    NO_HTTP(POST "X: a\r\n\tContent-Length: %h\r\nY: b\r\n\r\n%H"),
    NO_HTTP(POST "X:\r\n b\r\n c\r\nContent-Length: %h\r\n\r\n%H"),
    NO_HTTP(POST "Transfer-Encoding:\r\n chunked\r\n\r\n%i\r\n%H\r\n0\r\n\r\n"),
    NO_HTTP(POST "Transfer-Encoding:\r\n\tchunked\r\nContent-Length: %h\r\n\r\n%H"),
    NO_HTTP(POST "Transfer-Encoding: chunked,\r\n identity\r\n\r\n0\r\n\r\n%H"),
    NO_HTTP(LINE " Content-Length: %h\r\nHost: a\r\n" TYPE "\r\n%H"),
};

Test(hostile_http, where_a_body_ends)
{
    const char *base = stack_address("ORDER_API");
    check_all(base, orders, COUNT(orders));
    check_all(base, lengths, COUNT(lengths));
    check_all(base, encodings, COUNT(encodings));
    check_all(base, chunks, COUNT(chunks));
    check_all(base, names, COUNT(names));
    check_all(base, line_feeds, COUNT(line_feeds));
    check_all(base, folds, COUNT(folds));
    end();
}

/* ---- bodies that nobody reads ---- */

#define ID "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa"
#define WITH(line) line " HTTP/1.1\r\nHost: a\r\n" TYPE "Content-Length: %h\r\n\r\n%H"
#define CHUNKED(line)                                                                              \
    line " HTTP/1.1\r\nHost: a\r\n" TYPE "Transfer-Encoding: chunked\r\n\r\n%i\r\n%H\r\n0\r\n\r\n"

/* A request is over where its body is, whether anybody wanted it or not. */
static const struct exchange unread[] = {
    {WITH("GET /v1/orders/" ID), " 404 200", "order_not_found", 0},
    {CHUNKED("GET /v1/orders/" ID), " 404", "order_not_found", 0},
    {WITH("GET /v1/orders/" ID "/timeline"), " 404 200", "order_not_found", 0},
    {CHUNKED("GET /v1/orders/" ID "/timeline"), " 404", "order_not_found", 0},
    {WITH("POST /v1/orders/" ID "/cancel"), " 404 200", "order_not_found", 0},
    {CHUNKED("POST /v1/orders/" ID "/cancel"), " 404", "order_not_found", 0},
    {WITH("GET /readyz"), " 200 200", NULL, 0},
    {CHUNKED("GET /livez"), " 200", NULL, 0},
    {WITH("POST /nowhere"), " 404 200", "not_found", 0},
    {WITH("POST /v1/orders/"), " 404 200", "not_found", 0},
    {WITH("PUT /v1/orders"), " 405 200", "method_not_allowed", 0},
    {CHUNKED("DELETE /v1/orders"), " 405", "method_not_allowed", 0},
    {WITH("POST /v1/orders"), " 400 200", "malformed_json", 0},
    {CHUNKED("POST /v1/orders"), " 400", "malformed_json", 0},
    {LINE "Host: a\r\nContent-Type: text/plain\r\nContent-Length: %h\r\n\r\n%H", " 415 200",
     "unsupported_media_type", 0},
    {LINE "Host: a\r\nContent-Length: %h\r\n\r\n%H", " 415 200", "unsupported_media_type", 0},
    {LINE "Host: a\r\n" TYPE TYPE "Content-Length: %o\r\n\r\n%O", " 415 200",
     "unsupported_media_type", 0},
    {POST "Idempotency-Key: \r\nContent-Length: %o\r\n\r\n%O", " 400 200",
     "invalid_idempotency_key", 0},
    {POST "Idempotency-Key: a b\r\nContent-Length: %o\r\n\r\n%O", " 400 200",
     "invalid_idempotency_key", 0},
    {POST "Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: %o\r\n\r\n%O", " 400 200",
     "invalid_idempotency_key", 0},
    {POST "Connection: Content-Length\r\nContent-Length: %h\r\n\r\n%H", " 400 200",
     "malformed_json", 0},
    {POST "Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: %h\r\n\r\n%H", " 400 200",
     "malformed_json", 0},
    {POST "Content-Length: 65537\r\n\r\n{}", " 413", "body_too_large", 0},
    {POST "Content-Length: 99999\r\n\r\n%H%F", " 413", "body_too_large", 0},
    {POST "Content-Length: 18446744073709551615\r\n\r\n%H", " 413", "body_too_large", 0},
    {POST "Transfer-Encoding: chunked\r\n\r\n1387f\r\n%F\r\n%i\r\n%H\r\n0\r\n\r\n", " 413",
     "body_too_large", 0},
};

Test(hostile_http, bodies_that_nobody_reads)
{
    check_all(stack_address("ORDER_API"), unread, COUNT(unread));
    end();
}

/* ---- requests that are no HTTP, or hardly ---- */

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

/* The connection is kept where the last request is answered too. */
static const struct exchange no_http[] = {
    {"", " 200", NULL, 0},
    {"\r\n\r\n", " 200", NULL, 0}, /* empty lines before a request are none of it */
    {"nonsense\r\n\r\n", "", NULL, 0},
    {"GET\r\n\r\n", "", NULL, 0},
    {"GET /livez\r\n\r\n", " 400", "page:syntax", 0},
    {"GET /livez HTTP/9.9\r\nHost: a\r\n\r\n", " 505", "page:version", 0},
    {"GET /livez HTTP/1.1\r\n\r\n", " 400 and more", "page:host", 0},
    {GET("/livez"), " 200 200", NULL, 0},
    {"\n\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n", " 200 200", NULL, 0},
    NO_HTTP("GET /livez HTTP/1.1\nHost: a\n\n"),
    NO_HTTP("GET  /livez HTTP/1.1\r\nHost: a\r\n\r\n"),
    NO_HTTP("GET /li\tvez HTTP/1.1\r\nHost: a\r\n\r\n"),
    NO_HTTP("GET /li%zvez HTTP/1.1\r\nHost: a\r\n\r\n"),
    NO_HTTP("G%zT /livez HTTP/1.1\r\nHost: a\r\n\r\n"),
    NO_HTTP("G@T /livez HTTP/1.1\r\nHost: a\r\n\r\n"),
    {"GET /livez HTTP/1.0\r\n\r\n", " 200", NULL, 0},
    {"BREW /livez HTTP/1.1\r\nHost: a\r\n\r\n", " 405 200", "method_not_allowed", 0},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", " 404 200", "not_found", 0},
    {GET("http://a/livez"), " 404 200", "not_found", 0},
    {"GET /livez HTTP/1.1\r\nHost: a\r\nBroken\r\n\r\n", " 400", "page:syntax", 0},
    {GET("/%%00"), " 404 200", "not_found", 0},
    {GET("/v1/orders/%%2e%%2e"), " 404 200", "order_not_found", 0},
    {GET("/v1/../livez"), " 404 200", "not_found", 0},
    {POST "\r\n", " 400 200", "malformed_json", 0},
    /* What was to be a request of its own is the end of the body, and no request from there. */
    {POST "Content-Length: 10\r\n\r\n{}", " 400 400", "malformed_json", 0},
};

Test(hostile_http, no_http)
{
    check_all(stack_address("ORDER_API"), no_http, COUNT(no_http));
    end();
}
