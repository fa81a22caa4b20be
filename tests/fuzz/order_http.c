/*
 * order_http.c: what a stranger sends to order-svc, and what Redis and a row may hold: through the
 * real handlers, with a door that answers at once. Each request is answered exactly once, with
 * JSON in UTF-8.
 *
 * Input: lines, each up to the next newline: Idempotency-Key, Prefer, what Redis recalls; the rest
 * is the body, and once more a timeline.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/scan.h"
#include "order-svc/facts.h"
#include "order-svc/order_api.h"
#include "order-svc/steps.h"
#include "ports/json_tree.h"
#include "ports/system.h"

extern const struct saga_service order_service;

struct saga_request {
    struct arena arena;
    struct saga_text key, prefer, recalled, body;
    void *kept;
    saga_then then;
    const void *row;
    int answers, waits, faults;
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* What may stand in an answer and in PostgreSQL's text. */
static bool is_text(struct saga_text text)
{
    json_t *string = text.len > 0 ? json_stringn(text.at, text.len) : NULL;
    bool is = string != NULL && memchr(text.at, 0, text.len) == NULL;
    json_decref(string);
    return is;
}

/* ---- the door ---- */

struct saga_text saga_request_path(struct saga_request *request, const char *name)
{
    (void)request, (void)name;
    return SAGA_TEXT("0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa");
}

struct saga_text saga_request_header(struct saga_request *request, const char *name)
{
    return strcmp(name, "Prefer") == 0 ? request->prefer : request->key;
}

void *saga_request_alloc(struct saga_request *request, size_t size)
{
    return arena_alloc(&request->arena, size);
}

void saga_request_keep(struct saga_request *request, void *state)
{
    request->kept = state;
}

void *saga_request_kept(struct saga_request *request)
{
    return request->kept;
}

static void on_fault(void *opaque, const char *pointer, const char *detail)
{
    saga_request_fault(opaque, pointer, detail);
}

void saga_request_fault(struct saga_request *request, const char *pointer, const char *detail)
{
    check(pointer[0] == '#' && is_text(saga_text(pointer)) && is_text(saga_text(detail)));
    request->faults++;
}

bool saga_request_bind(struct saga_request *request, const struct saga_shape *shape,
                       const char *code, void *ret_body,
                       void (*more)(struct saga_request *request, const void *body))
{
    const char *reason = NULL;
    enum json_tree_result result =
        json_tree_bind(&request->arena, request->body, shape, ret_body, on_fault, request, &reason);
    check((result == JSON_TREE_FAULTY) == (request->faults > 0));
    check((result == JSON_TREE_MALFORMED) == (reason != NULL));
    if (result == JSON_TREE_OK && more != NULL)
        more(request, ret_body);
    if (result == JSON_TREE_OK && request->faults == 0)
        return true;
    bool malformed = result == JSON_TREE_MALFORMED;
    saga_request_problem(request, malformed ? 400 : 422, code, malformed ? reason : "", 0);
    return false;
}

struct saga_uuid saga_uuid_new(void)
{
    return (struct saga_uuid){{1}};
}

void saga_sha256(struct saga_text text, char ret_hex[65])
{
    system_sha256(text, ret_hex);
}

int64_t saga_now_us(void)
{
    return 0;
}

int64_t saga_setting_deadline_us(void)
{
    return 600000000;
}

int64_t saga_setting_key_keep_s(void)
{
    return 90000;
}

void saga_request_submit(struct saga_request *request, const struct saga_command *command,
                         const struct saga_uuid *order_id, const void *body, void *reply,
                         saga_then then)
{
    if (strcmp(command->name, "placement") == 0) {
        const struct place *place = body;
        check(scan_check(place->items) == NULL && scan_check(place->metadata) == NULL &&
              scan_check(place->shipping_address) == NULL && place->total >= 0);
        check((place->key.at != NULL) == (place->fingerprint.at != NULL));
        *(struct place_reply *)reply = (struct place_reply){.order_id = *order_id};
    }
    then(request);
}

enum saga_outcome_kind saga_request_outcome(struct saga_request *request)
{
    (void)request;
    return SAGA_COMMITTED;
}

void saga_request_query(struct saga_request *request, const struct saga_query *query,
                        struct saga_text key, saga_then then)
{
    static struct order_view view = {
        .items = {"[]", 2}, .shipping_address = {"{}", 2}, .metadata = {"{}", 2}};
    struct timeline {
        struct saga_uuid order_id;
        struct saga_text timeline;
    } *timeline = arena_alloc(&request->arena, sizeof *timeline);
    check(key.len == 16);
    view.facts = request->waits > 1 ? FACT_COMPLETED : FACT_CREATED;
    if (is_text(request->body))
        timeline->timeline = request->body;
    bool order = query->shape->size == sizeof view;
    request->row = order ? (const void *)&view : (const void *)timeline;
    then(request);
}

const void *saga_request_row(struct saga_request *request)
{
    return request->row;
}

void saga_request_wait(struct saga_request *request, const struct saga_uuid *order_id,
                       int64_t left_ms, saga_then then)
{
    (void)order_id;
    check(left_ms > 0 && left_ms <= 30000 && request->waits++ < 10);
    then(request);
}

int64_t saga_request_left_ms(struct saga_request *request, int64_t seconds)
{
    check(seconds <= 30);
    return request->waits < 3 && seconds > 0 ? seconds * 1000 : 0;
}

void saga_request_recall(struct saga_request *request, struct saga_text key, saga_then then)
{
    check(key.len >= 3);
    then(request);
}

struct saga_text saga_request_recalled(struct saga_request *request)
{
    return request->recalled;
}

void saga_request_remember(struct saga_request *request, struct saga_text key,
                           struct saga_text value, int64_t seconds)
{
    (void)request;
    check(key.len >= 3 && value.len > 36 && seconds > 0);
}

void saga_request_claim(struct saga_request *request, struct saga_text key, int64_t wait_ms,
                        saga_then then)
{
    check(key.len >= 3 && wait_ms > 0);
    then(request);
}

void saga_request_give_back(struct saga_request *request)
{
    (void)request;
}

void saga_request_add_header(struct saga_request *request, const char *name, const char *value)
{
    (void)request;
    check(strpbrk(name, "\r\n") == NULL && strpbrk(value, "\r\n") == NULL);
}

void saga_request_reply_json(struct saga_request *request, int status, struct saga_text body)
{
    check(status >= 200 && status < 300 && scan_check(body) == NULL);
    request->answers++;
}

void saga_request_problem(struct saga_request *request, int status, const char *code,
                          const char *detail, int retry_after_s)
{
    (void)retry_after_s;
    check(status >= 400 && code[0] != '\0' && (detail[0] == '\0' || is_text(saga_text(detail))));
    request->answers++;
}

/* ---- the input ---- */

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
    struct saga_request request = {0};
    request.key = line(&at, &size);
    request.prefer = line(&at, &size);
    request.recalled = line(&at, &size);
    request.body = (struct saga_text){at, size};
    for (const struct saga_route *route = order_service.routes; route->method != NULL; route++) {
        request.answers = request.waits = request.faults = 0;
        route->handle(&request);
        check(request.answers == 1);
    }
    arena_free(&request.arena);
    return 0;
}
