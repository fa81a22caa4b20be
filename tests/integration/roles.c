/* roles.c: the application roles read and write rows, and define nothing; their owner defines what
 * is not there, and disturbs nobody by what is. */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/db.h"
#include "support/program.h"
#include "support/stack.h"

static const char *const services[DB_COUNT] = {"order-svc", "payment-svc", "inventory-svc",
                                               "shipping-svc"};
static const char *const tables[DB_COUNT] = {"orders", "payment", "stock", "parcel"};

static void attach(void)
{
    cr_assert(stack_attach());
}

TestSuite(roles, .init = attach, .timeout = 60);

/* What the running service connects with. */
static void read_url(const char *service, char url[256])
{
    struct stack_part part;
    char path[32], *text = NULL;
    size_t size = 0;
    *url = '\0';
    cr_assert(stack_part(service, &part));
    snprintf(path, sizeof path, "/proc/%d/environ", (int)part.pid);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    while (getdelim(&text, &size, '\0', file) > 0)
        if (strncmp(text, "SAGA_DATABASE_URL=", 18) == 0)
            snprintf(url, 256, "%s", text + 18);
    free(text);
    fclose(file);
    cr_assert_not_null(strstr(url, "_app:"), "%s is no application role", url);
}

/* Refused with this SQLSTATE. */
static void refused(PGconn *connection, const char *sql, const char *expected)
{
    PGresult *result = PQexec(connection, sql);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    cr_expect(state != NULL && strcmp(state, expected) == 0, "%s as %s: %s", sql,
              PQuser(connection), state ? state : "done");
    PQclear(result);
}

static void succeeds(PGconn *connection, const char *sql)
{
    PGresult *result = PQexec(connection, sql);
    cr_expect(PQresultStatus(result) == PGRES_TUPLES_OK ||
                  PQresultStatus(result) == PGRES_COMMAND_OK,
              "%s as %s: %s", sql, PQuser(connection), PQresultErrorMessage(result));
    PQclear(result);
}

Test(roles, an_application_defines_nothing)
{
    static const char *const statements[] = {
        "CREATE TABLE t (i int)",
        "CREATE TEMP TABLE t (i int)",
        "CREATE SCHEMA s",
        "CREATE VIEW v AS SELECT 1",
        "CREATE SEQUENCE s",
        "CREATE TYPE t AS (i int)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE EXTENSION pg_trgm",
        "CREATE ROLE r",
        "CREATE INDEX i ON %s ((1))",
        "DROP TABLE %s",
        "DROP FUNCTION outbox_truncate(integer, interval)",
        "DROP SCHEMA public CASCADE",
        "ALTER TABLE %s ADD COLUMN x int",
        "ALTER TABLE outbox DETACH PARTITION outbox_0",
        "ALTER TABLE %s DISABLE TRIGGER ALL",
        "COMMENT ON TABLE %s IS 'mine'",
        "TRUNCATE pg_catalog.pg_class",
        "DELETE FROM pg_catalog.pg_class",
        "SELECT * FROM pg_catalog.pg_authid",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('postgresql.conf')",
    };
    for (enum db db = 0; db < DB_COUNT; db++) {
        char url[256], sql[256];
        read_url(services[db], url);
        PGconn *connection = PQconnectdb(url);
        cr_assert_eq(PQstatus(connection), CONNECTION_OK, "%s", PQerrorMessage(connection));
        for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
            succeeds(connection, "BEGIN");
            snprintf(sql, sizeof sql, "%.*s%s%s", (int)strcspn(statements[i], "%"), statements[i],
                     strchr(statements[i], '%') ? tables[db] : "",
                     strchr(statements[i], '%') ? strchr(statements[i], '%') + 2 : "");
            refused(connection, sql, "42501"); /* insufficient_privilege */
            succeeds(connection, "ROLLBACK");
        }
        PQfinish(connection);
    }
}

/* Its rows are its own. */
Test(roles, an_application_reaches_no_other_database)
{
    for (enum db from = 0; from < DB_COUNT; from++) {
        char url[256], sql[64];
        read_url(services[from], url);
        PGconn *own = PQconnectdb(url);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[from]);
        succeeds(own, sql);
        PQfinish(own);
        for (enum db to = 0; to < DB_COUNT; to++) {
            if (to == from)
                continue;
            char *name = strrchr(url, '/');
            snprintf(name, 256 - (size_t)(name - url), "/%s", db_name(to));
            PGconn *other = PQconnectdb(url);
            cr_expect_eq(PQstatus(other), CONNECTION_BAD, "%s reaches %s", services[from],
                         db_name(to));
            PQfinish(other);
        }
    }
}

/* As `deploy/up` does for one more instance. Every table is locked as one that is written and read,
 * for long, and who would wait for that fails: all others would wait behind him. */
Test(roles, to_migrate_what_is_there_waits_for_nobody)
{
    static const char hold[] =
        "DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relkind IN ('r',"
        " 'p') AND relnamespace = 'public'::regnamespace LOOP"
        " EXECUTE format('LOCK TABLE %s IN ROW EXCLUSIVE MODE', t); END LOOP; END $$";
    setenv("PGOPTIONS", "-c lock_timeout=500", 1);
    for (enum db db = 0; db < DB_COUNT; db++) {
        db_hold(db, hold);
        char *output = program_run(services[db], "migrate");
        db_release();
        cr_expect_not_null(output, "%s", services[db]);
        free(output);
    }
}
