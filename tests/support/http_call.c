/* http_call.c: one request on a connection of its own. */
#include "http_message.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "clock.h"

struct call {
    struct http_answer answer; /* first: http_answer_free gets its address */
    struct http_buffer in;
};

static bool wait_for(int fd, short events, int64_t end_us)
{
    int64_t left_ms = (end_us - clock_us()) / 1000;
    struct pollfd poll_fd = {.fd = fd, .events = events};
    return left_ms > 0 && poll(&poll_fd, 1, (int)left_ms) > 0;
}

static bool send_all(int fd, const char *bytes, size_t len, int64_t end_us)
{
    size_t sent = 0;

    while (sent < len) {
        if (!wait_for(fd, POLLOUT, end_us))
            return false;
        ssize_t n = send(fd, bytes + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0)
            return false;
        sent += (size_t)n;
    }
    return true;
}

static void receive(int fd, struct call *call, int64_t end_us)
{
    for (;;) {
        if (!wait_for(fd, POLLIN, end_us))
            return;
        http_buffer_reserve(&call->in, 16384);
        ssize_t n = recv(fd, call->in.at + call->in.len, call->in.size - call->in.len, 0);
        if (n < 0)
            return;
        call->in.len += (size_t)n;
        if (http_parse(&call->in, n == 0, &call->answer) != HTTP_MORE || n == 0)
            return;
    }
}

struct http_answer *http_call_raw(const char *base, const char *bytes, size_t len, int timeout_ms)
{
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL)
        abort();
    call->answer.head = call->answer.body = "";
    int64_t end_us = clock_us() + (int64_t)timeout_ms * 1000;
    struct sockaddr_in address = http_address(base);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* For connect too: who listens but does not accept would be waited for, for minutes. */
    const struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        /* A server may answer and close before it has read all: its answer counts. */
        send_all(fd, bytes, len, end_us);
        receive(fd, call, end_us);
    }
    if (fd >= 0)
        close(fd);
    return &call->answer;
}

struct http_answer *http_call_bytes(const char *base, const char *method, const char *path,
                                    const char *headers, const char *body, size_t body_len,
                                    int timeout_ms)
{
    struct http_buffer out = {0};
    http_write_request(&out, base, method, path, headers, body, body_len);
    struct http_answer *answer = http_call_raw(base, out.at, out.len, timeout_ms);
    free(out.at);
    return answer;
}

struct http_answer *http_call(const char *base, const char *method, const char *path,
                              const char *headers, const char *body, int timeout_ms)
{
    return http_call_bytes(base, method, path, headers, body, body == NULL ? 0 : strlen(body),
                           timeout_ms);
}

void http_answer_free(struct http_answer *answer)
{
    if (answer == NULL)
        return;
    struct call *call = (struct call *)answer;
    free(call->in.at);
    free(call);
}
