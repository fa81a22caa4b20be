/* command.c: runs a program and takes what it prints. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 100 /* at a process that says nothing */

static _Noreturn void become(const char *directory, const char *const *argv, int out)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (chdir(directory) != 0 || dup2(out, 1) < 0)
        _exit(127);
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

/* Until the end, or until the process has ended and no more is there: what it has started may have
 * its output still, and go on. */
static char *read_all(int fd, pid_t pid, int *ret_status)
{
    size_t len = 0, size = 4096;
    char *text = malloc(size);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    bool ended = false;

    for (;;) {
        if (text == NULL)
            abort();
        if (poll(&ready, 1, ended ? 0 : LOOK_MS) <= 0) {
            if (ended)
                break;
            ended = waitpid(pid, ret_status, WNOHANG) == pid;
            continue;
        }
        ssize_t n = read(fd, text + len, size - len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
        if (size - len < 2)
            text = realloc(text, size *= 2);
    }
    while (!ended && waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
        ;
    text[len] = '\0';
    return text;
}

int command_run(const char *directory, const char *const *argv, char **ret_output)
{
    int ends[2], status = -1;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        become(directory, argv, ret_output == NULL ? 2 : ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return -1;
    }
    char *output = read_all(ends[0], pid, &status);
    close(ends[0]);
    if (ret_output != NULL)
        *ret_output = output;
    else
        free(output);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
