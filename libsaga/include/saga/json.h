/* json.h: JSON written into one growing buffer, by hand or from a struct and its shape. */
#ifndef SAGA_JSON_H
#define SAGA_JSON_H

#include "saga/shape.h"

/*
 * A buffer that grows by realloc until `max` bytes (0: 64 MiB); past it, it turns bad: later writes
 * do nothing and saga_json_done is absent. Aborts when the machine has no memory left.
 * Zero-initialise; free with _clear.
 */
struct saga_json {
    char *at;
    size_t len, size, max;
    bool bad, comma;
};

void saga_json_clear(struct saga_json *json);
/* Empties it and keeps the memory. */
void saga_json_reset(struct saga_json *json);

/* Values; commas and escapes are theirs. name NULL: an array item, or the top. */
void saga_json_open(struct saga_json *json, const char *name, char bracket); /* '{' or '[' */
void saga_json_close(struct saga_json *json, char bracket);                  /* '}' or ']' */
void saga_json_text(struct saga_json *json, const char *name, struct saga_text value); /* or null */
void saga_json_int(struct saga_json *json, const char *name, int64_t value);
void saga_json_bool(struct saga_json *json, const char *name, bool value);
void saga_json_time(struct saga_json *json, const char *name, int64_t time_us); /* 0: null */
void saga_json_uuid(struct saga_json *json, const char *name, const struct saga_uuid *id);
/* JSON that is known to be good, verbatim; absent: null. */
void saga_json_raw(struct saga_json *json, const char *name, struct saga_text value);
/* The members of a struct; optional ones are left out when absent (text NULL, time 0). */
void saga_json_members(struct saga_json *json, const struct saga_shape *shape, const void *body);
/* The same within braces. */
void saga_json_object(struct saga_json *json, const char *name, const struct saga_shape *shape,
                      const void *body);

static inline struct saga_text saga_json_done(const struct saga_json *json)
{
    return (struct saga_text){json->bad ? NULL : json->at, json->bad ? 0 : json->len};
}

#endif
