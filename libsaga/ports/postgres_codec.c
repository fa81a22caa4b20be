/* postgres_codec.c: PostgreSQL's binary form of parameters, arrays and result columns. */
#include "ports/postgres.h"

#include <assert.h>
#include <endian.h>
#include <libpq-fe.h>
#include <limits.h>

/* From pg_type.dat: these numbers never change. */
enum {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_OID = 26,
    OID_JSON = 114,
    OID_INT2_ARRAY = 1005,
    OID_INT4_ARRAY = 1007,
    OID_TEXT_ARRAY = 1009,
    OID_INT8_ARRAY = 1016,
    OID_VARCHAR = 1043,
    OID_TIMESTAMPTZ = 1184,
    OID_TIMESTAMPTZ_ARRAY = 1185,
    OID_UUID = 2950,
    OID_UUID_ARRAY = 2951
};

#define EPOCH_2000_US 946684800000000LL /* 2000-01-01, where PostgreSQL's times begin */

static char *put16(char *at, int16_t value)
{
    uint16_t big = htobe16((uint16_t)value);
    memcpy(at, &big, sizeof big);
    return at + sizeof big;
}

static char *put32(char *at, int32_t value)
{
    uint32_t big = htobe32((uint32_t)value);
    memcpy(at, &big, sizeof big);
    return at + sizeof big;
}

static char *put64(char *at, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    memcpy(at, &big, sizeof big);
    return at + sizeof big;
}

/* ---- parameters ---- */

struct pg_param pg_int(struct arena *arena, int64_t value)
{
    char *data = arena_alloc(arena, sizeof value);

    put64(data, value);
    return (struct pg_param){OID_INT8, data, sizeof value};
}

struct pg_param pg_int32(struct arena *arena, int32_t value)
{
    char *data = arena_alloc(arena, sizeof value);

    put32(data, value);
    return (struct pg_param){OID_INT4, data, sizeof value};
}

struct pg_param pg_time(struct arena *arena, int64_t time_us)
{
    if (time_us == 0)
        return (struct pg_param){OID_TIMESTAMPTZ, NULL, 0};
    struct pg_param param = pg_int(arena, time_us - EPOCH_2000_US);
    param.oid = OID_TIMESTAMPTZ;
    return param;
}

struct pg_param pg_text(struct saga_text value)
{
    assert(value.len <= INT_MAX);
    return (struct pg_param){OID_TEXT, value.at, (int)value.len};
}

struct pg_param pg_uuid(const struct saga_uuid *id)
{
    return (struct pg_param){OID_UUID, (const char *)id->bytes, sizeof id->bytes};
}

static void type_oids(enum saga_type type, int32_t *ret_element, uint32_t *ret_array)
{
    switch (type) {
    case SAGA_UUID:
        *ret_element = OID_UUID, *ret_array = OID_UUID_ARRAY;
        return;
    case SAGA_INT16:
        *ret_element = OID_INT2, *ret_array = OID_INT2_ARRAY;
        return;
    case SAGA_INT32:
        *ret_element = OID_INT4, *ret_array = OID_INT4_ARRAY;
        return;
    case SAGA_INT64:
        *ret_element = OID_INT8, *ret_array = OID_INT8_ARRAY;
        return;
    case SAGA_TIME:
        *ret_element = OID_TIMESTAMPTZ, *ret_array = OID_TIMESTAMPTZ_ARRAY;
        return;
    case SAGA_STRING:
    case SAGA_JSON:
        *ret_element = OID_TEXT, *ret_array = OID_TEXT_ARRAY;
        return;
    case SAGA_LIST:
    case SAGA_OBJECT:
        break;
    }
    assert(false && "a list or an object has no column");
}

/* One dimension, from 1; an array of nothing has none. */
static char *put_array_head(char *at, int32_t element, size_t count)
{
    at = put32(at, count > 0 ? 1 : 0);
    at = put32(at, 1); /* "may hold NULLs" */
    at = put32(at, element);
    if (count > 0) {
        at = put32(at, (int32_t)count);
        at = put32(at, 1);
    }
    return at;
}

static char *put_text(char *at, struct saga_text text)
{
    at = put32(at, text.at != NULL ? (int32_t)text.len : -1);
    if (text.len > 0)
        memcpy(at, text.at, text.len);
    return at + text.len;
}

static char *put_member(char *at, enum saga_type type, const char *member)
{
    struct saga_text text;
    int16_t i16;
    int32_t i32;
    int64_t i64;

    switch (type) {
    case SAGA_UUID:
        return put_text(at, (struct saga_text){member, sizeof(struct saga_uuid)});
    case SAGA_INT16:
        memcpy(&i16, member, sizeof i16);
        return put16(put32(at, sizeof i16), i16);
    case SAGA_INT32:
        memcpy(&i32, member, sizeof i32);
        return put32(put32(at, sizeof i32), i32);
    case SAGA_INT64:
        memcpy(&i64, member, sizeof i64);
        return put64(put32(at, sizeof i64), i64);
    case SAGA_TIME:
        memcpy(&i64, member, sizeof i64);
        return i64 == 0 ? put32(at, -1) : put64(put32(at, sizeof i64), i64 - EPOCH_2000_US);
    case SAGA_STRING:
    case SAGA_JSON:
        memcpy(&text, member, sizeof text);
        return put_text(at, text);
    case SAGA_LIST:
    case SAGA_OBJECT:
        break;
    }
    return at;
}

static size_t member_size_max(enum saga_type type, const char *member)
{
    struct saga_text text;

    if (type != SAGA_STRING && type != SAGA_JSON)
        return 4 + sizeof(struct saga_uuid);
    memcpy(&text, member, sizeof text);
    return 4 + text.len;
}

struct pg_param pg_array(struct arena *arena, enum saga_type type, const void *const *rows,
                         size_t count, size_t offset)
{
    int32_t element = 0;
    uint32_t array = 0;
    size_t size = 20;

    type_oids(type, &element, &array);
    for (size_t i = 0; i < count; i++)
        size += member_size_max(type, (const char *)rows[i] + offset);
    assert(size <= INT_MAX);
    char *data = arena_alloc(arena, size);
    char *at = put_array_head(data, element, count);
    for (size_t i = 0; i < count; i++)
        at = put_member(at, type, (const char *)rows[i] + offset);
    return (struct pg_param){array, data, (int)(at - data)};
}

struct pg_param pg_keys(struct arena *arena, enum saga_type type, const struct saga_text *keys,
                        size_t count)
{
    int32_t element = 0;
    uint32_t array = 0;
    size_t size = 20;

    assert(type == SAGA_UUID || type == SAGA_STRING);
    type_oids(type, &element, &array);
    for (size_t i = 0; i < count; i++)
        size += 4 + keys[i].len;
    assert(size <= INT_MAX);
    char *data = arena_alloc(arena, size);
    char *at = put_array_head(data, element, count);
    for (size_t i = 0; i < count; i++)
        at = put_text(at, keys[i]);
    return (struct pg_param){array, data, (int)(at - data)};
}

/* ---- results ---- */

static const PGresult *result_of(const struct pg_result *result)
{
    return (const PGresult *)result;
}

size_t pg_result_count(const struct pg_result *result)
{
    return result != NULL ? (size_t)PQntuples(result_of(result)) : 0;
}

struct saga_text pg_result_bytes(const struct pg_result *result, size_t row, size_t column)
{
    const PGresult *from = result_of(result);

    if (row >= pg_result_count(result) || column >= (size_t)PQnfields(from) ||
        PQgetisnull(from, (int)row, (int)column))
        return (struct saga_text){NULL, 0};
    return (struct saga_text){PQgetvalue(from, (int)row, (int)column),
                              (size_t)PQgetlength(from, (int)row, (int)column)};
}

/* A big-endian integer of 1, 2, 4 or 8 bytes. */
static int64_t get_int(struct saga_text bytes)
{
    uint64_t value = (bytes.at[0] & 0x80) != 0 ? UINT64_MAX : 0;

    for (size_t i = 0; i < bytes.len; i++)
        value = value << 8 | (uint8_t)bytes.at[i];
    return (int64_t)value;
}

int64_t pg_result_int(const struct pg_result *result, size_t row, size_t column,
                      int64_t absent_value)
{
    struct saga_text bytes = pg_result_bytes(result, row, column);

    if (bytes.at == NULL)
        return absent_value;
    switch (PQftype(result_of(result), (int)column)) {
    case OID_OID:
        return (int64_t)(uint32_t)get_int(bytes);
    case OID_BOOL:
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        return get_int(bytes);
    default:
        return absent_value;
    }
}

/* Narrower integers fit wider members. */
static bool column_fits(enum saga_type type, Oid oid)
{
    switch (type) {
    case SAGA_UUID:
        return oid == OID_UUID;
    case SAGA_STRING:
        return oid == OID_TEXT || oid == OID_VARCHAR;
    case SAGA_INT16:
        return oid == OID_INT2;
    case SAGA_INT32:
        return oid == OID_INT4 || oid == OID_INT2;
    case SAGA_INT64:
        return oid == OID_INT8 || oid == OID_INT4 || oid == OID_INT2;
    case SAGA_TIME:
        return oid == OID_TIMESTAMPTZ;
    case SAGA_JSON:
        return oid == OID_TEXT || oid == OID_VARCHAR || oid == OID_JSON;
    case SAGA_LIST:
    case SAGA_OBJECT:
        break;
    }
    return false;
}

static int64_t get_time(struct saga_text bytes)
{
    int64_t stored = get_int(bytes), time_us;

    /* 'infinity' is the largest number: it stays that. */
    return __builtin_add_overflow(stored, EPOCH_2000_US, &time_us) ? INT64_MAX : time_us;
}

static void get_member(enum saga_type type, struct saga_text bytes, struct arena *arena,
                       char *member)
{
    struct saga_text text;
    int16_t i16;
    int32_t i32;
    int64_t i64;

    switch (type) {
    case SAGA_UUID:
        memcpy(member, bytes.at, sizeof(struct saga_uuid));
        return;
    case SAGA_INT16:
        i16 = (int16_t)get_int(bytes);
        memcpy(member, &i16, sizeof i16);
        return;
    case SAGA_INT32:
        i32 = (int32_t)get_int(bytes);
        memcpy(member, &i32, sizeof i32);
        return;
    case SAGA_INT64:
    case SAGA_TIME:
        i64 = type == SAGA_TIME ? get_time(bytes) : get_int(bytes);
        memcpy(member, &i64, sizeof i64);
        return;
    case SAGA_STRING:
    case SAGA_JSON:
        text = arena_copy(arena, bytes);
        memcpy(member, &text, sizeof text);
        return;
    case SAGA_LIST:
    case SAGA_OBJECT:
        return;
    }
}

bool pg_result_read(const struct pg_result *result, size_t row, const struct saga_shape *shape,
                    struct arena *arena, void *ret_struct)
{
    const PGresult *from = result_of(result);

    if (row >= pg_result_count(result) || (size_t)PQnfields(from) != shape->count)
        return false;
    for (size_t i = 0; i < shape->count; i++)
        if (!column_fits(shape->fields[i].type, PQftype(from, (int)i)))
            return false;
    memset(ret_struct, 0, shape->size);
    for (size_t i = 0; i < shape->count; i++) {
        const struct saga_field *field = &shape->fields[i];
        struct saga_text bytes = pg_result_bytes(result, row, i);
        if (bytes.at != NULL)
            get_member(field->type, bytes, arena, (char *)ret_struct + field->offset);
    }
    return true;
}
