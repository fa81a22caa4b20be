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
enum { HOLDS, BROKEN, COULD_NOT_LOOK };

static pthread_t thread;
static atomic_bool resting;
static const char *const *command;
static atomic_int verdicts;
static int looks, away, last_looks; /* last: begun when the test was over */
static char complaint[4000];        /* the first */

void auditor_holds(int seconds)
{
    char text[16], *output = NULL;
    snprintf(text, sizeof text, "%d", seconds);
    int status = command_run(
        stack_root(), (const char *const[]){"deploy/audit", "--settled", "--wait", text, NULL},
        &output);
    cr_assert_eq(status, HOLDS, "the auditor says (%d):\n%s", status, output ? output : "");
    free(output);
}

static void look(void)
{
    char *output = NULL;
    const bool last = atomic_load(&resting);
    int status = command_run(stack_root(), command, &output);
    looks += status == HOLDS;
    last_looks += last && status == HOLDS;
    away += status == COULD_NOT_LOOK;
    if (status != HOLDS && status != COULD_NOT_LOOK && complaint[0] == '\0')
        snprintf(complaint, sizeof complaint, "%s (%d):\n%s",
                 status == BROKEN ? "the auditor said" : "the auditor failed", status,
                 output ? output : "");
    atomic_fetch_add(&verdicts, status != COULD_NOT_LOOK);
    free(output);
}

/* While the test goes on a server may be away all the time; when it is over, none is for long. */
static void *watch(void *opaque)
{
    for (int late = 0; complaint[0] == '\0' && last_looks == 0 && late < LATE_MAX;
         late += atomic_load(&resting)) {
        look();
        clock_pause_ms(PAUSE_MS);
    }
    return opaque;
}

void auditor_watch_by(const char *const *argv)
{
    atomic_store(&resting, false);
    command = argv;
    atomic_store(&verdicts, 0);
    looks = away = last_looks = 0;
    complaint[0] = '\0';
    cr_assert_eq(pthread_create(&thread, NULL, watch, NULL), 0);
}

void auditor_watch(void)
{
    static const char *const argv[] = {"deploy/audit", NULL};
    auditor_watch_by(argv);
}

const char *auditor_complaint(void)
{
    atomic_store(&resting, true);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    fprintf(stderr, "audited %d times meanwhile, %d times a server was away\n", looks, away);
    if (complaint[0] == '\0' && last_looks == 0)
        snprintf(complaint, sizeof complaint, "the auditor could not look, though all was over");
    return complaint[0] != '\0' ? complaint : NULL;
}

int auditor_verdicts(void)
{
    return atomic_load(&verdicts);
}

void auditor_rest(void)
{
    const char *why = auditor_complaint();
    cr_assert_null(why, "%s", why);
}
