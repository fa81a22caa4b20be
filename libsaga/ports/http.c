/* http.c: libmicrohttpd, driven by our own thread through its epoll descriptor; see http.h. */
#include "ports/http_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Head and answer's head stand in it: just above our own limits, so that those who pass them a
 * little get our answer and not the library's. libmicrohttpd zeroes all of it after each request:
 * that much memory a connection, and that much work a request. */
#define CONNECTION_MEMORY ((size_t)32 * 1024)
#define LISTEN_BACKLOG 1024
#define ROUND_MS_MAX 1000

const struct http_limits http_limits = {
    .connections = 4096, .idle_ms = 60000, .request_ms = 30000, .answer_ms = 60000};

/* ---- libmicrohttpd calls ---- */

static size_t count_arguments(const char *target)
{
    size_t count = 0;
    for (const char *at = strchr(target, '?'); at != NULL; at = strchr(at + 1, '&'))
        count++;
    return count;
}

/* The first that is heard of a request: its target as it was sent. Arguments that have no room in
 * its memory libmicrohttpd does not tell, and then has none for the head either. */
static void *on_target(void *opaque, const char *target, struct MHD_Connection *library)
{
    struct http_server *server = opaque;
    struct http_connection *connection = http_connection_of(library);
    server->called = true;
    http_connection_enter(connection, HTTP_READING);
    struct http_exchange *exchange = http_exchange_new(server, connection, target);
    exchange->target_at = target;
    if (count_arguments(target) > HTTP_ARGUMENTS_MAX) {
        http_connection_refuse(connection, exchange, HTTP_TARGET_TOO_LONG);
        http_connection_end(connection);
    }
    return exchange;
}

static void on_completed(void *opaque, struct MHD_Connection *library, void **context,
                         enum MHD_RequestTerminationCode code)
{
    (void)code;
    struct http_server *server = opaque;
    struct http_connection *connection = http_connection_of(library);
    server->called = true;
    http_connection_hurry_no_more(connection);
    if (*context != NULL)
        http_exchange_end(*context);
    *context = NULL;
    connection->used = true;
    if (!connection->cut)
        http_connection_enter(connection, HTTP_IDLE);
}

static enum MHD_Result queue_answer(struct http_exchange *exchange)
{
    http_connection_enter(exchange->connection, HTTP_ANSWERING);
    return MHD_queue_response(exchange->connection->library, exchange->status, exchange->response);
}

/* Who sends his body without having asked would be cut off within it, and may take that for his
 * answer: so he is answered past libmicrohttpd, and what comes is read all the same. */
static enum MHD_Result refuse(struct http_exchange *exchange, enum http_refusal why)
{
    const char *expect = http_raw_header(exchange, "Expect");
    bool asks = expect != NULL && strcasecmp(expect, "100-continue") == 0;
    if (why == HTTP_BODY_TOO_LARGE && !asks) {
        http_connection_refuse(exchange->connection, exchange, why);
        http_connection_linger(exchange->connection);
        return MHD_YES;
    }
    http_exchange_refuse(exchange, why);
    return queue_answer(exchange);
}

/* It has its answer: what more of its body comes is thrown away, to its end or up to the bound. */
static enum MHD_Result swallow(struct http_exchange *exchange, size_t *size)
{
    bool more = *size > 0;
    exchange->swallowed += *size;
    *size = 0;
    return more && exchange->swallowed <= HTTP_BODY_MAX + HTTP_SWALLOW_MAX ? MHD_YES : MHD_NO;
}

/* More than is swallowed: told so past libmicrohttpd, which ends the connection on a "no". */
static enum MHD_Result cut_off(struct http_exchange *exchange)
{
    http_connection_refuse(exchange->connection, exchange, HTTP_BODY_TOO_LARGE);
    return MHD_NO;
}

static enum MHD_Result take_body(struct http_exchange *exchange, const char *data, size_t *size)
{
    size_t len = *size;
    *size = 0;
    if (exchange->body == NULL) {
        exchange->body_size = http_body_length(exchange);
        exchange->body = arena_alloc(&exchange->arena, exchange->body_size);
    }
    if (exchange->body_len + len <= exchange->body_size && exchange->swallowed == 0) {
        memcpy(exchange->body + exchange->body_len, data, len);
        exchange->body_len += len;
        return MHD_YES;
    }
    /* Too large, and chunked. libmicrohttpd takes an answer only at its end, and who is cut off
     * while he sends may not read what he was told: so it is read on to there, and thrown away. */
    exchange->swallowed += len;
    size_t total = exchange->body_len + exchange->swallowed;
    return total <= HTTP_BODY_MAX + HTTP_SWALLOW_MAX ? MHD_YES : cut_off(exchange);
}

static enum MHD_Result on_request(void *opaque, struct MHD_Connection *library, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context)
{
    (void)url, (void)library;
    struct http_server *server = opaque;
    struct http_exchange *exchange = *context;
    server->called = true;
    if (exchange->connection->cut) /* it has been told why */
        return exchange->connection->lingers ? swallow(exchange, upload_size) : MHD_NO;
    if (exchange->answered) /* resumed */
        return queue_answer(exchange);
    if (server->over)
        return MHD_NO;
    if (!exchange->begun) {
        exchange->begun = true;
        exchange->method = http_exchange_copy(exchange, method);
        enum http_refusal why = http_head_refusal(exchange, method, version);
        /* What is behind a head that cannot be relied on may be anything. And where chunks end
         * libmicrohttpd finds out by itself, and is lax: a line feed alone ends a line, and so does
         * a NUL in what is behind the last chunk. */
        exchange->last =
            why != HTTP_NOT_REFUSED || http_raw_header(exchange, "Transfer-Encoding") != NULL;
        return why == HTTP_NOT_REFUSED ? MHD_YES : refuse(exchange, why);
    }
    if (*upload_size > 0)
        return take_body(exchange, upload, upload_size);
    if (exchange->swallowed > 0) {
        http_exchange_refuse(exchange, HTTP_BODY_TOO_LARGE);
        return queue_answer(exchange);
    }
    exchange->given = true;
    http_connection_enter(exchange->connection, HTTP_WORKING);
    server->handler.request(server->handler.opaque, exchange);
    if (exchange->answered)
        return queue_answer(exchange);
    exchange->suspended = true;
    MHD_suspend_connection(exchange->connection->library);
    return MHD_YES;
}

/* ---- the server ---- */

static int listen_on(const char *address, uint16_t port, char *errbuf, size_t size)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, address, &in.sin_addr) != 1) {
        snprintf(errbuf, size, "%s is no IPv4 address", address);
        return -1;
    }
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        bind(fd, (const struct sockaddr *)&in, sizeof in) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    snprintf(errbuf, size, "cannot listen on %s:%u: %s", address, port, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, server,
        MHD_OPTION_LISTEN_SOCKET, server->listen_fd, MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        http_connection_notify, server, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_LIMIT, server->limits.connections, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
}

static bool watch(struct http_server *server, int fd)
{
    struct epoll_event event = {.events = EPOLLIN}; /* not a connection's: no pointer */
    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

struct http_server *http_server_new(const char *address, uint16_t port,
                                    const struct http_handler *handler,
                                    const struct http_limits *limits, char *errbuf,
                                    size_t errbuf_size)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        abort();
    server->handler = *handler;
    server->limits = *limits;
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->listen_fd = listen_on(address, port, errbuf, errbuf_size);
    if (server->listen_fd < 0) {
        http_server_free(server);
        return NULL;
    }
    server->daemon = start_daemon(server);
    const union MHD_DaemonInfo *info =
        server->daemon ? MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info == NULL || !watch(server, info->epoll_fd) || !watch(server, server->wake_fd)) {
        snprintf(errbuf, errbuf_size, "the HTTP server cannot start: %s", strerror(errno));
        http_server_free(server);
        return NULL;
    }
    return server;
}

static int wait_ms(struct http_server *server)
{
    if (server->room) {
        server->room = false;
        return 0;
    }
    int tick = server->handler.tick(server->handler.opaque);
    int wait = tick >= 0 && tick < ROUND_MS_MAX ? tick : ROUND_MS_MAX;
    MHD_UNSIGNED_LONG_LONG library_ms;
    if (MHD_get_timeout(server->daemon, &library_ms) == MHD_YES && library_ms < (unsigned)wait)
        wait = (int)library_ms;
    if (wait == 0 && !server->called) {
        http_connections_unstick(server);
        http_connections_linger_no_more(server); /* one of them may be what it cannot read on */
    }
    return http_connections_wait_ms(server, wait);
}

void http_server_run(struct http_server *server)
{
    while (!atomic_load(&server->stop)) {
        server->called = false;
        MHD_run(server->daemon);
        http_connections_end_halves(server);
        http_connections_cut(server);
        if (atomic_load(&server->quiesce)) {
            if (!server->quiet)
                close(MHD_quiesce_daemon(server->daemon));
            server->quiet = true;
            http_connections_linger_no_more(server);
            if (server->live == NULL)
                break;
        }
        http_connections_wait(server, wait_ms(server));
        uint64_t count;
        if (read(server->wake_fd, &count, sizeof count) == sizeof count)
            server->handler.woken(server->handler.opaque);
    }
}

void http_wake(struct http_server *server)
{
    uint64_t one = 1;
    if (write(server->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
        abort();
}

void http_server_quiesce(struct http_server *server)
{
    atomic_store(&server->quiesce, true);
    http_wake(server);
}

void http_server_stop(struct http_server *server)
{
    atomic_store(&server->stop, true);
    http_wake(server);
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    if (server->daemon != NULL) {
        for (struct http_exchange *exchange = server->live; exchange; exchange = exchange->next)
            if (exchange->given && !exchange->answered)
                http_answer(exchange, 503, NULL, (struct saga_text){0});
        if (!server->quiet)
            close(MHD_quiesce_daemon(server->daemon));
        server->over = true;
        MHD_run(server->daemon); /* takes the resumed ones up: none may be left suspended */
        MHD_stop_daemon(server->daemon);
    }
    for (struct http_exchange *exchange = server->spare, *next; exchange; exchange = next) {
        next = exchange->next;
        arena_free(&exchange->arena);
        free(exchange);
    }
    close(server->wake_fd);
    close(server->epoll_fd);
    free(server);
}
