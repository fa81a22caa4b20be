/*
 * floor_rows.h: the rows that a saga of two items leaves in the four databases, by the services'
 * own schemas and statements, and nothing else: no reading, no deciding, no messages.
 */
#ifndef BENCH_FLOOR_ROWS_H
#define BENCH_FLOOR_ROWS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOOR_BATCH_MAX 1000
#define FLOOR_SKUS 100

enum floor_database {
    FLOOR_ORDER,
    FLOOR_PAYMENT,
    FLOOR_INVENTORY,
    FLOOR_SHIPPING,
    FLOOR_DATABASES
};

extern const char *const floor_names[FLOOR_DATABASES]; /* "floor_order" */

struct floor_rows;

/* Makes the tables and prepares the statements; never NULL. The connection is the caller's. */
struct floor_rows *floor_rows_new(enum floor_database database, PGconn *connection, size_t batch);
/* Writes all of the batch's rows in one transaction, or two where the services need two: what the
 * second one writes is of the batch before. False: it has said why. */
bool floor_rows_write(struct floor_rows *rows, uint64_t batch);
void floor_rows_free(struct floor_rows *rows);

#endif
