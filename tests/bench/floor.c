/*
 * floor.c: how many sagas a second this PostgreSQL could take if there were nothing but rows.
 *
 * Four scratch databases with the services' own tables, and the barest writer for each: one
 * connection, prepared statements over arrays, one pipeline a transaction, as many orders in it as
 * the services had. fsync and synchronous_commit are on. None of the four may be far ahead of the
 * others, since a saga counts when all its rows are there. The scratch databases are dropped.
 */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "floor_rows.h"
#include "support/clock.h"
#include "support/stack.h"
#include "usage.h"

#define AHEAD_MAX 4 /* batches */
#define SECONDS_MAX 600

static struct {
    double batch, warm_s, run_s;
    const char *json;
} options = {.batch = 100, .warm_s = 2, .run_s = 8};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t written[FLOOR_DATABASES]; /* batches */
    bool ending, failed;
} progress = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static uint64_t least_locked(void)
{
    uint64_t least = progress.written[0];
    for (size_t i = 1; i < FLOOR_DATABASES; i++)
        if (progress.written[i] < least)
            least = progress.written[i];
    return least;
}

static uint64_t sagas(void)
{
    pthread_mutex_lock(&progress.lock);
    uint64_t least = least_locked();
    pthread_mutex_unlock(&progress.lock);
    return least * (uint64_t)options.batch;
}

/* Waits until the others have come near; false: it is over. */
static bool may_go_on(enum floor_database database)
{
    pthread_mutex_lock(&progress.lock);
    while (!progress.ending && progress.written[database] - least_locked() >= AHEAD_MAX)
        pthread_cond_wait(&progress.moved, &progress.lock);
    bool ending = progress.ending;
    pthread_mutex_unlock(&progress.lock);
    return !ending;
}

static void has_written(enum floor_database database, bool good)
{
    pthread_mutex_lock(&progress.lock);
    progress.written[database] += good;
    progress.failed = progress.failed || !good;
    progress.ending = progress.ending || !good;
    pthread_cond_broadcast(&progress.moved);
    pthread_mutex_unlock(&progress.lock);
}

static void end_all(void)
{
    pthread_mutex_lock(&progress.lock);
    progress.ending = true;
    pthread_cond_broadcast(&progress.moved);
    pthread_mutex_unlock(&progress.lock);
}

/* ---- databases ---- */

static void ignore_notice(void *opaque, const PGresult *result)
{
    (void)opaque, (void)result;
}

/* Its own name: the rest of the address is the administrator's. */
static PGconn *connect_to(const char *database)
{
    const char *const names[] = {"dbname", "dbname", NULL};
    const char *const values[] = {stack_address("ADMIN_DB"), database, NULL};
    PGconn *connection = PQconnectdbParams(names, values, 1);
    PQsetNoticeReceiver(connection, ignore_notice, NULL); /* "does not exist, skipping" */

    if (PQstatus(connection) == CONNECTION_OK)
        return connection;
    fprintf(stderr, "floor: %s: %s", database, PQerrorMessage(connection));
    PQfinish(connection);
    return NULL;
}

static bool run(PGconn *connection, const char *sql)
{
    PGresult *result = PQexec(connection, sql);
    bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!good)
        fprintf(stderr, "floor: %s: %s", sql, PQresultErrorMessage(result));
    PQclear(result);
    return good;
}

static bool is_on(PGconn *connection, const char *setting)
{
    char sql[64];
    snprintf(sql, sizeof sql, "SHOW %s", setting);
    PGresult *result = PQexec(connection, sql);
    bool on = PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), "on") == 0;
    if (!on)
        fprintf(stderr, "floor: %s is not on: this would be no floor\n", setting);
    PQclear(result);
    return on;
}

/* create: else they are only dropped. */
static bool make_databases(bool create)
{
    char sql[96];
    PGconn *admin = connect_to("postgres");
    bool good = admin != NULL && is_on(admin, "fsync") && is_on(admin, "synchronous_commit");

    for (size_t i = 0; good && i < FLOOR_DATABASES; i++) {
        /* A run that was killed has left its own. */
        snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS %s WITH (FORCE)", floor_names[i]);
        good = run(admin, sql);
        snprintf(sql, sizeof sql, "CREATE DATABASE %s", floor_names[i]);
        good = good && (!create || run(admin, sql));
    }
    PQfinish(admin);
    return good;
}

/* ---- writers ---- */

struct writer {
    enum floor_database database;
    PGconn *connection;
    struct floor_rows *rows;
    pthread_t thread;
};

static void *write_all(void *opaque)
{
    struct writer *writer = opaque;
    for (uint64_t batch = 0; may_go_on(writer->database); batch++)
        has_written(writer->database, floor_rows_write(writer->rows, batch));
    return NULL;
}

static bool open_writers(struct writer *writers)
{
    for (unsigned i = 0; i < FLOOR_DATABASES; i++) {
        writers[i].database = i;
        writers[i].connection = connect_to(floor_names[i]);
        if (writers[i].connection == NULL)
            return false;
        writers[i].rows = floor_rows_new(i, writers[i].connection, (size_t)options.batch);
    }
    return true;
}

static void close_writers(struct writer *writers)
{
    for (unsigned i = 0; i < FLOOR_DATABASES; i++) {
        floor_rows_free(writers[i].rows);
        PQfinish(writers[i].connection);
    }
}

/* ---- measuring ---- */

struct look {
    int64_t at_us;
    uint64_t sagas;
    double postgres_s;
    struct counters counters;
};

static bool take_look(struct look *ret_look)
{
    struct usage usage[USAGE_MAX];

    ret_look->at_us = clock_us();
    ret_look->sagas = sagas();
    usage_read(usage);
    for (size_t i = 0; i < STACK_PARTS; i++)
        if (strcmp(usage[i].name, "postgres") == 0)
            ret_look->postgres_s = usage[i].cpu_s;
    return counters_read(&ret_look->counters);
}

static bool tell(const struct look *sooner, const struct look *later)
{
    double seconds = (double)(later->at_us - sooner->at_us) / 1e6;
    double count = (double)(later->sagas - sooner->sagas);
    struct counters counted = counters_between(&sooner->counters, &later->counters);
    double cpu_us = (later->postgres_s - sooner->postgres_s) * 1e6 / count;
    double wal = counted.wal_bytes / count, syncs = counted.wal_syncs / count;

    if (count <= 0) {
        fprintf(stderr, "floor: not one batch was written\n");
        return false;
    }
    printf("the barest writer, %.0f orders a transaction, for %.0f s\n", options.batch, seconds);
    printf("sagas/s        %.0f\n", count / seconds);
    printf("PostgreSQL     CPU %.0f us, WAL %.0f bytes, %.3f syncs a saga\n", cpu_us, wal, syncs);
    if (options.json == NULL)
        return true;
    json_t *object = json_pack("{s:f, s:f, s:f, s:f, s:f}", "batch_size", options.batch,
                               "sagas_per_s", count / seconds, "postgres_cpu_us_per_saga", cpu_us,
                               "wal_bytes_per_saga", wal, "wal_syncs_per_saga", syncs);
    bool good = json_dump_file(object, options.json, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) == 0;
    if (!good)
        fprintf(stderr, "floor: %s: %s\n", options.json, strerror(errno));
    json_decref(object);
    return good;
}

static bool measure(struct writer *writers)
{
    struct look looks[2];
    for (size_t i = 0; i < FLOOR_DATABASES; i++)
        if (pthread_create(&writers[i].thread, NULL, write_all, &writers[i]) != 0)
            abort();
    clock_pause_ms((int64_t)(options.warm_s * 1000)); /* the time is what is measured */
    bool good = take_look(&looks[0]);
    clock_pause_ms((int64_t)(options.run_s * 1000));
    good = take_look(&looks[1]) && good;
    end_all();
    for (size_t i = 0; i < FLOOR_DATABASES; i++)
        pthread_join(writers[i].thread, NULL);
    return good && !progress.failed && tell(&looks[0], &looks[1]);
}

static void read_options(char **argv)
{
    for (int i = 1; argv[i] != NULL; i += 2) {
        char *end = NULL;
        double value = argv[i + 1] == NULL ? -1 : strtod(argv[i + 1], &end);
        bool good = argv[i + 1] != NULL && *end == '\0' && value > 0;
        if (strcmp(argv[i], "--batch") == 0 && good && value <= FLOOR_BATCH_MAX)
            options.batch = (double)(size_t)(value + 0.5);
        else if (strcmp(argv[i], "--seconds") == 0 && good && value <= SECONDS_MAX)
            options.run_s = value;
        else if (strcmp(argv[i], "--json") == 0 && argv[i + 1] != NULL)
            options.json = argv[i + 1];
        else {
            fprintf(stderr,
                    "usage: floor [--batch ORDERS] [--seconds S] [--json FILE]\n"
                    "Writes the rows of sagas into scratch databases of the local stack's server\n"
                    "that SAGA_STATE_DIR and SAGA_PORT_SHIFT name; at most %d orders a batch.\n",
                    FLOOR_BATCH_MAX);
            exit(2);
        }
    }
    if (options.batch < 1)
        options.batch = 1;
}

int main(int argc, char **argv)
{
    struct writer writers[FLOOR_DATABASES] = {0};

    (void)argc;
    read_options(argv);
    if (!stack_attach() || usage_begin() == 0 || !counters_begin()) {
        fprintf(stderr, "floor: there is no stack; ./deploy/up starts one\n");
        return 2;
    }
    bool good = make_databases(true) && open_writers(writers) && measure(writers);
    close_writers(writers);
    good = make_databases(false) && good;
    counters_end();
    return good ? 0 : 1;
}
