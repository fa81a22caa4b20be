/* door.c: a door that answers at once; see door.h. */
#include "door.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/scan.h"
#include "inventory-svc/put_stock.h"
#include "order-svc/facts.h"
#include "order-svc/order_api.h"
#include "order-svc/steps.h"
#include "ports/json_tree.h"
#include "ports/system.h"

int door_checking;

/* Not by abort, which is how a service stops that has no memory. */
static void check(bool holds)
{
    if (!holds)
        __builtin_trap();
}

static void say(struct saga_request *request, const char *format, ...)
{
    va_list arguments;
    if (request->said == NULL)
        return;
    size_t len = strlen(request->said);
    va_start(arguments, format);
    vsnprintf(request->said + len, request->said_size - len, format, arguments);
    va_end(arguments);
}

/* What may stand in an answer and in PostgreSQL's text. */
static bool is_text(struct saga_text text)
{
    door_checking++;
    json_t *string = text.len > 0 ? json_stringn(text.at, text.len) : NULL;
    bool is = string != NULL && memchr(text.at, 0, text.len) == NULL;
    json_decref(string);
    door_checking--;
    return is;
}

/* ---- the door ---- */

struct saga_text saga_request_path(struct saga_request *request, const char *name)
{
    (void)name;
    return request->path.at != NULL ? request->path
                                    : SAGA_TEXT("0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa");
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
    say(request, "fault %s %s\n", pointer, detail);
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
        *(struct place_reply *)reply = (struct place_reply){
            .order_id = *order_id, .replayed = request->replays, .reused = request->declines};
        say(request, "place %s %s %s %s %.*s\n", place->items.at, place->metadata.at,
            place->shipping_address.at, place->payment_method.at, (int)place->fingerprint.len,
            place->fingerprint.at);
    } else if (strcmp(command->name, "cancel") == 0) {
        *(enum cancel_reply *)reply = request->declines ? CANCEL_TOO_LATE : CANCEL_ACCEPTED;
    } else {
        const struct put_stock *put = body;
        ((struct put_stock_reply *)reply)->below_held = request->declines;
        say(request, "put %.*s %lld\n", (int)put->sku.len, put->sku.at, (long long)put->on_hand);
    }
    then(request);
}

enum saga_outcome_kind saga_request_outcome(struct saga_request *request)
{
    return request->outcome;
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
    if (strcmp(query->shape->fields[0].name, "sku") == 0) {
        static const struct stock_row {
            struct saga_text sku;
            int64_t on_hand, held;
        } stock = {{"SKU-1", 5}, 10, 3};
        request->row = request->missing ? NULL : &stock;
        then(request);
        return;
    }
    check(key.len == 16);
    view.facts = request->waits > 1 ? FACT_COMPLETED : FACT_CREATED;
    if (request->later)
        view.facts |= 1 << 30;
    if (is_text(request->body))
        timeline->timeline = request->body;
    bool order = query->shape->size == sizeof view;
    request->row = order ? (const void *)&view : (const void *)timeline;
    if (request->missing)
        request->row = NULL;
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

struct saga_text saga_request_news(struct saga_request *request)
{
    return request->news;
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
    check(key.len >= 3 && value.len > 36 && seconds > 0);
    say(request, "remember %.*s\n", (int)value.len, value.at);
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
    say(request, "%s: %s\n", name, value);
    check(strpbrk(name, "\r\n") == NULL && strpbrk(value, "\r\n") == NULL);
}

void saga_request_reply_json(struct saga_request *request, int status, struct saga_text body)
{
    check(status >= 200 && status < 300 && scan_check(body) == NULL);
    say(request, "%d %.*s\n", status, (int)body.len, body.at);
    request->answers++;
}

void saga_request_problem(struct saga_request *request, int status, const char *code,
                          const char *detail, int retry_after_s)
{
    say(request, "%d %s %s %d\n", status, code, detail, retry_after_s);
    check(status >= 400 && code[0] != '\0' && (detail[0] == '\0' || is_text(saga_text(detail))));
    request->answers++;
}

void saga_request_not_committed(struct saga_request *request)
{
    bool failed = saga_request_outcome(request) == SAGA_FAILED;
    saga_request_problem(request, 503, failed ? "failed" : "unavailable", "", failed ? 0 : 1);
}
