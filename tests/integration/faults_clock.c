/*
 * faults_clock.c: a service whose clock jumps by an hour, both ways; under load, while the auditor
 * looks. Deadlines may come early or late; nothing is lost or done twice.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/clock.h"
#include "support/db.h"
#include "support/harm.h"
#include "support/stack.h"

/* $LIB is the dynamic loader's: the folder of this machine's libraries. */
#define PRELOAD "LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1"

static char file[256];

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
    setenv("FAKETIME_TIMESTAMP_FILE", file, 1);
    setenv("FAKETIME_CACHE_DURATION", "1", 1);
    setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1", 1);
    /* Else waits by the monotonic clock are over at once, and threads spin. */
    setenv("FAKETIME_FORCE_MONOTONIC_FIX", "0", 1);
    clock_is("+0");
    harm_attach();
}

static void end(void)
{
    unlink(file);
}

TestSuite(faults_clock, .init = begin, .fini = end, .timeout = 300);

/* It says when an order is overdue. */
Test(faults_clock, of_order_svc_jumps_an_hour_both_ways)
{
    struct traffic *traffic = harm_begin();
    cr_assert(stack_restart("order-svc", PRELOAD));
    harm_wait_accepted(traffic);
    clock_is("+3600");
    cr_assert(CLOCK_UNTIL(
        20,
        db_int(DB_ORDER, "SELECT count(*) FROM orders WHERE created_at > now() + interval '50 min'",
               NULL) > 0));
    harm_wait_accepted(traffic);
    clock_is("-3600");
    cr_assert(CLOCK_UNTIL(
        20,
        db_int(DB_ORDER, "SELECT count(*) FROM orders WHERE created_at < now() - interval '50 min'",
               NULL) > 0));
    harm_wait_accepted(traffic);
    clock_is("+0");
    harm_wait_accepted(traffic);
    cr_assert(stack_restart("order-svc", NULL));
    harm_wait_accepted(traffic);
    harm_end(traffic);
}
