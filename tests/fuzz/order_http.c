/*
 * order_http.c: what a stranger sends to order-svc, and what Redis and a row may hold: through the
 * real handlers, with a door that answers at once. Each request is answered exactly once, with
 * JSON in UTF-8.
 *
 * Input: lines, each up to the next newline: Idempotency-Key, Prefer, what Redis recalls; the rest
 * is the body, and once more a timeline.
 */
#include <stdlib.h>
#include <string.h>

#include "saga/service.h"
#include "unit/support/door.h"

extern const struct saga_service order_service;

static struct saga_text line(const char **at, size_t *left)
{
    const char *end = memchr(*at, '\n', *left);
    struct saga_text text = {*at, end ? (size_t)(end - *at) : *left};
    size_t used = end ? text.len + 1 : text.len;
    *at += used;
    *left -= used;
    if (text.len == 0)
        text.at = NULL; /* no such header */
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    static struct arena arena; /* its memory is kept from one input to the next */
    struct saga_request request = {.arena = arena};
    request.key = line(&at, &size);
    request.prefer = line(&at, &size);
    request.recalled = line(&at, &size);
    request.body = (struct saga_text){at, size};
    for (const struct saga_route *route = order_service.routes; route->method != NULL; route++) {
        request.answers = request.waits = request.faults = 0;
        route->handle(&request);
        if (request.answers != 1)
            abort();
    }
    arena = request.arena;
    arena_reset(&arena);
    return 0;
}
