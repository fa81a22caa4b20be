/* reader_round.c: rounds on the reader thread: who asks for what, and who gets which answer. */
#include "runtime/reader_inside.h"

#include "ports/system.h"

#include <stdio.h>
#include <stdlib.h>

#define AGAIN_US 100000 /* after "the server cannot now" */

void reader_keep(struct reader *reader, struct read *read)
{
    read->next = NULL;
    *reader->waiting_last = read;
    reader->waiting_last = &read->next;
    if (read->give_up_us > 0 && read->give_up_us < reader->next_end_us)
        reader->next_end_us = read->give_up_us;
}

static int asked_compare(const void *a, const void *b)
{
    const struct asked *one = a, *other = b;
    size_t len = one->key.len < other->key.len ? one->key.len : other->key.len;
    int order = len > 0 ? memcmp(one->key.at, other->key.at, len) : 0;

    return order != 0 ? order : (one->key.len > other->key.len) - (one->key.len < other->key.len);
}

static struct statement *round_statement(struct round *round, const struct read *read)
{
    for (size_t i = 0; i < round->count; i++)
        if (round->statements[i].kind == read->kind && round->statements[i].query == read->query)
            return &round->statements[i];
    if (round->count == READER_STATEMENTS_MAX)
        return NULL;
    struct statement *statement = &round->statements[round->count++];
    *statement = (struct statement){.kind = read->kind, .query = read->query, .status = PG_LOST};
    return statement;
}

/* All that waits becomes the round; what does not fit waits for the next. */
void reader_give(struct reader *reader)
{
    struct round *round = &reader->round;

    arena_reset(&round->arena);
    round->count = 0;
    for (struct read *read = reader->waiting; read != NULL; read = read->next) {
        struct statement *statement = round_statement(round, read);
        if (statement != NULL)
            statement->count++;
    }
    for (size_t i = 0; i < round->count; i++) {
        struct statement *statement = &round->statements[i];
        statement->asked = arena_alloc(&round->arena, statement->count * sizeof(struct asked));
        statement->count = 0;
    }
    struct read *read = reader->waiting, *next;
    reader->waiting = NULL;
    reader->waiting_last = &reader->waiting;
    for (; read != NULL; read = next) {
        next = read->next;
        struct statement *statement = round_statement(round, read);
        if (statement == NULL) {
            reader_keep(reader, read);
            continue;
        }
        statement->asked[statement->count++] =
            (struct asked){read, arena_copy(&round->arena, read->key)};
    }
    for (size_t i = 0; i < round->count; i++)
        qsort(round->statements[i].asked, round->statements[i].count, sizeof(struct asked),
              asked_compare);
    pthread_mutex_lock(&reader->lock);
    /* A database thread that is busy to connect would keep the round for too long. */
    reader->turn = reader->connected ? GIVEN : ANSWERED;
    pthread_cond_signal(&reader->work);
    pthread_mutex_unlock(&reader->lock);
}

/* Gives each row to those who asked for its key. False if the rows are not of the shape. */
static bool rows_deliver(const struct statement *statement)
{
    const struct saga_shape *shape = statement->query->shape;

    for (size_t row = 0; row < pg_result_count(statement->result); row++) {
        struct asked key = {NULL, pg_result_bytes(statement->result, row, 0)};
        size_t low = 0, high = statement->count;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (asked_compare(&statement->asked[middle], &key) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        for (; low < statement->count && asked_compare(&statement->asked[low], &key) == 0; low++) {
            struct read *read = statement->asked[low].read;
            if (read == NULL)
                continue;
            void *into = arena_alloc(read->arena, shape->size);
            if (!pg_result_read(statement->result, row, shape, read->arena, into))
                return false;
            read->row = into;
        }
    }
    return true;
}

static void gauge_deliver(const struct saga_gauge *gauge, const struct pg_result *result,
                          struct read *read)
{
    size_t max = sizeof read->counts / sizeof read->counts[0];

    for (size_t row = 0; row < pg_result_count(result); row++) {
        const char *label = gauge->label_of(pg_result_int(result, row, 0, 0));
        for (size_t i = 0; label != NULL && i < max && gauge->labels[i] != NULL; i++)
            if (strcmp(gauge->labels[i], label) == 0)
                read->counts[i] += pg_result_int(result, row, 1, 0);
    }
}

static void reasons_deliver(const struct pg_result *result, struct read *read)
{
    size_t max = sizeof read->reasons / sizeof read->reasons[0];

    read->reasons_count = 0;
    for (size_t row = 0; row < pg_result_count(result) && row < max; row++) {
        struct saga_text reason = pg_result_bytes(result, row, 0);
        size_t size = sizeof read->reasons[row].reason;
        snprintf(read->reasons[row].reason, size, "%.*s", (int)reason.len,
                 reason.at != NULL ? reason.at : "");
        read->reasons[row].count = pg_result_int(result, row, 1, 0);
        read->reasons_count++;
    }
}

static void statement_deliver(struct reader *reader, struct statement *statement)
{
    enum pg_status status = statement->status;
    bool again = status == PG_LOST || status == PG_BUSY || status == PG_CONFLICT;
    bool good = status == PG_OK;

    if (good && statement->kind == READ_QUERY)
        good = rows_deliver(statement);
    for (size_t i = 0; i < statement->count; i++) {
        struct read *read = statement->asked[i].read;
        if (read == NULL)
            continue;
        if (again) {
            reader_keep(reader, read);
            continue;
        }
        if (good && read->kind == READ_GAUGE)
            gauge_deliver(reader->service->gauge, statement->result, read);
        if (good && read->kind == READ_DEAD_LETTERS)
            reasons_deliver(statement->result, read);
        if (!good)
            read->row = NULL;
        reader_done(reader, read, good);
    }
    if (again)
        reader->again_us = system_monotonic_us() + AGAIN_US;
    pg_result_free(statement->result);
    statement->result = NULL;
}

void reader_deliver(struct reader *reader)
{
    for (size_t i = 0; i < reader->round.count; i++)
        statement_deliver(reader, &reader->round.statements[i]);
    reader->round.count = 0;
    pthread_mutex_lock(&reader->lock);
    reader->turn = FREE;
    pthread_mutex_unlock(&reader->lock);
}

/* ---- reads that end without an answer ---- */

static bool read_over(struct reader *reader, const struct read *read, int64_t now_us)
{
    if (read->give_up_us <= 0 || read->give_up_us > now_us) {
        if (read->give_up_us > 0 && read->give_up_us < reader->next_end_us)
            reader->next_end_us = read->give_up_us;
        return false;
    }
    return true;
}

/* impatient: the database has been away for long: those that wait need not wait for their time. */
void reader_expire(struct reader *reader, int64_t now_us, bool impatient)
{
    if (!impatient && now_us < reader->next_end_us)
        return;
    reader->next_end_us = INT64_MAX;
    struct read *read = reader->waiting, *next;
    reader->waiting = NULL;
    reader->waiting_last = &reader->waiting;
    for (; read != NULL; read = next) {
        next = read->next;
        if (impatient || read_over(reader, read, now_us))
            reader_done(reader, read, false);
        else
            reader_keep(reader, read);
    }
    for (size_t i = 0; i < reader->round.count; i++) {
        struct statement *statement = &reader->round.statements[i];
        for (size_t j = 0; j < statement->count; j++) {
            struct read *asked = statement->asked[j].read;
            if (asked == NULL || !read_over(reader, asked, now_us))
                continue;
            statement->asked[j].read = NULL;
            reader_done(reader, asked, false);
        }
    }
}

void reader_abandon(struct reader *reader)
{
    for (size_t i = 0; i < reader->round.count; i++) {
        struct statement *statement = &reader->round.statements[i];
        for (size_t j = 0; j < statement->count; j++) {
            if (statement->asked[j].read != NULL)
                reader_done(reader, statement->asked[j].read, false);
            statement->asked[j].read = NULL;
        }
    }
    reader_expire(reader, system_monotonic_us(), true);
}
