/*
 * engine.h: what both tests of the engine do: a service of things with a database of its own on the
 * real server, which a person looks into.
 */
#include "runtime/engine.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ports/postgres.h"
#include "ports/system.h"
#include "saga_sql.h"

struct thing {
    struct saga_uuid order_id;
};

static const struct saga_shape thing_shape =
    SAGA_SHAPE(struct thing, SAGA_FIELD(struct thing, order_id, SAGA_UUID));
static const struct saga_table things = {
    .name = "thing",
    .shape = &thing_shape,
    .insert = "INSERT INTO thing SELECT unnest($1::uuid[])",
};

static const char things_count[] = "SELECT count(*) FROM thing";

static char database[40];
static struct pg *admin, *person;
static struct engine *engine;

static void run(struct pg *pg, const char *sql)
{
    cr_assert_eq(pg_execute(pg, sql), PG_OK, "%s: %s", sql, pg_error(pg));
}

static void run_for_database(const char *format)
{
    char sql[128];
    snprintf(sql, sizeof sql, format, database);
    run(admin, sql);
}

static int64_t count_of(struct pg *pg, const char *sql)
{
    struct pg_result *result = NULL;
    pg_send(pg, sql, NULL, 0, &result);
    cr_assert_eq(pg_sync(pg), PG_OK, "%s: %s", sql, pg_error(pg));
    int64_t count = pg_result_int(result, 0, 0, -1);
    pg_result_free(result);
    return count;
}

/* A database with the library's tables and this; config.database_url is its. */
static void make_database(const struct saga_service *service, const char *tables)
{
    static char url[512];
    char why[256];
    const char *admin_url = getenv("ADMIN_DB");
    cr_assert_not_null(admin_url, "ADMIN_DB is not set; deploy/env prints it");
    admin = pg_new(admin_url, "engine test");
    cr_assert_eq(pg_connect(admin, 5000), PG_OK, "%s", pg_error(admin));
    snprintf(database, sizeof database, "engine_%d", (int)getpid());
    run_for_database("CREATE DATABASE %s");
    snprintf(url, sizeof url, "%.*s/%s", (int)(strrchr(admin_url, '/') - admin_url), admin_url,
             database);
    person = pg_new(url, "a person");
    cr_assert_eq(pg_connect(person, 5000), PG_OK, "%s", pg_error(person));
    run(person, sql_schema);
    run(person, tables);
    cr_assert(config_load(service, why, sizeof why), "%s", why);
    config.database_url = url;
}

static void start_engine(const struct saga_service *service)
{
    char why[256];
    engine = engine_new(service, why, sizeof why);
    cr_assert_not_null(engine, "%s", why);
    cr_assert(engine_start(engine));
}

static void end_engine(void)
{
    if (engine != NULL) {
        engine_drain(engine);
        cr_assert(engine_join(engine, system_monotonic_us() + 30000000));
        engine_free(engine);
    }
    pg_free(person);
    if (pg_connected(admin))
        run_for_database("DROP DATABASE %s WITH (FORCE)");
    pg_free(admin);
}
