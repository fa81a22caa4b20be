/* post_order.c: what POST /v1/orders answers when the order is there and the database is not: the
 * real handler, with a door whose every answer the test chooses. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/arena.h"
#include "order-svc/facts.h"
#include "order-svc/order_api.h"
#include "order-svc/steps.h"
#include "ports/json_tree.h"
#include "ports/system.h"

extern const struct saga_service order_service;

#define ID "01900000-0000-7000-8000-000000000001"
static const char body[] =
    "{\"customer_id\":\"c\",\"currency\":\"EUR\",\"items\":[{\"sku\":\"SKU-1\",\"quantity\":2,"
    "\"unit_amount\":3}],\"payment_method\":\"pm_card\",\"shipping_address\":{\"country\":\"DE\"}}";

/* What becomes of a read of the order. */
enum reads { READS_LOST, READS_NO_ROW, READS_LATER, READS_PENDING, READS_FINAL };

struct saga_request {
    struct arena arena;
    const char *key;
    bool recalled; /* Redis knows the key */
    bool replayed; /* PostgreSQL knows it */
    enum saga_outcome_kind placed;
    enum reads reads;

    void *kept;
    enum saga_outcome_kind outcome;
    const void *row;
    struct saga_text value, news;
    char fingerprint[65];
    int waits, status, answers, retry_after;
    char headers[512], answer[2048];
};

/* ---- the door ---- */

struct saga_text saga_request_path(struct saga_request *request, const char *name)
{
    (void)request, (void)name;
    return (struct saga_text){0};
}

struct saga_text saga_request_header(struct saga_request *request, const char *name)
{
    return saga_text(strcmp(name, "Prefer") == 0 ? "wait=7" : request->key);
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

void saga_request_fault(struct saga_request *request, const char *pointer, const char *detail)
{
    (void)request;
    cr_assert_fail("%s: %s", pointer, detail);
}

bool saga_request_bind(struct saga_request *request, const struct saga_shape *shape,
                       const char *code, void *ret_body,
                       void (*more)(struct saga_request *request, const void *body))
{
    (void)code;
    const char *reason;
    enum json_tree_result result =
        json_tree_bind(&request->arena, saga_text(body), shape, ret_body, NULL, NULL, &reason);
    cr_assert_eq(result, JSON_TREE_OK);
    more(request, ret_body);
    return true;
}

struct saga_uuid saga_uuid_new(void)
{
    struct saga_uuid id;
    cr_assert(saga_uuid_parse(saga_text(ID), &id));
    return id;
}

void saga_sha256(struct saga_text text, char ret_hex[65])
{
    system_sha256(text, ret_hex);
}

int64_t saga_now_us(void)
{
    return 1000000;
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
                         const struct saga_uuid *order_id, const void *given, void *reply,
                         saga_then then)
{
    (void)command, (void)given;
    if (request->placed == SAGA_COMMITTED)
        *(struct place_reply *)reply = (struct place_reply){.order_id = *order_id,
                                                            .created_at = 1000000,
                                                            .deadline_at = 601000000,
                                                            .replayed = request->replayed};
    request->outcome = request->placed;
    then(request);
}

enum saga_outcome_kind saga_request_outcome(struct saga_request *request)
{
    return request->outcome;
}

void saga_request_query(struct saga_request *request, const struct saga_query *query,
                        struct saga_text key, saga_then then)
{
    (void)query, (void)key;
    static struct order_view view = {
        .items = {"[]", 2}, .shipping_address = {"{}", 2}, .metadata = {"{}", 2}};
    view.order_id = saga_uuid_new();
    view.facts = request->reads == READS_FINAL   ? FACT_COMPLETED
                 : request->reads == READS_LATER ? FACT_COMPLETED | 1 << 24
                                                 : FACT_CREATED;
    request->outcome = request->reads == READS_LOST ? SAGA_BUSY : SAGA_COMMITTED;
    request->row = request->reads <= READS_NO_ROW ? NULL : &view;
    then(request);
}

const void *saga_request_row(struct saga_request *request)
{
    return request->row;
}

void saga_request_wait(struct saga_request *request, const struct saga_uuid *order_id,
                       int64_t left_ms, saga_then then)
{
    (void)order_id, (void)left_ms;
    request->waits++;
    then(request);
}

struct saga_text saga_request_news(struct saga_request *request)
{
    return request->news;
}

int64_t saga_request_left_ms(struct saga_request *request, int64_t seconds)
{
    return request->waits < 2 ? seconds * 1000 : 0;
}

void saga_request_recall(struct saga_request *request, struct saga_text key, saga_then then)
{
    char value[192];
    (void)key;
    snprintf(value, sizeof value, ID " %s 1000000 601000000", request->fingerprint);
    if (request->recalled)
        request->value = arena_copy(&request->arena, saga_text(value));
    request->outcome = SAGA_COMMITTED;
    then(request);
}

struct saga_text saga_request_recalled(struct saga_request *request)
{
    return request->value;
}

void saga_request_remember(struct saga_request *request, struct saga_text key,
                           struct saga_text value, int64_t seconds)
{
    (void)key, (void)seconds;
    snprintf(request->fingerprint, sizeof request->fingerprint, "%.64s", value.at + strlen(ID) + 1);
}

void saga_request_claim(struct saga_request *request, struct saga_text key, int64_t wait_ms,
                        saga_then then)
{
    (void)key, (void)wait_ms;
    request->outcome = SAGA_COMMITTED;
    then(request);
}

void saga_request_give_back(struct saga_request *request)
{
    (void)request;
}

void saga_request_add_header(struct saga_request *request, const char *name, const char *value)
{
    size_t len = strlen(request->headers);
    snprintf(request->headers + len, sizeof request->headers - len, "%s: %s\n", name, value);
}

static void answered(struct saga_request *request, int status, struct saga_text text)
{
    request->answers++;
    request->status = status;
    snprintf(request->answer, sizeof request->answer, "%.*s", (int)text.len, text.at);
}

void saga_request_reply_json(struct saga_request *request, int status, struct saga_text text)
{
    answered(request, status, text);
}

void saga_request_problem(struct saga_request *request, int status, const char *code,
                          const char *detail, int retry_after_s)
{
    (void)detail;
    request->retry_after = retry_after_s;
    answered(request, status, saga_text(code));
}

void saga_request_not_committed(struct saga_request *request)
{
    bool failed = request->outcome == SAGA_FAILED;
    saga_request_problem(request, 503, failed ? "failed" : "unavailable", "", failed ? 0 : 1);
}

/* ---- the tests ---- */

/* Who asks, and how the order came to be there. */
static const struct saga_request callers[] = {
    {.key = NULL},
    {.key = "k"},
    {.key = "k", .replayed = true},
    {.key = "k", .recalled = true},
};

static void call_post(struct saga_request *request)
{
    const struct saga_route *route = order_service.routes;
    while (strcmp(route->method, "POST") != 0 || strcmp(route->path, "/v1/orders") != 0)
        route++;
    route->handle(request);
}

static struct saga_request post(const struct saga_request *caller, enum reads reads)
{
    struct saga_request first = {.key = "k", .reads = READS_FINAL}, request = *caller;
    call_post(&first); /* tells the fingerprint */
    memcpy(request.fingerprint, first.fingerprint, sizeof request.fingerprint);
    arena_free(&first.arena);
    request.reads = reads;
    call_post(&request);
    cr_assert_eq(request.answers, 1);
    arena_free(&request.arena);
    return request;
}

/*
 * The order is committed, and the read after the wait is not answered: a 503 here told a client
 * without a key to order once more.
 */
Test(post_order, placed_and_not_read)
{
    for (size_t i = 0; i < sizeof callers / sizeof *callers; i++)
        for (enum reads reads = READS_LOST; reads <= READS_LATER; reads++) {
            struct saga_request request = post(&callers[i], reads);
            cr_assert_eq(request.status, 202, "%zu: %d %s", i, request.status, request.answer);
            cr_assert_not_null(strstr(request.answer, "\"id\":\"" ID "\",\"status\":\"pending\""));
            cr_assert_not_null(strstr(request.answer, "\"total\":6"));
            cr_assert_not_null(strstr(request.answer, "\"created_at\":\"1970-01-01T00:00:01.000Z"));
            cr_assert_not_null(strstr(request.headers, "Location: /v1/orders/" ID "\n"));
            cr_assert_not_null(strstr(request.headers, "Retry-After: 1\n"));
            cr_assert_not_null(strstr(request.headers, "Preference-Applied: wait=7\n"));
            cr_assert_eq(strstr(request.headers, "Idempotent-Replayed: true\n") != NULL,
                         callers[i].replayed || callers[i].recalled);
        }
}

/* What the end was is told with it: nothing has to be read. */
Test(post_order, placed_and_told)
{
    struct order_news news = {.facts = FACT_CREATED | FACT_SHIPPED | FACT_COMPLETED,
                              .refunded = 0,
                              .updated_at = 2000000,
                              .tracking_len = 5,
                              .tracking_number = "PKG-1"};
    for (size_t i = 0; i < sizeof callers / sizeof *callers; i++) {
        struct saga_request caller = callers[i];
        bool reads = caller.replayed || caller.recalled; /* it may have ended long ago */
        caller.news = (struct saga_text){(const char *)&news, sizeof news};
        struct saga_request request = post(&caller, reads ? READS_PENDING : READS_LOST);
        cr_assert_eq(request.status, 201, "%zu: %d %s", i, request.status, request.answer);
        cr_assert_not_null(strstr(request.answer, "\"status\":\"completed\""));
        cr_assert_not_null(strstr(request.answer, "\"updated_at\":\"1970-01-01T00:00:02.000Z\""));
        cr_assert_not_null(strstr(request.answer, "\"created_at\":\"1970-01-01T00:00:01.000Z\""));
        cr_assert_not_null(strstr(request.answer, "\"tracking_number\":\"PKG-1\""));
        cr_assert_not_null(strstr(request.answer, "\"total\":6"));
        cr_assert_null(strstr(request.headers, "Retry-After"));
    }
}

Test(post_order, placed_and_read)
{
    for (size_t i = 0; i < sizeof callers / sizeof *callers; i++) {
        struct saga_request request = post(&callers[i], READS_FINAL);
        cr_assert_eq(request.status, 201);
        cr_assert_null(strstr(request.headers, "Retry-After"));
        cr_assert_eq(post(&callers[i], READS_PENDING).status, 202);
    }
}

/* Nothing was placed: only then is 503 the answer. */
Test(post_order, not_placed)
{
    struct saga_request caller = {.placed = SAGA_BUSY};
    struct saga_request request = post(&caller, READS_FINAL);
    cr_assert_eq(request.status, 503);
    cr_assert_eq(request.retry_after, 1);
    cr_assert_null(strstr(request.headers, "Location"));
}
