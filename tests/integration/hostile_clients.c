/*
 * hostile_clients.c: strangers who are slow, idle, or many at once. Each gets his answer and keeps
 * nobody else from his; the service lives on, in its memory.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <glob.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/clock.h"
#include "support/http_message.h"
#include "support/orders.h"
#include "support/problem.h"
#include "support/stack.h"
#include "support/unharmed.h"

#define IDLE 2000
#define TIMEOUT_MS 40000
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define POST "POST /v1/orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"

static int accepted;

static void begin(void)
{
    unharmed_begin();
    accepted = 0;
}

/* The last line of each test: Criterion does not count what fails in a .fini. */
static void end(void)
{
    unharmed_end(accepted, 0);
}

TestSuite(hostile_clients, .init = begin, .timeout = 120);

static int dial(void)
{
    struct stack_part part;
    static int port;
    if (port == 0) {
        cr_assert(stack_part("order-svc", &part));
        port = part.port;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* Connections that say nothing, or half of something, do not keep others from being served. */
Test(hostile_clients, idle_connections)
{
    static int fds[IDLE];
    struct rlimit limit = {IDLE + 200, IDLE + 200};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < IDLE + 200 ? limit.rlim_max : IDLE + 200;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (size_t i = 0; i < IDLE; i++) {
        static const char half[] = POST "Content-Length: 100\r\n\r\n{\"customer_id\"";
        fds[i] = dial();
        if (i % 2 == 0)
            cr_assert_gt(send(fds[i], half, i % 4 ? sizeof half - 1 : 20, MSG_NOSIGNAL), 0);
    }
    for (int i = 0; i < 20; i++) {
        const char *order = order_body(NULL, NULL, NULL);
        struct http_answer *answer =
            http_call(stack_address("ORDER_API"), "POST", "/v1/orders",
                      "Content-Type: application/json\r\n", order, TIMEOUT_MS);
        const char *differs = order_differs(answer, order, strlen(order));
        cr_assert_null(differs, "%s", differs);
        accepted++;
        http_answer_free(answer);
    }
    unharmed_memory("with 2000 idle connections");
    for (size_t i = 0; i < IDLE; i++)
        close(fds[i]);
    end();
}

/* All that comes until the server closes; closes too. Until the next call. */
static struct http_buffer *hear_all(int fd)
{
    static struct http_buffer in;
    struct timeval timeout = {.tv_sec = 45};
    ssize_t got;
    in.len = 0;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    do {
        http_buffer_reserve(&in, 8192);
        got = recv(fd, in.at + in.len, in.size - in.len, 0);
        in.len += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    close(fd);
    in.at[in.len] = '\0'; /* there is room: the last reading was of nothing */
    cr_assert_eq(got, 0, "not closed after %s", in.at);
    return &in;
}

/* The one answer that comes. Until the next call. */
static const struct http_answer *hear(int fd)
{
    static struct http_answer answer;
    struct http_buffer *in = hear_all(fd);
    cr_assert_eq(http_parse(in, true, &answer), HTTP_COMPLETE, "%s", in->at);
    cr_assert_eq(answer.head_len + 4 + answer.body_len, in->len, "more than one answer: %s",
                 in->at);
    return &answer;
}

static void say(int fd, const char *text)
{
    cr_expect_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Who ends in the middle of a request is told nothing, and has ordered nothing. Who ends behind
 * two has both answers. Then the connection is free, and nobody waits for their time to be over.
 */
Test(hostile_clients, who_sends_no_more)
{
    static const char *const halves[] = {"", "GET /v1/or", POST "A: b\r\n",
                                         POST "Content-Length: 10\r\n\r\n{}",
                                         POST "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"};
    const int64_t from_us = clock_us();
    for (size_t i = 0; i < COUNT(halves); i++) {
        int fd = dial();
        say(fd, halves[i]);
        cr_assert_eq(shutdown(fd, SHUT_WR), 0);
        const struct http_buffer *in = hear_all(fd);
        cr_expect_eq(in->len, 0, "%zu: %s", i, in->at);
    }
    int fd = dial();
    say(fd, "GET /0 HTTP/1.1\r\nHost: a\r\n\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert_eq(shutdown(fd, SHUT_WR), 0);
    size_t answers = 0;
    for (const char *at = hear_all(fd)->at; (at = strstr(at, "HTTP/1.1 404 ")) != NULL; at++)
        answers++;
    cr_expect_eq(answers, 2);
    cr_expect_lt(clock_us() - from_us, 5000000);
    end();
}

/* Half of a head, half of a body: told so after 30 s, as a problem, and the connection is free. */
Test(hostile_clients, too_slow)
{
    int head = dial(), body = dial();
    say(head, POST "X-Request-Id: slow-1\r\nA: b\r\n");
    say(body, POST "X-Request-Id: slow-1\r\nContent-Length: 100\r\n\r\n{\"customer_id\"");
    for (int i = 0; i < 2; i++) {
        char id[16] = "";
        const struct http_answer *answer = hear(i == 0 ? head : body);
        const char *differs =
            problem_differs(answer, 408, "request_timeout",
                            "The request has not arrived whole in time.", NULL, NULL);
        cr_expect_null(differs, "%s", differs);
        http_header(answer, "X-Request-Id", id, sizeof id);
        cr_expect_str_eq(id, "slow-1");
    }
    end();
}

/* All of it is with the server's kernel, and nothing has come back. */
static bool are_ready(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int unsent = -1;
        struct pollfd answer = {.fd = fds[i], .events = POLLIN};
        if (ioctl(fds[i], SIOCOUTQ, &unsent) != 0 || unsent != 0 || poll(&answer, 1, 0) != 0)
            return false;
    }
    return true;
}

/* None of its threads runs any more, so whatever is sent now is read when it goes on. */
static bool is_stopped(pid_t pid)
{
    char pattern[40], line[256];
    glob_t tasks;
    bool stopped = true;
    snprintf(pattern, sizeof pattern, "/proc/%d/task/*/stat", (int)pid);
    cr_assert_eq(glob(pattern, 0, NULL, &tasks), 0);
    for (size_t i = 0; i < tasks.gl_pathc; i++) {
        FILE *file = fopen(tasks.gl_pathv[i], "re");
        const char *end = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
        stopped = stopped && end != NULL && strncmp(end, ") T", 3) == 0;
        if (file != NULL)
            fclose(file);
    }
    globfree(&tasks);
    return stopped;
}

/* Asserts nothing before the server goes on. */
static void send_at_once(const int *fds, size_t count)
{
    struct stack_part part;
    char request[1024];
    const char *order = order_body(NULL, NULL, NULL);
    snprintf(request, sizeof request, POST "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(order), order);
    cr_assert(stack_part("order-svc", &part));
    cr_assert_eq(kill(part.pid, SIGSTOP), 0);
    bool stopped = CLOCK_UNTIL(10, is_stopped(part.pid));
    for (size_t i = 0; i < count; i++)
        say(fds[i], request);
    bool ready = CLOCK_UNTIL(10, are_ready(fds, count));
    cr_expect_eq(kill(part.pid, SIGCONT), 0);
    cr_assert(stopped && ready);
}

/*
 * Exactly as many ready at once as an epoll call returns, and one more or less. The connections are
 * in use, so the server watches them; it is stopped while the requests arrive, so that it finds all
 * of them in one look.
 */
Test(hostile_clients, ready_at_once)
{
    static const size_t numbers[] = {127, 128, 129, 255, 256, 257};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        int fds[257], created = 0;
        char livez[256];
        for (size_t n = 0; n < numbers[i]; n++) {
            fds[n] = dial();
            say(fds[n], "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
            cr_assert_gt(recv(fds[n], livez, sizeof livez, 0), 0);
        }
        send_at_once(fds, numbers[i]);
        for (size_t n = 0; n < numbers[i]; n++) {
            const char *order = order_body(NULL, NULL, NULL);
            const char *differs = order_differs(hear(fds[n]), order, strlen(order));
            cr_expect_null(differs, "%s", differs);
            created += differs == NULL;
        }
        cr_assert_eq(created, (int)numbers[i]);
        accepted += created;
    }
    end();
}
