/* db.c: looks into the four databases, as a person with psql would. */
#include "db.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "stack.h"

static const char *const addresses[DB_COUNT] = {"ORDER_DB", "PAYMENT_DB", "INVENTORY_DB",
                                                "SHIPPING_DB"};
static const char *const names[DB_COUNT] = {"order_db", "payment_db", "inventory_db",
                                            "shipping_db"};
static PGconn *connections[DB_COUNT];

struct db_rows {
    PGresult *result;
};

const char *db_name(enum db db)
{
    return names[db];
}

static bool connected(enum db db)
{
    if (connections[db] != NULL && PQstatus(connections[db]) == CONNECTION_OK)
        return true;
    PQfinish(connections[db]);
    connections[db] = PQconnectdb(stack_address(addresses[db]));
    return PQstatus(connections[db]) == CONNECTION_OK;
}

/* NULL: the server was away, or went away. */
static PGresult *ask(enum db db, const char *sql, const char *parameter)
{
    if (!connected(db))
        return NULL;
    PGresult *result =
        PQexecParams(connections[db], sql, parameter != NULL, NULL, &parameter, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return result;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    bool wrong = state != NULL && strncmp(state, "57P", 3) != 0 && strncmp(state, "08", 2) != 0 &&
                 PQstatus(connections[db]) == CONNECTION_OK;
    if (wrong) {
        fprintf(stderr, "%s: %s%s\n", names[db], PQresultErrorMessage(result), sql);
        exit(3);
    }
    PQclear(result);
    return NULL;
}

static PGresult *ask_again(enum db db, const char *sql, const char *parameter)
{
    PGresult *result = NULL;

    (void)CLOCK_UNTIL(10, (result = ask(db, sql, parameter)) != NULL);
    return result;
}

void db_run(enum db db, const char *sql)
{
    PGresult *result = connected(db) ? PQexec(connections[db], sql) : NULL;
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s: %s%s\n", names[db], PQerrorMessage(connections[db]), sql);
        exit(3);
    }
    PQclear(result);
}

static PGconn *holder;

void db_hold(enum db db, const char *sql)
{
    holder = PQconnectdb(stack_address(addresses[db]));
    PGresult *begun = PQexec(holder, "BEGIN"), *held = PQexec(holder, sql);
    ExecStatusType status = PQresultStatus(held);
    if (PQresultStatus(begun) != PGRES_COMMAND_OK ||
        (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)) {
        fprintf(stderr, "%s: %s%s\n", names[db], PQerrorMessage(holder), sql);
        exit(3);
    }
    PQclear(begun);
    PQclear(held);
}

void db_release(void)
{
    PQfinish(holder);
    holder = NULL;
}

char *db_text(enum db db, const char *sql, const char *parameter)
{
    PGresult *result = ask_again(db, sql, parameter);
    char *text = NULL;

    if (result != NULL && PQntuples(result) > 0 && !PQgetisnull(result, 0, 0))
        text = strdup(PQgetvalue(result, 0, 0));
    PQclear(result);
    return text;
}

int64_t db_int(enum db db, const char *sql, const char *parameter)
{
    char *text = db_text(db, sql, parameter);
    int64_t value = text == NULL ? DB_NOTHING : strtoll(text, NULL, 10);

    free(text);
    return value;
}

struct db_rows *db_rows(enum db db, const char *sql, const char *parameter)
{
    struct db_rows *rows = calloc(1, sizeof *rows);

    if (rows == NULL)
        abort();
    rows->result = ask_again(db, sql, parameter);
    return rows;
}

size_t db_rows_count(const struct db_rows *rows)
{
    return rows->result == NULL ? 0 : (size_t)PQntuples(rows->result);
}

const char *db_value(const struct db_rows *rows, size_t row, int column)
{
    return PQgetvalue(rows->result, (int)row, column);
}

int64_t db_number(const struct db_rows *rows, size_t row, int column)
{
    return strtoll(db_value(rows, row, column), NULL, 10);
}

void db_rows_free(struct db_rows *rows)
{
    if (rows != NULL)
        PQclear(rows->result);
    free(rows);
}

void db_close(void)
{
    for (int db = 0; db < DB_COUNT; db++) {
        PQfinish(connections[db]);
        connections[db] = NULL;
    }
}
