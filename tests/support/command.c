/* command.c: runs a program and takes what it prints. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

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

static char *read_all(int fd)
{
    size_t len = 0, size = 4096;
    char *text = malloc(size);

    for (;;) {
        if (text == NULL)
            abort();
        ssize_t n = read(fd, text + len, size - len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
        if (size - len < 2)
            text = realloc(text, size *= 2);
    }
    text[len] = '\0';
    return text;
}

int command_run(const char *directory, const char *const *argv, char **ret_output)
{
    int ends[2], status;

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
    char *output = read_all(ends[0]);
    close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (ret_output != NULL)
        *ret_output = output;
    else
        free(output);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
