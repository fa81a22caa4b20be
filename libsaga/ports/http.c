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

/* ---- exchanges ---- */

static const char *copy_string(struct arena *arena, const char *string)
{
    size_t size = strlen(string) + 1;
    return memcpy(arena_alloc(arena, size), string, size);
}

struct http_exchange *http_exchange_new(struct http_server *server,
                                        struct http_connection *connection, const char *target)
{
    struct http_exchange *exchange = server->spare;
    if (exchange != NULL)
        server->spare = exchange->next;
    else if ((exchange = calloc(1, sizeof *exchange)) == NULL)
        abort();
    struct arena arena = exchange->arena;
    *exchange = (struct http_exchange){
        .server = server, .connection = connection, .arena = arena, .method = ""};
    exchange->arena.size_max = 1024 * 1024;
    exchange->arena.chunk = (size_t)8 * 1024; /* nearly every request fits; there are thousands */
    exchange->target = copy_string(&exchange->arena, target);
    connection->exchange = exchange;
    exchange->next = server->live;
    exchange->back = &server->live;
    if (server->live != NULL)
        server->live->back = &exchange->next;
    server->live = exchange;
    return exchange;
}

void http_exchange_end(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    if (exchange->given)
        server->handler.over(server->handler.opaque, exchange);
    if (exchange->response != NULL)
        MHD_destroy_response(exchange->response);
    exchange->connection->exchange = NULL;
    *exchange->back = exchange->next;
    if (exchange->next != NULL)
        exchange->next->back = exchange->back;
    arena_reset(&exchange->arena);
    exchange->next = server->spare;
    server->spare = exchange;
}

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

struct head {
    size_t bytes, fields, hosts;
    bool malformed;
};

/* RFC 9110, 5.6.2. */
static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr("-!#$%&'*+.^_`|~", c) != NULL)))
            return false;
    }
    return len > 0;
}

/* libmicrohttpd reads a name and its value in place. Where a line goes on in the next one, it adds
 * that to the name: "Content-Length:", " 9" becomes "Content-Length9", and no length at all. */
static bool is_folded(const char *name, size_t name_len, const char *value)
{
    const char *at = name + name_len + 1;
    if ((uintptr_t)value < (uintptr_t)at)
        return true;
    while (at < value && (*at == ' ' || *at == '\t'))
        at++;
    return at != value;
}

/* libmicrohttpd takes "Content-Length : 9" for a field of another name, and what is behind the head
 * for a second request; who stands before us may have taken it for the body, and the other way
 * round. So a name that is none, a line that goes on and a CR within one refuse the request (RFC
 * 9112, 2.2, 5.1 and 5.2). */
static enum MHD_Result look_at_field(void *opaque, enum MHD_ValueKind kind, const char *name,
                                     size_t name_len, const char *value, size_t value_len)
{
    (void)kind;
    struct head *head = opaque;
    head->bytes += name_len + value_len + 4;
    head->fields++;
    head->hosts += name_len == 4 && strncasecmp(name, "Host", 4) == 0;
    if (!is_token(name, name_len) || is_folded(name, name_len, value) ||
        (value_len > 0 && memchr(value, '\r', value_len) != NULL))
        head->malformed = true;
    return MHD_YES;
}

/* As libmicrohttpd has it, and goes by it. */
static const char *raw_header(const struct http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection->library, MHD_HEADER_KIND, name);
}

/* Whether it is in doubt where the body ends: who stands before us may have read it otherwise, and
 * taken for a second request what we take for the body, or the other way round (RFC 9112, 6.3).
 * HTTP/1.0 has no chunks: who speaks it and sends them is passing on what he has not read (6.1). */
static bool is_ambiguous(const struct http_exchange *exchange, const char *version)
{
    const char *encoding = raw_header(exchange, "Transfer-Encoding");
    size_t lengths = http_header_count(exchange, "Content-Length");
    if (encoding == NULL)
        return lengths > 1;
    return lengths > 0 || strcmp(version, MHD_HTTP_VERSION_1_0) == 0 ||
           http_header_count(exchange, "Transfer-Encoding") > 1 ||
           strcasecmp(encoding, "chunked") != 0;
}

/* HTTP_BODY_MAX for a body in chunks. */
static size_t body_length(const struct http_exchange *exchange)
{
    const char *length = raw_header(exchange, "Content-Length");
    return length != NULL ? strtoull(length, NULL, 10) : HTTP_BODY_MAX;
}

/* Before its body is read. */
static enum http_refusal refusal(struct http_exchange *exchange, const char *version)
{
    struct head head = {0};
    MHD_get_connection_values_n(exchange->connection->library, MHD_HEADER_KIND, look_at_field,
                                &head);
    if (strlen(exchange->target) > HTTP_TARGET_MAX)
        return HTTP_TARGET_TOO_LONG;
    if (head.bytes > HTTP_HEADERS_MAX || head.fields > HTTP_FIELDS_MAX)
        return HTTP_HEAD_TOO_LARGE;
    if (head.malformed || head.hosts > 1)
        return HTTP_MALFORMED;
    if (is_ambiguous(exchange, version))
        return HTTP_AMBIGUOUS;
    if (body_length(exchange) > HTTP_BODY_MAX)
        return HTTP_BODY_TOO_LARGE;
    return HTTP_NOT_REFUSED;
}

static enum MHD_Result queue_answer(struct http_exchange *exchange)
{
    http_connection_enter(exchange->connection, HTTP_ANSWERING);
    return MHD_queue_response(exchange->connection->library, exchange->status, exchange->response);
}

void http_exchange_refuse(struct http_exchange *exchange, enum http_refusal why)
{
    static const int statuses[] = {
        [HTTP_MALFORMED] = 400,      [HTTP_AMBIGUOUS] = 400,       [HTTP_LATE] = 408,
        [HTTP_BODY_TOO_LARGE] = 413, [HTTP_TARGET_TOO_LONG] = 414, [HTTP_HEAD_TOO_LARGE] = 431};
    struct http_server *server = exchange->server;
    exchange->given = true;
    server->handler.refused(server->handler.opaque, exchange, why, statuses[why]);
}

/* Who sends his body without having asked would be cut off within it, and may take that for his
 * answer: so he is answered past libmicrohttpd, and what comes is read all the same. */
static enum MHD_Result refuse(struct http_exchange *exchange, enum http_refusal why)
{
    const char *expect = raw_header(exchange, "Expect");
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
        exchange->body_size = body_length(exchange);
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
        exchange->method = copy_string(&exchange->arena, method);
        enum http_refusal why = refusal(exchange, version);
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

/* ---- what a handler asks ---- */

const char *http_method(const struct http_exchange *exchange)
{
    return exchange->method;
}

struct saga_text http_path(const struct http_exchange *exchange)
{
    return (struct saga_text){exchange->target, strcspn(exchange->target, "?")};
}

const char *http_query(const struct http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection->library, MHD_GET_ARGUMENT_KIND, name);
}

/* Blanks are not part of a value (RFC 9110, 5.5); libmicrohttpd leaves those behind it. */
static struct saga_text trimmed(const char *value)
{
    struct saga_text text = saga_text(value);
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

struct saga_text http_header(const struct http_exchange *exchange, const char *name)
{
    return trimmed(raw_header(exchange, name));
}

struct header_count {
    const char *name;
    size_t count;
};

static enum MHD_Result count_header(void *opaque, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    (void)kind;
    (void)value;
    struct header_count *header = opaque;
    if (strcasecmp(name, header->name) == 0)
        header->count++;
    return MHD_YES;
}

size_t http_header_count(const struct http_exchange *exchange, const char *name)
{
    struct header_count header = {.name = name};
    MHD_get_connection_values(exchange->connection->library, MHD_HEADER_KIND, count_header,
                              &header);
    return header.count;
}

struct joined {
    const char *name;
    char *to;
    size_t len;
};

static enum MHD_Result join_header(void *opaque, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    struct joined *joined = opaque;
    if (strcasecmp(name, joined->name) != 0)
        return MHD_YES;
    struct saga_text text = trimmed(value);
    joined->len += (size_t)sprintf(joined->to + joined->len, "%s%.*s", joined->len ? ", " : "",
                                   (int)text.len, text.len > 0 ? text.at : "");
    return MHD_YES;
}

struct saga_text http_header_joined(struct http_exchange *exchange, const char *name)
{
    size_t count = http_header_count(exchange, name);
    if (count <= 1)
        return http_header(exchange, name);
    struct joined joined = {.name = name};
    joined.to = arena_alloc(&exchange->arena, 2 * HTTP_HEADERS_MAX);
    MHD_get_connection_values(exchange->connection->library, MHD_HEADER_KIND, join_header, &joined);
    return (struct saga_text){joined.to, joined.len};
}

struct saga_text http_body(const struct http_exchange *exchange)
{
    return (struct saga_text){exchange->body, exchange->body_len};
}

struct arena *http_arena(struct http_exchange *exchange)
{
    return &exchange->arena;
}

void *http_state(const struct http_exchange *exchange)
{
    return exchange->state;
}

void http_set_state(struct http_exchange *exchange, void *state)
{
    exchange->state = state;
}

void http_answer_header(struct http_exchange *exchange, const char *name, const char *value)
{
    struct http_header *header = arena_alloc(&exchange->arena, sizeof *header);
    header->name = name;
    header->value = copy_string(&exchange->arena, value);
    header->next = exchange->headers;
    exchange->headers = header;
}

/* An answer without one of its headers is another answer. */
static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (MHD_add_response_header(response, name, value) != MHD_YES)
        abort();
}

void http_answer(struct http_exchange *exchange, int status, const char *content_type,
                 struct saga_text body)
{
    if (exchange->answered)
        abort();
    exchange->answered = true;
    exchange->status = (unsigned)status;
    if (exchange->connection->cut) {
        http_connection_say(exchange->connection, content_type, body);
        return;
    }
    exchange->response = MHD_create_response_from_buffer(
        body.len, (void *)(uintptr_t)(body.at ? body.at : ""), MHD_RESPMEM_MUST_COPY);
    if (exchange->response == NULL)
        abort();
    if (content_type != NULL)
        add_header(exchange->response, "Content-Type", content_type);
    for (const struct http_header *header = exchange->headers; header; header = header->next)
        add_header(exchange->response, header->name, header->value);
    if (atomic_load(&exchange->server->quiesce))
        add_header(exchange->response, "Connection", "close");
    if (exchange->suspended) {
        http_connection_hurry(exchange->connection);
        MHD_resume_connection(exchange->connection->library);
    }
}
