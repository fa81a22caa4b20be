/*
 * record.c: what stands on a topic: headers into an envelope, the value into each event's struct.
 * What is read can be written, and is then read alike; what is JSON for us is JSON for others.
 *
 * Input: lines "name: value" until an empty one, which are the headers; "key: " is the record's
 * key; the rest is the value.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/envelope.h"
#include "core/scan.h"
#include "saga/json.h"
#include "saga/service.h"

extern const struct saga_service order_service, payment_service, inventory_service,
    shipping_service;

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void read_envelope(struct arena *arena, const struct envelope_header *headers, size_t count,
                          struct saga_text key)
{
    struct envelope envelope, again;
    struct envelope_header written[ENVELOPE_HEADERS_MAX];
    struct saga_text topic = SAGA_TEXT("payment.done");
    const char *reason = envelope_read(headers, count, topic, key, &envelope);
    if (reason != NULL) {
        check(reason[strspn(reason, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0');
        return;
    }
    /* Written with its key, which is in lower case whatever the one that was read. */
    char own_key[SAGA_UUID_TEXT_SIZE];
    saga_uuid_format(&envelope.order_id, own_key);
    size_t number = envelope_write(arena, &envelope, written);
    check(number <= ENVELOPE_HEADERS_MAX);
    check(envelope_read(written, number, topic, saga_text(own_key), &again) == NULL);
    check(saga_text_equal(envelope.id, again.id) &&
          memcmp(&envelope.order_id, &again.order_id, sizeof again.order_id) == 0);
}

static void read_body(struct arena *arena, struct saga_text value, const struct saga_event *event)
{
    struct saga_json json = {0};
    void *body = arena_alloc(arena, event->shape->size);
    void *again = arena_alloc(arena, event->shape->size);
    if (scan_object(arena, value, event->shape, body) != NULL)
        return;
    saga_json_object(&json, NULL, event->shape, body);
    check(scan_object(arena, saga_json_done(&json), event->shape, again) == NULL);
    saga_json_clear(&json);
}

/* Each shape once: several events of a service have the same. */
static const struct saga_event *events[64];
static size_t events_count;

static void add_events(saga_events list)
{
    for (; list != NULL && *list != NULL; list++) {
        bool known = false;
        for (size_t i = 0; i < events_count; i++)
            known = known || events[i]->shape == (*list)->shape;
        check(events_count < sizeof events / sizeof *events);
        if (!known)
            events[events_count++] = *list;
    }
}

static void add_service(const struct saga_service *service)
{
    add_events(service->says);
    for (const struct saga_step *const *step = service->steps; step && *step; step++) {
        add_events((*step)->action.on);
        add_events((*step)->undo.on);
    }
    for (const struct saga_watch *const *watch = service->watches; watch && *watch; watch++)
        add_events((*watch)->on);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    add_service(&order_service);
    add_service(&payment_service);
    add_service(&inventory_service);
    add_service(&shipping_service);
    return 0;
}

/* jansson refuses a real that is no double, which is none of a checker's business. */
static void compare_with_jansson(struct saga_text value)
{
    json_error_t error;
    if (scan_check(value) != NULL)
        return;
    json_t *tree =
        json_loadb(value.at, value.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    check(tree != NULL || json_error_code(&error) == json_error_numeric_overflow);
    json_decref(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    struct envelope_header headers[ENVELOPE_HEADERS_MAX];
    size_t count = 0;
    struct saga_text key = {0};
    const char *at = (const char *)data, *end = at + size, *next;
    for (; (next = memchr(at, '\n', (size_t)(end - at))) != NULL && next != at; at = next + 1) {
        const char *colon = memchr(at, ':', (size_t)(next - at));
        if (colon == NULL || next - colon < 2 || count == ENVELOPE_HEADERS_MAX)
            continue;
        char *name = arena_alloc(&arena, (size_t)(colon - at) + 1);
        memcpy(name, at, (size_t)(colon - at));
        struct saga_text value = {colon + 2, (size_t)(next - colon - 2)};
        if (strcmp(name, "key") == 0)
            key = value;
        else
            headers[count++] = (struct envelope_header){name, value};
    }
    if (next == at)
        at++;
    struct saga_text value = {at, (size_t)(end - at)};
    read_envelope(&arena, headers, count, key);
    for (size_t i = 0; i < events_count; i++)
        read_body(&arena, value, events[i]);
    compare_with_jansson(value);
    arena_reset(&arena);
    return 0;
}
