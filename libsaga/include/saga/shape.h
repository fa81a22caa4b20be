/*
 * shape.h: how a C struct reads as JSON members and as SQL columns.
 *
 * One table of fields has many readers: the event codec, the HTTP body checker, the row codec of
 * the PostgreSQL port, `describe`. So a service never writes an encoder or a parser.
 */
#ifndef SAGA_SHAPE_H
#define SAGA_SHAPE_H

#include "saga/types.h"

/*         the C member        in JSON                    in PostgreSQL
 * UUID    struct saga_uuid    string                     uuid
 * STRING  struct saga_text    string                     text        (NULL when absent)
 * INT16   int16_t             integer                    smallint
 * INT32   int32_t             integer                    integer
 * INT64   int64_t             integer                    bigint
 * TIME    int64_t, us         string, RFC 3339 UTC ms    timestamptz (NULL when 0)
 * JSON    struct saga_text    any value, verbatim        text        (NULL when absent)
 * LIST    struct saga_list    array of objects           -
 * OBJECT  a nested struct     object                     -
 */
enum saga_type {
    SAGA_UUID,
    SAGA_STRING,
    SAGA_INT16,
    SAGA_INT32,
    SAGA_INT64,
    SAGA_TIME,
    SAGA_JSON,
    SAGA_LIST,
    SAGA_OBJECT
};

struct saga_shape;

/* Rules for input from outside (HTTP bodies). All that are set must hold. */
struct saga_rule {
    int64_t min, max;   /* integers: the value; texts: the length in bytes; lists: the count */
    bool visible_ascii; /* texts: each byte 0x21..0x7e */
    const char *extra;  /* texts: only A-Z a-z 0-9 and these characters */
    const char *const *one_of;  /* texts: sorted by strcmp, NULL-terminated */
    const char *must;           /* the rule in words, for people: "must be an ISO 4217 code" */
    const char *distinct;       /* lists: no two items share this text member */
    size_t members_max;         /* JSON: an object of string members: how many, ... */
    size_t name_max, value_max; /* ... and how long, in bytes; 0: not such an object */
};

struct saga_field {
    const char *name;
    enum saga_type type;
    uint16_t offset;
    bool optional;                   /* may be left out (and is, when absent) */
    const struct saga_shape *inside; /* LIST, OBJECT: the shape of the items, of the object */
    const struct saga_rule *rule;    /* input from outside only; NULL: none */
};

struct saga_shape {
    size_t size; /* of the struct */
    size_t count;
    const struct saga_field *fields;
};

#define SAGA_FIELD(type_, member_, kind_, ...)                                                     \
    {                                                                                              \
        .name = #member_, .type = (kind_), .offset = offsetof(type_, member_), __VA_ARGS__         \
    }
#define SAGA_SHAPE(type_, ...)                                                                     \
    {                                                                                              \
        .size = sizeof(type_),                                                                     \
        .count = sizeof((const struct saga_field[]){__VA_ARGS__}) / sizeof(struct saga_field),     \
        .fields = (const struct saga_field[])                                                      \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

#endif
