/* reader_database.c: the reader's database thread: connects, reads the epoch, runs rounds. */
#include "runtime/reader_inside.h"

#include "ports/failpoint.h"
#include "ports/log.h"
#include "ports/system.h"

#include <stdio.h>
#include <stdlib.h>

#define CONNECT_LIMIT_MS 5000
#define BACKOFF_MIN_US 100000
#define BACKOFF_MAX_US 2000000

/* What tells this database from any other, and from its own past: a promoted copy has another
 * timeline, a wiped one another id, a copy of the files that was put back another start. NULL on a
 * standby: its past is not settled. */
static const char sql_epoch[] =
    "SELECT e.id::text || ' ' || (pg_control_system()).system_identifier::text || ' ' ||"
    " d.oid::text || ' ' || CASE WHEN pg_is_in_recovery() THEN NULL"
    " ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END || ' ' ||"
    " extract(epoch FROM pg_postmaster_start_time())::text"
    " FROM epoch e, pg_database d WHERE d.datname = current_database()";
static const char sql_dead_letters[] = "SELECT reason, count(*) FROM dead_letter WHERE state < 3"
                                       " GROUP BY reason ORDER BY count(*) DESC LIMIT 32";

static void epoch_publish(struct reader *reader, struct saga_text identity)
{
    char hex[65], text[128];

    system_sha256(identity, hex);
    int len = snprintf(text, sizeof text, "saga:%s:%.16s:", reader->service->name, hex);
    struct prefix *before = reader->prefixes, *prefix = before;
    if (before == NULL || strcmp(before->text, text) != 0) {
        prefix = malloc(sizeof *prefix + (size_t)len + 1);
        if (prefix == NULL)
            abort();
        prefix->before = before;
        memcpy(prefix->text, text, (size_t)len + 1);
        reader->prefixes = prefix;
    }
    pthread_mutex_lock(&reader->lock);
    if (!reader->doubted && reader->epoch != prefix) { /* else it is read once more */
        reader->epoch = prefix;
        reader->epoch_number++;
    }
    pthread_mutex_unlock(&reader->lock);
}

static bool is_doubted(struct reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    bool doubted = reader->doubted;
    pthread_mutex_unlock(&reader->lock);
    return doubted;
}

/* Also the ping. NULL, or why the database is of no use. */
static const char *epoch_read(struct reader *reader)
{
    struct pg_result *result;
    const char *why = NULL;

    pthread_mutex_lock(&reader->lock);
    reader->doubted = false;
    pthread_mutex_unlock(&reader->lock);
    pg_send(reader->pg, sql_epoch, NULL, 0, &result);
    enum pg_status status = pg_sync(reader->pg);
    struct saga_text identity = pg_result_bytes(result, 0, 0);
    if (status != PG_OK)
        why = pg_error(reader->pg);
    else if (identity.at == NULL)
        why = "it is a standby, or has no epoch";
    else
        epoch_publish(reader, identity);
    pg_result_free(result);
    reader->epoch_read_us = system_monotonic_us();
    return why;
}

static void database_is(struct reader *reader, bool connected)
{
    pthread_mutex_lock(&reader->lock);
    if (reader->connected && !connected)
        reader->away_since_us = system_monotonic_us();
    reader->connected = connected;
    atomic_store(&reader->database_fd, pg_socket(reader->pg));
    pthread_cond_signal(&reader->wake);
    pthread_mutex_unlock(&reader->lock);
    atomic_store(&reader->database_ok, connected);
}

static void database_lost(struct reader *reader, const char *why)
{
    if (reader->failures++ == 0)
        log_line(LOG_WARN, NULL, "reader: database away: %s", why);
    pthread_mutex_lock(&reader->lock);
    reader_withdraw_epoch(reader);
    pthread_mutex_unlock(&reader->lock);
    pg_disconnect(reader->pg);
    database_is(reader, false);
}

static void database_open(struct reader *reader)
{
    const char *why = pg_connect(reader->pg, CONNECT_LIMIT_MS) == PG_OK ? epoch_read(reader)
                                                                        : pg_error(reader->pg);
    if (why == NULL) {
        if (reader->failures > 0)
            log_line(LOG_INFO, NULL, "reader: database is back");
        reader->failures = 0;
        database_is(reader, true);
        return;
    }
    database_lost(reader, why);
    int64_t wait_us = BACKOFF_MIN_US << (reader->failures < 5 ? reader->failures : 5);
    int64_t until_us =
        system_monotonic_us() + (wait_us < BACKOFF_MAX_US ? wait_us : BACKOFF_MAX_US);
    pthread_mutex_lock(&reader->lock);
    while (!reader->stopping && system_monotonic_us() < until_us)
        reader_wait_until(&reader->work, &reader->lock, until_us);
    pthread_mutex_unlock(&reader->lock);
}

static void statement_send(struct reader *reader, struct statement *statement)
{
    struct arena *arena = &reader->round.arena;

    if (statement->kind == READ_GAUGE) {
        pg_send(reader->pg, reader->service->gauge->sql, NULL, 0, &statement->result);
        return;
    }
    if (statement->kind == READ_DEAD_LETTERS) {
        pg_send(reader->pg, sql_dead_letters, NULL, 0, &statement->result);
        return;
    }
    struct saga_text *keys = arena_alloc(arena, statement->count * sizeof *keys);
    size_t count = 0;
    for (size_t i = 0; i < statement->count; i++)
        if (count == 0 || !saga_text_equal(keys[count - 1], statement->asked[i].key))
            keys[count++] = statement->asked[i].key;
    enum saga_type type = statement->query->shape->fields[0].type;
    struct pg_param param = pg_keys(arena, type, keys, count);
    pg_send(reader->pg, statement->query->sql, &param, 1, &statement->result);
}

/* False: the connection was lost. One statement that fails must not take the others with it. */
static bool round_run(struct reader *reader)
{
    struct round *round = &reader->round;

    if (FAILPOINT(reads_unasked))
        pg_disconnect(reader->pg);
    for (size_t i = 0; i < round->count; i++)
        statement_send(reader, &round->statements[i]);
    enum pg_status status = pg_sync(reader->pg);
    for (size_t i = 0; i < round->count; i++)
        round->statements[i].status = status;
    if (status == PG_OK || (round->count == 1 && status != PG_LOST))
        return true;
    for (size_t i = 0; i < round->count && status != PG_LOST; i++) {
        statement_send(reader, &round->statements[i]);
        round->statements[i].status = status = pg_sync(reader->pg);
    }
    return status != PG_LOST;
}

void *reader_database_main(void *opaque)
{
    struct reader *reader = opaque;

    for (;;) {
        if (!pg_connected(reader->pg))
            database_open(reader);
        pthread_mutex_lock(&reader->lock);
        int64_t ping_us = reader->epoch_read_us + READER_PING_US;
        while (!reader->stopping && reader->turn != GIVEN && reader->connected &&
               !reader->doubted && system_monotonic_us() < ping_us)
            reader_wait_until(&reader->work, &reader->lock, ping_us);
        bool stopping = reader->stopping;
        pthread_mutex_unlock(&reader->lock);
        if (stopping)
            return NULL;
        const char *why = NULL;
        if (pg_connected(reader->pg) && (is_doubted(reader) || system_monotonic_us() >= ping_us))
            why = epoch_read(reader);
        if (why != NULL)
            database_lost(reader, why);
        pthread_mutex_lock(&reader->lock);
        bool given = reader->turn == GIVEN;
        pthread_mutex_unlock(&reader->lock);
        if (!given)
            continue;
        if (!round_run(reader))
            database_lost(reader, pg_error(reader->pg));
        pthread_mutex_lock(&reader->lock);
        reader->turn = ANSWERED;
        pthread_cond_signal(&reader->wake);
        pthread_mutex_unlock(&reader->lock);
    }
}
