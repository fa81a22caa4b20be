/*
 * republish.c: `republish TOPIC`: says again all that the outbox still holds of a topic.
 *
 * For a topic that was lost. It reads and says, and neither takes a lane nor moves a cursor (I6):
 * so it may run beside the service or without it, and as often as one likes. Every row is said,
 * acknowledged or not, for a cursor is written later than the acknowledgement came: what is said
 * twice has the same ce_id, and is a duplicate to the barrier.
 */
#include <stdio.h>

#include "ports/failpoint.h"
#include "runtime/config.h"
#include "runtime/outbox.h"
#include "saga_sql.h"

#define PAGE 1000
#define FULL_MS 1000 /* wait for room in the producer */

struct republish {
    struct pg *pg;
    struct kafka_producer *producer;
    struct outbox_source source;
    struct saga_text topic;
    int64_t said, refused;
    bool failed;
    char why[256];
};

static void fail(struct republish *work, const char *why)
{
    if (!work->failed)
        snprintf(work->why, sizeof work->why, "%s", why);
    work->failed = true;
}

static void delivered(void *opaque, int32_t lane, int64_t seq, enum saga_verdict verdict,
                      const char *error)
{
    struct republish *work = opaque;
    if (verdict == SAGA_OK) {
        work->said++;
    } else if (verdict == SAGA_POISON) {
        work->refused++;
        fprintf(stderr, "republish: row %d/%lld is refused: %s\n", lane, (long long)seq, error);
    } else {
        fail(work, error);
    }
}

static void say(struct republish *work, int32_t lane, const struct outbox_row *row,
                struct arena *arena)
{
    enum saga_verdict verdict = SAGA_RETRY;
    while (verdict == SAGA_RETRY && !work->failed) {
        verdict = outbox_send(&work->source, lane, row, work->producer, arena);
        if (verdict == SAGA_RETRY)
            kafka_producer_flush(work->producer, FULL_MS);
    }
    if (FAILPOINT(republish_said))
        fail(work, "a failpoint");
    if (verdict == SAGA_POISON)
        delivered(work, lane, row->seq, verdict, "by the producer");
    else if (verdict == SAGA_FATAL)
        fail(work, "the producer cannot go on");
}

/* Says one page and waits for its acknowledgements; false: that was the last. */
static bool say_page(struct republish *work, int32_t lane, int64_t *after)
{
    struct arena arena = {0};
    struct pg_param params[] = {pg_int32(&arena, lane), pg_int(&arena, *after),
                                pg_int32(&arena, PAGE), pg_text(work->topic)};
    struct pg_result *result = NULL;
    pg_send(work->pg, sql_read_kept, params, 4, &result);
    if (pg_sync(work->pg) != PG_OK)
        fail(work, pg_error(work->pg));
    size_t count = work->failed ? 0 : pg_result_count(result);
    for (size_t i = 0; i < count && !work->failed; i++) {
        struct outbox_row row;
        if (!pg_result_read(result, i, &outbox_shape, &arena, &row)) {
            fail(work, "a row cannot be read");
            break;
        }
        *after = row.seq;
        say(work, lane, &row, &arena);
    }
    if (count > 0 && !kafka_producer_flush(work->producer, (int)config.delivery_s * 1000))
        fail(work, "no answer from Kafka");
    pg_result_free(result);
    arena_free(&arena);
    return count == PAGE;
}

static void say_all(struct republish *work)
{
    pg_send(work->pg, sql_begin_snapshot, NULL, 0, NULL);
    for (int32_t lane = 0; lane < OUTBOX_LANES && !work->failed; lane++) {
        int64_t after = 0;
        while (say_page(work, lane, &after) && !work->failed)
            ;
    }
}

static bool open_both(struct republish *work, const char *name)
{
    work->pg = pg_new(config.database_url, name);
    const char *reason = pg_error(work->pg);
    if (pg_connect(work->pg, 10000) != PG_OK ||
        !outbox_read_epoch(work->pg, &work->source, &reason)) {
        fail(work, reason);
        return false;
    }
    char why[256];
    work->producer = kafka_producer_new(config.kafka_bootstrap, name, config.delivery_s * 1000,
                                        delivered, work, why, sizeof why);
    if (work->producer == NULL)
        fail(work, why);
    return work->producer != NULL;
}

static bool says(const struct saga_service *service, const char *topic)
{
    for (const struct saga_event *const *event = service->says; *event != NULL; event++)
        if (strcmp((*event)->name, topic) == 0)
            return true;
    return false;
}

int republish_command(const struct saga_service *service, int argc, char **argv)
{
    char why[256];
    if (argc != 1 || !says(service, argv[0])) {
        fprintf(stderr, "usage: %s republish TOPIC, one of:", service->name);
        for (const struct saga_event *const *event = service->says; *event != NULL; event++)
            fprintf(stderr, " %s", (*event)->name);
        fprintf(stderr, "\n");
        return 2;
    }
    if (!config_require("SAGA_DATABASE_URL", config.database_url, why, sizeof why) ||
        !config_require("SAGA_KAFKA_BOOTSTRAP", config.kafka_bootstrap, why, sizeof why)) {
        fprintf(stderr, "%s: %s\n", service->name, why);
        return 2;
    }
    struct republish work = {.topic = saga_text(argv[0])};
    outbox_source_of(service, &work.source);
    if (open_both(&work, service->name))
        say_all(&work);
    kafka_producer_free(work.producer);
    pg_free(work.pg);
    if (work.failed)
        fprintf(stderr, "republish: %s; it is safe to run it again\n", work.why);
    printf("%lld events were said again on %s\n", (long long)work.said, argv[0]);
    return work.failed || work.refused > 0 ? 1 : 0;
}
