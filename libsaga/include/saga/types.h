/* types.h: the few plain types that every part of a saga speaks in. */
#ifndef SAGA_TYPES_H
#define SAGA_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A UUID in network byte order. Order ids are version 7: they sort by time of birth. */
struct saga_uuid {
    uint8_t bytes[16];
};

/* Borrowed bytes, not NUL-terminated. at == NULL is "absent" (NULL in SQL, left out in JSON). */
struct saga_text {
    const char *at;
    size_t len;
};

/* A borrowed array of structs, each of the size that the field's shape tells. */
struct saga_list {
    const void *at;
    size_t count;
};

/*
 * What the runtime must do about a result. Foreign codes (SQLSTATE, librdkafka) are folded into
 * these once, in the port they come from. A business refusal is no error: it is an event.
 */
enum saga_verdict {
    SAGA_OK,     /* go on */
    SAGA_RETRY,  /* nothing happened, the same thing may succeed later */
    SAGA_POISON, /* this message can never succeed: park it, go on with the others */
    SAGA_FATAL   /* this process cannot go on: stop with a clear reason */
};

/* Text of a string literal. */
#define SAGA_TEXT(literal) ((struct saga_text){(literal), sizeof(literal) - 1})

static inline struct saga_text saga_text(const char *string)
{
    return (struct saga_text){string, string ? strlen(string) : 0};
}

static inline bool saga_text_equal(struct saga_text a, struct saga_text b)
{
    return a.len == b.len && (a.at == NULL) == (b.at == NULL) &&
           (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* For tables in memory: FNV-1a, folded. */
static inline size_t saga_text_hash(struct saga_text text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.at[i]) * UINT64_C(1099511628211);
    return (size_t)(hash ^ (hash >> 29));
}

/* A row's key is bytes: an order id or a text. */
static inline struct saga_text saga_uuid_key(const struct saga_uuid *id)
{
    return (struct saga_text){(const char *)id->bytes, sizeof id->bytes};
}

/* 36 characters, lower case, and a NUL (RFC 9562). */
#define SAGA_UUID_TEXT_SIZE 37
void saga_uuid_format(const struct saga_uuid *id, char ret_text[SAGA_UUID_TEXT_SIZE]);
/* False, and ret_id untouched, unless text is exactly the 36-character form (either case). */
bool saga_uuid_parse(struct saga_text text, struct saga_uuid *ret_id);

/* Times are microseconds since 1970-01-01 UTC; 0 is "absent". */
/* "2026-11-23T17:10:00.000Z" (RFC 3339, UTC, milliseconds) and a NUL. */
#define SAGA_TIME_TEXT_SIZE 25
void saga_time_format(int64_t time_us, char ret_text[SAGA_TIME_TEXT_SIZE]);
/* Any RFC 3339 time, with any offset and 0-9 fractional digits; false if it is none. */
bool saga_time_parse(struct saga_text text, int64_t *ret_time_us);

#endif
