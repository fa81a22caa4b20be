/*
 * door.c: every allocation of the HTTP thread fails once, in turn, from the connection to the end
 * of the answer, libmicrohttpd's too: of the endpoints that every service has, of an order, and of
 * what the door refuses. The client has the very answer, headers and all, or none, or a 5xx; and
 * then the service answers the next one as ever.
 */
#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "order-svc/steps.h"
#include "ports/http_inside.h"
#include "starve.h"
#include "unit/support/backstage.h"

#define END_S 5

extern const struct saga_service order_service, payment_service;

#define UUID "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa"
#define ORDER                                                                                      \
    "{\"customer_id\":\"cus_1\",\"currency\":\"EUR\",\"items\":[{\"sku\":\"SKU-1\",\"quantity\":"  \
    "2,\"unit_amount\":250}],\"payment_method\":\"pm_card\",\"shipping_address\":{\"country\":"    \
    "\"DE\"}}"
#define POST "POST /v1/orders HTTP/1.1\r\nContent-Type: application/json\r\n"

static const struct scenario {
    const char *name, *head, *body;
    const struct saga_service *service;
    bool away, refuses;
} scenarios[] = {
    {"livez", "GET /livez HTTP/1.1\r\n", "", &order_service, false, false},
    {"readyz: ready", "GET /readyz HTTP/1.1\r\n", "", &order_service, false, false},
    {"readyz: servers away", "GET /readyz HTTP/1.1\r\n", "", &order_service, true, false},
    {"metrics", "GET /metrics HTTP/1.1\r\n", "", &order_service, false, false},
    {"metrics, without a gauge", "GET /metrics HTTP/1.1\r\n", "", &payment_service, false, false},
    {"metrics: servers away", "GET /metrics HTTP/1.1\r\n", "", &order_service, true, false},
    {"problem", "GET /problems/not_found HTTP/1.1\r\n", "", &order_service, false, false},
    {"problem that is none", "GET /problems/x HTTP/1.1\r\n", "", &order_service, false, false},
    {"nothing at this path", "GET /x HTTP/1.1\r\n", "", &order_service, false, false},
    {"another method", "PUT /livez HTTP/1.1\r\n", "", &order_service, false, false},
    {"order", POST "Idempotency-Key: k\r\nPrefer: wait=0\r\n", ORDER, &order_service, false, false},
    {"order, not taken", POST, ORDER, &order_service, false, true},
    {"order, not JSON", POST, "{", &order_service, false, false},
    {"order, of another type", "POST /v1/orders HTTP/1.1\r\n", ORDER, &order_service, false, false},
    {"no such order", "GET /v1/orders/" UUID " HTTP/1.1\r\n", "", &order_service, false, false},
    {"two lengths", POST "Content-Length: 1\r\n", ORDER, &order_service, false, false},
};

static _Thread_local bool is_http_thread;
static atomic_bool asking;

static bool counts(void)
{
    return is_http_thread && atomic_load(&asking);
}

/* As the door's own thread, which begins with allocations of the sanitizer's. */
static void *serve(void *opaque)
{
    struct door *door = opaque;
    is_http_thread = true;
    http_server_run(door->server);
    return NULL;
}

static void submitted(const struct engine_command *command)
{
    *(struct place_reply *)command->reply = (struct place_reply){.order_id = command->order_id};
}

/* ---- a request ---- */

/* The date, and ids that the service makes: another one in each process. */
static void mask(char *answer)
{
    char *date = strstr(answer, "\nDate: ");
    if (date != NULL)
        memset(date + 7, 'D', strcspn(date + 7, "\r\n"));
    for (char *at = answer; strlen(at) >= strlen(UUID); at++)
        if (strspn(at, "0123456789abcdef") == 8 && at[8] == '-' &&
            strspn(at, "0123456789abcdef-") == strlen(UUID))
            memset(at, 'U', strlen(UUID));
}

/* All that comes until the service closes the connection; empty: nothing. */
static void ask(int port, const struct scenario *scenario, char *answer)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval end = {.tv_sec = END_S};
    char request[2048];
    int len = snprintf(request, sizeof request,
                       "%sHost: h\r\nX-Request-Id: r\r\nConnection: close\r\nContent-Length: %zu"
                       "\r\n\r\n%s",
                       scenario->head, strlen(scenario->body), scenario->body);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t had = 0;
    ssize_t more = -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &end, sizeof end);
    atomic_store(&asking, true);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 &&
        send(fd, request, (size_t)len, MSG_NOSIGNAL) == len)
        while ((more = recv(fd, answer + had, STARVE_SAID_MAX - 1 - had, 0)) > 0)
            had += (size_t)more;
    atomic_store(&asking, false);
    answer[had] = '\0';
    if (more < 0 && had > 0)
        snprintf(answer, STARVE_SAID_MAX, "the connection was not closed\n");
    close(fd);
    mask(answer);
}

/* ---- the program ---- */

static const char *name_of(size_t i)
{
    return scenarios[i].name;
}

static bool run(size_t i, char *said)
{
    const struct scenario *scenario = &scenarios[i];
    char errbuf[200];
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    backstage = (struct backstage){
        .health = {.started = true, .accepting = true, .database = true, .kafka = !scenario->away},
        .away = scenario->away,
        .refuses = scenario->refuses,
        .submitted = submitted,
    };
    struct door *door = door_new(scenario->service, NULL, NULL, errbuf, sizeof errbuf);
    if (door == NULL || pthread_create(&door->thread, NULL, serve, door) != 0 ||
        getsockname(door->server->listen_fd, (struct sockaddr *)&own, &size) != 0) {
        snprintf(said, STARVE_SAID_MAX, "no door\n");
        return true;
    }
    ask(ntohs(own.sin_port), scenario, said);
    bool refused = *said == '\0' || strncmp(said, "HTTP/1.1 500 ", 13) == 0;
    if (refused) /* then it says what it would have said */
        ask(ntohs(own.sin_port), scenario, said);
    door->running = true;
    door_stop(door, INT64_MAX);
    door_free(door);
    return refused;
}

int main(void)
{
    config.http_address = "127.0.0.1";
    log_open("door", false, LOG_ERROR);
    return starve(&(struct starve){.name = "door",
                                   .count = sizeof scenarios / sizeof *scenarios,
                                   .scenario = name_of,
                                   .run = run,
                                   .counts = counts});
}
