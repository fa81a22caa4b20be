/*
 * faults_clock.c: a service whose clock jumps by an hour, both ways; under load, while the auditor
 * looks. Deadlines may come early or late; nothing is lost or done twice.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/clock.h"
#include "support/db.h"
#include "support/groups.h"
#include "support/harm.h"
#include "support/stack.h"

static char file[256];
static pid_t strayed; /* the process with a clock of its own */

/* The library reads its file once a second. */
static void clock_is(const char *offset)
{
    char new[300];
    snprintf(new, sizeof new, "%s.new", file);
    FILE *out = fopen(new, "we");
    cr_assert_not_null(out);
    fprintf(out, "%s\n", offset);
    cr_assert_eq(fclose(out), 0);
    cr_assert_eq(rename(new, file), 0);
}

static void begin(void)
{
    /* Goes with the stack, whatever becomes of this process. */
    snprintf(file, sizeof file, "%s/log/clock", getenv("SAGA_STATE_DIR"));
    clock_is("+0");
    harm_attach();
}

/* What libfaketime shares between processes stays behind one that is killed. */
static void forget_shared(void)
{
    char name[32];

    snprintf(name, sizeof name, "/faketime_shm_%d", (int)strayed);
    shm_unlink(name);
    snprintf(name, sizeof name, "/faketime_sem_%d", (int)strayed);
    sem_unlink(name);
}

static void end(void)
{
    stack_signal("payment-svc", SIGCONT);
    unlink(file);
    forget_shared();
}

TestSuite(faults_clock, .init = begin, .fini = end, .timeout = 300);

/* Among the newest events of the service are some of another hour. */
static bool says(enum db db, const char *when)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM outbox WHERE created_at %s interval '50 min'",
             when);
    return db_int(db, sql, NULL) > 0;
}

/* Its dead member of the group is not waited for. */
static void restart(const char *service, const char *setting)
{
    cr_assert(stack_kill(service));
    cr_assert(groups_forget(stack_address("KAFKA_BOOTSTRAP"), service));
    cr_assert(stack_up(service, setting));
}

static void give_clock(const char *service)
{
    char setting[PATH_MAX + 64];
    struct stack_part part;

    snprintf(setting, sizeof setting, "SAGA_TEST_ENTER=%s/tests/support/own-clock", stack_root());
    setenv("SAGA_TEST_CLOCK", file, 1);
    restart(service, setting);
    cr_assert(stack_part(service, &part));
    strayed = part.pid;
}

static void take_clock(const char *service)
{
    restart(service, NULL);
    forget_shared();
}

static void jump(enum db db, const char *offset, const char *when, struct traffic *traffic)
{
    clock_is(offset);
    cr_assert(CLOCK_UNTIL(20, says(db, when)), "%s: its clock does not jump", db_name(db));
    harm_wait_accepted(traffic);
}

/* Of an order's facts. */
#define CANCELLED "facts & 1024 > 0"
#define OVERDUE "facts & 262144 > 0"

static int64_t overdue(const char *and)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM orders WHERE " OVERDUE " AND %s", and);
    return db_int(DB_ORDER, sql, NULL);
}

/* It says when an order is overdue: one that is on its way when the clock jumps is called off, long
 * before its time, and that is all that happens to it. */
Test(faults_clock, of_order_svc_jumps_an_hour_both_ways)
{
    struct traffic *traffic = harm_begin();
    give_clock("order-svc");
    harm_wait_accepted(traffic);
    int64_t early = overdue("deadline_at > now() + interval '5 min'");
    cr_assert(stack_signal("payment-svc", SIGSTOP));
    harm_wait_accepted(traffic);
    clock_is("+3600");
    cr_assert(CLOCK_UNTIL(20, overdue("deadline_at > now() + interval '5 min'"
                                      " AND deadline_at < now() + interval '15 min'") > early),
              "no order is overdue an hour early");
    cr_assert(stack_signal("payment-svc", SIGCONT));
    jump(DB_ORDER, "+3600", "> now() +", traffic);
    jump(DB_ORDER, "-3600", "< now() -", traffic);
    clock_is("+0");
    harm_wait_accepted(traffic);
    take_clock("order-svc");
    harm_wait_accepted(traffic);
    harm_end(traffic);
    cr_assert_gt(overdue(CANCELLED), 0);
    cr_assert_eq(overdue("NOT " CANCELLED " AND facts & 16 = 0"), 0, "neither here nor there");
}

/* The others have no deadlines: a clock tells them what to write down, and when their outbox is old
 * enough to go. One after the other, so that the rest are of another time. */
Test(faults_clock, of_each_other_service_jumps_an_hour_both_ways)
{
    static const struct {
        enum db db;
        const char *service;
    } others[] = {{DB_PAYMENT, "payment-svc"},
                  {DB_INVENTORY, "inventory-svc"},
                  {DB_SHIPPING, "shipping-svc"}};
    struct traffic *traffic = harm_begin();
    int64_t before = overdue("true");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        give_clock(others[i].service);
        harm_wait_accepted(traffic);
        jump(others[i].db, "+3600", "> now() +", traffic);
        jump(others[i].db, "-3600", "< now() -", traffic);
        clock_is("+0");
        harm_wait_accepted(traffic);
        take_clock(others[i].service);
        harm_wait_accepted(traffic);
    }
    harm_end(traffic);
    cr_assert_eq(overdue("true"), before, "another's clock is no deadline");
}
