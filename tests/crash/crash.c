/*
 * crash.c: every failpoint x fault x service: under load over every path the point fires, the
 * service comes back, every order comes to its end, and the auditor agrees. A point that does not
 * fire is a failure.
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
#include "support/clock.h"
#include "support/command.h"
#include "support/stack.h"
#include "support/traffic.h"

#define RATE 150
#define SOME 40 /* orders: the load is on */
#define FIRE_S 20
#define ANSWERS_S 60
#define SETTLE_S "60"

enum service { ORDER_SVC, PAYMENT_SVC, INVENTORY_SVC, SHIPPING_SVC, SERVICES };
static const char *const services[SERVICES] = {"order-svc", "payment-svc", "inventory-svc",
                                               "shipping-svc"};
static const char *const faults[] = {"kill -9", "2 s pause", "error"};

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

/* Only order-svc has timers, and customers at its door. */
static bool has(enum service service, enum failpoint point)
{
    return service == ORDER_SVC ||
           (point != FAILPOINT_timers_taken && point != FAILPOINT_door_received &&
            point != FAILPOINT_door_answering && point != FAILPOINT_key_unremembered);
}

static void arm(enum service service, enum failpoint point, enum failpoint_fault fault, int nth)
{
    struct failpoint_control *control = controls[service];
    control->fired = 0;
    control->passed[point] = 0;
    control->fault = (int)fault;
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

/* Brings the process to the point, armed, and waits until it has fired. */
static bool fire(enum service service, enum failpoint point, enum failpoint_fault fault,
                 struct traffic **traffic)
{
    const struct failpoint_control *control = controls[service];
    bool starts = point == FAILPOINT_start_connected || point == FAILPOINT_start_lane_taken;
    if (starts) {
        if (!terminate(services[service]))
            return false;
        arm(service, point, fault, 1);
        (void)stack_up(services[service], NULL); /* killed while starting, it is not ready */
        return control->fired > 0;
    }
    if (point == FAILPOINT_backlog_unread) { /* a lane falls behind when a delivery fails */
        arm(service, FAILPOINT_event_delivered, FAILPOINT_ERROR, 1);
        if (!CLOCK_UNTIL(FIRE_S, control->fired > 0))
            return false;
    }
    bool rare = point == FAILPOINT_backlog_unread || point == FAILPOINT_cursor_unwritten;
    arm(service, point, fault, rare ? 1 : 2);
    if (point == FAILPOINT_cursor_unwritten) { /* under load it goes along with the next batch */
        bool ended = traffic_end(*traffic, ANSWERS_S);
        ended = CLOCK_UNTIL(FIRE_S, control->fired > 0) && ended;
        traffic_free(*traffic);
        *traffic = traffic_begin(RATE);
        return ended;
    }
    if (point == FAILPOINT_timers_taken) /* orders that do not get on are due */
        stack_signal("shipping-svc", SIGSTOP);
    bool fired = CLOCK_UNTIL(FIRE_S, control->fired > 0);
    if (point == FAILPOINT_timers_taken)
        stack_signal("shipping-svc", SIGCONT);
    return fired;
}

static bool more_accepted(const struct traffic *traffic)
{
    size_t enough = traffic_accepted(traffic) + SOME;
    return CLOCK_UNTIL(ANSWERS_S, traffic_accepted(traffic) >= enough);
}

static bool comes_back(enum service service, enum failpoint_fault fault)
{
    return fault != FAILPOINT_KILL || stack_up(services[service], NULL);
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
static const char *run_case(enum service service, enum failpoint point, enum failpoint_fault fault)
{
    const char *wrong = NULL;
    struct traffic *traffic = traffic_begin(RATE);
    if (!more_accepted(traffic))
        wrong = "no load";
    else if (!fire(service, point, fault, &traffic))
        wrong = "did not fire";
    controls[service]->armed = 0;
    if (!comes_back(service, fault) && wrong == NULL)
        wrong = "does not come back";
    if (wrong == NULL && !more_accepted(traffic))
        wrong = "no orders are accepted afterwards";
    if (!traffic_end(traffic, ANSWERS_S) && wrong == NULL)
        wrong = "orders without an answer";
    if (wrong == NULL && traffic_complaint(traffic) != NULL)
        wrong = "a customer complains";
    if (wrong == NULL && !auditor_agrees())
        wrong = "the auditor says no";
    if (traffic_complaint(traffic) != NULL)
        printf("%s\n", traffic_complaint(traffic));
    traffic_free(traffic);
    return wrong;
}

static void show(enum service service, enum failpoint point, enum failpoint_fault fault,
                 const char *wrong)
{
    printf("%-20s %-14s %-10s passed %4d  fired %d  %s\n", points[point].name, services[service],
           faults[fault], controls[service]->passed[point], controls[service]->fired,
           wrong ? wrong : "nothing broke");
    fflush(stdout);
    *(wrong ? &failed : &passed) += 1;
}

static void run(enum service service, enum failpoint point, enum failpoint_fault fault)
{
    if (fault == FAILPOINT_ERROR && !points[point].fails)
        return;
    show(service, point, fault, run_case(service, point, fault));
}

/* Every point with every fault in every service; or in one service, by turns, killed and failing.
 */
int main(int argc, char **argv)
{
    bool all = argc == 2 && strcmp(argv[1], "--all") == 0;
    if ((argc > 1 && !all) || !stack_attach() || !map_controls()) {
        fprintf(stderr, "usage: crash [--all], on a stack that tests/run crash has made\n");
        return 2;
    }
    for (size_t point = 0; point < FAILPOINT_COUNT; point++) {
        for (size_t service = 0; service < SERVICES; service++) {
            bool its_turn = !has((enum service)(point % SERVICES), (enum failpoint)point)
                                ? service == ORDER_SVC
                                : point % SERVICES == service;
            if (!has((enum service)service, (enum failpoint)point) || (!all && !its_turn))
                continue;
            run((enum service)service, (enum failpoint)point, FAILPOINT_KILL);
            run((enum service)service, (enum failpoint)point, FAILPOINT_ERROR);
            if (all)
                run((enum service)service, (enum failpoint)point, FAILPOINT_PAUSE);
        }
    }
    printf("crash: %d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
