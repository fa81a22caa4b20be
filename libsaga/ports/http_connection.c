/*
 * http_connection.c: how long a client may take.
 *
 *                 accepted           first line          whole
 *     (none) ----------------> IDLE ------------> READING -----> WORKING
 *                               ^                    |              |
 *                               | taken              | refused      | answered
 *                               +---- ANSWERING <----+--------------+
 *
 * libmicrohttpd knows one timeout, since the last byte: who sends a byte now and then would have
 * his connection for ever. Here the time of a phase is one for all of it. When it is over, it is
 * too late to tell libmicrohttpd, which takes no answer in the middle of a request: so the answer
 * is written past it, and the socket shut down, which it takes for a client that has gone (EPOLLHUP
 * comes before whatever is still unread, so none of it becomes a request). It may be done only
 * while libmicrohttpd itself has nothing to send.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "ports/http_inside.h"
#include "ports/system.h"

#define HEAD_MAX 1024
#define COARSE_MS 100   /* ticks of 10 ms at most, and a machine that is held up for some */
#define TIMEOUT_S 3600u /* any that is not libmicrohttpd's own */
#define EVENTS 64       /* at a time */

static void leave(struct http_connection *connection)
{
    if (connection->phase == HTTP_WORKING)
        return;
    *(connection->next ? &connection->next->prev
                       : &connection->server->phases[connection->phase].last) = connection->prev;
    *(connection->prev ? &connection->prev->next
                       : &connection->server->phases[connection->phase].first) = connection->next;
    connection->phase = HTTP_WORKING;
}

static void list_ended(struct http_connection *connection)
{
    if (connection->listed)
        return;
    connection->listed = true;
    connection->next_ended = connection->server->ended;
    connection->server->ended = connection;
}

static void unlist_ended(struct http_connection *connection)
{
    struct http_connection **at = &connection->server->ended;
    while (connection->listed && *at != connection)
        at = &(*at)->next_ended;
    if (connection->listed)
        *at = connection->next_ended;
    connection->listed = false;
}

void http_connection_enter(struct http_connection *connection, enum http_phase phase)
{
    leave(connection);
    connection->phase = phase;
    connection->since_us = system_monotonic_us();
    connection->seen = 0;
    if (phase == HTTP_WORKING)
        return;
    if (connection->ended)
        list_ended(connection);
    struct http_server *server = connection->server;
    connection->next = NULL;
    connection->prev = server->phases[phase].last;
    *(connection->prev ? &connection->prev->next : &server->phases[phase].first) = connection;
    server->phases[phase].last = connection;
}

void http_connection_notify(void *opaque, struct MHD_Connection *library, void **context,
                            enum MHD_ConnectionNotificationCode code)
{
    struct http_connection *connection = *context;
    struct http_server *server = opaque;
    server->called = true;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        /* When libmicrohttpd finds a second fault in a head, it ends without a word, and the
         * request is not completed. */
        if (connection->exchange != NULL)
            http_exchange_end(connection->exchange);
        /* libmicrohttpd listens again when it is run again, which nothing else may cause. */
        if (server->connections-- == server->limits.connections)
            server->room = true;
        leave(connection);
        unlist_ended(connection);
        free(connection);
        return;
    }
    if ((connection = calloc(1, sizeof *connection)) == NULL)
        abort();
    *context = connection;
    connection->server = server;
    server->connections++;
    connection->library = library;
    connection->fd =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    connection->phase = HTTP_WORKING; /* in no list */
    http_connection_enter(connection, HTTP_IDLE);
    struct epoll_event end = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, connection->fd, &end); /* until it is closed */
}

struct http_connection *http_connection_of(struct MHD_Connection *library)
{
    return MHD_get_connection_info(library, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* ---- when the time is over ---- */

/* Whether an idle one has begun to send a first line: libmicrohttpd does not tell, the kernel does.
 * It counts in ticks, so what came soon after the answer may be of the request before. */
static bool has_begun(const struct http_connection *connection)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return false;
    if (!connection->used)
        return info.tcpi_bytes_received > 0;
    int64_t idle_us = system_monotonic_us() - connection->since_us;
    return info.tcpi_last_data_recv + COARSE_MS < idle_us / 1000;
}

void http_connection_refuse(struct http_connection *connection, struct http_exchange *exchange,
                            enum http_refusal why)
{
    leave(connection);
    connection->cut = true;
    http_exchange_refuse(exchange, why);
}

void http_connection_linger(struct http_connection *connection)
{
    connection->lingers = true;
    shutdown(connection->fd, SHUT_WR);
    http_connection_enter(connection, HTTP_ANSWERING);
}

void http_connections_linger_no_more(struct http_server *server)
{
    for (struct http_connection *connection = server->phases[HTTP_ANSWERING].first;
         connection != NULL; connection = connection->next)
        if (connection->lingers)
            http_connection_end(connection);
}

void http_connection_end(struct http_connection *connection)
{
    connection->cut = true;
    shutdown(connection->fd, SHUT_RDWR);
}

static void cut(struct http_connection *connection)
{
    enum http_phase phase = connection->phase;
    leave(connection);
    if (phase == HTTP_READING) {
        http_connection_refuse(connection, connection->exchange, HTTP_LATE);
    } else if (phase == HTTP_IDLE && has_begun(connection)) {
        struct http_exchange *exchange = http_exchange_new(connection->server, connection, "");
        http_connection_refuse(connection, exchange, HTTP_LATE);
        http_exchange_end(exchange);
    }
    http_connection_end(connection);
}

static int64_t over_us(const struct http_server *server, enum http_phase phase)
{
    const int64_t limits_ms[] = {[HTTP_IDLE] = server->limits.idle_ms,
                                 [HTTP_READING] = server->limits.request_ms,
                                 [HTTP_ANSWERING] = server->limits.answer_ms};
    const struct http_connection *oldest = server->phases[phase].first;
    return oldest == NULL ? INT64_MAX : oldest->since_us + limits_ms[phase] * 1000;
}

void http_connections_cut(struct http_server *server)
{
    int64_t now_us = system_monotonic_us();
    for (enum http_phase phase = 0; phase < HTTP_WORKING; phase++)
        while (over_us(server, phase) <= now_us)
            cut(server->phases[phase].first);
}

/* ---- what libmicrohttpd does not do by itself ---- */

void http_connections_wait(struct http_server *server, int wait_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(server->epoll_fd, events, EVENTS, wait_ms);
    for (int i = 0; i < count; i++) {
        struct http_connection *connection = events[i].data.ptr;
        if (connection == NULL)
            continue;
        connection->ended = true;
        list_ended(connection);
    }
}

static bool has_unread(const struct http_connection *connection)
{
    int unread = 0;
    return ioctl(connection->fd, FIONREAD, &unread) == 0 && unread > 0;
}

/* libmicrohttpd takes a read that fills less than its buffer for the last one until the kernel
 * tells of more. An end that was there with those bytes is not told of again: it would wait. */
void http_connections_end_halves(struct http_server *server)
{
    struct http_connection *connection = server->ended, *next;
    server->ended = NULL;
    for (; connection != NULL; connection = next) {
        next = connection->next_ended;
        connection->listed = false;
        if (connection->phase == HTTP_WORKING ||
            (connection->phase == HTTP_ANSWERING && !connection->lingers))
            continue; /* who has asked may still hear */
        if (has_unread(connection)) {
            list_ended(connection);
            continue;
        }
        leave(connection);
        http_connection_end(connection);
    }
}

/* 0: it has read all that is there. */
static int64_t bytes_read(const struct http_connection *connection)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    int unread = 0;
    if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        ioctl(connection->fd, FIONREAD, &unread) != 0 || unread == 0)
        return 0;
    return (int64_t)info.tcpi_bytes_received - unread;
}

/* Its buffer is full of what makes no sense without more: a chunk's extension that does not end. It
 * was run since it was seen the first time, and has not read a byte of what is there. */
void http_connections_unstick(struct http_server *server)
{
    for (struct http_connection *connection = server->phases[HTTP_READING].first, *next;
         connection != NULL; connection = next) {
        next = connection->next;
        int64_t read = bytes_read(connection);
        if (read > 0 && read == connection->seen) {
            http_connection_refuse(connection, connection->exchange, HTTP_BODY_TOO_LARGE);
            http_connection_end(connection);
        } else {
            connection->seen = read;
        }
    }
}

/* Once resumed, libmicrohttpd reads before it looks for the answer, and who has sent all and half
 * closed is one who has gone; but those with a timeout of their own it looks at before it reads. */
void http_connection_hurry(struct http_connection *connection)
{
    connection->hurried =
        MHD_set_connection_option(connection->library, MHD_CONNECTION_OPTION_TIMEOUT, TIMEOUT_S) ==
        MHD_YES;
}

/* It looks at all of them in every round: so they are those only that are answered now. */
void http_connection_hurry_no_more(struct http_connection *connection)
{
    if (connection->hurried)
        MHD_set_connection_option(connection->library, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    connection->hurried = false;
}

int http_connections_wait_ms(const struct http_server *server, int wait_ms)
{
    int64_t now_us = system_monotonic_us();
    for (enum http_phase phase = 0; phase < HTTP_WORKING; phase++) {
        int64_t left_us = over_us(server, phase) - now_us;
        if (left_us < (int64_t)wait_ms * 1000)
            wait_ms = left_us > 0 ? (int)((left_us + 999) / 1000) : 0;
    }
    return wait_ms;
}

static size_t add(char *head, size_t len, const char *name, const char *value)
{
    int added = snprintf(head + len, HEAD_MAX - len, "%s: %s\r\n", name, value);
    return added > 0 && len + (size_t)added < HEAD_MAX ? len + (size_t)added : len;
}

void http_connection_say(struct http_connection *connection, const char *content_type,
                         struct saga_text body)
{
    const struct http_exchange *exchange = connection->exchange;
    char head[HEAD_MAX + 2], text[40];
    struct tm tm;
    time_t now = (time_t)(system_now_us() / 1000000);
    size_t len = (size_t)snprintf(head, HEAD_MAX, "HTTP/1.1 %u %s\r\nConnection: close\r\n",
                                  exchange->status, MHD_get_reason_phrase_for(exchange->status));
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    len = add(head, len, "Date", text);
    snprintf(text, sizeof text, "%zu", body.len);
    len = add(head, len, "Content-Length", text);
    len = add(head, len, "Content-Type", content_type);
    for (const struct http_header *header = exchange->headers; header; header = header->next)
        len = add(head, len, header->name, header->value);
    memcpy(head + len, "\r\n", 2);
    struct iovec parts[] = {{head, len + 2}, {(void *)(uintptr_t)body.at, body.len}};
    bool only_head = strcmp(exchange->method, MHD_HTTP_METHOD_HEAD) == 0;
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = only_head ? 1 : 2};
    /* Best effort: who has not even room for this will not read it. */
    (void)!sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}
