/* audit_ends.c: an auditor that waits for a server is ended by who asks for it, also as the first
 * process of a container, and by itself when the server's host is no more. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/clock.h"
#include "support/command.h"
#include "support/stack.h"

#define SOON_S 10

static struct stack_part postgres;
static pid_t parent; /* of the auditor, which is process 1 of a namespace */

static void attach(void)
{
    cr_assert(stack_attach() && stack_part("postgres", &postgres));
    cr_assert_eq(kill(postgres.pid, SIGSTOP), 0); /* takes no more sessions */
    parent = fork();
    if (parent == 0) {
        if (chdir(stack_root()) == 0)
            execl("/usr/bin/unshare", "unshare", "--pid", "--fork", "--kill-child", "deploy/audit",
                  (char *)NULL);
        _exit(127);
    }
    cr_assert_gt(parent, 0);
}

static void detach(void)
{
    kill(postgres.pid, SIGCONT);
    if (parent > 0) {
        kill(parent, SIGKILL);
        waitpid(parent, NULL, 0);
    }
}

TestSuite(audit_ends, .init = attach, .fini = detach, .timeout = 60);

/* Its sockets to the server, as ss tells them; "": none yet. */
static char *sockets(void)
{
    static char *text;
    char command[120];
    free(text);
    text = NULL;
    snprintf(command, sizeof command, "ss -tnopH state established dport = :%d | grep '\"audit\"'",
             postgres.port);
    (void)command_run("/", (const char *const[]){"sh", "-c", command, NULL}, &text);
    return text;
}

Test(audit_ends, told_so_as_process_1)
{
    int status = 0;
    cr_assert(CLOCK_UNTIL(SOON_S, *sockets() != '\0'));
    char *pid = strstr(sockets(), "pid=");
    cr_assert_not_null(pid);
    cr_assert_eq(kill((pid_t)atoi(pid + 4), SIGTERM), 0);
    cr_assert(CLOCK_UNTIL(SOON_S, waitpid(parent, &status, WNOHANG) == parent));
    parent = 0;
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM, "%d", status);
}

/* Half a minute of silence, and not the two hours that the kernel would wait. */
Test(audit_ends, asks_a_server_that_says_nothing)
{
    double seconds = 0;
    cr_assert(CLOCK_UNTIL(SOON_S, strstr(sockets(), "timer:(keepalive,") != NULL));
    char *timer = strstr(sockets(), "timer:(keepalive,");
    cr_assert_not_null(timer);
    cr_assert_eq(sscanf(timer, "timer:(keepalive,%lfsec", &seconds), 1, "%s", timer);
    cr_assert_leq(seconds, 10, "%s", timer);
}
