/* db.h: looks into the four databases, as a person with psql would. */
#ifndef SUPPORT_DB_H
#define SUPPORT_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum db { DB_ORDER, DB_PAYMENT, DB_INVENTORY, DB_SHIPPING, DB_COUNT };

#define DB_NOTHING INT64_MIN /* no row, NULL, or the database is away */

/* The first column of the first row, as a number; $1 is `parameter`, a text (NULL: no parameter).
 * A statement that is wrong ends the process; a server that is away is asked again for 10 s. */
int64_t db_int(enum db db, const char *sql, const char *parameter);
/* The same as text, to be freed; NULL for DB_NOTHING. */
char *db_text(enum db db, const char *sql, const char *parameter);

/* Runs statements, all of them or none; one that is wrong ends the process. */
void db_run(enum db db, const char *sql);
/* Runs the statement in a transaction of its own that stays open until db_release: what it locks
 * is locked. One at a time. */
void db_hold(enum db db, const char *sql);
void db_release(void);

struct db_rows;
/* All rows, values as text. */
struct db_rows *db_rows(enum db db, const char *sql, const char *parameter);
size_t db_rows_count(const struct db_rows *rows);
/* "" for NULL. */
const char *db_value(const struct db_rows *rows, size_t row, int column);
int64_t db_number(const struct db_rows *rows, size_t row, int column);
void db_rows_free(struct db_rows *rows);

const char *db_name(enum db db);
void db_close(void);

#endif
