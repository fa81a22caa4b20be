/* family.c: the processes of a part that deploy/ has started as one. */
#include "family.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/clock.h"
#include "support/stack.h"

#define LOOKS_MAX 10
#define GONE_S 10

ino_t family_namespace(pid_t pid, const char *kind)
{
    char path[64];
    struct stat status;

    snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, kind);
    return stat(path, &status) == 0 ? status.st_ino : 0;
}

pid_t family_head(enum part part)
{
    char path[256];
    long long born;
    int pid;

    snprintf(path, sizeof path, "%s/run/%s", stack_address("SAGA_STATE_DIR"), part_names[part]);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    /* Numbers are used again: the birth tells. */
    bool good = fscanf(file, "%d %lld", &pid, &born) == 2 && born != 0;
    fclose(file);
    return good && site_process_born(pid) == born ? pid : 0;
}

/* The head first, then all others there. */
static size_t look(ino_t mounts, pid_t head, pid_t ret[FAMILY_MAX])
{
    size_t count = 0;
    DIR *folder = opendir("/proc");

    ret[count++] = head;
    for (const struct dirent *entry;
         folder != NULL && (entry = readdir(folder)) != NULL && count < FAMILY_MAX;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 1 && pid != head && family_namespace(pid, "mnt") == mounts)
            ret[count++] = pid;
    }
    if (folder != NULL)
        closedir(folder);
    return count;
}

size_t family_of(pid_t head, pid_t ret[FAMILY_MAX])
{
    ino_t mounts = family_namespace(head, "mnt");

    if (mounts != 0 && mounts != family_namespace(getpid(), "mnt"))
        return look(mounts, head, ret);
    ret[0] = head;
    return 1;
}

void family_end_ours(void)
{
    pid_t pids[FAMILY_MAX];
    size_t count = look(family_namespace(getpid(), "mnt"), getpid(), pids);

    for (size_t i = 1; i < count; i++) {
        if (pids[i] != getppid())
            kill(pids[i], SIGKILL);
    }
}

/* Until a look finds no new one. */
void family_signal(enum part part, int number)
{
    pid_t pids[FAMILY_MAX], head = family_head(part);
    size_t before = 0;

    for (int looks = 0; head != 0 && looks < LOOKS_MAX; looks++) {
        size_t count = family_of(head, pids);
        for (size_t i = 0; i < count; i++)
            kill(pids[i], number);
        if (count == before)
            break;
        before = count;
    }
}

static bool all_gone(const pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!stack_gone(pids[i]))
            return false;
    }
    return true;
}

/* They stand still first: so none is born, and PostgreSQL does not begin to tidy up when the first
 * of its children is gone. */
bool family_kill(enum part part)
{
    pid_t pids[FAMILY_MAX], head = family_head(part);

    if (head == 0)
        return true;
    family_signal(part, SIGSTOP);
    size_t count = family_of(head, pids);
    for (size_t i = 0; i < count; i++)
        kill(pids[i], SIGKILL);
    if (CLOCK_UNTIL(GONE_S, all_gone(pids, count)))
        return true;
    fprintf(stderr, "%s does not die\n", part_names[part]);
    return false;
}
