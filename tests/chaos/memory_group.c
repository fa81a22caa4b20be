/* memory_group.c: a control group of memory for each part that is no container. */
#include "memory_group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 400
#define STEPS_MAX 60 /* by a tenth: from some MiB to some GiB */

static char groups[PATH_SIZE - 100]; /* "": there are none */
static bool is_first;                /* the first version of control groups */

static bool write_to(const char *folder, const char *name, const char *text)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int why = errno;
    if (fd >= 0)
        close(fd);
    errno = why;
    return good;
}

static void folder_of(enum part part, char ret[PATH_SIZE])
{
    snprintf(ret, PATH_SIZE, "%s/%s", groups, part_names[part]);
}

/* The first version: within the group that this process is in, if it has one of its own. The second
 * has no groups within those that have processes: at the top. */
static bool find_place(void)
{
    char line[256], own[200] = "";
    FILE *file = fopen("/proc/self/cgroup", "re");

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *rest = strstr(line, ":memory:");
        if (rest == NULL)
            continue;
        is_first = true;
        rest[strcspn(rest, "\n")] = '\0';
        snprintf(own, sizeof own, "%s", strcmp(rest, ":memory:/") == 0 ? "" : rest + 8);
    }
    if (file != NULL)
        fclose(file);
    if (is_first)
        snprintf(groups, sizeof groups, "/sys/fs/cgroup/memory%s/saga-chaos-%d", own, getpid());
    else
        snprintf(groups, sizeof groups, "/sys/fs/cgroup/saga-chaos-%d", getpid());
    if (is_first)
        return mkdir(groups, 0755) == 0;
    write_to("/sys/fs/cgroup", "cgroup.subtree_control", "+memory");
    return mkdir(groups, 0755) == 0 && write_to(groups, "cgroup.subtree_control", "+memory");
}

const char *memory_groups_begin(void)
{
    char folder[PATH_SIZE];
    bool good = find_place();

    for (unsigned part = 0; part < PARTS && good; part++) {
        folder_of((enum part)part, folder);
        good = mkdir(folder, 0755) == 0;
        /* It is to end, not to become slow; where there is no swap these are not there either. */
        write_to(folder, is_first ? "memory.swappiness" : "memory.swap.max", "0");
    }
    if (good)
        return groups;
    fprintf(stderr, "no control group of memory, %s: %s\n", groups, strerror(errno));
    memory_groups_end();
    return NULL;
}

void memory_groups_end(void)
{
    char folder[PATH_SIZE];

    for (unsigned part = 0; part < PARTS && groups[0] != '\0'; part++) {
        folder_of((enum part)part, folder);
        if (rmdir(folder) != 0 && errno != ENOENT)
            fprintf(stderr, "%s: %s\n", folder, strerror(errno));
    }
    if (groups[0] != '\0')
        rmdir(groups);
    groups[0] = '\0';
}

bool memory_group_limit(enum part part, size_t bytes)
{
    const char *file = is_first ? "memory.limit_in_bytes" : "memory.max";
    char folder[PATH_SIZE], text[24];

    folder_of(part, folder);
    if (bytes == 0)
        return write_to(folder, file, is_first ? "-1" : "max");
    /* The first version refuses a limit below what is in use and cannot be taken back. */
    for (int step = 0; step < STEPS_MAX; step++, bytes += bytes / 10) {
        snprintf(text, sizeof text, "%zu", bytes);
        if (write_to(folder, file, text))
            return true;
        if (errno != EBUSY)
            break;
    }
    fprintf(stderr, "%s/%s: %s\n", folder, file, strerror(errno));
    return false;
}
