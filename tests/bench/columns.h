/* columns.h: parameters of a set-based statement: arrays in PostgreSQL's binary form. */
#ifndef BENCH_COLUMNS_H
#define BENCH_COLUMNS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLUMNS_MAX 16

enum columns_type {
    COLUMNS_INT8 = 20,
    COLUMNS_INT2 = 21,
    COLUMNS_INT4 = 23,
    COLUMNS_TEXT = 25,
    COLUMNS_TIME = 1184, /* microseconds since 1970 */
    COLUMNS_UUID = 2950
};

/* All zero is empty. Values are added to the last column, in order. */
struct columns {
    int count;
    struct column {
        enum columns_type type;
        char *at;
        size_t rows, len, size;
    } column[COLUMNS_MAX];
};

/* The memory is kept for the next ones. */
void columns_clear(struct columns *columns);
/* A parameter that is an array of `rows` values, or, with 0, one value and no array. */
void columns_next(struct columns *columns, enum columns_type type, size_t rows);
void columns_int(struct columns *columns, int64_t value);
void columns_text(struct columns *columns, const char *value);
void columns_uuid(struct columns *columns, const uint8_t value[16]);
void columns_null(struct columns *columns);
/* Sends the prepared statement into the connection's pipeline; what PQsendQueryPrepared says. */
int columns_send(const struct columns *columns, PGconn *connection, const char *statement);
void columns_free(struct columns *columns);

#endif
