/* keeper.c: waits for the other end of a pipe to close, which it does however its owner ends. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int keeper_pipe = -1;
static pid_t keeper_pid;

static _Noreturn void keep(int fd, void (*take_away)(bool))
{
    char said = 0;
    ssize_t n;

    setsid();
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    /* Whoever read what its owner printed may be gone. */
    signal(SIGPIPE, SIG_IGN);
    do
        n = read(fd, &said, 1);
    while (n > 0 || (n < 0 && errno == EINTR));
    take_away(said == 'k');
    _exit(0);
}

bool keeper_begin(void (*take_away)(bool keep_logs))
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    fflush(NULL); /* what is still to be written is not written twice */
    keeper_pid = fork();
    if (keeper_pid == 0) {
        close(ends[1]);
        keep(ends[0], take_away);
    }
    close(ends[0]);
    keeper_pipe = ends[1];
    return keeper_pid > 0;
}

void keeper_end(bool keep_logs)
{
    if (keeper_pipe < 0)
        return;
    if (keep_logs && write(keeper_pipe, "k", 1) != 1)
        fprintf(stderr, "the logs will not be kept\n");
    close(keeper_pipe);
    keeper_pipe = -1;
    while (waitpid(keeper_pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
