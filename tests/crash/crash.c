/*
 * crash.c: every failpoint x fault x service: under load over every path the point fires, the
 * service comes back, every order comes to its end, nothing is parked, every customer has the order
 * that was answered, and the auditor agrees. A point that does not fire is a failure, and so is a
 * path that no order has gone.
 *
 * Runs on the stack that SAGA_STATE_DIR names, of services with failpoints (SAGA_TEST_BIN).
 * `tests/run crash` makes all that.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/fire.h"
#include "crash/paths.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/groups.h"
#include "support/stack.h"
#include "support/promised.h"
#include "support/traffic.h"

#define SOME 40    /* orders: the load is on */
#define EXPIRED 10 /* of which some are refused for nothing else */
#define WALK_S 20
#define SETTLE_S "60"

static const char *const faults[] = {"kill -9", "2 s pause", "error", "COMMIT done", "COMMIT lost"};

static const struct {
    const char *name, *where;
} points[] = {
#define POINT(name, where) {#name, where},
    FAILPOINTS(POINT)
#undef POINT
};

static int passed, failed;

static bool more_accepted(const struct traffic *traffic)
{
    size_t enough = traffic_accepted(traffic) + SOME;
    return CLOCK_UNTIL(FIRE_ANSWERS_S, traffic_accepted(traffic) >= enough);
}

/* Some deadlines come early, for orders that nobody takes money for meanwhile. */
static bool expire_some(const struct traffic *traffic)
{
    bool stopped = stack_signal("payment-svc", SIGSTOP) && more_accepted(traffic);
    if (stopped)
        db_run(DB_ORDER, "UPDATE timer SET due_at = now() WHERE order_id IN (SELECT order_id FROM"
                         " timer WHERE due_at IS NOT NULL ORDER BY order_id FOR UPDATE)");
    bool expired = stopped && CLOCK_UNTIL(FIRE_S, paths_expired(traffic) >= EXPIRED);
    return stack_signal("payment-svc", SIGCONT) && expired;
}

static bool is_dead(enum service service)
{
    struct stack_part part;
    return stack_part(services[service], &part) && part.pid == 0;
}

/* The dead member of the group is not waited for. */
static bool comes_back(enum service service, enum failpoint point, enum fault fault)
{
    bool ends = fire_ends(point) || (fault == KILL && !fire_beside(point));
    return !ends || (CLOCK_UNTIL(FIRE_S, is_dead(service)) &&
                     groups_forget(stack_address("KAFKA_BOOTSTRAP"), services[service]) &&
                     stack_up(services[service], NULL));
}

/* What there was before a case. */
struct past {
    int64_t strangers, parked[SERVICES];
};

static struct past past_of(void)
{
    struct past past = {.strangers = promised_strangers()};
    for (int i = 0; i < SERVICES; i++)
        past.parked[i] = fire_parked((enum service)i);
    return past;
}

/* A message that is parked is a message that failed: none does, but where letters are the occasion.
 */
static bool parks_for_nothing(const struct past *past, enum service service, enum failpoint point)
{
    bool parks = false;
    for (int i = 0; i < SERVICES; i++)
        if (!fire_parks(point) || (enum service)i != service)
            parks = parks || fire_parked((enum service)i) != past->parked[i];
    return parks;
}

static const char *customers_wrong(const struct past *past, const struct traffic *traffic)
{
    const char *wrong = traffic_complaint(traffic);
    if (wrong == NULL)
        wrong = promised_wrong_traffic(traffic);
    if (wrong == NULL && promised_strangers() != past->strangers)
        wrong = "orders are there that nobody asked for";
    return wrong;
}

static bool auditor_agrees(void)
{
    char *said = NULL;
    const char *const argv[] = {"deploy/audit", "--settled", "--wait", SETTLE_S, NULL};
    int status = command_run(stack_root(), argv, &said);
    if (status != 0)
        printf("%s", said ? said : "");
    free(said);
    return status == 0;
}

/* NULL: nothing broke; else what did. */
static const char *run_case(enum service service, enum failpoint point, enum fault fault,
                            struct traffic **traffic)
{
    const char *wrong = NULL;
    char begun[40]; /* the occasion may need another traffic */
    snprintf(begun, sizeof begun, "%s", traffic_keys(*traffic));
    struct past past = past_of();
    if (!more_accepted(*traffic))
        wrong = "no load";
    else if (!expire_some(*traffic))
        wrong = "no order past its deadline";
    else if (!fire(service, point, fault, traffic))
        wrong = "did not fire";
    if (!comes_back(service, point, fault) && wrong == NULL)
        wrong = "does not come back";
    if (!fire_end(service, point) && wrong == NULL)
        wrong = "cannot be undone";
    if (wrong == NULL && !more_accepted(*traffic))
        wrong = "no orders are accepted afterwards";
    if (wrong == NULL && strcmp(traffic_keys(*traffic), begun) != 0 && !expire_some(*traffic))
        wrong = "no order past its deadline afterwards";
    if (wrong == NULL && !paths_walked(*traffic, WALK_S))
        wrong = "a path that no order has gone";
    if (!traffic_end(*traffic, FIRE_ANSWERS_S) && wrong == NULL)
        wrong = "orders without an answer";
    if (wrong == NULL && fire_parks(point) && !fire_mend(service))
        wrong = "letters that stay";
    bool agrees = wrong != NULL || auditor_agrees(); /* which waits until all is at its end */
    if (wrong == NULL && parks_for_nothing(&past, service, point))
        wrong = "messages are parked for nothing";
    if (wrong == NULL)
        wrong = customers_wrong(&past, *traffic);
    if (!agrees && wrong == NULL)
        wrong = "the auditor says no";
    return wrong;
}

/* A part that a case has left dead would be the failure of all the others. */
static void raise_the_dead(void)
{
    const char *const argv[] = {"deploy/up", "--no-order", NULL};
    (void)command_run(stack_root(), argv, NULL);
}

static void run(enum service service, enum failpoint point, enum fault fault)
{
    struct traffic *traffic = traffic_begin(FIRE_RATE);
    const char *wrong = run_case(service, point, fault, &traffic);
    printf("%-20s %-14s %-11s passed %4d  fired %d  %s%s\n", points[point].name, services[service],
           faults[fault], fire_control(service)->passed[point], fire_control(service)->fired,
           wrong ? "FAILED: " : "", wrong ? wrong : "nothing broke");
    paths_print(traffic);
    fflush(stdout);
    traffic_free(traffic);
    if (wrong != NULL)
        raise_the_dead();
    *(wrong ? &failed : &passed) += 1;
}

static bool has_turn(enum service service, enum failpoint point)
{
    bool theirs = fire_can((enum service)(point % SERVICES), point);
    return theirs ? point % SERVICES == service : service == ORDER_SVC;
}

/* Each in one service, by turns killed or failing; or only that one, with every fault in every
 * service. */
static void run_points(const char *only)
{
    for (size_t point = 0; point < FAILPOINT_COUNT; point++) {
        for (size_t service = 0; service < SERVICES; service++) {
            if (!fire_can((enum service)service, (enum failpoint)point) ||
                (only == NULL && !has_turn((enum service)service, (enum failpoint)point)) ||
                (only != NULL && strcmp(points[point].name, only) != 0))
                continue;
            bool fails = point % 2 == 1, each = only != NULL;
            if (each || !fails)
                run((enum service)service, (enum failpoint)point, KILL);
            if (each || fails)
                run((enum service)service, (enum failpoint)point, FAIL);
            if (each)
                run((enum service)service, (enum failpoint)point, PAUSE);
        }
    }
}

/* PostgreSQL killed about the COMMIT of order-svc, or of each. */
static void run_server(bool each)
{
    for (size_t service = 0; service < (each ? SERVICES : 1); service++) {
        run((enum service)service, FAILPOINT_commit_unanswered, COMMIT_DONE);
        run((enum service)service, FAILPOINT_batch_flushed, COMMIT_LOST);
    }
}

int main(int argc, char **argv)
{
    const char *only = argc == 2 ? argv[1] : NULL;
    if (only != NULL && strcmp(only, "--points") == 0) {
        for (size_t point = 0; point < FAILPOINT_COUNT; point++)
            puts(points[point].name);
        puts("server");
        return 0;
    }
    if (argc > 2 || !stack_attach() || !fire_attach()) {
        fprintf(stderr, "usage: crash [POINT | server | --points], on a stack that tests/run crash"
                        " has made\n");
        return 2;
    }
    if (only == NULL || strcmp(only, "server") != 0)
        run_points(only);
    if (only == NULL || strcmp(only, "server") == 0)
        run_server(only != NULL);
    printf("crash: %d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
