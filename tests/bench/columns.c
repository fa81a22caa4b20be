/* columns.c: arrays in PostgreSQL's binary form; see columns.h. */
#include "columns.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH_2000_US INT64_C(946684800000000) /* where PostgreSQL's times begin */

static void put(struct columns *columns, const void *bytes, size_t len)
{
    struct column *column = &columns->column[columns->count - 1];

    if (column->len + len > column->size) {
        column->size = (column->len + len) * 2;
        column->at = realloc(column->at, column->size);
        if (column->at == NULL)
            abort();
    }
    memcpy(column->at + column->len, bytes, len);
    column->len += len;
}

static void put32(struct columns *columns, int64_t value)
{
    uint32_t big = htobe32((uint32_t)value);
    put(columns, &big, sizeof big);
}

void columns_clear(struct columns *columns)
{
    columns->count = 0;
}

/* A value of an array has its length before it; one that stands alone has not. */
static bool in_array(const struct columns *columns)
{
    return columns->column[columns->count - 1].rows > 0;
}

void columns_next(struct columns *columns, enum columns_type type, size_t rows)
{
    if (columns->count == COLUMNS_MAX)
        abort();
    struct column *column = &columns->column[columns->count++];
    column->type = type;
    column->rows = rows;
    column->len = 0;
    if (rows == 0)
        return;
    put32(columns, 1); /* dimensions */
    put32(columns, 1); /* there may be nulls */
    put32(columns, type);
    put32(columns, (int64_t)rows);
    put32(columns, 1); /* the first index */
}

static void put_value(struct columns *columns, const void *bytes, size_t len)
{
    if (in_array(columns))
        put32(columns, (int64_t)len);
    put(columns, bytes, len);
}

void columns_int(struct columns *columns, int64_t value)
{
    enum columns_type type = columns->column[columns->count - 1].type;
    size_t len = type == COLUMNS_INT2 ? 2 : type == COLUMNS_INT4 ? 4 : 8;
    uint64_t big = htobe64((uint64_t)(type == COLUMNS_TIME ? value - EPOCH_2000_US : value));

    put_value(columns, (const char *)&big + sizeof big - len, len);
}

void columns_text(struct columns *columns, const char *value)
{
    put_value(columns, value, strlen(value));
}

void columns_uuid(struct columns *columns, const uint8_t value[16])
{
    put_value(columns, value, 16);
}

void columns_null(struct columns *columns)
{
    put32(columns, -1);
}

int columns_send(const struct columns *columns, PGconn *connection, const char *statement)
{
    const char *values[COLUMNS_MAX];
    int lengths[COLUMNS_MAX], formats[COLUMNS_MAX];

    for (int i = 0; i < columns->count; i++) {
        values[i] = columns->column[i].at;
        lengths[i] = (int)columns->column[i].len;
        formats[i] = 1;
    }
    return PQsendQueryPrepared(connection, statement, columns->count, values, lengths, formats, 0);
}

void columns_free(struct columns *columns)
{
    for (int i = 0; i < COLUMNS_MAX; i++)
        free(columns->column[i].at);
    *columns = (struct columns){0};
}
