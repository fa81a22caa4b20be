/*
 * backlog.c: how fast a service says what it could not say for long, and in how much memory.
 *
 * order-svc ends; then its outbox has rows behind the cursor, as after a Kafka that was away, of
 * order.completed, which no service hears: what is measured is the relay and the broker alone. It
 * starts again, and is looked at until all of them are acknowledged. Each must be on the topic,
 * once.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/db.h"
#include "support/metric.h"
#include "support/stack.h"
#include "support/topics.h"
#include "usage.h"

#define SERVICE "order-svc"
#define ROWS_MIN 100000
#define ROWS_MAX 10000000
#define STALL_S 30 /* no row acknowledged for so long: it does not go on */
#define LOOK_MS 20
/* Else it is not ready before its backlog is below the bound, and most of it gone. */
#define NO_BOUND "SAGA_BACKLOG_MAX=1000000000"

static const char rows_sql[] =
    "WITH made_row AS (INSERT INTO outbox (slot, lane, seq, order_id, type, payload, created_at)"
    " SELECT 0, 0, first + i, order_id, 'order.completed', format('{\"order_id\":\"%s\"}', "
    "order_id),"
    " now() FROM (SELECT greatest(acked, coalesce((SELECT max(seq) FROM outbox WHERE lane = 0), 0))"
    " AS first FROM lane WHERE lane = 0) AS last,"
    " (SELECT i, gen_random_uuid() AS order_id FROM generate_series(1, $1::bigint) AS i) AS made "
    "RETURNING 1)"
    " SELECT count(*) FROM made_row";

struct look {
    int64_t at_us;
    double pending;
    size_t parts;
    struct usage usage[USAGE_MAX];
};

static int64_t records;

static void count_record(void *opaque, const struct topics_record *record)
{
    (void)opaque, (void)record;
    records++;
}

static double pending(void)
{
    return metric_of(stack_address("ORDER_API"), "saga_outbox_pending");
}

/* False: the service says nothing. */
static bool take_look(struct look *ret_look)
{
    usage_read(ret_look->usage);
    usage_read_memory(ret_look->usage);
    ret_look->pending = pending();
    ret_look->at_us = clock_us();
    return ret_look->pending >= 0;
}

static const struct usage *part(const struct look *look, const char *name)
{
    size_t i = 0;
    while (i < STACK_PARTS && strcmp(look->usage[i].name, name) != 0)
        i++;
    return &look->usage[i];
}

static bool end_service(void)
{
    struct stack_part own;
    return stack_part(SERVICE, &own) && own.pid > 1 && stack_signal(SERVICE, SIGTERM) &&
           CLOCK_UNTIL(STALL_S, stack_gone(own.pid));
}

static bool make_rows(const char *rows)
{
    if (!end_service()) {
        fprintf(stderr, "backlog: " SERVICE " does not end\n");
        return false;
    }
    if (db_int(DB_ORDER, rows_sql, rows) != strtol(rows, NULL, 10))
        return false;
    db_run(DB_ORDER, "ANALYZE outbox");
    return true;
}

/* Until `left` rows or less are pending; false: it does not go on. */
static bool drained(double left)
{
    double before = pending();
    int64_t moved_us = clock_us();
    for (double now = before; now < 0 || now > left; now = pending()) {
        if (now >= 0 && (before < 0 || now < before)) {
            before = now;
            moved_us = clock_us();
        }
        if (clock_us() - moved_us > STALL_S * INT64_C(1000000)) {
            fprintf(stderr, "backlog: %.0f rows stay\n", before);
            return false;
        }
        clock_pause_ms(LOOK_MS);
    }
    return true;
}

static bool tell(const char *path, double rows, const struct look looks[3])
{
    const struct look *first = &looks[0], *last = &looks[2];
    double count = first->pending - last->pending;
    double rate = count * 1e6 / (double)(last->at_us - first->at_us);
    json_t *cpu = json_object();
    double all_us = 0;

    printf("a backlog of %.0f rows, of which %lld were said twice\nrows/s         %.0f\n"
           "CPU us a row  ",
           rows, (long long)records - (long long)rows, rate);
    for (const char *const *name = (const char *const[]){"postgres", "kafka", SERVICE, NULL};
         *name != NULL; name++) {
        double us = (part(last, *name)->cpu_s - part(first, *name)->cpu_s) * 1e6 / count;
        printf(" %s %.2f", *name, us);
        json_object_set_new(cpu, *name, json_real(us));
        all_us += us;
    }
    printf(" together %.2f\n", all_us);
    printf(SERVICE "      %.0f MB when half of it was sent, %.0f MB at its peak\n",
           part(&looks[1], SERVICE)->peak_mb, part(last, SERVICE)->peak_mb);
    if (path == NULL) {
        json_decref(cpu);
        return true;
    }
    json_t *object = json_pack("{s:f, s:f, s:o, s:f, s:f}", "rows", rows, "rows_per_s", rate,
                               "cpu_us_per_row", cpu, "half_mb", part(&looks[1], SERVICE)->peak_mb,
                               "peak_mb", part(last, SERVICE)->peak_mb);
    bool good = json_dump_file(object, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) == 0;
    if (!good)
        fprintf(stderr, "backlog: %s cannot be written\n", path);
    json_decref(object);
    return good;
}

static bool measure(const char *rows, const char *path)
{
    double count = strtod(rows, NULL);
    struct look looks[3];
    const char *const names[] = {"order.completed", NULL};
    if (!make_rows(rows)) {
        stack_up(SERVICE, NULL);
        return false;
    }
    struct topics *topics =
        topics_mark(stack_address("KAFKA_BOOTSTRAP"), names, count_record, NULL);
    bool good = topics != NULL && stack_up(SERVICE, NO_BOUND) && usage_begin() > 0 &&
                take_look(&looks[0]) && drained(looks[0].pending / 2) && take_look(&looks[1]) &&
                drained(0) && take_look(&looks[2]);
    if (good && looks[0].pending <= count / 2) {
        fprintf(stderr, "backlog: %.0f rows were left at the first look: too few\n",
                looks[0].pending);
        good = false;
    }
    if (good && (!topics_catch_up(topics, STALL_S) || records < (int64_t)count)) {
        fprintf(stderr, "backlog: of %.0f rows there are %lld records\n", count,
                (long long)records);
        good = false;
    }
    good = good && tell(path, count, looks);
    if (topics != NULL)
        topics_close(topics);
    return stack_restart(SERVICE, NULL) && good; /* with its bound */
}

int main(int argc, char **argv)
{
    const char *rows = "1000000", *path = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--rows") == 0)
            rows = argv[i + 1];
        else if (strcmp(argv[i], "--json") == 0)
            path = argv[i + 1];
        else
            rows = "";
    }
    char *end;
    long count = strtol(rows, &end, 10);
    if (argc % 2 == 0 || *end != '\0' || count < ROWS_MIN || count > ROWS_MAX) {
        fprintf(stderr, "usage: backlog [--rows %d to %d] [--json FILE]\n", ROWS_MIN, ROWS_MAX);
        return 2;
    }
    if (!stack_attach() || usage_begin() == 0) {
        fprintf(stderr, "backlog: there is no stack; ./deploy/up starts one\n");
        return 2;
    }
    return measure(rows, path) ? 0 : 1;
}
