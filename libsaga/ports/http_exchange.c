/* http_exchange.c: one request and its answer, as a handler sees them. */
#include <stdio.h>
#include <stdlib.h>

#include "ports/http_inside.h"

const char *http_exchange_copy(struct http_exchange *exchange, const char *string)
{
    return arena_copy(&exchange->arena, (struct saga_text){string, strlen(string) + 1}).at;
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
    exchange->target = http_exchange_copy(exchange, target);
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

void http_exchange_refuse(struct http_exchange *exchange, enum http_refusal why)
{
    static const int statuses[] = {
        [HTTP_MALFORMED] = 400,      [HTTP_AMBIGUOUS] = 400,       [HTTP_LATE] = 408,
        [HTTP_BODY_TOO_LARGE] = 413, [HTTP_TARGET_TOO_LONG] = 414, [HTTP_HEAD_TOO_LARGE] = 431};
    struct http_server *server = exchange->server;
    exchange->given = true;
    server->handler.refused(server->handler.opaque, exchange, why, statuses[why]);
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
    return trimmed(http_raw_header(exchange, name));
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
    header->value = http_exchange_copy(exchange, value);
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
    if (exchange->last || atomic_load(&exchange->server->quiesce))
        add_header(exchange->response, "Connection", "close");
    if (exchange->suspended) {
        http_connection_hurry(exchange->connection);
        MHD_resume_connection(exchange->connection->library);
    }
}
