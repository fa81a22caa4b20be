/*
 * http_port.c: what a client sends, byte for byte, through the real port and libmicrohttpd. What
 * the handler is given is what a strict reader of RFC 9112 finds in these bytes: the same requests,
 * bodies too, in the same order, and none behind what is malformed. So nobody who stands before us
 * and reads strictly can be made to pass on a request that he has not seen.
 *
 * Input: the bytes; then the client sends no more, and the connection ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "ports/http_inside.h"

#define REQUESTS_MAX 64 /* of an input: more are not compared */

struct request {
    struct saga_text method, target, body;
};

/* ---- a strict reader ---- */

/* What is left of an input. */
struct input {
    const char *at, *end;
};

struct framing {
    size_t hosts, lengths, encodings, length;
    bool old, chunked, overflow, close, keep_alive;
};

static bool is_token(struct saga_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return text.len > 0;
}

static bool is(struct saga_text text, const char *what)
{
    return text.len == strlen(what) && strncasecmp(text.at, what, text.len) == 0;
}

/* The line up to its line feed. False: there is none. */
static bool next_line(struct input *input, struct saga_text *ret_line)
{
    const char *end = memchr(input->at, '\n', (size_t)(input->end - input->at));
    if (end == NULL)
        return false;
    *ret_line = (struct saga_text){input->at, (size_t)(end - input->at)};
    input->at = end + 1;
    return true;
}

/* False: there is none before it. */
static bool cut_cr(struct saga_text *line)
{
    bool is_there = line->len > 0 && line->at[line->len - 1] == '\r';
    line->len -= is_there;
    return is_there;
}

static struct saga_text trimmed(struct saga_text text)
{
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text.at++, text.len--;
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* What is before the separator, or all of it; the rest is behind it. */
static struct saga_text split(struct saga_text *rest, char separator)
{
    const char *at = rest->len > 0 ? memchr(rest->at, separator, rest->len) : NULL;
    struct saga_text first = {rest->at, at ? (size_t)(at - rest->at) : rest->len};
    size_t used = first.len + (at != NULL);
    *rest = (struct saga_text){rest->at + used, rest->len - used};
    return first;
}

static bool read_length(struct framing *framing, struct saga_text value)
{
    framing->lengths++;
    framing->length = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return false;
        framing->overflow = framing->overflow || framing->length > SIZE_MAX / 10 - 1;
        framing->length = framing->length * 10 + (size_t)(value.at[i] - '0');
    }
    return value.len > 0;
}

static bool read_field(struct framing *framing, struct saga_text line)
{
    struct saga_text value = line, name = split(&value, ':');
    if (name.len == line.len || !is_token(name))
        return false;
    value = trimmed(value);
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] == '\r' || value.at[i] == '\0')
            return false;
    framing->hosts += is(name, "host");
    framing->encodings += is(name, "transfer-encoding");
    if (is(name, "transfer-encoding"))
        framing->chunked = is(value, "chunked");
    if (is(name, "connection"))
        while (value.len > 0) {
            struct saga_text option = trimmed(split(&value, ','));
            framing->close = framing->close || is(option, "close");
            framing->keep_alive = framing->keep_alive || is(option, "keep-alive");
        }
    return !is(name, "content-length") || read_length(framing, value);
}

static bool read_first_line(struct framing *framing, struct saga_text line, struct request *request)
{
    struct saga_text rest = line;
    request->method = split(&rest, ' ');
    request->target = split(&rest, ' ');
    for (size_t i = 0; i < request->target.len; i++) {
        unsigned char c = (unsigned char)request->target.at[i];
        if (c <= ' ' || c == 0x7F)
            return false;
    }
    framing->old = rest.len == 8 && memcmp(rest.at, "HTTP/1.0", 8) == 0;
    return is_token(request->method) && request->target.len > 0 && rest.len == 8 &&
           memcmp(rest.at, "HTTP/1.", 7) == 0 && rest.at[7] >= '0' && rest.at[7] <= '9';
}

static bool framing_sound(const struct framing *framing)
{
    if (framing->hosts > 1 || (framing->hosts == 0 && !framing->old) || framing->lengths > 1 ||
        framing->encodings > 1)
        return false;
    return framing->encodings == 0 || (framing->chunked && framing->lengths == 0 && !framing->old);
}

/* Empty lines before it are passed over, and may be of a line feed alone. What begins with a NUL is
 * one to libmicrohttpd, which a strict reader would refuse; there is nothing to be hidden in it. */
static bool read_head(struct input *input, struct framing *framing, struct request *request)
{
    struct saga_text line;
    bool with_cr;
    do {
        if (!next_line(input, &line))
            return false;
        with_cr = cut_cr(&line);
    } while (line.len == 0 || line.at[0] == '\0');
    if (!with_cr || !read_first_line(framing, line, request))
        return false;
    while (next_line(input, &line) && cut_cr(&line)) {
        if (line.len == 0)
            return framing_sound(framing);
        if (!read_field(framing, line))
            return false;
    }
    return false;
}

/* ---- chunks, as libmicrohttpd reads them: what is in chunks is the last of its connection ---- */

/* Of a line in which an extension may follow. */
static bool read_chunk_size(struct saga_text line, size_t *ret_size)
{
    struct saga_text digits = split(&line, ';');
    while (digits.len > 0 && strchr(" \t", digits.at[digits.len - 1]) != NULL)
        digits.len--;
    *ret_size = 0;
    for (size_t i = 0; i < digits.len; i++) {
        const char *all = "0123456789abcdef", c = digits.at[i] | (digits.at[i] > '9' ? 0x20 : 0);
        const char *digit = c != '\0' ? strchr(all, c) : NULL;
        if (digit == NULL || *ret_size > SIZE_MAX / 16 - 1)
            return false;
        *ret_size = *ret_size * 16 + (size_t)(digit - all);
    }
    return digits.len > 0;
}

/* Puts the chunks together in to, where there is room for all of the input. False: the last one is
 * not there. What is behind it is not looked at. */
static bool read_chunks(struct input *input, struct saga_text *ret_body, char *to)
{
    struct saga_text line;
    size_t size, len = 0;
    do {
        if (!next_line(input, &line))
            return false;
        cut_cr(&line);
        if (!read_chunk_size(line, &size) || size > (size_t)(input->end - input->at))
            return false;
        memcpy(to + len, input->at, size);
        len += size;
        input->at += size;
        if (size > 0 && (!next_line(input, &line) || (cut_cr(&line), line.len > 0)))
            return false;
    } while (size > 0);
    *ret_body = (struct saga_text){to, len};
    return true;
}

/* False: there is no whole one, or what is there is none. Its parts are in the input; to: room for
 * a body that was in chunks. */
static bool read_request(struct input *input, struct request *request, char *to, bool *ret_last)
{
    struct framing framing = {0};
    *request = (struct request){0};
    if (!read_head(input, &framing, request))
        return false;
    *ret_last = framing.close || (framing.old && !framing.keep_alive) || framing.encodings > 0;
    if (framing.encodings > 0)
        return read_chunks(input, &request->body, to);
    if (framing.overflow || framing.length > (size_t)(input->end - input->at))
        return false;
    request->body = (struct saga_text){input->at, framing.length};
    input->at += framing.length;
    return true;
}

static size_t read_all(const char *data, size_t size, struct request *requests, char *room)
{
    struct input input = {data, data + size};
    size_t count = 0;
    bool last = false;
    while (!last && count < REQUESTS_MAX && read_request(&input, &requests[count], room, &last))
        room += requests[count++].body.len;
    return count;
}

/* ---- the port ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct request given[REQUESTS_MAX];
static size_t given_count;
static struct sockaddr_in address;

static void check(bool holds)
{
    if (!holds)
        abort();
}

static struct saga_text copy(struct saga_text text)
{
    char *to = malloc(text.len + 1);
    check(to != NULL);
    if (text.len > 0)
        memcpy(to, text.at, text.len);
    return (struct saga_text){to, text.len};
}

static void on_request(void *opaque, struct http_exchange *exchange)
{
    (void)opaque;
    pthread_mutex_lock(&lock);
    if (given_count < REQUESTS_MAX)
        given[given_count++] =
            (struct request){copy(saga_text(http_method(exchange))),
                             copy(saga_text(exchange->target)), copy(http_body(exchange))};
    pthread_mutex_unlock(&lock);
    http_answer(exchange, 200, NULL, (struct saga_text){0});
}

static void on_refused(void *opaque, struct http_exchange *exchange, enum http_refusal why,
                       int status)
{
    (void)opaque, (void)why;
    http_answer(exchange, status, NULL, (struct saga_text){0});
}

static void ignore(void *opaque, struct http_exchange *exchange)
{
    (void)opaque, (void)exchange;
}

static void on_woken(void *opaque)
{
    (void)opaque;
}

static int tick(void *opaque)
{
    (void)opaque;
    return -1;
}

static void *run(void *server)
{
    http_server_run(server);
    return NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct http_handler handler = {on_request, on_refused, ignore,
                                                on_woken,   tick,       NULL};
    char why[256] = "";
    pthread_t thread;
    socklen_t size = sizeof address;
    (void)argc, (void)argv;
    struct http_server *server =
        http_server_new("127.0.0.1", 0, &handler, &http_limits, why, sizeof why);
    if (server == NULL)
        fprintf(stderr, "%s\n", why);
    check(server != NULL);
    check(getsockname(server->listen_fd, (struct sockaddr *)&address, &size) == 0);
    check(pthread_create(&thread, NULL, run, server) == 0);
    return 0;
}

/* ---- the client ---- */

/* Until the port has ended the connection: then it has given all that it gives. */
static void converse(const char *data, size_t size)
{
    char answer[4096];
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sigset_t alarm, before;
    sigemptyset(&alarm); /* by which libFuzzer looks whether an input takes too long */
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, &before);
    check(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        data += sent;
        size -= (size_t)sent;
    }
    shutdown(fd, SHUT_WR);
    ssize_t heard;
    while ((heard = recv(fd, answer, sizeof answer, 0)) > 0)
        continue;
    check(heard == 0 || errno == ECONNRESET);
    close(fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static bool equal(const struct request *one, const struct request *other)
{
    return saga_text_equal(one->method, other->method) &&
           saga_text_equal(one->target, other->target) && saga_text_equal(one->body, other->body);
}

static void tell(const char *who, const struct request *request)
{
    fprintf(stderr, "%s: \"%.*s\" \"%.*s\" %zu: \"%.*s\"\n", who, (int)request->method.len,
            request->method.at, (int)request->target.len, request->target.at, request->body.len,
            (int)request->body.len, request->body.at != NULL ? request->body.at : "");
}

static bool line_ends(const char *at, const char *end)
{
    return at < end && (*at == '\n' || (*at == '\r' && at + 1 < end && at[1] == '\n'));
}

/* What the port cannot tell from CRLF (http_head.c): a NUL before the end of a line; a colon that
 * has a line to itself, if one of this line and the one before ends with a line feed alone. There
 * is nothing to be hidden in it, and a strict reader would refuse it: not judged. */
static bool is_blurred(const char *data, size_t size)
{
    const char *end = data + size;
    for (const char *at = data; at < end; at++) {
        if (*at == '\0' && line_ends(at + 1, end))
            return true;
        if (*at == ':' && at > data && at[-1] == '\n' && line_ends(at + 1, end) &&
            (at[1] == '\r') != (at - 1 > data && at[-2] == '\r'))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct request strictly[REQUESTS_MAX];
    if (is_blurred((const char *)data, size))
        return -1;
    char *room = malloc(size + 1);
    check(room != NULL);
    size_t count = read_all((const char *)data, size, strictly, room);
    converse((const char *)data, size);
    pthread_mutex_lock(&lock);
    bool good = given_count <= count;
    for (size_t i = 0; i < given_count && i < count; i++)
        good = good && equal(&given[i], &strictly[i]);
    for (size_t i = 0; i < given_count && !good; i++)
        tell("the port", &given[i]);
    for (size_t i = 0; i < count && !good; i++)
        tell("strictly", &strictly[i]);
    check(good);
    for (; given_count > 0; given_count--) {
        free((void *)(uintptr_t)given[given_count - 1].method.at);
        free((void *)(uintptr_t)given[given_count - 1].target.at);
        free((void *)(uintptr_t)given[given_count - 1].body.at);
    }
    pthread_mutex_unlock(&lock);
    free(room);
    return 0;
}
