/* fire.c: each failpoint needs its own occasion; see fire.h. */
#include "crash/fire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/broker.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/metric.h"
#include "support/orders.h"
#include "support/program.h"
#include "support/stack.h"
#include "support/promised.h"

#define PROCESSES_MAX 256
#define SOME_LETTERS 3
#define MEND_TRIES 10
#define MEND_S 5

const char *const services[SERVICES] = {"order-svc", "payment-svc", "inventory-svc",
                                        "shipping-svc"};

/* What each says for every order that goes well; where its rows are, and which of them are not
 * written for an event. */
static const struct {
    enum db db;
    const char *event, *table, *but, *address;
} traits[SERVICES] = {{DB_ORDER, "order.created", "orders", "facts = 1", "ORDER_API"},
                      {DB_PAYMENT, "payment.done", "payment", "false", "PAYMENT_OPS"},
                      {DB_INVENTORY, "inventory.reserved", "reservation", "false", "INVENTORY_API"},
                      {DB_SHIPPING, "order.shipped", "parcel", "false", "SHIPPING_OPS"}};

static struct failpoint_control *controls[SERVICES];

bool fire_attach(void)
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

const struct failpoint_control *fire_control(enum service service)
{
    return controls[service];
}

/* Only order-svc has timers and keys, and customers at its door. */
bool fire_can(enum service service, enum failpoint point)
{
    return service == ORDER_SVC ||
           (point != FAILPOINT_timers_taken && point != FAILPOINT_door_received &&
            point != FAILPOINT_door_answering && point != FAILPOINT_key_unrecalled &&
            point != FAILPOINT_key_unremembered && point != FAILPOINT_keys_unexpired);
}

static void arm(enum service service, enum failpoint point, enum fault fault, int nth)
{
    struct failpoint_control *control = controls[service];
    control->fired = 0;
    control->next = 0;
    control->passed[point] = 0;
    control->fault = (int)fault;
    control->countdown = nth;
    control->armed = (int)point + 1;
}

static bool has_fired(enum service service)
{
    return CLOCK_UNTIL(FIRE_S, controls[service]->fired > 0);
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

/* ---- PostgreSQL goes down ---- */

/* Halts the server and all that it has started, the first one first, so that it starts no more. */
static size_t halt_server(pid_t postmaster, pid_t ret_pids[PROCESSES_MAX])
{
    char path[64];
    size_t count = 0;
    if (kill(postmaster, SIGSTOP) != 0)
        return 0;
    ret_pids[count++] = postmaster;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)postmaster, (int)postmaster);
    FILE *children = fopen(path, "re");
    for (int pid; children != NULL && count < PROCESSES_MAX && fscanf(children, "%d", &pid) == 1;)
        if (kill(pid, SIGSTOP) == 0)
            ret_pids[count++] = pid;
    if (children != NULL)
        fclose(children);
    return count;
}

static bool kill_server(pid_t postmaster)
{
    pid_t pids[PROCESSES_MAX];
    size_t count = halt_server(postmaster, pids);
    for (size_t i = 0; i < count; i++)
        kill(pids[i], SIGKILL);
    return count > 1 && CLOCK_UNTIL(FIRE_S, is_gone(pids[0]));
}

static bool administer(const char *sql)
{
    char command[200];
    snprintf(command, sizeof command, "psql -Xq \"$ADMIN_DB\" -c \"%s\" >&2", sql);
    return command_run(stack_root(), (const char *const[]){"sh", "-c", command, NULL}, NULL) == 0;
}

/* A COMMIT waits, done and on the disk, for a standby that is none: its answer does not leave. When
 * the server is back it knows nothing of that standby. */
static bool is_done_unanswered(enum service service)
{
    bool waits = administer("ALTER SYSTEM SET synchronous_standby_names = 'nobody'") &&
                 administer("SELECT pg_reload_conf()") &&
                 CLOCK_UNTIL(FIRE_S, db_int(traits[service].db,
                                            "SELECT count(*) FROM pg_stat_activity WHERE"
                                            " wait_event = 'SyncRep' AND application_name = $1",
                                            services[service]) > 0);
    bool reset = administer("ALTER SYSTEM RESET synchronous_standby_names");
    if (!waits)
        administer("SELECT pg_reload_conf()");
    return waits && reset;
}

/* The service has sent its rows, and waits two seconds before it sends COMMIT. */
static bool is_unsent(enum service service)
{
    arm(service, FAILPOINT_batch_flushed, PAUSE, 2);
    return has_fired(service);
}

/* What the service finds out when the server is back; that is what proves that it was in doubt.
 * Again, if it had nothing to say in that transaction: then there is nothing to doubt. */
static bool fire_server(enum service service, enum fault fault)
{
    const char *finding = fault == COMMIT_DONE ? "a commit in doubt had happened"
                                               : "a commit in doubt had not happened";
    struct stack_part server;
    bool found = false;
    controls[service]->fired = controls[service]->passed[FAILPOINT_commit_unanswered] = 0;
    for (int tries = 0; tries < 5 && !found; tries++) {
        int64_t before = stack_log_count(services[service], finding);
        if (!stack_part("postgres", &server) || server.pid <= 1 ||
            !(fault == COMMIT_DONE ? is_done_unanswered(service) : is_unsent(service)) ||
            !kill_server(server.pid) || !stack_up("postgres", NULL))
            return false;
        found = CLOCK_UNTIL(FIRE_S / 2, stack_log_count(services[service], finding) > before);
    }
    controls[service]->fired = found;
    return found;
}

/* ---- occasions ---- */

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

/* An order whose last word is the service's: after that it has nothing to do. */
static void order_for(enum service service)
{
    static unsigned number;
    char headers[80];
    const char *sku = service == INVENTORY_SVC ? "SKU-SOLD-OUT" : NULL;
    const char *method = service == PAYMENT_SVC ? "pm_card_declined" : NULL;
    snprintf(headers, sizeof headers, "Idempotency-Key: idle-%d-%u\r\n", (int)getpid(), number++);
    struct order_answer answer = order_send(order_body(method, sku, NULL), headers);
    order_answer_free(&answer);
}

/* Without load; under load a cursor goes along with the next batch. */
static bool fire_idle(enum service service, enum failpoint point, enum fault fault,
                      struct traffic **traffic)
{
    bool ended = traffic_end(*traffic, FIRE_ANSWERS_S), fired = false;
    arm(service, point, fault, 1);
    for (int i = 0; i < FIRE_S && !fired; i++) {
        order_for(service);
        fired = CLOCK_UNTIL(1, controls[service]->fired > 0);
    }
    const char *wrong = ended ? promised_wrong_traffic(*traffic) : "orders without an answer";
    if (wrong != NULL)
        printf("    %s\n", wrong);
    traffic_free(*traffic);
    *traffic = traffic_begin(FIRE_RATE);
    return fired && wrong == NULL;
}

static int64_t letters(enum service service)
{
    return db_int(traits[service].db, "SELECT count(*) FROM dead_letter WHERE state < 3", NULL);
}

static bool redrive(enum service service)
{
    char *output = program_run(services[service], "dead-letters redrive --all");
    free(output);
    return output != NULL;
}

/* The database takes no row of one order in sixteen, for a while. */
static void forbid_rows(enum service service)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "ALTER TABLE %s ADD CONSTRAINT not_for_now"
             " CHECK (right(order_id::text, 1) <> '7' OR %s) NOT VALID",
             traits[service].table, traits[service].but);
    db_run(traits[service].db, sql);
}

static void allow_rows(enum service service)
{
    char sql[200];
    snprintf(sql, sizeof sql, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS not_for_now",
             traits[service].table);
    db_run(traits[service].db, sql);
}

/* Letters that can be redriven by now. */
static bool fire_redriving(enum service service, enum failpoint point, enum fault fault)
{
    forbid_rows(service);
    bool parked = CLOCK_UNTIL(FIRE_S, letters(service) >= SOME_LETTERS);
    allow_rows(service);
    arm(service, point, fault, 1);
    return parked && redrive(service) && has_fired(service);
}

/* The broker takes none of the service's events, for a while. */
static bool forbid_records(enum service service, bool forbid)
{
    return broker_set_topic(stack_address("KAFKA_BOOTSTRAP"), traits[service].event,
                            "max.message.bytes", forbid ? "100" : NULL);
}

static bool fire_refusing(enum service service, enum failpoint point, enum fault fault)
{
    arm(service, point, fault, 1);
    return forbid_records(service, true) && has_fired(service);
}

static bool fire_saying_again(enum service service, enum failpoint point, enum fault fault)
{
    bool parked =
        forbid_records(service, true) && CLOCK_UNTIL(FIRE_S, letters(service) >= SOME_LETTERS);
    if (!forbid_records(service, false) || !parked)
        return false;
    arm(service, point, fault, 1);
    return redrive(service) && has_fired(service);
}

/* Another instance says events, and dies before they are acknowledged. */
static bool leave_lane(enum service service)
{
    pid_t second = stack_second(services[service], stack_free_port());
    bool both = second > 0 && CLOCK_UNTIL(FIRE_S, db_int(traits[service].db,
                                                         "SELECT count(DISTINCT lane) FROM outbox"
                                                         " WHERE created_at > now() - '0.2 s'"
                                                         "::interval",
                                                         NULL) > 1);
    if (second > 0) {
        kill(second, SIGKILL);
        waitpid(second, NULL, 0);
    }
    return both;
}

/* Again, if all was acknowledged and its cursor written when it died. */
static bool fire_inheriting(enum service service, enum failpoint point, enum fault fault)
{
    for (int tries = 0; tries < 5; tries++) {
        arm(service, point, fault, 1);
        if (!leave_lane(service))
            return false;
        if (CLOCK_UNTIL(FIRE_S / 2, controls[service]->fired > 0))
            return true;
    }
    return false;
}

/* Another instance comes, is to have some of the partitions, and ends as it should. */
static bool fire_rebalancing(enum service service, enum failpoint point, enum fault fault)
{
    int status = -1;
    arm(service, point, fault, 1);
    pid_t second = stack_second(services[service], stack_free_port());
    bool fired = second > 0 && has_fired(service);
    if (second > 0 && kill(second, SIGTERM) == 0)
        waitpid(second, &status, 0);
    return fired && status == 0;
}

/* Orders that do not get on are due. */
static bool fire_due(enum service service, enum failpoint point, enum fault fault)
{
    arm(service, point, fault, 2);
    stack_signal("shipping-svc", SIGSTOP);
    bool fired = has_fired(service);
    stack_signal("shipping-svc", SIGCONT);
    return fired;
}

/* It is told to end. */
static bool fire_ending(enum service service, enum failpoint point, enum fault fault)
{
    arm(service, point, fault, 1);
    return terminate(services[service]) && controls[service]->fired > 0;
}

/* Somebody looks at its metrics, some of which the database knows. */
static bool fire_reading(enum service service, enum failpoint point, enum fault fault)
{
    arm(service, point, fault, 1);
    return CLOCK_UNTIL(FIRE_S, ({
                           (void)metric_of(stack_address(traits[service].address), "build_info");
                           controls[service]->fired > 0;
                       }));
}

/* A command of its program, beside it; run again, it does what it should. */
static bool fire_command(enum service service, enum failpoint point, enum fault fault,
                         const char *arguments)
{
    arm(service, point, fault, 1);
    char *cut_off = program_run(services[service], arguments);
    bool as_told = (cut_off != NULL) == (fault == PAUSE), fired = has_fired(service);
    char *again = program_run(services[service], arguments);
    bool good = as_told && fired && again != NULL;
    free(cut_off);
    free(again);
    return good;
}

static bool fire_republishing(enum service service, enum failpoint point, enum fault fault)
{
    char arguments[64];
    snprintf(arguments, sizeof arguments, "republish %s", traits[service].event);
    return fire_command(service, point, fault, arguments);
}

bool fire(enum service service, enum failpoint point, enum fault fault, struct traffic **traffic)
{
    if (fault > FAIL)
        return fire_server(service, fault);
    switch (point) {
    case FAILPOINT_start_connected:
    case FAILPOINT_start_lane_taken:
    case FAILPOINT_partitions_unread:
        return fire_starting(service, point, fault);
    case FAILPOINT_cursor_unwritten:
        return fire_idle(service, point, fault, traffic);
    case FAILPOINT_timers_taken:
        return fire_due(service, point, fault);
    case FAILPOINT_letters_taken:
        return fire_redriving(service, point, fault);
    case FAILPOINT_refused_unparked:
        return fire_refusing(service, point, fault);
    case FAILPOINT_refused_said:
        return fire_saying_again(service, point, fault);
    case FAILPOINT_lane_adopted:
    case FAILPOINT_lane_drained:
        return fire_inheriting(service, point, fault);
    case FAILPOINT_partitions_revoked:
        return fire_rebalancing(service, point, fault);
    case FAILPOINT_drain_begun:
    case FAILPOINT_drain_ended:
        return fire_ending(service, point, fault);
    case FAILPOINT_reads_unasked:
        return fire_reading(service, point, fault);
    case FAILPOINT_republish_said:
        return fire_republishing(service, point, fault);
    case FAILPOINT_tables_half_made:
        return fire_command(service, point, fault, "migrate");
    default:
        break;
    }
    if (leads_to(point) != FAILPOINT_COUNT)
        return fire_behind(service, leads_to(point), point, fault);
    bool rare = point == FAILPOINT_outbox_untruncated || point == FAILPOINT_keys_unexpired;
    arm(service, point, fault, rare ? 1 : 2);
    return has_fired(service);
}

bool fire_beside(enum failpoint point)
{
    return point == FAILPOINT_republish_said || point == FAILPOINT_tables_half_made;
}

bool fire_ends(enum failpoint point)
{
    return point == FAILPOINT_drain_begun || point == FAILPOINT_drain_ended;
}

bool fire_end(enum service service, enum failpoint point)
{
    controls[service]->armed = controls[service]->next = 0;
    return (point != FAILPOINT_refused_unparked && point != FAILPOINT_refused_said) ||
           forbid_records(service, false);
}

bool fire_parks(enum failpoint point)
{
    return point == FAILPOINT_letters_taken || point == FAILPOINT_refused_unparked ||
           point == FAILPOINT_refused_said;
}

int64_t fire_parked(enum service service)
{
    return db_int(traits[service].db, "SELECT count(*) FROM dead_letter", NULL);
}

/* An event that is refused is unsent, and then a letter: asked for in that order. */
static bool is_mended(enum service service)
{
    return db_int(traits[service].db,
                  "SELECT count(*) FROM outbox JOIN lane USING (lane) WHERE seq > acked",
                  NULL) == 0 &&
           letters(service) == 0;
}

bool fire_mend(enum service service)
{
    bool mended = is_mended(service);
    for (int tries = 0; tries < MEND_TRIES && !mended; tries++)
        mended = redrive(service) && CLOCK_UNTIL(MEND_S, is_mended(service));
    return mended;
}
