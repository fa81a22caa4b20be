/* http_pool.c: many requests at once over kept connections, on one epoll. */
#include "http_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "clock.h"

struct request {
    struct request *next;
    uint64_t tag;
    struct http_buffer bytes;
};

struct connection {
    int fd; /* -1: closed */
    size_t sent;
    bool wants_out;
    int64_t since_us;
    struct request *request; /* NULL: idle */
    struct http_buffer in;
    struct connection *next_idle;
};

struct http_pool {
    char *base;
    struct sockaddr_in address;
    int epoll_fd;
    int64_t timeout_us, next_sweep_us;
    http_done done;
    void *opaque;
    struct connection *connections;
    size_t connections_count;
    /* Last in, first out: a low rate needs few connections and leaves the others alone. */
    struct connection *idle;
    struct request *queue, **queue_tail, *spare;
    size_t waiting, busy;
};

struct http_pool *http_pool_new(const char *base, size_t connections_max, int timeout_ms,
                                http_done done, void *opaque)
{
    struct http_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        abort();
    pool->base = strdup(base);
    pool->address = http_address(base);
    pool->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    pool->timeout_us = (int64_t)timeout_ms * 1000;
    pool->done = done;
    pool->opaque = opaque;
    pool->queue_tail = &pool->queue;
    pool->connections = calloc(connections_max, sizeof *pool->connections);
    if (pool->base == NULL || pool->epoll_fd < 0 || pool->connections == NULL)
        abort();
    pool->connections_count = connections_max;
    for (size_t i = connections_max; i-- > 0;) {
        struct connection *connection = &pool->connections[i];
        connection->fd = -1;
        connection->next_idle = pool->idle;
        pool->idle = connection;
    }
    return pool;
}

static void shut(struct connection *connection)
{
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
    connection->in.len = 0;
}

/* Gives the request back to the caller; the connection is idle before, so that he may send. */
static void finish(struct http_pool *pool, struct connection *connection,
                   const struct http_answer *answer)
{
    struct request *request = connection->request;
    struct http_buffer in = connection->in;

    /* The answer lies in this buffer: it must outlive what the callback starts. */
    connection->in = (struct http_buffer){0};
    connection->request = NULL;
    connection->next_idle = pool->idle;
    pool->idle = connection;
    pool->busy--;
    uint64_t tag = request->tag;
    request->next = pool->spare;
    pool->spare = request;
    pool->done(pool->opaque, tag, answer);
    if (connection->in.at == NULL) {
        in.len = 0;
        connection->in = in;
    } else {
        free(in.at);
    }
}

static void fail(struct http_pool *pool, struct connection *connection)
{
    static const struct http_answer none = {.head = "", .body = ""};

    shut(connection);
    if (connection->request != NULL)
        finish(pool, connection, &none);
}

static void watch(struct http_pool *pool, struct connection *connection, int operation, bool out)
{
    struct epoll_event event = {.events = EPOLLIN | (out ? EPOLLOUT : 0u), .data.ptr = connection};
    epoll_ctl(pool->epoll_fd, operation, connection->fd, &event);
    connection->wants_out = out;
}

static bool dial(struct http_pool *pool, struct connection *connection)
{
    int one = 1;

    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0)
        return false;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(connection->fd, (struct sockaddr *)&pool->address, sizeof pool->address) != 0 &&
        errno != EINPROGRESS)
        return false;
    watch(pool, connection, EPOLL_CTL_ADD, true);
    return true;
}

static void push_out(struct http_pool *pool, struct connection *connection)
{
    const struct http_buffer *out = &connection->request->bytes;

    while (connection->sent < out->len) {
        ssize_t n = send(connection->fd, out->at + connection->sent, out->len - connection->sent,
                         MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) {
            if (!connection->wants_out)
                watch(pool, connection, EPOLL_CTL_MOD, true);
            return;
        }
        if (n <= 0) {
            fail(pool, connection);
            return;
        }
        connection->sent += (size_t)n;
    }
    if (connection->wants_out)
        watch(pool, connection, EPOLL_CTL_MOD, false);
}

/* Puts waiting requests on free connections. */
static void assign(struct http_pool *pool)
{
    while (pool->queue != NULL && pool->idle != NULL) {
        struct connection *connection = pool->idle;
        struct request *request = pool->queue;
        pool->idle = connection->next_idle;
        pool->queue = request->next;
        if (pool->queue == NULL)
            pool->queue_tail = &pool->queue;
        request->next = NULL; /* it is alone now: who frees it frees no other */
        pool->waiting--;
        pool->busy++;
        connection->request = request;
        connection->sent = 0;
        connection->in.len = 0;
        connection->since_us = clock_us();
        if (connection->fd < 0 && !dial(pool, connection))
            fail(pool, connection);
        else
            push_out(pool, connection);
    }
}

void http_pool_send(struct http_pool *pool, uint64_t tag, const char *method, const char *path,
                    const char *headers, const char *body)
{
    struct request *request = pool->spare;
    if (request != NULL)
        pool->spare = request->next;
    else
        request = calloc(1, sizeof *request);
    if (request == NULL)
        abort();
    request->tag = tag;
    request->next = NULL;
    request->bytes.len = 0;
    http_write_request(&request->bytes, pool->base, method, path, headers, body,
                       body == NULL ? 0 : strlen(body));
    *pool->queue_tail = request;
    pool->queue_tail = &request->next;
    pool->waiting++;
}

static void pull_in(struct http_pool *pool, struct connection *connection)
{
    http_buffer_reserve(&connection->in, 8192);
    ssize_t n = recv(connection->fd, connection->in.at + connection->in.len,
                     connection->in.size - connection->in.len, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0)
        connection->in.len += (size_t)n;
    /* Nothing was asked: the server closes an idle connection, or talks out of turn. */
    if (n < 0 || connection->request == NULL) {
        fail(pool, connection);
        return;
    }
    struct http_answer answer;
    enum http_parsed parsed = http_parse(&connection->in, n == 0, &answer);
    if (parsed == HTTP_BAD) {
        fail(pool, connection);
    } else if (parsed == HTTP_COMPLETE) {
        char value[32];
        if (n == 0 || connection->sent < connection->request->bytes.len ||
            (http_header(&answer, "Connection", value, sizeof value) &&
             strcasecmp(value, "close") == 0)) {
            close(connection->fd);
            connection->fd = -1;
        }
        finish(pool, connection, &answer);
    }
}

static void sweep(struct http_pool *pool, int64_t now_us)
{
    for (size_t i = 0; i < pool->connections_count; i++) {
        struct connection *connection = &pool->connections[i];
        if (connection->request != NULL && connection->since_us + pool->timeout_us < now_us)
            fail(pool, connection);
    }
}

void http_pool_work(struct http_pool *pool, int64_t wait_us)
{
    struct epoll_event events[256];
    struct timespec wait = {wait_us / 1000000, wait_us % 1000000 * 1000};

    assign(pool);
    int count = epoll_pwait2(pool->epoll_fd, events, 256, &wait, NULL);
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if (connection->fd < 0)
            continue;
        if ((events[i].events & EPOLLOUT) && connection->request != NULL)
            push_out(pool, connection);
        if (connection->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            pull_in(pool, connection);
    }
    int64_t now_us = clock_us();
    if (now_us >= pool->next_sweep_us) {
        sweep(pool, now_us);
        pool->next_sweep_us = now_us + 200000;
    }
    assign(pool);
}

size_t http_pool_pending(const struct http_pool *pool)
{
    return pool->waiting + pool->busy;
}

size_t http_pool_waiting(const struct http_pool *pool)
{
    return pool->waiting;
}

static void free_requests(struct request *request)
{
    while (request != NULL) {
        struct request *next = request->next;
        free(request->bytes.at);
        free(request);
        request = next;
    }
}

void http_pool_free(struct http_pool *pool)
{
    if (pool == NULL)
        return;
    for (size_t i = 0; i < pool->connections_count; i++) {
        struct connection *connection = &pool->connections[i];
        shut(connection);
        free(connection->in.at);
        free_requests(connection->request);
    }
    free_requests(pool->queue);
    free_requests(pool->spare);
    close(pool->epoll_fd);
    free(pool->connections);
    free(pool->base);
    free(pool);
}
