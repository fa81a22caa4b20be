/* ports_postgres.c: the PostgreSQL port against a real server (SHIPPING_DB). */
#include "ports/postgres.h"
#include "ports/system.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct row {
    struct saga_uuid id;
    struct saga_text name;
    struct saga_text data;
    int16_t small;
    int32_t medium;
    int64_t big;
    int64_t at_us;
};

static const struct saga_shape row_shape = SAGA_SHAPE(
    struct row, SAGA_FIELD(struct row, id, SAGA_UUID), SAGA_FIELD(struct row, name, SAGA_STRING),
    SAGA_FIELD(struct row, data, SAGA_JSON), SAGA_FIELD(struct row, small, SAGA_INT16),
    SAGA_FIELD(struct row, medium, SAGA_INT32), SAGA_FIELD(struct row, big, SAGA_INT64),
    SAGA_FIELD(struct row, at_us, SAGA_TIME));

static const char sql_begin[] = "BEGIN";
static const char sql_commit[] = "COMMIT";
static const char sql_insert[] =
    "INSERT INTO things SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)";
static const char sql_load[] =
    "SELECT id, name, data, small, medium, big, at FROM things WHERE id = ANY ($1) ORDER BY id";
static const char sql_count[] = "SELECT count(*) FROM things";
static const char sql_broken[] = "SELECT nothing FROM nowhere";
static const char sql_one[] = "SELECT 1";

static struct pg *pg;
static struct arena arena;

static enum pg_status ask(const char *sql, const struct pg_param *params, size_t count,
                          struct pg_result **ret_result)
{
    pg_send(pg, sql, params, count, ret_result);
    return pg_sync(pg);
}

static int64_t ask_int(const char *sql)
{
    struct pg_result *result;

    cr_assert_eq(ask(sql, NULL, 0, &result), PG_OK, "%s", pg_error(pg));
    int64_t value = pg_result_int(result, 0, 0, -1);
    pg_result_free(result);
    return value;
}

static struct pg *another(void)
{
    struct pg *other = pg_new(getenv("SHIPPING_DB"), "another");

    cr_assert_eq(pg_connect(other, 5000), PG_OK, "%s", pg_error(other));
    return other;
}

/* Each test has a schema of its own, for Criterion runs them side by side. */
static void setup(void)
{
    char sql[512];
    const char *url = getenv("SHIPPING_DB");

    cr_assert_not_null(url, "SHIPPING_DB is not set; deploy/env prints it");
    pg = pg_new(url, "ports_postgres test");
    cr_assert_eq(pg_connect(pg, 5000), PG_OK, "%s", pg_error(pg));
    snprintf(sql, sizeof sql,
             "CREATE SCHEMA test_%lld; SET search_path = test_%lld;"
             "CREATE TABLE things (id uuid PRIMARY KEY, name text, data text, small smallint,"
             " medium integer CHECK (medium < 1000000), big bigint, at timestamptz)",
             (long long)getpid(), (long long)getpid());
    cr_assert_eq(pg_execute(pg, sql), PG_OK, "%s", pg_error(pg));
}

static void teardown(void)
{
    char sql[128];

    if (pg == NULL)
        return;
    if (pg_connected(pg) || pg_connect(pg, 5000) == PG_OK) {
        snprintf(sql, sizeof sql, "DROP SCHEMA test_%lld CASCADE", (long long)getpid());
        pg_execute(pg, sql);
    }
    pg_free(pg);
    arena_free(&arena);
}

TestSuite(postgres, .init = setup, .fini = teardown, .timeout = 60);

static size_t params_of(const struct row *rows, size_t count, struct pg_param ret_params[7])
{
    const void **pointers = arena_alloc(&arena, (count + 1) * sizeof *pointers);

    for (size_t i = 0; i < count; i++)
        pointers[i] = &rows[i];
    for (size_t i = 0; i < row_shape.count; i++)
        ret_params[i] =
            pg_array(&arena, row_shape.fields[i].type, pointers, count, row_shape.fields[i].offset);
    return row_shape.count;
}

static struct row row_of(uint32_t number)
{
    struct row row = {.name = SAGA_TEXT("n\xC3\xA4me"),
                      .data = SAGA_TEXT("{\"a\": 1}"),
                      .small = -2,
                      .medium = 70000,
                      .big = -5000000000,
                      .at_us = 1795453800123456};

    memcpy(row.id.bytes, &(uint32_t){__builtin_bswap32(number)}, sizeof number);
    return row;
}

static enum pg_status insert(const struct row *rows, size_t count)
{
    struct pg_param params[7];

    return ask(sql_insert, params, params_of(rows, count, params), NULL);
}

Test(postgres, rows_come_back_as_they_went)
{
    struct row rows[3] = {row_of(1), row_of(2), row_of(3)}, back;
    struct saga_text keys[3];
    struct pg_result *result;

    rows[1] = (struct row){.id = rows[1].id, .name = SAGA_TEXT("")}; /* empty is not absent */
    rows[2].at_us = -1;                                              /* before 1970 */
    for (size_t i = 0; i < 3; i++)
        keys[i] = saga_uuid_key(&rows[i].id);
    cr_assert_eq(insert(rows, 3), PG_OK, "%s", pg_error(pg));
    struct pg_param key = pg_keys(&arena, SAGA_UUID, keys, 3);
    cr_assert_eq(ask(sql_load, &key, 1, &result), PG_OK, "%s", pg_error(pg));
    cr_assert_eq(pg_result_count(result), 3);
    for (size_t i = 0; i < 3; i++) {
        cr_assert(pg_result_read(result, i, &row_shape, &arena, &back));
        cr_assert_arr_eq(back.id.bytes, rows[i].id.bytes, 16);
        cr_assert(saga_text_equal(back.name, rows[i].name));
        cr_assert(saga_text_equal(back.data, rows[i].data));
        cr_assert_eq(back.small, rows[i].small);
        cr_assert_eq(back.medium, rows[i].medium);
        cr_assert_eq(back.big, rows[i].big);
        cr_assert_eq(back.at_us, rows[i].at_us);
    }
    pg_result_free(result);
}

Test(postgres, an_array_may_be_empty)
{
    struct pg_result *result;

    cr_assert_eq(insert(NULL, 0), PG_OK, "%s", pg_error(pg));
    struct pg_param key = pg_keys(&arena, SAGA_UUID, NULL, 0);
    cr_assert_eq(ask(sql_load, &key, 1, &result), PG_OK, "%s", pg_error(pg));
    cr_assert_eq(pg_result_count(result), 0);
    cr_assert_eq(pg_result_int(result, 0, 0, -7), -7);
    pg_result_free(result);
}

Test(postgres, scalars_are_understood)
{
    static const char sql[] = "SELECT $1 = 7000000000 AND $2 = -7 AND $3 = 'x' AND $5 IS NULL"
                              " AND $4 = '2026-11-24 12:30:00.123456+00'"
                              " AND $6 = '01000000-0000-0000-0000-000000000000'";
    struct saga_uuid id = {{1}};
    struct pg_param params[] = {pg_int(&arena, 7000000000), pg_int32(&arena, -7),
                                pg_text(SAGA_TEXT("x")),    pg_time(&arena, 1795523400123456),
                                pg_time(&arena, 0),         pg_uuid(&id)};
    struct pg_result *result;

    cr_assert_eq(ask(sql, params, 6, &result), PG_OK, "%s", pg_error(pg));
    cr_assert_eq(pg_result_int(result, 0, 0, -1), 1);
    pg_result_free(result);
}

Test(postgres, columns_that_do_not_fit_are_told)
{
    static const char *const queries[] = {
        "SELECT gen_random_uuid(), 'n'::text, 'd'::text, 1::int, 1, 1::bigint, now()",
        "SELECT 'x'::text, 'n'::text, 'd'::text, 1::int2, 1, 1::bigint, now()",
        "SELECT gen_random_uuid(), 'n'::text, '1'::jsonb, 1::int2, 1, 1::bigint, now()",
        "SELECT gen_random_uuid(), 'n'::text, 'd'::text, 1::int2, 1, 1::bigint"};
    struct row back;
    struct pg_result *result;

    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(ask(queries[i], NULL, 0, &result), PG_OK, "%s", pg_error(pg));
        cr_expect_not(pg_result_read(result, 0, &row_shape, &arena, &back), "%s", queries[i]);
        pg_result_free(result);
    }
}

Test(postgres, a_transaction_spans_round_trips)
{
    struct row row = row_of(1);
    struct pg_param params[7];

    pg_send(pg, sql_begin, NULL, 0, NULL);
    pg_send(pg, sql_one, NULL, 0, NULL);
    cr_assert_eq(pg_sync(pg), PG_OK, "%s", pg_error(pg));
    pg_send(pg, sql_insert, params, params_of(&row, 1, params), NULL);
    pg_send(pg, sql_commit, NULL, 0, NULL);
    cr_assert_eq(pg_sync(pg), PG_OK, "%s", pg_error(pg));
    cr_assert_eq(ask_int(sql_count), 1);
}

Test(postgres, a_failed_transaction_is_rolled_back_by_the_next_round_trip)
{
    struct row row = row_of(1);
    struct pg_param params[7];
    struct pg_result *first, *last;

    for (int again = 0; again < 3; again++) {
        pg_send(pg, sql_begin, NULL, 0, NULL);
        pg_send(pg, sql_insert, params, params_of(&row, 1, params), NULL);
        cr_assert_eq(pg_sync(pg), PG_OK, "%s", pg_error(pg));
        pg_send(pg, sql_one, NULL, 0, &first);
        pg_send(pg, sql_insert, params, params_of(&row, 1, params), NULL);
        pg_send(pg, sql_commit, NULL, 0, &last);
        cr_assert_eq(pg_sync(pg), PG_CONFLICT);
        cr_assert_str_eq(pg_sqlstate(pg), "23505");
        cr_assert_null(first);
        cr_assert_null(last);
        cr_assert_eq(ask_int(sql_count), 0);
    }
}

Test(postgres, pg_execute_rolls_back_too)
{
    cr_assert_eq(ask(sql_begin, NULL, 0, NULL), PG_OK);
    cr_assert_eq(ask(sql_broken, NULL, 0, NULL), PG_BROKEN);
    cr_assert_eq(pg_execute(pg, "SELECT 1; SELECT 2"), PG_OK, "%s", pg_error(pg));
    cr_assert_eq(pg_execute(pg, "BEGIN; SELECT nothing FROM nowhere"), PG_BROKEN);
    cr_assert_eq(ask_int(sql_count), 0);
}

Test(postgres, a_statement_that_failed_to_prepare_is_prepared_again)
{
    static const char sql_later[] = "SELECT 5 FROM later";

    cr_assert_eq(ask(sql_later, NULL, 0, NULL), PG_BROKEN);
    cr_assert_str_eq(pg_sqlstate(pg), "42P01");
    /* after the failed one: never reached, so not prepared either */
    pg_send(pg, sql_later, NULL, 0, NULL);
    pg_send(pg, sql_one, NULL, 0, NULL);
    cr_assert_eq(pg_sync(pg), PG_BROKEN);
    cr_assert_eq(pg_execute(pg, "CREATE TABLE later (); INSERT INTO later DEFAULT VALUES"), PG_OK);
    cr_assert_eq(ask_int(sql_one), 1);
    cr_assert_eq(ask_int(sql_later), 5);
}

Test(postgres, a_statement_whose_table_changed_is_prepared_again)
{
    static const char sql_all[] = "SELECT * FROM changing";

    cr_assert_eq(pg_execute(pg, "CREATE TABLE changing AS SELECT 1"), PG_OK);
    cr_assert_eq(ask_int(sql_all), 1);
    cr_assert_eq(pg_execute(pg, "DROP TABLE changing; CREATE TABLE changing AS SELECT 2::int8"),
                 PG_OK);
    cr_assert_eq(ask(sql_all, NULL, 0, NULL), PG_CONFLICT);
    cr_assert_eq(ask_int(sql_all), 2);
}

Test(postgres, sqlstates_are_folded)
{
    static const struct {
        const char *sql;
        enum pg_status status;
    } cases[] = {
        {"SELECT 1 / (1 - length('x'))", PG_REJECTED},
        {"INSERT INTO things (medium) VALUES (1)", PG_REJECTED},
        {"SELECT pg_sleep(10), set_config('x.y', '', true)", PG_BUSY},
        {"DO $$BEGIN RAISE serialization_failure; END$$", PG_CONFLICT},
        {"DO $$BEGIN RAISE disk_full; END$$", PG_BUSY},
        {"DO $$BEGIN RAISE admin_shutdown; END$$", PG_LOST},
        {"SELEC 1", PG_BROKEN},
    };

    cr_assert_eq(pg_execute(pg, "SET statement_timeout = 300"), PG_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (!pg_connected(pg))
            cr_assert_eq(pg_connect(pg, 5000), PG_OK);
        cr_expect_eq(ask(cases[i].sql, NULL, 0, NULL), cases[i].status, "%s: %s", cases[i].sql,
                     pg_error(pg));
    }
}

Test(postgres, large_arrays_and_large_replies_do_not_block_each_other)
{
    static const char sql_echo[] = "SELECT * FROM unnest($1)";
    static char text[100000];
    struct saga_text keys[80];
    struct pg_result *results[6];

    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < 80; i++)
        keys[i] = (struct saga_text){text, sizeof text};
    for (size_t i = 0; i < 6; i++) {
        struct pg_param param = pg_keys(&arena, SAGA_STRING, keys, 80);
        pg_send(pg, sql_echo, &param, 1, &results[i]);
    }
    cr_assert_eq(pg_sync(pg), PG_OK, "%s", pg_error(pg));
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(pg_result_count(results[i]), 80);
        cr_assert_eq(pg_result_bytes(results[i], 79, 0).len, sizeof text);
        pg_result_free(results[i]);
    }
}

Test(postgres, a_lost_connection_is_told_and_a_new_one_works)
{
    static const char sql_pid[] = "SELECT pg_backend_pid()";
    char sql[64];
    struct pg_result *result = NULL;

    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%lld, 5000)",
             (long long)ask_int(sql_pid));
    struct pg *other = another();
    cr_assert_eq(pg_execute(other, sql), PG_OK, "%s", pg_error(other));
    pg_free(other);
    cr_assert_eq(ask(sql_one, NULL, 0, &result), PG_LOST);
    cr_assert_null(result);
    cr_assert_not(pg_connected(pg));
    cr_assert_eq(ask(sql_one, NULL, 0, &result), PG_LOST);
    cr_assert_eq(pg_execute(pg, "SELECT 1"), PG_LOST);
    cr_assert_eq(pg_connect(pg, 5000), PG_OK, "%s", pg_error(pg));
    cr_assert_eq(ask_int(sql_one), 1);
}

Test(postgres, a_connection_lost_between_send_and_sync_is_told)
{
    struct pg_result *result;

    pg_send(pg, sql_one, NULL, 0, &result);
    pg_disconnect(pg);
    cr_assert_eq(pg_connect(pg, 5000), PG_OK);
    cr_assert_eq(pg_sync(pg), PG_LOST);
    cr_assert_null(result);
    cr_assert_eq(pg_connect(pg, 5000), PG_OK);
    cr_assert_eq(ask_int(sql_one), 1);
}

/* Of a host that is no more the server hears nothing: it must ask, or the locks of its session, and
 * so its lanes, are held for hours. */
Test(postgres, the_server_asks_whether_we_are_there)
{
    cr_assert_eq(ask_int("SELECT current_setting('tcp_keepalives_idle')::bigint"), 10);
    cr_assert_eq(ask_int("SELECT current_setting('tcp_keepalives_interval')::bigint"), 5);
    cr_assert_eq(ask_int("SELECT current_setting('tcp_keepalives_count')::bigint"), 4);
    cr_assert_eq(ask_int("SELECT current_setting('tcp_user_timeout')::bigint"), 30000);
}

Test(postgres, connecting_fails_with_the_right_word)
{
    char url[1024];
    struct pg *other = pg_new("host=127.0.0.1 port=1 dbname=x", "test");

    cr_expect_eq(pg_connect(other, 1000), PG_LOST, "%s", pg_error(other));
    pg_free(other);
    other = pg_new("host=192.0.2.1 dbname=x", "test");
    int64_t began_us = system_monotonic_us();
    cr_expect_eq(pg_connect(other, 300), PG_LOST, "%s", pg_error(other));
    cr_expect_lt(system_monotonic_us() - began_us, 2000000);
    pg_free(other);
    other = pg_new("this is no conninfo", "test");
    cr_expect_eq(pg_connect(other, 1000), PG_BROKEN, "%s", pg_error(other));
    pg_free(other);
    const char *given = getenv("SHIPPING_DB");
    if (strstr(given, "://") == NULL) { /* the keyword form: a later dbname counts */
        snprintf(url, sizeof url, "%s dbname=there_is_no_such_database", given);
        other = pg_new(url, "test");
        cr_expect_eq(pg_connect(other, 5000), PG_BROKEN, "%s", pg_error(other));
        cr_expect_str_eq(pg_sqlstate(other), "3D000");
        pg_free(other);
    }
}
