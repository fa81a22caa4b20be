/* usage.c: CPU time and memory of each part of the stack; see usage.h. */
#include "usage.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct process {
    pid_t pid, parent;
    double cpu_s;
};

static bool read_process(pid_t pid, struct process *ret)
{
    char path[32], line[1024];
    unsigned long user, system, child_user, child_system;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    const char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    fclose(file);
    if (end == NULL || sscanf(end, ") %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu",
                              &ret->parent, &user, &system, &child_user, &child_system) != 5)
        return false;
    ret->pid = pid;
    ret->cpu_s = (double)(user + system + child_user + child_system) / (double)sysconf(_SC_CLK_TCK);
    return true;
}

/* Proportional set size: a page that n processes share counts as 1/n in each. */
static double read_pss_mb(pid_t pid)
{
    char path[40], line[256];
    long kb = 0;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Pss: %ld kB", &kb) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return (double)kb / 1024;
}

/* It and its children: one level, as PostgreSQL has them. */
static void add_tree(pid_t root, struct usage *usage)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;

    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        struct process process;
        if (!isdigit((unsigned char)entry->d_name[0]) ||
            !read_process((pid_t)atoi(entry->d_name), &process))
            continue;
        if (process.pid == root || process.parent == root) {
            usage->cpu_s += process.cpu_s;
            usage->rss_mb += read_pss_mb(process.pid);
        }
    }
    if (proc != NULL)
        closedir(proc);
}

size_t usage_read(struct usage ret_usage[USAGE_MAX])
{
    static struct stack_part parts[STACK_PARTS];
    static size_t count;

    if (count == 0)
        count = stack_parts(parts); /* takes long; nothing is restarted while we measure */
    for (size_t i = 0; i < count; i++) {
        ret_usage[i] = (struct usage){0};
        memcpy(ret_usage[i].name, parts[i].name, sizeof ret_usage[i].name);
        if (parts[i].pid > 0)
            add_tree(parts[i].pid, &ret_usage[i]);
    }
    struct process self;
    ret_usage[count] = (struct usage){.name = "load", .rss_mb = read_pss_mb(getpid())};
    if (read_process(getpid(), &self))
        ret_usage[count].cpu_s = self.cpu_s;
    return count + 1;
}

double usage_machine_s(void)
{
    unsigned long user, nice, system, idle, wait, irq, soft;
    FILE *file = fopen("/proc/stat", "re");
    int count = file == NULL ? 0
                             : fscanf(file, "cpu %lu %lu %lu %lu %lu %lu %lu", &user, &nice,
                                      &system, &idle, &wait, &irq, &soft);
    if (file != NULL)
        fclose(file);
    return count == 7 ? (double)(user + nice + system + irq + soft) / (double)sysconf(_SC_CLK_TCK)
                      : 0;
}
