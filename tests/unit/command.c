/* command.c: a command that tests run has its output taken, whole, until it ends. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/command.h"

static int shell(const char *script, char **ret_output)
{
    return command_run("/", (const char *const[]){"sh", "-c", script, NULL}, ret_output);
}

Test(command, output_and_status)
{
    char *output = NULL;
    cr_assert_eq(shell("seq 100000; exit 3", &output), 3);
    cr_assert_eq(strlen(output), 588895);
    cr_assert_str_eq(output + 588895 - 13, "99999\n100000\n");
    free(output);
    cr_assert_eq(shell("kill -9 $$", &output), -1);
    cr_assert_str_empty(output);
    free(output);
    cr_assert_eq(shell("sleep 0.3; echo late", &output), 0);
    cr_assert_str_eq(output, "late\n");
    free(output);
}

/* As a client of Docker whose caller was killed. */
Test(command, what_it_leaves_running_is_not_waited_for)
{
    char *output = NULL;
    int64_t began_us = clock_us();
    cr_assert_eq(shell("sleep 5 & echo $!; exit 7", &output), 7);
    cr_assert_lt(clock_us() - began_us, 3000000);
    char kill[64];
    snprintf(kill, sizeof kill, "kill %d", atoi(output));
    cr_assert_eq(shell(kill, NULL), 0, "%s", output);
    free(output);
}
