/*
 * door.c: what a stranger sends to inventory-svc: method, target and headers through the real door
 * to the real handlers. Beside it stand an engine, a reader and an HTTP server that answer at once.
 * Each request is answered exactly once, with nothing in a header that ends it.
 *
 * Input: "METHOD target", lines "Name: value" until an empty one; the rest is the body.
 */
#include <stdlib.h>
#include <string.h>

#include "core/scan.h"
#include "inventory-svc/put_stock.h"
#include "unit/support/backstage.h"

#define FIELDS_MAX 16

extern const struct saga_service inventory_service;

struct http_exchange {
    struct arena arena;
    const char *method;
    struct saga_text target, body;
    struct {
        const char *name, *value;
    } fields[FIELDS_MAX];
    size_t fields_count;
    void *state;
    int answers;
    bool id_told;
};

static struct http_handler handler;

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* ---- the HTTP server ---- */

const struct http_limits http_limits;

struct http_server *http_server_new(const char *address, uint16_t port,
                                    const struct http_handler *given,
                                    const struct http_limits *limits, char *errbuf,
                                    size_t errbuf_size)
{
    (void)address, (void)port, (void)limits, (void)errbuf, (void)errbuf_size;
    handler = *given;
    return (struct http_server *)&handler; /* never looked into */
}

void http_server_run(struct http_server *server)
{
    (void)server;
}

void http_wake(struct http_server *server)
{
    (void)server;
}

void http_server_quiesce(struct http_server *server)
{
    (void)server;
}

void http_server_stop(struct http_server *server)
{
    (void)server;
}

void http_server_free(struct http_server *server)
{
    (void)server;
}

const char *http_method(const struct http_exchange *exchange)
{
    return exchange->method;
}

struct saga_text http_path(const struct http_exchange *exchange)
{
    const char *query = memchr(exchange->target.at, '?', exchange->target.len);
    size_t len = query ? (size_t)(query - exchange->target.at) : exchange->target.len;
    return (struct saga_text){exchange->target.at, len};
}

const char *http_query(const struct http_exchange *exchange, const char *name)
{
    (void)exchange, (void)name;
    return NULL; /* inventory-svc has no parameters */
}

struct saga_text http_header(const struct http_exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->fields_count; i++)
        if (strcasecmp(exchange->fields[i].name, name) == 0)
            return saga_text(exchange->fields[i].value);
    return (struct saga_text){0};
}

size_t http_header_count(const struct http_exchange *exchange, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < exchange->fields_count; i++)
        count += strcasecmp(exchange->fields[i].name, name) == 0;
    return count;
}

struct saga_text http_header_joined(struct http_exchange *exchange, const char *name)
{
    return http_header(exchange, name);
}

struct saga_text http_body(const struct http_exchange *exchange)
{
    return exchange->body;
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
    check(strpbrk(name, "\r\n") == NULL && strpbrk(value, "\r\n") == NULL);
    exchange->id_told = exchange->id_told || strcmp(name, "X-Request-Id") == 0;
}

void http_answer(struct http_exchange *exchange, int status, const char *type,
                 struct saga_text body)
{
    check(status >= 200 && status < 600 && exchange->id_told);
    if (strstr(type, "json") != NULL)
        check(scan_check(body) == NULL);
    exchange->answers++;
}

/* ---- behind the door ---- */

static void submitted(const struct engine_command *command)
{
    const struct put_stock *put = command->body;
    check(put->sku.len >= 1 && put->sku.len <= 64 && memchr(put->sku.at, 0, put->sku.len) == NULL);
    check(put->on_hand >= 0 && put->on_hand <= INT64_C(1000000000000));
}

static bool has(const struct read *read)
{
    return read->key.len % 2 == 0;
}

/* ---- the input ---- */

/* The next line as a string of its own; NULL at the end of the input. */
static char *line(struct http_exchange *exchange, struct saga_text *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->at, '\n', rest->len) : NULL;
    if (end == NULL)
        return NULL;
    size_t len = (size_t)(end - rest->at);
    char *text = arena_alloc(&exchange->arena, len + 1);
    memcpy(text, rest->at, len);
    *rest = (struct saga_text){end + 1, rest->len - len - 1};
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct door *door;
    static struct arena arena;
    struct saga_text rest = {(const char *)data, size};
    struct http_exchange exchange = {.arena = arena};
    backstage = (struct backstage){.health.started = true, .submitted = submitted, .has = has};
    if (door == NULL)
        door = door_new(&inventory_service, NULL, NULL, NULL, 0);
    char *text = line(&exchange, &rest), *name;
    exchange.method = text ? strsep(&text, " ") : "GET";
    exchange.target = saga_text(text ? text : "/");
    while ((text = line(&exchange, &rest)) != NULL && *text != '\0') {
        if ((name = strsep(&text, ":")) == NULL || text == NULL ||
            exchange.fields_count == FIELDS_MAX)
            continue;
        exchange.fields[exchange.fields_count].name = name;
        exchange.fields[exchange.fields_count++].value = text + strspn(text, " ");
    }
    exchange.body = rest;
    handler.request(handler.opaque, &exchange);
    for (int i = 0; i < 8 && exchange.answers == 0; i++)
        handler.woken(handler.opaque);
    check(exchange.answers == 1);
    handler.over(handler.opaque, &exchange);
    arena = exchange.arena;
    arena_reset(&arena);
    return 0;
}
