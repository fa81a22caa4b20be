/*
 * faults_disk.c: the disk of PostgreSQL and Kafka is full under load, while the auditor looks. The
 * stack is its own, on a disk of its own.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/clock.h"
#include "support/command.h"
#include "support/harm.h"
#include "support/stack.h"

#define DISK_MIB 700
#define FULL_S 3

static char other[128]; /* somebody else's file */

static void begin(void)
{
    cr_assert(stack_begin_within(DISK_MIB));
    snprintf(other, sizeof other, "%s/other", getenv("SAGA_STATE_DIR"));
    harm_attach();
}

static void end(void)
{
    unlink(other);
    stack_end(false);
}

TestSuite(faults_disk, .init = begin, .fini = end, .timeout = 300);

/* Takes what is left. */
static void fill(void)
{
    static const char zeros[65536];
    int fd = open(other, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    cr_assert(fd >= 0);
    while (write(fd, zeros, sizeof zeros) > 0)
        ;
    close(fd);
}

static bool says_full(const char *part)
{
    return stack_log_count(part, "No space left on device") > 0;
}

/* It would delete what it cannot recover there: once it was all topics. */
static void expect_no_start(void)
{
    char *output = NULL;
    const char *const argv[] = {"sh", "-c", "exec deploy/up kafka 2>&1", NULL};
    cr_assert_eq(command_run(stack_root(), argv, &output), 1, "%s", output);
    cr_assert_not_null(strstr(output, "too little room"), "%s", output);
    free(output);
}

/* The servers refuse or stop, as they like; `up` brings back those that stopped. The services are
 * the same processes as before, and all that was accepted comes to its end. */
Test(faults_disk, is_full)
{
    static const char *const services[] = {"order-svc", "payment-svc", "inventory-svc",
                                           "shipping-svc"};
    struct stack_part before[4], after;
    struct traffic *traffic = harm_begin();
    for (size_t i = 0; i < 4; i++)
        cr_assert(stack_part(services[i], &before[i]));
    cr_assert(CLOCK_UNTIL(60, (fill(), says_full("postgres") && says_full("kafka"))));
    harm_last(FULL_S);
    cr_assert(CLOCK_UNTIL(60, (fill(), stack_part("kafka", &after) && after.pid == 0)));
    expect_no_start();
    cr_assert_eq(unlink(other), 0);
    cr_assert_eq(
        command_run(stack_root(), (const char *const[]){"deploy/up", "--no-order", NULL}, NULL), 0);
    for (size_t i = 0; i < 4; i++) {
        cr_assert(stack_part(services[i], &after));
        cr_assert_eq(after.pid, before[i].pid, "%s ended", services[i]);
    }
    harm_wait_accepted(traffic);
    harm_end(traffic);
}
