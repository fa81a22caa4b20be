/*
 * door.c: every allocation of the HTTP thread fails once, in turn, from the connection to the end
 * of the answer, libmicrohttpd's too: of the endpoints that every service has, of each route of
 * orders and stock, and of what the door refuses. The client has the very answer, headers and all,
 * or none, or a 5xx; and then the service answers the next one as ever.
 */
#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inventory-svc/put_stock.h"
#include "inventory-svc/tables.h"
#include "order-svc/facts.h"
#include "order-svc/order_api.h"
#include "order-svc/steps.h"
#include "ports/http_inside.h"
#include "starve.h"
#include "unit/support/backstage.h"

#define END_S 5

extern const struct saga_service order_service, payment_service, inventory_service;

#define UUID "01000000-0000-7000-8000-000000000000"
#define ORDER                                                                                      \
    "{\"customer_id\":\"cus_1\",\"currency\":\"EUR\",\"items\":[{\"sku\":\"SKU-1\",\"quantity\":"  \
    "2,\"unit_amount\":250}],\"payment_method\":\"pm_card\",\"shipping_address\":{\"country\":"    \
    "\"DE\"}}"
#define POST "POST /v1/orders HTTP/1.1\r\nContent-Type: application/json\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n", ""
#define CANCEL "POST /v1/orders/" UUID "/cancel HTTP/1.1\r\n", ""
#define PUT "PUT /v1/stock/SKU-1 HTTP/1.1\r\nContent-Type: application/json\r\n"
#define ORDERS .service = &order_service
#define STOCK .service = &inventory_service

#define ID .order_id = {.bytes = {1, [6] = 0x70, [8] = 0x80}}
static const struct order_view order = {
    ID,
    .customer_id = {"cus_1", 5},
    .currency = {"EUR", 3},
    .total = 500,
    .items = {"[]", 2},
    .payment_method = {"pm_card", 7},
    .shipping_address = {"{}", 2},
    .metadata = {"{}", 2},
    .facts = FACT_CREATED | FACT_PAID,
};
static const struct order_view later_order = {ID, .facts = FACT_CREATED | 1 << 30};
#define LINE "1700000000000000 order.created -1 -1 -\n"
static const struct {
    struct saga_uuid order_id;
    struct saga_text timeline;
} timeline = {ID, .timeline = {LINE, sizeof LINE - 1}};
static const struct stock stock = {{"SKU-1", 5}, 10, 3};

static const struct scenario {
    const char *name, *head, *body;
    const struct saga_service *service;
    const void *row;              /* that is read */
    bool away, refuses, declines; /* servers; the engine, a command; the command's handler */
    const char *says;
} scenarios[] = {
    {"livez", GET("/livez"), ORDERS, .says = "HTTP/1.1 200 "},
    {"readyz: ready", GET("/readyz"), ORDERS, .says = "HTTP/1.1 200 "},
    {"readyz: servers away", GET("/readyz"), ORDERS, .away = true, .says = "\"degraded\""},
    {"metrics", GET("/metrics"), ORDERS, .says = "HTTP/1.1 200 "},
    {"metrics, without a gauge", GET("/metrics"), .service = &payment_service,
     .says = "HTTP/1.1 200 "},
    {"metrics: servers away", GET("/metrics"), ORDERS, .away = true, .says = "HTTP/1.1 200 "},
    {"problem", GET("/problems/not_found"), ORDERS, .says = "HTTP/1.1 200 "},
    {"problem that is none", GET("/problems/x"), ORDERS, .says = "HTTP/1.1 404 "},
    {"nothing at this path", GET("/x"), ORDERS, .says = "\"not_found\""},
    {"another method", "PUT /livez HTTP/1.1\r\n", "", ORDERS, .says = "HTTP/1.1 405 "},
    {"order", POST "Idempotency-Key: k\r\nPrefer: wait=0\r\n", ORDER, ORDERS,
     .says = "HTTP/1.1 202 "},
    {"order, not taken", POST, ORDER, ORDERS, .refuses = true, .says = "\"unavailable\""},
    {"order, not JSON", POST, "{", ORDERS, .says = "HTTP/1.1 400 "},
    {"order, of another type", "POST /v1/orders HTTP/1.1\r\n", ORDER, ORDERS,
     .says = "HTTP/1.1 415 "},
    {"GET an order", GET("/v1/orders/" UUID), ORDERS, .row = &order, .says = "\"paid\""},
    {"no such order", GET("/v1/orders/" UUID), ORDERS, .says = "\"order_not_found\""},
    {"order of a later version", GET("/v1/orders/" UUID), ORDERS, .row = &later_order,
     .says = "\"later_version\""},
    {"timeline", GET("/v1/orders/" UUID "/timeline"), ORDERS, .row = &timeline,
     .says = "HTTP/1.1 200 "},
    {"cancel", CANCEL, ORDERS, .row = &order, .says = "HTTP/1.1 202 "},
    {"cancel, too late", CANCEL, ORDERS, .declines = true, .says = "\"order_not_cancellable\""},
    {"GET stock", GET("/v1/stock/SKU-1"), STOCK, .row = &stock, .says = "\"available\":7"},
    {"PUT stock", PUT, "{\"on_hand\":7}", STOCK, .says = "\"available\":4"},
    {"PUT stock, below what is held", PUT, "{\"on_hand\":7}", STOCK, .declines = true,
     .says = "\"stock_below_held\""},
    {"two lengths", POST "Content-Length: 1\r\n", ORDER, ORDERS, .says = "HTTP/1.1 400 "},
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

static const struct scenario *asked;

static void submitted(const struct engine_command *command)
{
    if (strcmp(command->command->name, "placement") == 0)
        *(struct place_reply *)command->reply = (struct place_reply){.order_id = command->order_id};
    else if (strcmp(command->command->name, "cancel") == 0)
        *(enum cancel_reply *)command->reply = asked->declines ? CANCEL_TOO_LATE : CANCEL_ACCEPTED;
    else
        *(struct put_stock_reply *)command->reply =
            (struct put_stock_reply){.below_held = asked->declines, .held = 3};
}

/* ---- a request ---- */

/* The date, and ids that the service makes, as UUID is not: others in each process. */
static void mask(char *answer)
{
    char *date = strstr(answer, "\nDate: ");
    if (date != NULL)
        memset(date + 7, 'D', strcspn(date + 7, "\r\n"));
    for (char *at = answer; strlen(at) >= strlen(UUID); at++)
        if (strspn(at, "0123456789abcdef") == 8 && at[8] == '-' &&
            strspn(at, "0123456789abcdef-") == strlen(UUID) && strncmp(at, UUID, strlen(UUID)) != 0)
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

static const char *says_of(size_t i)
{
    return scenarios[i].says;
}

static bool run(size_t i, char *said)
{
    const struct scenario *scenario = asked = &scenarios[i];
    char errbuf[200];
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    backstage = (struct backstage){
        .health = {.started = true, .accepting = true, .database = true, .kafka = !scenario->away},
        .away = scenario->away,
        .refuses = scenario->refuses,
        .row = scenario->row,
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
                                   .must_say = says_of,
                                   .run = run,
                                   .counts = counts});
}
