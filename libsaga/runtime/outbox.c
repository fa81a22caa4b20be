/* outbox.c: a row of the outbox becomes a record: the same one, however often. */
#include "runtime/outbox.h"

#include <stdio.h>

#include "saga_sql.h"

const struct saga_shape outbox_shape =
    SAGA_SHAPE(struct outbox_row, SAGA_FIELD(struct outbox_row, seq, SAGA_INT64),
               SAGA_FIELD(struct outbox_row, order_id, SAGA_UUID),
               SAGA_FIELD(struct outbox_row, type, SAGA_STRING),
               SAGA_FIELD(struct outbox_row, traceparent, SAGA_STRING),
               SAGA_FIELD(struct outbox_row, payload, SAGA_STRING),
               SAGA_FIELD(struct outbox_row, created_us, SAGA_TIME));

bool outbox_read_epoch(struct pg *pg, struct outbox_source *ret_source, const char **ret_why)
{
    struct pg_result *result = NULL;
    const char *why = NULL;
    pg_send(pg, sql_read_epoch, NULL, 0, &result);
    if (pg_sync(pg) != PG_OK)
        why = pg_error(pg);
    else if (pg_result_count(result) != 1)
        why = "it has no epoch: run migrate";
    else if (pg_result_int(result, 0, 1, 0) > OUTBOX_SCHEMA)
        why = "its tables are of a later version than this program";
    if (why == NULL) {
        struct saga_uuid id;
        char text[SAGA_UUID_TEXT_SIZE];
        memcpy(&id, pg_result_bytes(result, 0, 0).at, sizeof id);
        saga_uuid_format(&id, text);
        snprintf(ret_source->epoch, sizeof ret_source->epoch, "%.8s", text);
        ret_source->read_only = pg_result_int(result, 0, 2, 0) != 0;
    } else {
        *ret_why = why;
    }
    pg_result_free(result);
    return why == NULL;
}

void outbox_source_of(const struct saga_service *service, struct outbox_source *ret_source)
{
    *ret_source = (struct outbox_source){0};
    snprintf(ret_source->name, sizeof ret_source->name, "/%s", service->name);
}

static char *put_number(char *end, int64_t number)
{
    do
        *--end = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return end;
}

/* "<epoch>-<lane>-<seq>": the same on every republication. */
static struct saga_text event_id(const struct outbox_source *source, struct arena *arena,
                                 int32_t lane, int64_t seq)
{
    char *text = arena_alloc(arena, 48), *end = text + 48, *at = put_number(end, seq);
    *--at = '-';
    at = put_number(at, lane);
    *--at = '-';
    size_t len = strlen(source->epoch);
    at -= len;
    memcpy(at, source->epoch, len);
    return (struct saga_text){at, (size_t)(end - at)};
}

enum saga_verdict outbox_send(const struct outbox_source *source, int32_t lane,
                              const struct outbox_row *row, struct kafka_producer *producer,
                              struct arena *arena)
{
    char key[SAGA_UUID_TEXT_SIZE];
    saga_uuid_format(&row->order_id, key);
    struct envelope envelope = {.id = event_id(source, arena, lane, row->seq),
                                .source = saga_text(source->name),
                                .type = row->type,
                                .order_id = row->order_id,
                                .time_us = row->created_us,
                                .traceparent = row->traceparent};
    struct envelope_header headers[ENVELOPE_HEADERS_MAX];
    size_t count = envelope_write(arena, &envelope, headers);
    return kafka_producer_send(producer, row->type, saga_text(key), row->payload, headers, count,
                               lane, row->seq);
}
