/* memory.c: the memory of a part's control group. */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST "/sys/fs/cgroup/memory"
#define SECOND "/sys/fs/cgroup"
#define LIMIT_MAX (4LL << 30) /* more is as good as none: it would be taken from the machine */
#define CHUNK (256 * 1024)
#define SQUEEZE_S 10

bool memory_refuses_less(void)
{
    return access(FIRST "/memory.limit_in_bytes", F_OK) == 0;
}

/* The folder of the group's files. */
static bool group_of(pid_t pid, char ret[PATH_MAX])
{
    char path[40], line[PATH_MAX];
    const char *start = memory_refuses_less() ? ":memory:" : "0::";
    bool found = false;

    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const char *name = strstr(line, start);
        if (name == NULL)
            continue;
        name += strlen(start);
        found = strlen(name) > 1 &&
                snprintf(ret, PATH_MAX, "%s%s", memory_refuses_less() ? FIRST : SECOND, name) <
                    PATH_MAX;
    }
    if (file != NULL)
        fclose(file);
    return found;
}

/* A file of the group as a number; -1: there is none in it. */
static long long read_number(const char *group, const char *name)
{
    char path[PATH_MAX + 40];
    long long value = -1;

    snprintf(path, sizeof path, "%s/%s", group, name);
    FILE *file = fopen(path, "re");
    if (file != NULL && fscanf(file, "%lld", &value) != 1)
        value = -1;
    if (file != NULL)
        fclose(file);
    return value;
}

long long memory_used(pid_t pid)
{
    char group[PATH_MAX];

    return group_of(pid, group) ? read_number(group, memory_refuses_less() ? "memory.usage_in_bytes"
                                                                           : "memory.current")
                                : -1;
}

static long long limit_of(const char *group)
{
    return read_number(group, memory_refuses_less() ? "memory.limit_in_bytes" : "memory.max");
}

/* How often the kernel had to end a process of this machine for want of memory. */
static long long ended(int vmstat)
{
    char text[16384];
    ssize_t n = pread(vmstat, text, sizeof text - 1, 0);

    text[n < 0 ? 0 : n] = '\0';
    const char *found = strstr(text, "\noom_kill ");
    return found == NULL ? -1 : strtoll(found + 10, NULL, 10);
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return good;
}

/* In a child: nothing but system calls. */
static _Noreturn void take(const char *procs, int vmstat, long long most)
{
    static const char zeros[CHUNK];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(SQUEEZE_S);
    long long before = ended(vmstat);
    /* A file in memory that is mapped nowhere: so this one stays small, and is not the one to go.
     */
    int file = memfd_create("taken", MFD_CLOEXEC);
    if (before < 0 || file < 0 || !write_text(procs, "0"))
        _exit(1);
    while (most > 0 && ended(vmstat) == before && write(file, zeros, sizeof zeros) > 0)
        most -= CHUNK;
    _exit(0);
}

int memory_squeeze(pid_t pid)
{
    char group[PATH_MAX], procs[PATH_MAX + 40];
    int status;

    long long limit = group_of(pid, group) ? limit_of(group) : -1;
    if (limit <= 0 || limit > LIMIT_MAX) {
        fprintf(stderr, "process %d is not in a group with a limit of memory\n", (int)pid);
        return -1;
    }
    snprintf(procs, sizeof procs, "%s/cgroup.procs", group);
    int vmstat = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
    long long before = ended(vmstat);
    pid_t child = vmstat < 0 ? -1 : fork();
    if (child == 0)
        take(procs, vmstat, limit + CHUNK);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    long long after = ended(vmstat);
    if (vmstat >= 0)
        close(vmstat);
    if (child < 0 || (WIFEXITED(status) && WEXITSTATUS(status) != 0)) {
        fprintf(stderr, "the memory of process %d could not be taken\n", (int)pid);
        return -1;
    }
    /* If nobody else was left, it was itself. */
    return (int)(after - before) - (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
