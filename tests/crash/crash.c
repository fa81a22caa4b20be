/*
 * crash.c: every failpoint x fault x service: under load over every path the point fires, the
 * service comes back, every order comes to its end, and the auditor agrees. A point that does not
 * fire is a failure, and so is a path that no order has gone.
 *
 * Runs on the stack that SAGA_STATE_DIR names, of services with failpoints (SAGA_TEST_BIN), which
 * share the files in SAGA_TEST_FAILPOINTS with this program. `tests/run crash` makes all that.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libsaga/ports/failpoint.h"
#include "crash/paths.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/groups.h"
#include "support/stack.h"
#include "support/traffic.h"

#define RATE 150
#define SOME 40 /* orders: the load is on */
#define FIRE_S 20
#define ANSWERS_S 60
#define WALK_S 20
#define PROCESSES_MAX 256
#define SETTLE_S "60"

enum service { ORDER_SVC, PAYMENT_SVC, INVENTORY_SVC, SHIPPING_SVC, SERVICES };
static const char *const services[SERVICES] = {"order-svc", "payment-svc", "inventory-svc",
                                               "shipping-svc"};
/* Those of a failpoint; and PostgreSQL is killed, with all its processes, while COMMIT has no
 * answer: it has done it, or never saw it. */
enum fault {
    KILL = FAILPOINT_KILL,
    PAUSE = FAILPOINT_PAUSE,
    FAIL = FAILPOINT_ERROR,
    COMMIT_DONE,
    COMMIT_LOST
};
static const char *const faults[] = {"kill -9", "2 s pause", "error", "COMMIT done", "COMMIT lost"};

static const struct {
    const char *name, *where;
    bool fails;
} points[] = {
#define POINT(name, fails, where) {#name, where, fails},
    FAILPOINTS(POINT)
#undef POINT
};

static struct failpoint_control *controls[SERVICES];
static int passed, failed;

static bool map_controls(void)
{
    char path[512];
    const char *dir = getenv("SAGA_TEST_FAILPOINTS");
    for (size_t i = 0; dir != NULL && i < SERVICES; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, services[i]);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return false;
        controls[i] = mmap(NULL, sizeof **controls, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        if (controls[i] == MAP_FAILED)
            return false;
    }
    return dir != NULL;
}

/* Only order-svc has timers and keys, and customers at its door. */
static bool has(enum service service, enum failpoint point)
{
    return service == ORDER_SVC ||
           (point != FAILPOINT_timers_taken && point != FAILPOINT_door_received &&
            point != FAILPOINT_door_answering && point != FAILPOINT_key_unremembered &&
            point != FAILPOINT_keys_unexpired);
}

static void arm(enum service service, enum failpoint point, enum fault fault, int nth)
{
    struct failpoint_control *control = controls[service];
    control->fired = 0;
    control->next = 0;
    control->passed[point] = 0;
    control->fault = (int)(fault > FAIL ? PAUSE : fault);
    control->countdown = nth;
    control->armed = (int)point + 1;
}

static bool is_gone(pid_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

static bool terminate(const char *name)
{
    struct stack_part part;
    return stack_part(name, &part) && part.pid > 1 && kill(part.pid, SIGTERM) == 0 &&
           CLOCK_UNTIL(30, is_gone(part.pid));
}

static bool more_accepted(const struct traffic *traffic)
{
    size_t enough = traffic_accepted(traffic) + SOME;
    return CLOCK_UNTIL(ANSWERS_S, traffic_accepted(traffic) >= enough);
}

/* Some deadlines come early, for orders that nobody takes money for meanwhile. */
static bool expire_some(const struct traffic *traffic)
{
    bool stopped = stack_signal("payment-svc", SIGSTOP) && more_accepted(traffic);
    if (stopped)
        db_run(DB_ORDER, "UPDATE timer SET due_at = now() WHERE order_id IN (SELECT order_id FROM"
                         " timer WHERE due_at IS NOT NULL ORDER BY order_id FOR UPDATE)");
    bool expired = stopped && CLOCK_UNTIL(FIRE_S, paths_expired(traffic) > 0);
    return stack_signal("payment-svc", SIGCONT) && expired;
}

/* Halts the server and all that it has started, the first one first, so that it starts no more. */
static size_t halt_server(pid_t ret_pids[PROCESSES_MAX])
{
    struct stack_part part;
    char path[64];
    size_t count = 0;
    if (!stack_part("postgres", &part) || part.pid <= 1 || kill(part.pid, SIGSTOP) != 0)
        return 0;
    ret_pids[count++] = part.pid;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)part.pid, (int)part.pid);
    FILE *children = fopen(path, "re");
    for (int pid; children != NULL && count < PROCESSES_MAX && fscanf(children, "%d", &pid) == 1;)
        if (kill(pid, SIGSTOP) == 0)
            ret_pids[count++] = pid;
    if (children != NULL)
        fclose(children);
    return count;
}

/* The service waits at the point for two seconds: before it sends COMMIT, or its answer. */
static bool kill_server(enum service service, enum fault fault)
{
    pid_t pids[PROCESSES_MAX];
    const _Atomic int *sent = &controls[service]->passed[FAILPOINT_commit_unanswered];
    int before = *sent;
    size_t count = halt_server(pids);
    bool in_time = fault == COMMIT_DONE || CLOCK_UNTIL(FIRE_S, *sent > before);
    for (size_t i = 0; i < count; i++)
        kill(pids[i], SIGKILL);
    return in_time && count > 1 && CLOCK_UNTIL(FIRE_S, is_gone(pids[0]));
}

/* The point whose error leads to this one; FAILPOINT_COUNT: it is passed anyway. */
static enum failpoint leads_to(enum failpoint point)
{
    switch (point) {
    case FAILPOINT_backlog_unread: /* a lane falls behind when a delivery fails */
    case FAILPOINT_producer_unmade:
        return FAILPOINT_event_delivered;
    case FAILPOINT_doubt_unresolved:
        return FAILPOINT_commit_unanswered;
    default:
        return FAILPOINT_COUNT;
    }
}

/* Again, if that error has led elsewhere: a COMMIT without events is in no doubt. */
static bool fire_behind(enum service service, enum failpoint first, enum failpoint point,
                        enum fault fault)
{
    struct failpoint_control *control = controls[service];
    for (int tries = 0; tries < 5; tries++) {
        arm(service, first, FAIL, 2);
        control->passed[point] = 0;
        control->next_fault = (int)fault;
        control->next = (int)point + 1;
        if (CLOCK_UNTIL(FIRE_S / 5, control->fired == 2))
            return true;
    }
    return false;
}

/* At its start. */
static bool fire_starting(enum service service, enum failpoint point, enum fault fault)
{
    if (!terminate(services[service]))
        return false;
    arm(service, point, fault, 1);
    (void)stack_up(services[service], NULL); /* killed while starting, it is not ready */
    return controls[service]->fired > 0;
}

/* Without load; under load a cursor goes along with the next batch. */
static bool fire_idle(enum service service, enum failpoint point, enum fault fault,
                      struct traffic **traffic)
{
    bool ended = traffic_end(*traffic, ANSWERS_S);
    arm(service, point, fault, 1);
    bool fired = CLOCK_UNTIL(FIRE_S, controls[service]->fired > 0);
    traffic_free(*traffic);
    *traffic = traffic_begin(RATE);
    return ended && fired;
}

/* Brings the process to the point, armed, and waits until it has fired. */
static bool fire(enum service service, enum failpoint point, enum fault fault,
                 struct traffic **traffic)
{
    const struct failpoint_control *control = controls[service];
    if (point == FAILPOINT_start_connected || point == FAILPOINT_start_lane_taken ||
        point == FAILPOINT_partitions_unread)
        return fire_starting(service, point, fault);
    if (leads_to(point) != FAILPOINT_COUNT)
        return fire_behind(service, leads_to(point), point, fault);
    if (point == FAILPOINT_cursor_unwritten)
        return fire_idle(service, point, fault, traffic);
    bool rare = point == FAILPOINT_outbox_untruncated || point == FAILPOINT_keys_unexpired;
    arm(service, point, fault, rare ? 1 : 2);
    if (point == FAILPOINT_timers_taken) /* orders that do not get on are due */
        stack_signal("shipping-svc", SIGSTOP);
    bool fired = CLOCK_UNTIL(FIRE_S, control->fired > 0);
    if (point == FAILPOINT_timers_taken)
        stack_signal("shipping-svc", SIGCONT);
    return fired && (fault <= FAIL || kill_server(service, fault));
}

/* The dead member of the group is not waited for. */
static bool comes_back(enum service service, enum fault fault)
{
    if (fault > FAIL)
        return stack_up("postgres", NULL);
    return fault != KILL || (groups_forget(stack_address("KAFKA_BOOTSTRAP"), services[service]) &&
                             stack_up(services[service], NULL));
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
    if (!more_accepted(*traffic))
        wrong = "no load";
    else if (!expire_some(*traffic))
        wrong = "no order past its deadline";
    else if (!fire(service, point, fault, traffic))
        wrong = "did not fire";
    controls[service]->armed = controls[service]->next = 0;
    if (!comes_back(service, fault) && wrong == NULL)
        wrong = "does not come back";
    if (wrong == NULL && !more_accepted(*traffic))
        wrong = "no orders are accepted afterwards";
    if (wrong == NULL && paths_expired(*traffic) == 0 && !expire_some(*traffic))
        wrong = "no order past its deadline afterwards";
    if (wrong == NULL && !paths_walked(*traffic, WALK_S))
        wrong = "a path that no order has gone";
    if (!traffic_end(*traffic, ANSWERS_S) && wrong == NULL)
        wrong = "orders without an answer";
    if (wrong == NULL && traffic_complaint(*traffic) != NULL)
        wrong = "a customer complains";
    if (wrong == NULL && !auditor_agrees())
        wrong = "the auditor says no";
    return wrong;
}

static void run(enum service service, enum failpoint point, enum fault fault)
{
    if (fault == FAIL && !points[point].fails)
        return;
    struct traffic *traffic = traffic_begin(RATE);
    const char *wrong = run_case(service, point, fault, &traffic);
    printf("%-20s %-14s %-11s passed %4d  fired %d  %s\n", points[point].name, services[service],
           faults[fault], controls[service]->passed[point], controls[service]->fired,
           wrong ? wrong : "nothing broke");
    paths_print(traffic);
    if (traffic_complaint(traffic) != NULL)
        printf("    %s\n", traffic_complaint(traffic));
    fflush(stdout);
    traffic_free(traffic);
    *(wrong ? &failed : &passed) += 1;
}

static bool has_turn(enum service service, enum failpoint point)
{
    bool theirs = has((enum service)(point % SERVICES), point);
    return theirs ? point % SERVICES == service : service == ORDER_SVC;
}

/* Each with every fault in every service; or in one service, by turns killed or failing; or that
 * one point, with both. */
static void run_points(const char *only, bool all)
{
    for (size_t point = 0; point < FAILPOINT_COUNT; point++) {
        for (size_t service = 0; service < SERVICES; service++) {
            if (!has((enum service)service, (enum failpoint)point) ||
                (!all && !has_turn((enum service)service, (enum failpoint)point)) ||
                (only != NULL && strcmp(points[point].name, only) != 0))
                continue;
            bool fails = points[point].fails && point % 2 == 1, both = all || only != NULL;
            if (both || !fails)
                run((enum service)service, (enum failpoint)point, KILL);
            if (both || fails)
                run((enum service)service, (enum failpoint)point, FAIL);
            if (all)
                run((enum service)service, (enum failpoint)point, PAUSE);
        }
    }
}

int main(int argc, char **argv)
{
    bool all = argc == 2 && strcmp(argv[1], "--all") == 0;
    const char *only = argc == 2 && !all ? argv[1] : NULL;
    if (argc > 2 || !stack_attach() || !map_controls()) {
        fprintf(
            stderr,
            "usage: crash [--all | POINT | server], on a stack that tests/run crash has made\n");
        return 2;
    }
    if (only == NULL || strcmp(only, "server") != 0)
        run_points(only, all);
    for (size_t service = 0; service < (all ? SERVICES : 1); service++) {
        if (only != NULL && strcmp(only, "server") != 0)
            break;
        run((enum service)service, FAILPOINT_commit_unanswered, COMMIT_DONE);
        run((enum service)service, FAILPOINT_batch_flushed, COMMIT_LOST);
    }
    printf("crash: %d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
