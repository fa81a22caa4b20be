/* auditor.c: deploy/audit, as tests use it. */
#include "auditor.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "command.h"
#include "stack.h"

#define LATE_MAX 20
#define PAUSE_MS 300 /* between two looks: the load is to have the machine */

static pthread_t thread;
static atomic_bool resting;
static int looks, failures;
static char *broken; /* what the first broken look said */

void auditor_holds(int seconds)
{
    char text[16], *output = NULL;
    snprintf(text, sizeof text, "%d", seconds);
    int status = command_run(
        stack_root(), (const char *const[]){"deploy/audit", "--settled", "--wait", text, NULL},
        &output);
    cr_assert_eq(status, 0, "the auditor says (%d):\n%s", status, output ? output : "");
    free(output);
}

static void *watch(void *opaque)
{
    /* A test may be over before a server that was away could be looked at: then at least once. */
    for (int late = 0; !atomic_load(&resting) || (looks == 0 && broken == NULL && late < LATE_MAX);
         late += atomic_load(&resting)) {
        char *output = NULL;
        int status =
            command_run(stack_root(), (const char *const[]){"deploy/audit", NULL}, &output);
        looks += status == 0;
        failures += status != 0 && status != 1;
        if (status == 1 && broken == NULL)
            broken = output;
        else
            free(output);
        clock_pause_ms(PAUSE_MS);
    }
    return opaque;
}

void auditor_watch(void)
{
    atomic_store(&resting, false);
    looks = failures = 0;
    broken = NULL;
    cr_assert_eq(pthread_create(&thread, NULL, watch, NULL), 0);
}

void auditor_rest(void)
{
    atomic_store(&resting, true);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    fprintf(stderr, "audited %d times meanwhile, %d times a server was away\n", looks, failures);
    cr_assert_null(broken, "the auditor said:\n%s", broken);
    cr_assert_gt(looks, 0);
}
