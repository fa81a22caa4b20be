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

static struct stack_part parts[STACK_PARTS];
static size_t parts_count;

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

/* A line "NAME: N kB" of one of the process's files, in MiB; 0: it is not there. */
static double read_mb(pid_t pid, const char *name, const char *what)
{
    char path[48], line[256];
    size_t len = strlen(what);
    long kb = 0;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, what, len) == 0 && line[len] == ':')
            kb = strtol(line + len + 1, NULL, 10);
    if (file != NULL)
        fclose(file);
    return (double)kb / 1024;
}

/* Proportional set size: a page that n processes share counts as 1/n in each. Of a peak it is not
 * known how much was shared: so it is what is not shared at its peak, and what is shared now. */
static void add_memory(const struct process *process, struct usage *usage)
{
    pid_t pid = process->pid;
    double shared =
        read_mb(pid, "smaps_rollup", "Pss_Shmem") + read_mb(pid, "smaps_rollup", "Pss_File");

    usage->rss_mb += read_mb(pid, "smaps_rollup", "Pss");
    usage->peak_mb += read_mb(pid, "status", "VmHWM") - read_mb(pid, "status", "RssShmem") -
                      read_mb(pid, "status", "RssFile") + shared;
}

/* A part's own process or a child of it: one level, as PostgreSQL has them. */
static size_t part_of(const struct process *process)
{
    size_t i = 0;
    while (i < parts_count && process->pid != parts[i].pid && process->parent != parts[i].pid)
        i++;
    return i;
}

size_t usage_begin(void)
{
    parts_count = stack_parts(parts);
    for (size_t i = 0; i < parts_count; i++) {
        if (parts[i].pid <= 1) {
            fprintf(stderr, "%s does not run: %s\n", parts[i].name, parts[i].detail);
            return 0;
        }
    }
    return parts_count == 0 ? 0 : parts_count + 1;
}

/* Tells each process of ours, and what its part has used so far. */
static void each_process(void (*tell)(const struct process *process, struct usage *usage),
                         struct usage *usage)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;

    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        struct process process;
        if (!isdigit((unsigned char)entry->d_name[0]) ||
            !read_process((pid_t)strtol(entry->d_name, NULL, 10), &process))
            continue;
        if (process.pid == getpid())
            tell(&process, &usage[parts_count]);
        else if (part_of(&process) < parts_count)
            tell(&process, &usage[part_of(&process)]);
    }
    if (proc != NULL)
        closedir(proc);
}

static void add_cpu(const struct process *process, struct usage *usage)
{
    usage->cpu_s += process->cpu_s;
}

void usage_read(struct usage ret_usage[USAGE_MAX])
{
    for (size_t i = 0; i < parts_count; i++) {
        ret_usage[i] = (struct usage){0};
        memcpy(ret_usage[i].name, parts[i].name, sizeof ret_usage[i].name);
    }
    ret_usage[parts_count] = (struct usage){.name = "load"};
    each_process(add_cpu, ret_usage);
    for (size_t i = 0; i < parts_count; i++)
        if (stack_gone(parts[i].pid))
            ret_usage[i].cpu_s = -1;
}

void usage_read_memory(struct usage usage[USAGE_MAX])
{
    each_process(add_memory, usage);
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
