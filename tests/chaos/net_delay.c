/* net_delay.c: a proxy that hands on what it gets, but later. */
#include "net_delay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter_ipv4.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_place.h"
#include "support/clock.h"

#define LINES_MAX 128
#define HELD_MAX (1 << 20) /* bytes of one direction: more are left with who sends them */
#define CHUNK_MAX 65536

/* What was read at once; len 0: its sender has no more to say. */
struct chunk {
    struct chunk *next;
    int64_t due_us;
    size_t len, sent;
    char bytes[];
};

struct way {
    int from, to;
    struct chunk *first, **last;
    size_t held;
    bool heard_all, said_all;
};

/* A connection: from the part to the proxy, from there to whom it was meant for, and back. */
struct line {
    int near, far;
    bool connecting;
    struct way there, back;
};

struct delayer {
    pthread_t thread;
    int place, listener, stop, ms;
    size_t count;
    struct line *lines[LINES_MAX];
};

static void way_begin(struct way *way, int from, int to)
{
    *way = (struct way){.from = from, .to = to};
    way->last = &way->first;
}

static void way_drop_first(struct way *way)
{
    struct chunk *chunk = way->first;

    way->first = chunk->next;
    if (way->first == NULL)
        way->last = &way->first;
    way->held -= chunk->len;
    free(chunk);
}

static void line_free(struct line *line)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    while (line->there.first != NULL)
        way_drop_first(&line->there);
    while (line->back.first != NULL)
        way_drop_first(&line->back);
    /* What was not handed on is lost, and both sides have to see that: a reset, no orderly end. */
    if (!line->there.said_all || !line->back.said_all) {
        setsockopt(line->near, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        setsockopt(line->far, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    close(line->near);
    close(line->far);
    free(line);
}

/* False: the connection has failed. */
static bool hear(struct way *way, int ms)
{
    static _Thread_local char buffer[CHUNK_MAX];
    ssize_t n = recv(way->from, buffer, sizeof buffer, 0);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    struct chunk *chunk = malloc(sizeof *chunk + (size_t)n);
    if (chunk == NULL)
        return false;
    *chunk = (struct chunk){.due_us = clock_us() + (int64_t)ms * 1000, .len = (size_t)n};
    memcpy(chunk->bytes, buffer, (size_t)n);
    *way->last = chunk;
    way->last = &chunk->next;
    way->held += (size_t)n;
    way->heard_all = n == 0;
    return true;
}

/* Hands on what is due. False: the connection has failed. */
static bool say(struct way *way)
{
    int64_t now_us = clock_us();

    while (way->first != NULL && way->first->due_us <= now_us) {
        struct chunk *chunk = way->first;
        if (chunk->len == 0) {
            shutdown(way->to, SHUT_WR);
            way->said_all = true;
        }
        while (chunk->sent < chunk->len) {
            ssize_t n =
                send(way->to, chunk->bytes + chunk->sent, chunk->len - chunk->sent, MSG_NOSIGNAL);
            if (n < 0)
                return errno == EAGAIN || errno == EINTR;
            chunk->sent += (size_t)n;
        }
        way_drop_first(way);
    }
    return true;
}

/* What to wait for at `from`, and at `to`. */
static short wants_in(const struct way *way)
{
    return !way->heard_all && way->held < HELD_MAX ? POLLIN : 0;
}

static short wants_out(const struct way *way)
{
    return way->first != NULL && way->first->due_us <= clock_us() ? POLLOUT : 0;
}

static bool line_work(struct line *line, short near, short far, int ms)
{
    int why = 0;
    socklen_t size = sizeof why;

    if (line->connecting) {
        if (far == 0)
            return true;
        if (getsockopt(line->far, SOL_SOCKET, SO_ERROR, &why, &size) != 0 || why != 0)
            return false;
        line->connecting = false;
    }
    if ((near != 0 && wants_in(&line->there) && !hear(&line->there, ms)) ||
        (far != 0 && wants_in(&line->back) && !hear(&line->back, ms)))
        return false;
    return say(&line->there) && say(&line->back) && !(line->there.said_all && line->back.said_all);
}

static struct line *line_new(const struct delayer *delayer, int near)
{
    const int mark = DELAYER_MARK, one = 1;
    struct sockaddr_in meant;
    socklen_t size = sizeof meant;
    struct line *line = calloc(1, sizeof *line);
    int far = net_place_socket(delayer->place);

    if (line == NULL || far < 0 || getsockopt(near, SOL_IP, SO_ORIGINAL_DST, &meant, &size) != 0 ||
        setsockopt(far, SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0 ||
        (connect(far, (struct sockaddr *)&meant, sizeof meant) != 0 && errno != EINPROGRESS)) {
        if (far >= 0)
            close(far);
        free(line);
        close(near);
        return NULL;
    }
    setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    line->near = near;
    line->far = far;
    line->connecting = true;
    way_begin(&line->there, near, far);
    way_begin(&line->back, far, near);
    return line;
}

static void take_new(struct delayer *delayer)
{
    while (delayer->count < LINES_MAX) {
        int near = accept4(delayer->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (near < 0)
            return;
        struct line *line = line_new(delayer, near);
        if (line != NULL)
            delayer->lines[delayer->count++] = line;
    }
}

/* Until something is due, comes or can go. Returns false when it is to stop. */
static bool wait_for_work(const struct delayer *delayer, struct pollfd *fds)
{
    int64_t now_us = clock_us(), next_us = now_us + 1000000;

    fds[0] = (struct pollfd){.fd = delayer->stop, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = delayer->count < LINES_MAX ? delayer->listener : -1,
                             .events = POLLIN};
    for (size_t i = 0; i < delayer->count; i++) {
        const struct line *line = delayer->lines[i];
        struct pollfd *near = &fds[2 + 2 * i], *far = near + 1;
        *near = (struct pollfd){.fd = line->near};
        *far = (struct pollfd){.fd = line->far, .events = POLLOUT};
        if (line->connecting) {
            near->fd = -1; /* what it says can wait where it is */
            continue;
        }
        near->events = (short)(wants_in(&line->there) | wants_out(&line->back));
        far->events = (short)(wants_in(&line->back) | wants_out(&line->there));
        /* One that has hung up would be reported again and again. */
        near->fd = near->events == 0 ? -1 : near->fd;
        far->fd = far->events == 0 ? -1 : far->fd;
        const struct chunk *const firsts[] = {line->there.first, line->back.first};
        for (int n = 0; n < 2; n++) {
            if (firsts[n] != NULL && firsts[n]->due_us > now_us && firsts[n]->due_us < next_us)
                next_us = firsts[n]->due_us;
        }
    }
    poll(fds, 2 + 2 * delayer->count, (int)((next_us - now_us + 999) / 1000));
    return fds[0].revents == 0;
}

static void *delayer_work(void *opaque)
{
    static _Thread_local struct pollfd fds[2 + 2 * LINES_MAX];
    struct delayer *delayer = opaque;

    while (wait_for_work(delayer, fds)) {
        size_t kept = 0, count = delayer->count;
        for (size_t i = 0; i < count; i++) {
            struct line *line = delayer->lines[i];
            if (line_work(line, fds[2 + 2 * i].revents, fds[3 + 2 * i].revents, delayer->ms))
                delayer->lines[kept++] = line;
            else
                line_free(line);
        }
        delayer->count = kept;
        if (fds[1].revents != 0)
            take_new(delayer);
    }
    return NULL;
}

static bool listen_somewhere(struct delayer *delayer, int *ret_port)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;

    if (delayer->place < 0 || delayer->stop < 0 || delayer->listener < 0 ||
        !net_address("127.0.0.1", 0, &address) ||
        bind(delayer->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(delayer->listener, LINES_MAX) != 0 ||
        getsockname(delayer->listener, (struct sockaddr *)&address, &size) != 0)
        return false;
    *ret_port = ntohs(address.sin_port);
    return true;
}

static void close_all(struct delayer *delayer)
{
    const int fds[] = {delayer->place, delayer->listener, delayer->stop};

    for (size_t i = 0; i < delayer->count; i++)
        line_free(delayer->lines[i]);
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    free(delayer);
}

struct delayer *delayer_new(pid_t pid, int ms, int *ret_port)
{
    struct delayer *delayer = calloc(1, sizeof *delayer);

    if (delayer == NULL)
        return NULL;
    delayer->ms = ms;
    delayer->place = net_place(pid);
    delayer->stop = eventfd(0, EFD_CLOEXEC);
    delayer->listener = delayer->place < 0 ? -1 : net_place_socket(delayer->place);
    if (listen_somewhere(delayer, ret_port) &&
        pthread_create(&delayer->thread, NULL, delayer_work, delayer) == 0)
        return delayer;
    fprintf(stderr, "no proxy in the network of process %d: %s\n", (int)pid, strerror(errno));
    close_all(delayer);
    return NULL;
}

void delayer_free(struct delayer *delayer)
{
    const uint64_t one = 1;

    if (delayer == NULL)
        return;
    if (write(delayer->stop, &one, sizeof one) != sizeof one)
        abort(); /* the thread would never end */
    pthread_join(delayer->thread, NULL);
    close_all(delayer);
}
