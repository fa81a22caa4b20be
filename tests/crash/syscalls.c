/*
 * syscalls.c: kill -9 as a service begins its nth call on a socket, n = 1, 2, 3, ... until a saga
 * passes untouched, and n is beyond what the longest untouched saga took; for each service. A saga
 * is an order of each way: completed, refused by each step, cancelled by its customer early and too
 * late, past its deadline. It ends when every order is final, the service's outbox is
 * acknowledged, its offsets are stored and the auditor has agreed. A killed service is started
 * again, and then the saga has to end in the same way.
 *
 * With a number: only so many kills a service, evenly spread, beginning elsewhere in each run.
 * With a service: only that one, from its call FROM on. Runs on the stack that SAGA_STATE_DIR
 * names. `tests/run syscalls` makes one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash/tracer.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/groups.h"
#include "support/orders.h"
#include "support/stack.h"
#include "support/promised.h"

#define ANSWER_S 60
#define END_S 60
#define SETTLE_S "10"
/* Of an order's facts, written down anew. */
#define COMPLETED "16"
#define FINAL "(16 + 1024)"
#define OVERDUE "262144"

enum undo { NOBODY, CUSTOMER, CUSTOMER_LATE, DEADLINE };

static const struct {
    const char *method, *sku, *country;
    enum undo undo;
} paths[] = {
    {"pm_card", "SKU-1", "DE", NOBODY},        {"pm_card_declined", "SKU-2", "DE", NOBODY},
    {"pm_card", "SKU-SOLD-OUT", "DE", NOBODY}, {"pm_card", "SKU-3", "AQ", NOBODY},
    {"pm_card", "SKU-4", "DE", CUSTOMER},      {"pm_card", "SKU-5", "DE", CUSTOMER_LATE},
    {"pm_card", "SKU-6", "DE", DEADLINE},
};
#define PATHS (sizeof paths / sizeof *paths)

static const struct service {
    const char *name;
    enum db db;
    const char *hears[9];
} services[] = {
    {"order-svc",
     DB_ORDER,
     {"payment.done", "payment.failed", "payment.refunded", "inventory.reserved",
      "inventory.failed", "inventory.released", "order.shipped", "shipping.failed"}},
    {"payment-svc", DB_PAYMENT, {"order.created", "inventory.failed", "inventory.released"}},
    {"inventory-svc", DB_INVENTORY, {"payment.done", "shipping.failed", "order.shipped"}},
    {"shipping-svc", DB_SHIPPING, {"inventory.reserved", "order.cancel_requested"}},
};

/* One saga, with the service to be killed at its nth call. */
struct step {
    const struct service *service;
    struct tracer *tracer;
    bool revived, holds; /* holds: money cannot be taken now */
    char ids[PATHS * 40];
    struct promised told[PATHS];
    int calls;         /* that were counted */
    const char *call;  /* at which it was killed, or NULL */
    const char *wrong; /* the first thing that broke, or NULL */
};

/* The killed one is started again, once; who could write nothing, and would not get ready, when he
 * can. */
static void revive(struct step *step)
{
    bool waits = step->holds && step->service->db == DB_PAYMENT;
    if (step->revived || waits || !tracer_killed(step->tracer))
        return;
    step->revived = true;
    if (!groups_forget(stack_address("KAFKA_BOOTSTRAP"), step->service->name) ||
        !stack_up(step->service->name, NULL))
        step->wrong = "does not come back";
}

static bool has_fact(struct step *step, const char *id, const char *fact)
{
    char sql[96];
    revive(step);
    snprintf(sql, sizeof sql, "SELECT facts & %s FROM orders WHERE order_id = $1::uuid", fact);
    return step->wrong != NULL || db_int(DB_ORDER, sql, id) > 0;
}

static bool is_too_late(struct step *step, const char *id)
{
    struct order_answer answer = order_cancel(id);
    int status = answer.status;
    order_answer_free(&answer);
    revive(step);
    return step->wrong != NULL || status == 409;
}

/* As a customer who does not give up, and wants it called off when it has come; unless its deadline
 * has done that already. */
static void cancel_late(struct step *step, const char *id)
{
    if (!CLOCK_UNTIL(END_S, has_fact(step, id, FINAL)) && step->wrong == NULL)
        step->wrong = "an order without an end";
    if (step->wrong == NULL && has_fact(step, id, COMPLETED) &&
        !CLOCK_UNTIL(END_S, is_too_late(step, id)))
        step->wrong = "an order that could be cancelled late";
}

static void cancel(struct step *step, const char *id)
{
    struct order_answer answer = order_cancel(id);
    order_answer_free(&answer);
    revive(step);
}

/* Its deadline comes while nobody can take money for it. */
static void pass_deadline(struct step *step, const char *id)
{
    char sql[128];
    snprintf(sql, sizeof sql, "UPDATE timer SET due_at = now() WHERE order_id = '%s'", id);
    db_run(DB_ORDER, sql);
    if (!CLOCK_UNTIL(END_S, has_fact(step, id, OVERDUE)) && step->wrong == NULL)
        step->wrong = "a deadline that does not come";
}

/* As a customer who does not give up. */
static bool place(struct step *step, size_t path)
{
    static int keys;
    char key[40], headers[80], id[40] = "";
    snprintf(key, sizeof key, "syscalls-%d-%d", (int)getpid(), keys++);
    snprintf(headers, sizeof headers, "Idempotency-Key: %s\r\n", key);
    step->holds = paths[path].undo == DEADLINE;
    if (step->holds) /* rows can be read by who looks */
        db_hold(DB_PAYMENT, "LOCK TABLE payment IN SHARE MODE");
    int64_t end_us = clock_us() + ANSWER_S * INT64_C(1000000);
    while (id[0] == '\0' && clock_us() < end_us && step->wrong == NULL) {
        struct order_answer answer = order_send(
            order_body(paths[path].method, paths[path].sku, paths[path].country), headers);
        if (answer.status == 201)
            snprintf(id, sizeof id, "%s", answer.id);
        else if (answer.status != 0 && answer.status != 503)
            step->wrong = "a customer gets an answer that is none";
        order_answer_free(&answer);
        revive(step);
        if (id[0] == '\0')
            clock_pause_ms(20);
    }
    if (id[0] != '\0' && paths[path].undo == CUSTOMER)
        cancel(step, id);
    if (id[0] != '\0' && paths[path].undo == DEADLINE)
        pass_deadline(step, id);
    if (step->holds)
        db_release();
    step->holds = false;
    snprintf(step->told[path].key, sizeof step->told[path].key, "cus_42 %s", key);
    snprintf(step->told[path].id, sizeof step->told[path].id, "%s", id);
    size_t len = strlen(step->ids);
    snprintf(step->ids + len, sizeof step->ids - len, "%s%s", len > 0 ? "," : "", id);
    return id[0] != '\0';
}

static bool orders_are_final(const struct step *step)
{
    return db_int(DB_ORDER,
                  "SELECT count(*) FROM orders o LEFT JOIN timer t USING (order_id)"
                  " WHERE order_id = ANY (string_to_array($1, ',')::uuid[]) AND t IS NULL",
                  step->ids) == PATHS;
}

static bool outbox_is_sent(const struct step *step)
{
    return db_int(step->service->db,
                  "SELECT count(*) FROM outbox JOIN lane USING (lane) WHERE seq > acked",
                  NULL) == 0;
}

static bool offsets_are_stored(const struct step *step)
{
    const char *kafka = stack_address("KAFKA_BOOTSTRAP");
    for (size_t i = 0; step->service->hears[i] != NULL; i++)
        if (groups_behind(kafka, step->service->name, step->service->hears[i]) != 0)
            return false;
    return true;
}

static bool has_ended(struct step *step)
{
    revive(step);
    return step->wrong != NULL ||
           (orders_are_final(step) && outbox_is_sent(step) && offsets_are_stored(step));
}

static bool auditor_agrees(void)
{
    char *said = NULL;
    const char *const argv[] = {"deploy/audit", "--settled", "--wait", SETTLE_S, NULL};
    int status = command_run(stack_root(), argv, &said);
    if (status != 0)
        fprintf(stderr, "%s", said ? said : "");
    free(said);
    return status == 0;
}

/* With the service to be killed at its nth call; 0: at none. */
static struct step run_saga(const struct service *service, int n)
{
    struct stack_part part;
    struct step step = {.service = service};
    if (!stack_part(service->name, &part) || part.pid <= 1 ||
        (step.tracer = tracer_begin(part.pid, n)) == NULL) {
        step.wrong = "cannot be traced";
        return step;
    }
    for (size_t path = 0; path < PATHS && step.wrong == NULL; path++)
        if (!place(&step, path) && step.wrong == NULL)
            step.wrong = "an order without an answer";
    for (size_t path = 0; path < PATHS && step.wrong == NULL; path++)
        if (paths[path].undo == CUSTOMER_LATE)
            cancel_late(&step, step.told[path].id);
    if (!CLOCK_UNTIL(END_S, has_ended(&step)) && step.wrong == NULL)
        step.wrong = "an order without an end";
    bool agrees = auditor_agrees();
    if (!step.revived && tracer_killed(step.tracer)) { /* as the auditor looked */
        revive(&step);
        agrees = auditor_agrees();
    }
    if (!agrees && step.wrong == NULL)
        step.wrong = "the auditor says no";
    if (step.wrong == NULL)
        step.wrong = promised_wrong(step.told, PATHS);
    step.calls = tracer_calls(step.tracer);
    step.call = tracer_killed(step.tracer) ? tracer_call(step.tracer) : NULL;
    tracer_end(step.tracer);
    return step;
}

/* How often a service was killed at which call. */
struct tally {
    int kills, names_count;
    struct {
        const char *name;
        int kills;
    } names[TRACER_CALLS_MAX];
};

static void add(struct tally *tally, const char *name)
{
    int i = 0;
    while (i < tally->names_count && tally->names[i].name != name)
        i++;
    tally->names_count += i == tally->names_count;
    tally->names[i].name = name;
    tally->names[i].kills++;
    tally->kills++;
}

/* Prints a line. False: something broke. */
static bool run_service(const struct service *service, int kills_max, int begin)
{
    struct tally tally = {0};
    int64_t begin_us = clock_us();
    struct step step = run_saga(service, 0);
    int calls = step.calls, stride = kills_max > 0 && calls > kills_max ? calls / kills_max : 1;
    int first = stride > 1 ? 1 + (int)(time(NULL) % stride) : begin, n = first;
    bool untouched = false;
    /* How many calls a saga takes depends on how its events fall into batches. */
    while (step.wrong == NULL && !(untouched && n > calls) &&
           (kills_max == 0 || tally.kills < kills_max)) {
        step = run_saga(service, n);
        untouched = step.call == NULL;
        if (!untouched)
            add(&tally, step.call);
        else if (step.calls > calls)
            calls = step.calls;
        n += stride;
    }
    printf("%-13s %3d calls, killed %3d times, at call %d, %d, ... (", service->name, calls,
           tally.kills, first, first + stride);
    for (int i = 0; i < tally.names_count; i++)
        printf("%s%s %d", i > 0 ? ", " : "", tally.names[i].name, tally.names[i].kills);
    printf(")%s  %lld s  %s%s", untouched ? ", then untouched" : "",
           (long long)(clock_us() - begin_us) / 1000000, step.wrong ? "FAILED: " : "",
           step.wrong ? step.wrong : "nothing broke");
    if (step.wrong != NULL)
        printf(" at call %d", n - stride);
    printf("\n");
    fflush(stdout);
    return step.wrong == NULL && tally.kills > 0;
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 && atoi(argv[1]) == 0 ? argv[1] : NULL;
    int kills_max = argc == 2 ? atoi(argv[1]) : 0, begin = argc == 3 ? atoi(argv[2]) : 1;
    int passed = 0, failed = 0;
    if (argc > 3 || kills_max < 0 || begin < 1 || !stack_attach()) {
        fprintf(stderr,
                "usage: syscalls [KILLS | SERVICE [FROM]], on the stack of SAGA_STATE_DIR\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (only == NULL || strcmp(only, services[i].name) == 0)
            *(run_service(&services[i], kills_max, begin) ? &passed : &failed) += 1;
    printf("syscalls: %d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
