/*
 * site_processes.c: the stack as processes, each part in a network namespace of its own: see the
 * scripts `networks`, which makes them, and `enter`, by which deploy/ starts a part in its own.
 *
 * This process goes into a network and a mount namespace first, which are the hub: there deploy/,
 * the customers and the auditor find all parts at their usual addresses. What is mounted and wired
 * there ends with the last process in it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chaos/site.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/stack.h"

/* There in every Debian, and in our mount namespace only ours. */
#define FOLDER "/mnt"
#define PROCESSES_MAX 512
#define GONE_S 10
#define LOCALHOST "127.0.0.1 localhost\n"

static const int base_ports[PARTS] = {5532, 6479, 9192, 8080, 8081, 8082, 8083};
static ino_t networks[PARTS], hub_mounts;

static bool complain(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return false;
}

/* ---- processes ---- */

/* "net", "mnt": which one a process is in; 0: it is gone. */
static ino_t namespace_of(pid_t pid, const char *kind)
{
    char path[64];
    struct stat status;

    snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, kind);
    return stat(path, &status) == 0 ? status.st_ino : 0;
}

/* In the kernel's ticks since boot; 0: it is gone. With it a number that is used again is told from
 * the one before. */
static long long birth_of(int pid)
{
    char path[32], line[512];
    long long born = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = stack_gone(pid) ? NULL : fopen(path, "re");
    if (file == NULL)
        return 0;
    /* The name in brackets may hold anything; birth is the 20th word behind it. */
    const char *rest = fgets(line, sizeof line, file) == NULL ? NULL : strrchr(line, ')');
    fclose(file);
    for (int word = 0; word < 20 && rest != NULL; word++)
        rest = strchr(rest + 1, ' ');
    if (rest != NULL)
        born = strtoll(rest, NULL, 10);
    return born;
}

/* As deploy/ has recorded it; 0: it does not run. */
static pid_t recorded(enum part part)
{
    char path[256];
    long long born;
    int pid;

    snprintf(path, sizeof path, "%s/run/%s", stack_address("SAGA_STATE_DIR"), part_names[part]);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    bool good = fscanf(file, "%d %lld", &pid, &born) == 2;
    fclose(file);
    return good && born != 0 && birth_of(pid) == born ? pid : 0;
}

/* On its way to its own network it is not yet the part. */
static pid_t processes_pid(enum part part)
{
    pid_t pid = recorded(part);
    return pid > 0 && namespace_of(pid, "net") == networks[part] ? pid : 0;
}

/* All processes that the one has in its mount namespace, itself first; on its way there it is
 * alone. */
static size_t family(pid_t head, pid_t ret[PROCESSES_MAX])
{
    size_t count = 0;
    ino_t mounts = namespace_of(head, "mnt");

    ret[count++] = head;
    DIR *folder = mounts == 0 || mounts == hub_mounts ? NULL : opendir("/proc");
    if (folder == NULL)
        return count;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL && count < PROCESSES_MAX;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 1 && pid != head && namespace_of(pid, "mnt") == mounts)
            ret[count++] = pid;
    }
    closedir(folder);
    return count;
}

/* Those that are born meanwhile too: until a look finds no new one. */
static bool signal_family(enum part part, int number)
{
    pid_t pids[PROCESSES_MAX], head = recorded(part);
    size_t before = 0;

    if (head == 0)
        return true;
    for (int looks = 0; looks < 10; looks++) {
        size_t count = family(head, pids);
        for (size_t i = 0; i < count; i++)
            kill(pids[i], number);
        if (count == before)
            break;
        before = count;
    }
    return true;
}

static bool all_gone(const pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!stack_gone(pids[i]))
            return false;
    }
    return true;
}

/* The first of them last: without it PostgreSQL's others would begin to tidy up. */
static bool processes_kill(enum part part)
{
    pid_t pids[PROCESSES_MAX], head = recorded(part);

    if (head == 0)
        return true;
    kill(head, SIGSTOP);
    size_t count = family(head, pids);
    for (size_t i = count; i > 0; i--)
        kill(pids[i - 1], SIGKILL);
    if (CLOCK_UNTIL(GONE_S, all_gone(pids, count)))
        return true;
    fprintf(stderr, "%s does not die\n", part_names[part]);
    return false;
}

/* Runs a function of deploy/lib on the part, while nobody else changes the stack. */
static bool deploy(const char *function, enum part part)
{
    const char *const argv[] = {"bash",
                                "-c",
                                "source deploy/lib/parts.sh && lock_state && \"$0\" \"$1\"",
                                function,
                                part_names[part],
                                NULL};
    return command_run(stack_root(), argv, NULL) == 0;
}

static bool processes_stop(enum part part)
{
    return deploy("stop_parts", part);
}

/* As a container would, it begins with a network that nothing was done to. */
static bool processes_start(enum part part)
{
    char network[64];
    const char *const argv[] = {"nsenter", network, "nft", "flush", "ruleset", NULL};

    if (recorded(part) != 0)
        return true;
    snprintf(network, sizeof network, "--net=" FOLDER "/net/%s", part_names[part]);
    return command_run("/", argv, NULL) == 0 && deploy("start", part);
}

static bool processes_freeze(enum part part)
{
    return signal_family(part, SIGSTOP);
}

static bool processes_thaw(enum part part)
{
    return signal_family(part, SIGCONT);
}

/* What it has already stays; it gets no more than that. */
static bool processes_limit(enum part part, size_t bytes)
{
    pid_t pids[PROCESSES_MAX], head = recorded(part);
    const struct rlimit limit = {bytes == 0 ? RLIM_INFINITY : bytes, RLIM_INFINITY};
    size_t count = head == 0 ? 0 : family(head, pids);

    for (size_t i = 0; i < count; i++) {
        if (prlimit(pids[i], RLIMIT_DATA, &limit, NULL) != 0 && errno != ESRCH)
            return complain("prlimit");
    }
    return true;
}

/* ---- its surroundings ---- */

static const char *processes_address(enum part part)
{
    static const char *const addresses[PARTS] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4",
                                                 "10.0.0.5", "10.0.0.6", "10.0.0.7"};
    return addresses[part];
}

static int processes_port(enum part part)
{
    return base_ports[part] + (int)strtol(stack_address("SAGA_PORT_SHIFT"), NULL, 10);
}

static bool cable(enum part part, const char *state)
{
    const char *const argv[] = {"ip", "link", "set", "dev", part_names[part], state, NULL};
    return command_run("/", argv, NULL) == 0;
}

static bool processes_unplug(enum part part)
{
    return cable(part, "down");
}

static bool processes_plug(enum part part)
{
    return cable(part, "up");
}

static const char *processes_data(enum part part)
{
    static char paths[PARTS][256];

    if (part != PART_POSTGRES && part != PART_KAFKA)
        return NULL;
    snprintf(paths[part], sizeof paths[part], "%s/%s", stack_address("SAGA_STATE_DIR"),
             part_names[part]);
    return paths[part];
}

/* Into the very file that is there: the part has it mounted. */
static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return good || complain(path);
}

static bool processes_forget_names(enum part part)
{
    char path[64];

    snprintf(path, sizeof path, FOLDER "/hosts/%s", part_names[part]);
    return write_file(path, LOCALHOST);
}

static bool processes_know_names(enum part part)
{
    char path[64], text[1024] = LOCALHOST;
    size_t used = strlen(text);

    for (unsigned one = 0; one < PARTS; one++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s %s\n",
                                 processes_address((enum part)one), part_names[one]);
    snprintf(path, sizeof path, FOLDER "/hosts/%s", part_names[part]);
    return write_file(path, text);
}

/* The library in the service reads it once a second, and may do so at any moment: so it is replaced
 * whole. */
static bool processes_set_clock(enum part part, int seconds)
{
    char path[64], fresh[72];

    snprintf(path, sizeof path, FOLDER "/clock/%s", part_names[part]);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "we");
    if (file == NULL)
        return complain(fresh);
    fprintf(file, "%+d\n", seconds);
    if (fclose(file) != 0 || rename(fresh, path) != 0)
        return complain(path);
    return true;
}

/* ---- begin and end ---- */

static char *beside(char *buffer, size_t size, const char *name)
{
    snprintf(buffer, size, "%s/tests/chaos/%s", stack_root(), name);
    return buffer;
}

/* When the ports are known. */
static bool wire_up(void)
{
    char script[4200], path[64];
    struct stat status;

    const char *const argv[] = {beside(script, sizeof script, "networks"), FOLDER, NULL};
    if (command_run("/", argv, NULL) != 0) {
        fprintf(stderr, "the networks of the parts could not be made\n");
        return false;
    }
    for (unsigned part = 0; part < PARTS; part++) {
        snprintf(path, sizeof path, FOLDER "/net/%s", part_names[part]);
        if (stat(path, &status) != 0)
            return complain(path);
        networks[part] = status.st_ino;
    }
    return true;
}

/* Inside there is no way out: what has to be fetched is fetched before. */
static bool fetch(void)
{
    const char *const argv[] = {"bash", "-c",
                                "source deploy/lib/parts.sh && mkdir -p \"$BUILD\" && "
                                "fetch_kafka_jars",
                                NULL};
    return command_run(stack_root(), argv, NULL) == 0;
}

static bool processes_begin(int disk_mib)
{
    char script[4200];

    if (geteuid() != 0) {
        fprintf(stderr, "only root can give parts a network of their own\n");
        return false;
    }
    if (!fetch())
        return false;
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0)
        return complain("a network of its own");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("saga-chaos", FOLDER, "tmpfs", 0, "size=1m,mode=0755") != 0)
        return complain("a place for the networks");
    hub_mounts = namespace_of(getpid(), "mnt");
    setenv("SAGA_TEST_ENTER", beside(script, sizeof script, "enter"), 1);
    setenv("SAGA_TEST_NETWORKS", FOLDER, 1);
    return stack_begin_prepared(disk_mib, wire_up);
}

const struct site site_processes = {
    .name = "processes",
    .form = SITE_PROCESSES,
    .begin = processes_begin,
    .end = stack_end,
    .pid = processes_pid,
    .address = processes_address,
    .port = processes_port,
    .kill = processes_kill,
    .stop = processes_stop,
    .start = processes_start,
    .freeze = processes_freeze,
    .thaw = processes_thaw,
    .unplug = processes_unplug,
    .plug = processes_plug,
    .limit = processes_limit,
    .data = processes_data,
    .forget_names = processes_forget_names,
    .know_names = processes_know_names,
    .set_clock = processes_set_clock,
};
