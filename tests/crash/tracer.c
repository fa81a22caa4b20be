/* tracer.c: by ptrace, from a process of its own; when that ends, the traced one runs on. */
#include "crash/tracer.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/clock.h"

#define ATTACH_S 5
#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE)
#define SYSCALL_STOP (SIGTRAP | 0x80)

enum state { ATTACHING, ATTACHED, KILLED, REFUSED };

/* Shared with the process that traces. */
struct tracer {
    pid_t pid, traced;
    int nth;
    atomic_int state, calls, call; /* call: an index of counted, and one */
};

/* Those whose first argument is the socket. */
static const struct {
    long number;
    const char *name;
} counted[TRACER_CALLS_MAX] = {
    {SYS_read, "read"},         {SYS_readv, "readv"},       {SYS_recvfrom, "recvfrom"},
    {SYS_recvmsg, "recvmsg"},   {SYS_write, "write"},       {SYS_writev, "writev"},
    {SYS_sendto, "sendto"},     {SYS_sendmsg, "sendmsg"},   {SYS_sendmmsg, "sendmmsg"},
    {SYS_sendfile, "sendfile"}, {SYS_connect, "connect"},   {SYS_accept, "accept"},
    {SYS_accept4, "accept4"},   {SYS_shutdown, "shutdown"}, {SYS_close, "close"},
};

static bool is_socket(pid_t pid, uint64_t fd)
{
    char path[64], to[16];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, (int)fd);
    ssize_t len = readlink(path, to, sizeof to);
    return len > 7 && memcmp(to, "socket:", 7) == 0;
}

/* A thread of the traced process is about to make a system call, or has made it. */
static void at_call(struct tracer *tracer, pid_t thread)
{
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0 ||
        info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return;
    for (size_t i = 0; i < TRACER_CALLS_MAX && counted[i].name != NULL; i++) {
        if ((long)info.entry.nr != counted[i].number ||
            !is_socket(tracer->traced, info.entry.args[0]))
            continue;
        if (++tracer->calls != tracer->nth)
            return;
        tracer->call = (int)i + 1;
        kill(tracer->traced, SIGKILL);
    }
}

static void go_on(struct tracer *tracer, pid_t thread, int status)
{
    int signal = WSTOPSIG(status), event = status >> 16;
    if (signal == SYSCALL_STOP)
        at_call(tracer, thread);
    bool stopped_by_signal = event == PTRACE_EVENT_STOP && signal != SIGTRAP;
    bool is_signal = event == 0 && signal != SYSCALL_STOP;
    ptrace(stopped_by_signal ? PTRACE_LISTEN : PTRACE_SYSCALL, thread, NULL,
           is_signal ? (long)signal : 0L);
}

/* How many threads were not traced before; one that they make is traced with them. */
static int seize_threads(pid_t pid)
{
    char path[32];
    int seized = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (const struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        pid_t thread = (pid_t)atoi(task->d_name);
        if (thread <= 0 || ptrace(PTRACE_SEIZE, thread, NULL, (long)OPTIONS) != 0)
            continue;
        ptrace(PTRACE_INTERRUPT, thread, NULL, NULL);
        seized++;
    }
    if (tasks != NULL)
        closedir(tasks);
    return seized;
}

static _Noreturn void trace(struct tracer *tracer, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || seize_threads(tracer->traced) == 0) {
        tracer->state = REFUSED;
        _exit(1);
    }
    while (seize_threads(tracer->traced) > 0)
        ;
    tracer->state = ATTACHED;
    for (int status;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0 && errno == EINTR)
            continue;
        if (thread < 0)
            _exit(0);
        if (WIFSTOPPED(status))
            go_on(tracer, thread, status);
        else if (thread == tracer->traced && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
                 tracer->call > 0)
            tracer->state = KILLED;
    }
}

struct tracer *tracer_begin(pid_t pid, int nth)
{
    pid_t parent = getpid();
    struct tracer *tracer =
        mmap(NULL, sizeof *tracer, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tracer == MAP_FAILED)
        abort();
    tracer->traced = pid;
    tracer->nth = nth;
    pid_t child = fork();
    if (child == 0)
        trace(tracer, parent);
    tracer->pid = child; /* not by the child, which shares it and knows itself as 0 */
    if (tracer->pid > 0 && CLOCK_UNTIL(ATTACH_S, tracer->state != ATTACHING) &&
        tracer->state != REFUSED)
        return tracer;
    fprintf(stderr, "process %d cannot be traced (kernel.yama.ptrace_scope?)\n", (int)pid);
    tracer_end(tracer);
    return NULL;
}

bool tracer_killed(const struct tracer *tracer)
{
    return tracer->state == KILLED;
}

int tracer_calls(const struct tracer *tracer)
{
    return tracer->calls;
}

const char *tracer_call(const struct tracer *tracer)
{
    return tracer->call > 0 ? counted[tracer->call - 1].name : NULL;
}

void tracer_end(struct tracer *tracer)
{
    if (tracer->pid > 0) {
        kill(tracer->pid, SIGKILL);
        waitpid(tracer->pid, NULL, 0);
    }
    munmap(tracer, sizeof *tracer);
}
