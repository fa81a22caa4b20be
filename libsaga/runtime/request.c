/* request.c: what http.h promises to a service's handlers; all on the HTTP thread. */
#include "runtime/door_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "ports/failpoint.h"
#include "ports/json_tree.h"
#include "ports/system.h"

#define OUTCOME_POLL_MS 500
#define MS_US 1000

static struct arena *arena_of(struct saga_request *request)
{
    return http_arena(request->exchange);
}

/* ---- what was asked ---- */

struct saga_text saga_request_path(struct saga_request *request, const char *name)
{
    for (size_t i = 0; i < DOOR_VALUES_MAX; i++)
        if (request->values[i].name.at != NULL &&
            saga_text_equal(request->values[i].name, saga_text(name)))
            return request->values[i].value;
    return (struct saga_text){0};
}

struct saga_text saga_request_header(struct saga_request *request, const char *name)
{
    return http_header_joined(request->exchange, name);
}

struct saga_text saga_request_parameter(struct saga_request *request, const char *name)
{
    return saga_text(http_query(request->exchange, name));
}

struct saga_text saga_request_traceparent(struct saga_request *request)
{
    return request->traceparent;
}

void *saga_request_alloc(struct saga_request *request, size_t size)
{
    return arena_alloc(arena_of(request), size);
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
    struct saga_json *faults = &request->faults;
    if (faults->len == 0)
        saga_json_open(faults, NULL, '[');
    saga_json_open(faults, NULL, '{');
    saga_json_text(faults, "pointer", saga_text(pointer));
    saga_json_text(faults, "detail", saga_text(detail));
    saga_json_close(faults, '}');
}

bool saga_request_bind(struct saga_request *request, const struct saga_shape *shape,
                       const char *code, void *ret_body,
                       void (*more)(struct saga_request *request, const void *body))
{
    const char *reason = NULL;
    enum json_tree_result result = json_tree_bind(arena_of(request), http_body(request->exchange),
                                                  shape, ret_body, on_fault, request, &reason);
    if (result == JSON_TREE_MALFORMED) {
        saga_request_problem(request, 400, "malformed_json", reason, 0);
        return false;
    }
    if (result == JSON_TREE_OK && more != NULL)
        more(request, ret_body);
    if (request->faults.len == 0)
        return true;
    saga_request_problem(request, 422, code, "Some fields break their rules; see errors.", 0);
    return false;
}

/* ---- what the door knows ---- */

int64_t saga_now_us(void)
{
    return system_now_us();
}

struct saga_uuid saga_uuid_new(void)
{
    return system_uuid7();
}

void saga_sha256(struct saga_text text, char ret_hex[65])
{
    system_sha256(text, ret_hex);
}

int64_t saga_setting_deadline_us(void)
{
    return config.deadline_s * 1000000;
}

int64_t saga_setting_key_keep_s(void)
{
    return config.key_keep_s;
}

/* ---- what takes time ---- */

/* Engine's thread. */
static void command_done(struct engine_command *command, enum engine_outcome outcome)
{
    static const enum saga_outcome_kind kinds[] = {[ENGINE_COMMITTED] = SAGA_COMMITTED,
                                                   [ENGINE_BUSY] = SAGA_BUSY,
                                                   [ENGINE_FAILED] = SAGA_FAILED};
    door_complete(command->opaque, kinds[outcome]);
}

void saga_request_submit(struct saga_request *request, const struct saga_command *command,
                         const struct saga_uuid *order_id, const void *body, void *reply,
                         saga_then then)
{
    request->then = then;
    reader_epoch(request->door->reader, &request->epoch);
    request->command = (struct engine_command){
        .command = command,
        .order_id = *order_id,
        .traceparent = request->traceparent,
        .body = body,
        .reply = reply,
        .said_us = request->said_us,
        .give_up_us = request->received_us + DOOR_COMMAND_US,
        .done = command_done,
        .opaque = request,
    };
    if (atomic_load(&request->door->draining) ||
        !engine_submit(request->door->engine, &request->command))
        door_complete(request, SAGA_BUSY);
}

enum saga_outcome_kind saga_request_outcome(struct saga_request *request)
{
    return request->outcome;
}

/* Reader's thread. */
static void read_done(struct read *read)
{
    door_complete(read->opaque, read->answered ? SAGA_COMMITTED : SAGA_BUSY);
}

void request_read(struct saga_request *request, struct read read, saga_then then)
{
    request->then = then;
    if (request->read == NULL)
        request->read = saga_request_alloc(request, sizeof *request->read);
    *request->read = read;
    request->read->arena = arena_of(request);
    if (read.give_up_us == 0)
        request->read->give_up_us = system_monotonic_us() + DOOR_READ_US;
    request->read->done = read_done;
    request->read->opaque = request;
    if (!reader_submit(request->door->reader, request->read))
        door_complete(request, SAGA_BUSY);
}

void saga_request_query(struct saga_request *request, const struct saga_query *query,
                        struct saga_text key, saga_then then)
{
    request_read(request, (struct read){.kind = READ_QUERY, .query = query, .key = key}, then);
}

const void *saga_request_row(struct saga_request *request)
{
    return request->read->row;
}

void saga_request_wait(struct saga_request *request, const struct saga_uuid *order_id,
                       int64_t left_ms, saga_then then)
{
    if (left_ms > OUTCOME_POLL_MS)
        left_ms = OUTCOME_POLL_MS;
    request->then = then;
    request->order_id = *order_id;
    door_wait(request, system_monotonic_us() + left_ms * MS_US);
}

struct saga_text saga_request_news(struct saga_request *request)
{
    return request->news;
}

int64_t saga_request_left_ms(struct saga_request *request, int64_t seconds)
{
    int64_t left_us = request->received_us + seconds * 1000000 - system_monotonic_us();
    if (left_us <= 0 || atomic_load(&request->door->draining))
        return 0;
    return (left_us + MS_US - 1) / MS_US;
}

void saga_request_recall(struct saga_request *request, struct saga_text key, saga_then then)
{
    request_read(request, (struct read){.kind = READ_RECALL, .key = key}, then);
}

struct saga_text saga_request_recalled(struct saga_request *request)
{
    return request->read->value;
}

/* Outlives the request that asked for it. */
struct remembered {
    struct read read;
    char text[];
};

static void remembered_done(struct read *read)
{
    free(read->opaque);
}

void saga_request_remember(struct saga_request *request, struct saga_text key,
                           struct saga_text value, int64_t seconds)
{
    struct remembered *remembered = calloc(1, sizeof *remembered + key.len + value.len);
    if (remembered == NULL)
        return; /* a memory that may forget */
    memcpy(remembered->text, key.at, key.len);
    memcpy(remembered->text + key.len, value.at, value.len);
    remembered->read = (struct read){.kind = READ_REMEMBER,
                                     .key = {remembered->text, key.len},
                                     .value = {remembered->text + key.len, value.len},
                                     .seconds = seconds,
                                     .epoch = request->epoch,
                                     .give_up_us = system_monotonic_us() + DOOR_READ_US,
                                     .done = remembered_done,
                                     .opaque = remembered};
    if (!reader_submit(request->door->reader, &remembered->read))
        free(remembered);
}

/* ---- the answer ---- */

void saga_request_add_header(struct saga_request *request, const char *name, const char *value)
{
    http_answer_header(request->exchange, name, value);
}

void request_answer(struct saga_request *request, int status, const char *content_type,
                    struct saga_text body)
{
    if (request->route != NULL && request->route->route->json && FAILPOINT(door_answering))
        status = 503;
    http_answer_header(request->exchange, "X-Request-Id", request->id);
    door_count(request, status);
    const char *path = request->route ? request->route->route->path : "";
    if (status >= 500 && strcmp(path, "/readyz") != 0) { /* that is its normal way to say no */
        struct log_about about = {.traceparent = request->traceparent};
        log_line(LOG_WARN, &about, "%s %s: %d %s", http_method(request->exchange), path, status,
                 request->problem ? request->problem : "");
    }
    http_answer(request->exchange, status, content_type, body);
}

void saga_request_reply(struct saga_request *request, int status, const struct saga_shape *shape,
                        const void *body)
{
    struct saga_json json = {0};
    saga_json_object(&json, NULL, shape, body);
    saga_request_reply_json(request, status, saga_json_done(&json));
    saga_json_clear(&json);
}

void saga_request_reply_json(struct saga_request *request, int status, struct saga_text body)
{
    request_answer(request, status, "application/json", body);
}

void saga_request_problem(struct saga_request *request, int status, const char *code,
                          const char *detail, int retry_after_s)
{
    char text[160];
    request->problem = code;
    const struct saga_problem *problem = door_problem(request->door, saga_text(code));
    struct saga_json json = {0};
    saga_json_open(&json, NULL, '{');
    snprintf(text, sizeof text, "/problems/%s", code);
    saga_json_text(&json, "type", saga_text(text));
    saga_json_text(&json, "title", saga_text(problem ? problem->title : code));
    saga_json_int(&json, "status", status);
    saga_json_text(&json, "detail", saga_text(detail));
    saga_json_text(&json, "code", saga_text(code));
    saga_json_text(&json, "request_id", saga_text(request->id));
    if (request->faults.len > 0) {
        saga_json_close(&request->faults, ']');
        saga_json_raw(&json, "errors", saga_json_done(&request->faults));
    }
    saga_json_close(&json, '}');
    if (retry_after_s > 0) {
        snprintf(text, sizeof text, "%d", retry_after_s);
        http_answer_header(request->exchange, "Retry-After", text);
    }
    request_answer(request, status, "application/problem+json", saga_json_done(&json));
    saga_json_clear(&json);
}

void saga_request_not_committed(struct saga_request *request)
{
    if (saga_request_outcome(request) == SAGA_FAILED)
        saga_request_problem(request, 503, "failed",
                             "The database refuses this request; nothing was done.", 0);
    else
        saga_request_problem(request, 503, "unavailable",
                             "This cannot be done now; it is safe to try again.", 1);
}
