/* envelope.c: CloudEvents attributes from and to record headers. */
#include "core/envelope.h"

#define ID_MAX 64

bool traceparent_valid(struct saga_text text)
{
    /* 00-<32 hex>-<16 hex>-<2 hex>, lower case, neither id all zero */
    if (text.at == NULL || text.len != 55 || memcmp(text.at, "00-", 3) != 0)
        return false;
    bool trace = false, span = false;
    for (size_t i = 3; i < text.len; i++) {
        char c = text.at[i];
        if (i == 35 || i == 52) {
            if (c != '-')
                return false;
            continue;
        }
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        if (c != '0') {
            trace = trace || i < 35;
            span = span || (i > 35 && i < 52);
        }
    }
    return trace && span;
}

static bool visible(struct saga_text text, size_t max)
{
    if (text.len == 0 || text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x21 || text.at[i] > 0x7e)
            return false;
    return true;
}

/* The header's value, absent if there is none. */
static struct saga_text find_header(const struct envelope_header *headers, size_t count,
                                    const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(headers[i].name, name) == 0)
            return headers[i].value;
    return (struct saga_text){0};
}

static bool is_json(struct saga_text type)
{
    static const char json[] = "application/json";
    size_t len = sizeof json - 1;
    return type.len >= len && memcmp(type.at, json, len) == 0 &&
           (type.len == len || type.at[len] == ';');
}

const char *envelope_read(const struct envelope_header *headers, size_t count,
                          struct saga_text topic, struct saga_text key, struct envelope *ret)
{
    struct envelope envelope = {0};
    if (count > ENVELOPE_HEADERS_MAX)
        return "too_many_headers";
    struct saga_text version = find_header(headers, count, "ce_specversion");
    if (version.at == NULL)
        return "missing_ce_specversion";
    if (!saga_text_equal(version, SAGA_TEXT("1.0")))
        return "unknown_specversion";
    struct saga_text schema = find_header(headers, count, "ce_schemaversion");
    if (!saga_text_equal(schema, SAGA_TEXT("1")))
        return schema.at == NULL ? "missing_ce_schemaversion" : "unknown_schemaversion";
    if (!is_json(find_header(headers, count, "content-type")))
        return "wrong_content_type";
    envelope.id = find_header(headers, count, "ce_id");
    if (envelope.id.at == NULL)
        return "missing_ce_id";
    if (!visible(envelope.id, ID_MAX))
        return "invalid_ce_id";
    envelope.source = find_header(headers, count, "ce_source");
    if (!visible(envelope.source, 255))
        return envelope.source.at == NULL ? "missing_ce_source" : "invalid_ce_source";
    envelope.type = find_header(headers, count, "ce_type");
    if (envelope.type.at == NULL)
        return "missing_ce_type";
    if (!saga_text_equal(envelope.type, topic))
        return "type_is_not_topic";
    struct saga_text subject = find_header(headers, count, "ce_subject");
    if (subject.at == NULL)
        return "missing_ce_subject";
    if (!saga_uuid_parse(subject, &envelope.order_id))
        return "invalid_ce_subject";
    if (!saga_text_equal(subject, key))
        return "key_is_not_subject";
    struct saga_text time = find_header(headers, count, "ce_time");
    if (!saga_time_parse(time, &envelope.time_us))
        return time.at == NULL ? "missing_ce_time" : "invalid_ce_time";
    /* A foreign trace is no reason to lose an event: one that is not valid is not there. */
    struct saga_text trace = find_header(headers, count, "traceparent");
    if (traceparent_valid(trace))
        envelope.traceparent = trace;
    *ret = envelope;
    return NULL;
}

size_t envelope_write(struct arena *arena, const struct envelope *envelope,
                      struct envelope_header *ret_headers)
{
    char *subject = arena_alloc(arena, SAGA_UUID_TEXT_SIZE);
    char *time = arena_alloc(arena, SAGA_TIME_TEXT_SIZE);
    saga_uuid_format(&envelope->order_id, subject);
    saga_time_format(envelope->time_us, time);
    size_t count = 0;
    ret_headers[count++] = (struct envelope_header){"ce_specversion", SAGA_TEXT("1.0")};
    ret_headers[count++] = (struct envelope_header){"ce_id", envelope->id};
    ret_headers[count++] = (struct envelope_header){"ce_source", envelope->source};
    ret_headers[count++] = (struct envelope_header){"ce_type", envelope->type};
    ret_headers[count++] =
        (struct envelope_header){"ce_subject", {subject, SAGA_UUID_TEXT_SIZE - 1}};
    ret_headers[count++] = (struct envelope_header){"ce_time", {time, SAGA_TIME_TEXT_SIZE - 1}};
    ret_headers[count++] = (struct envelope_header){"ce_schemaversion", SAGA_TEXT("1")};
    ret_headers[count++] = (struct envelope_header){"content-type", SAGA_TEXT("application/json")};
    if (envelope->traceparent.at != NULL)
        ret_headers[count++] = (struct envelope_header){"traceparent", envelope->traceparent};
    return count;
}
