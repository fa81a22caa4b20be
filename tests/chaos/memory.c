/* memory.c: the memory of a part's control group. */
#include "memory.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/clock.h"

#define FIRST "/sys/fs/cgroup/memory"
#define SECOND "/sys/fs/cgroup"
#define LIMIT_MAX (4LL << 30) /* more is as good as none: it would be taken from the machine */
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

/* How many processes of this machine the kernel had to end for want of memory; -1: it does not say.
 */
static long long ended(void)
{
    char line[128];
    long long count = -1;
    FILE *file = fopen("/proc/vmstat", "re");

    while (file != NULL && count < 0 && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "oom_kill ", 9) == 0)
            count = strtoll(line + 9, NULL, 10);
    }
    if (file != NULL)
        fclose(file);
    return count;
}

/* Small programs that write a file in memory from within the group. The file counts for the group,
 * and not for them, so that they are not what the kernel ends. */
static _Noreturn void take(int file, const char *procs, const char *most)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(file, 1) < 0)
        _exit(127);
    execlp("sh", "sh", "-c", "echo 0 >\"$1\" && exec head -c \"$2\" /dev/zero", "sh", procs, most,
           (char *)NULL);
    _exit(127);
}

int memory_squeeze(pid_t pid)
{
    char group[PATH_MAX], procs[PATH_MAX + 40], most[24];
    int status = 0;
    long long before = ended(), now = before;

    long long limit = group_of(pid, group) ? limit_of(group) : -1;
    if (limit <= 0 || limit > LIMIT_MAX || before < 0) {
        fprintf(stderr, "process %d is not in a group with a limit of memory\n", (int)pid);
        return -1;
    }
    snprintf(procs, sizeof procs, "%s/cgroup.procs", group);
    snprintf(most, sizeof most, "%lld", limit);
    int file = memfd_create("taken", MFD_CLOEXEC);
    pid_t child = file < 0 ? -1 : fork();
    if (child == 0)
        take(file, procs, most);
    /* When one has ended it stops at once: the next life of the part is in the same group. */
    bool gone = CLOCK_UNTIL(SQUEEZE_S, child < 0 || (now = ended()) != before ||
                                           waitpid(child, &status, WNOHANG) == child);
    bool itself = child < 0 || (gone && now == before);
    if (child > 0 && !itself) {
        kill(child, SIGKILL);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    }
    if (file >= 0)
        close(file);
    if (itself)
        fprintf(stderr, "the memory of process %d could not be taken\n", (int)pid);
    return itself ? -1 : (int)(now - before);
}
