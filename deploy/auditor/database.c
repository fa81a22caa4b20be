/* database.c: a cursor in a transaction that sees one moment. */
#include "database.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FETCH "FETCH 5000 FROM rows"

struct database {
    PGconn *connection;
    const char *name;
    PGresult *rows; /* while the server works on the next ones */
    int row, columns;
    char text[256];
};

static bool failed(const struct database *database, const char *what)
{
    fprintf(stderr, "audit: %s: %s: %s", database->name, what,
            PQerrorMessage(database->connection));
    return false;
}

static bool run(struct database *database, const char *sql, const char *what)
{
    PGresult *result = PQexec(database->connection, sql);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || failed(database, what);
}

struct database *database_look(const char *conninfo, const char *name)
{
    struct database *database = calloc(1, sizeof *database);
    if (database == NULL)
        abort();
    database->name = name;
    /* A host that is no more says nothing. What conninfo says of these counts. */
    const char *const names[] = {"connect_timeout",
                                 "keepalives_idle",
                                 "keepalives_interval",
                                 "keepalives_count",
                                 "tcp_user_timeout",
                                 "dbname",
                                 NULL};
    const char *const values[] = {"10", "10", "5", "3", "25000", conninfo, NULL};
    database->connection = PQconnectdbParams(names, values, true);
    if (PQstatus(database->connection) != CONNECTION_OK)
        failed(database, "cannot be reached");
    /* Whoever wants a table for himself waits for us, and we, with our next connection, for him:
     * so nobody waits for long. The moment is that of the first SELECT, not of BEGIN. */
    else if (run(database,
                 "SET work_mem = '64MB'; SET statement_timeout = 0; SET lock_timeout = '2s'",
                 "a setting") &&
             run(database, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "BEGIN") &&
             run(database, "SELECT txid_current_if_assigned()", "SELECT"))
        return database;
    database_close(database);
    return NULL;
}

void database_close(struct database *database)
{
    if (database == NULL)
        return;
    PQclear(database->rows);
    PQfinish(database->connection);
    free(database);
}

PGresult *database_ask(struct database *database, const char *sql)
{
    PGresult *result = PQexec(database->connection, sql);
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        return result;
    failed(database, "a query failed");
    PQclear(result);
    return NULL;
}

static bool fetch(struct database *database)
{
    return PQsendQueryParams(database->connection, FETCH, 0, NULL, NULL, NULL, NULL, 1) == 1 ||
           failed(database, "rows cannot be asked for");
}

/* Takes the rows that were asked for, and asks for the next. */
static bool take(struct database *database)
{
    PGresult *more;
    PQclear(database->rows);
    database->row = 0;
    database->rows = PQgetResult(database->connection);
    while ((more = PQgetResult(database->connection)) != NULL)
        PQclear(more);
    if (PQresultStatus(database->rows) != PGRES_TUPLES_OK)
        return failed(database, "rows could not be read");
    return PQntuples(database->rows) == 0 || fetch(database);
}

bool database_begin(struct database *database, const char *sql, size_t columns)
{
    size_t size = strlen(sql) + 64;
    char *declare = malloc(size);
    if (declare == NULL)
        abort();
    PQclear(database->rows);
    database->rows = NULL;
    database->columns = (int)columns;
    snprintf(declare, size, "CLOSE ALL; DECLARE rows CURSOR FOR %s", sql);
    bool good = run(database, declare, "its rows cannot be read");
    free(declare);
    return good && fetch(database);
}

/* The next row, with so many columns before the numbers. */
static int step(struct database *database, struct audit_id *ret_id, int64_t *ret_values, int before)
{
    if (database->rows == NULL || database->row == PQntuples(database->rows)) {
        if (!take(database))
            return -1;
        if (PQntuples(database->rows) == 0)
            return 0;
        if (PQnfields(database->rows) != before + database->columns) {
            fprintf(stderr, "audit: %s: its schema is another one\n", database->name);
            return -1;
        }
    }
    int row = database->row++;
    memcpy(ret_id, PQgetvalue(database->rows, row, 0), sizeof *ret_id);
    for (int i = 0; i < database->columns; i++) {
        uint64_t value = 0;
        if (PQgetlength(database->rows, row, before + i) == (int)sizeof value)
            memcpy(&value, PQgetvalue(database->rows, row, before + i), sizeof value);
        ret_values[i] = (int64_t)be64toh(value);
    }
    return 1;
}

int database_next(struct database *database, struct audit_id *ret_id, int64_t *ret_values)
{
    return step(database, ret_id, ret_values, 1);
}

int database_next_named(struct database *database, struct audit_id *ret_id, const char **ret_name,
                        int64_t *ret_values)
{
    int got = step(database, ret_id, ret_values, 2);
    if (got == 1)
        snprintf(database->text, sizeof database->text, "%s",
                 PQgetvalue(database->rows, database->row - 1, 1));
    *ret_name = database->text;
    return got;
}
