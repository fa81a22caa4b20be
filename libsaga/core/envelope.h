/*
 * envelope.h: CloudEvents 1.0 in Kafka's binary mode: the attributes are record headers.
 * Source of the rules: CloudEvents spec 1.0.2 and its Kafka protocol binding.
 */
#ifndef ENVELOPE_H
#define ENVELOPE_H

#include "core/arena.h"

#define ENVELOPE_HEADERS_MAX 64

struct envelope_header {
    const char *name; /* NUL-terminated */
    struct saga_text value;
};

struct envelope {
    struct saga_text id;       /* ce_id: 1-64 visible ASCII, the same on every republication */
    struct saga_text source;   /* "/order-svc" */
    struct saga_text type;     /* the topic's name */
    struct saga_uuid order_id; /* ce_subject */
    int64_t time_us;
    struct saga_text traceparent; /* may be absent */
};

/* NULL on success; else a static snake_case reason: missing_ce_id, unknown_specversion,
 * unknown_schemaversion, wrong_content_type, type_is_not_topic, invalid_ce_subject, ...
 * key: the record's key, which must be the subject. Values are slices of the headers. */
const char *envelope_read(const struct envelope_header *headers, size_t count,
                          struct saga_text topic, struct saga_text key, struct envelope *ret);
/* Fills at most ENVELOPE_HEADERS_MAX headers, text in the arena; returns how many. */
size_t envelope_write(struct arena *arena, const struct envelope *envelope,
                      struct envelope_header *ret_headers);

/* W3C Trace Context, version 00, ids not all zero. */
bool traceparent_valid(struct saga_text text);

#endif
