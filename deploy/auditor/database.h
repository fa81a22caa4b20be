/* database.h: one moment of a database, read row by row in the order of the orders' ids. */
#ifndef AUDITOR_DATABASE_H
#define AUDITOR_DATABASE_H

#include <libpq-fe.h>

#include "spill.h"

struct database;

/* Opens a read-only transaction whose moment is now. NULL: it has said why on standard error. */
struct database *database_look(const char *conninfo, const char *name);
void database_close(struct database *database);

/* All rows at once, as text; for what is small. NULL: it has said why. Free with PQclear. */
PGresult *database_ask(struct database *database, const char *sql);

/*
 * Rows of (uuid, bigint or NULL...): columns behind the id go to values (NULL: 0). The server works
 * on them from now on, until the last one was taken: nothing else can be asked of it meanwhile.
 * False: it has said why.
 */
bool database_begin(struct database *database, const char *sql, size_t columns);
/* 1: a row; 0: that was the last; -1: it has said why. */
int database_next(struct database *database, struct audit_id *ret_id, int64_t *ret_values);
/* The same for rows of (uuid, text, bigint...): the text is good until the next call. */
int database_next_named(struct database *database, struct audit_id *ret_id, const char **ret_name,
                        int64_t *ret_values);

#endif
