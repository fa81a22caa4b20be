/*
 * site_processes.c: the stack as processes, each part in a network namespace of its own: see the
 * scripts `networks`, which makes them, and `enter`, by which deploy/ starts a part in its own.
 *
 * This process goes into a network and a mount namespace first, which are the hub: there deploy/,
 * the customers and the auditor find all parts at their usual addresses. What is mounted and wired
 * there ends with the last process in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chaos/family.h"
#include "chaos/memory_group.h"
#include "chaos/site.h"
#include "chaos/site_own.h"
#include "support/command.h"
#include "support/stack.h"

#define PATH_SIZE 200
#define LOCALHOST "127.0.0.1 localhost\n"

static const int base_ports[PARTS] = {5532, 6479, 9192, 8080, 8081, 8082, 8083};
static char networks[PATH_SIZE]; /* the folder that the script fills */
static ino_t network_of[PARTS];

static bool complain(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return false;
}

/* The network's files of a part: "net", "hosts", "clock". */
static const char *path_of(const char *kind, enum part part, char ret[PATH_SIZE])
{
    snprintf(ret, PATH_SIZE, "%.150s/%s/%s", networks, kind, part_names[part]);
    return ret;
}

/* ---- processes ---- */

/* On its way to its own network it is not yet the part. */
static pid_t processes_pid(enum part part)
{
    pid_t pid = family_head(part);
    return pid > 0 && family_namespace(pid, "net") == network_of[part] ? pid : 0;
}

/* Runs a function of deploy/lib on the part, while nobody else changes the stack. What it says is
 * of interest only if it fails. */
static bool deploy(const char *function, enum part part)
{
    const char *const argv[] = {"bash",
                                "-c",
                                "source deploy/lib/parts.sh && lock_state && \"$0\" \"$1\" 2>&1",
                                function,
                                part_names[part],
                                NULL};
    char *said = NULL;
    bool good = command_run(stack_root(), argv, &said) == 0;

    if (!good)
        fprintf(stderr, "%s\n", said == NULL ? "" : said);
    free(said);
    return good;
}

static bool processes_stop(enum part part)
{
    return deploy("stop_parts", part);
}

/* As a container would, it begins with a network that nothing was done to. */
static bool processes_start(enum part part)
{
    char path[PATH_SIZE], network[PATH_SIZE + 8];
    const char *const argv[] = {"nsenter", network, "nft", "flush", "ruleset", NULL};

    if (family_head(part) != 0)
        return true;
    snprintf(network, sizeof network, "--net=%s", path_of("net", part, path));
    return command_run("/", argv, NULL) == 0 && deploy("start", part);
}

static bool processes_freeze(enum part part)
{
    family_signal(part, SIGSTOP);
    return true;
}

static bool processes_thaw(enum part part)
{
    family_signal(part, SIGCONT);
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

static const char *data_of(enum part part, char ret[PATH_SIZE])
{
    snprintf(ret, PATH_SIZE, "%.150s/%s", stack_address("SAGA_STATE_DIR"), part_names[part]);
    return ret;
}

static const char *processes_data(enum part part)
{
    static char paths[PARTS][PATH_SIZE];

    return part == PART_POSTGRES || part == PART_KAFKA ? data_of(part, paths[part]) : NULL;
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
    char path[PATH_SIZE];

    return write_file(path_of("hosts", part, path), LOCALHOST);
}

static bool processes_know_names(enum part part)
{
    char path[PATH_SIZE], text[1024] = LOCALHOST;
    size_t used = strlen(text);

    for (unsigned one = 0; one < PARTS; one++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s %s\n",
                                 processes_address((enum part)one), part_names[one]);
    return write_file(path_of("hosts", part, path), text);
}

/* The library in the service reads it once a second, and may do so at any moment: so it is replaced
 * whole. */
static bool processes_set_clock(enum part part, int seconds)
{
    char path[PATH_SIZE], fresh[PATH_SIZE + 8];

    snprintf(fresh, sizeof fresh, "%s.new", path_of("clock", part, path));
    FILE *file = fopen(fresh, "we");
    if (file == NULL)
        return complain(fresh);
    fprintf(file, "%+d\n", seconds);
    if (fclose(file) != 0 || rename(fresh, path) != 0)
        return complain(path);
    return true;
}

/* ---- begin and end ---- */

static const char *beside(const char *name, char ret[PATH_MAX])
{
    snprintf(ret, PATH_MAX, "%.3000s/tests/chaos/%s", stack_root(), name);
    return ret;
}

/* In the keeper. Nobody goes on asking; whatever was done to the parts, they can be stopped. */
static void take_away(bool keep_logs)
{
    char kept[PATH_MAX], path[PATH_SIZE];
    static const char keep[] = "rm -rf \"$1\"; cp -r \"$SAGA_STATE_DIR/log\" \"$1\" &&"
                               " echo \"the logs of the stack are in $1\"";

    family_end_ours();
    for (unsigned part = 0; part < PARTS; part++)
        family_signal((enum part)part, SIGCONT);
    snprintf(kept, sizeof kept, "%.3000s/build/test-logs", stack_root());
    if (keep_logs)
        command_run("/", (const char *const[]){"sh", "-c", keep, "sh", kept, NULL}, NULL);
    /* Else the folder could not be deleted. */
    umount2(data_of(PART_KAFKA, path), MNT_DETACH);
    if (command_run(stack_root(), (const char *const[]){"deploy/down", "--wipe", NULL}, NULL) != 0)
        fprintf(stderr, "deploy/down --wipe failed: look at %s\n", getenv("SAGA_STATE_DIR"));
    memory_groups_end();
}

/* The rest of the stack, with PostgreSQL, is on one disk, Kafka on another. */
static bool make_disks(const char *folder, int mib)
{
    char path[PATH_SIZE], from[PATH_SIZE];

    snprintf(path, sizeof path, "%s/state/.saga-state", folder);
    snprintf(from, sizeof from, "%s/kafka", folder);
    /* So that deploy/up knows it as its own, though a new disk is not empty. */
    int fd = site_own_disk("state", mib) ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -1;
    if (fd < 0 || close(fd) != 0 || !site_own_disk("kafka", mib))
        return false;
    data_of(PART_KAFKA, path);
    return (mkdir(path, 0755) == 0 && mount(from, path, NULL, MS_BIND, NULL) == 0) ||
           complain(path);
}

static bool wire_up(const char *folder)
{
    char script[PATH_MAX], path[PATH_SIZE];
    struct stat status;

    snprintf(networks, sizeof networks, "%s/networks", folder);
    const char *const argv[] = {beside("networks", script), networks, NULL};
    if (command_run("/", argv, NULL) != 0) {
        fprintf(stderr, "the networks of the parts could not be made\n");
        return false;
    }
    for (unsigned part = 0; part < PARTS; part++) {
        if (stat(path_of("net", (enum part)part, path), &status) != 0)
            return complain(path);
        network_of[part] = status.st_ino;
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
    char script[PATH_MAX];

    if (geteuid() != 0) {
        fprintf(stderr, "only root can give parts a network of their own\n");
        return false;
    }
    if (!fetch())
        return false;
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return complain("a network of its own");
    const char *groups = memory_groups_begin();
    const char *folder = groups == NULL ? NULL : site_own_begin(take_away);
    if (folder == NULL)
        memory_groups_end();
    if (folder == NULL || !make_disks(folder, disk_mib) || !wire_up(folder))
        return false;
    setenv("SAGA_TEST_ENTER", beside("enter", script), 1);
    setenv("SAGA_TEST_NETWORKS", networks, 1);
    setenv("SAGA_TEST_MEMORY_GROUPS", groups, 1);
    return command_run(stack_root(), (const char *const[]){"deploy/up", "--no-order", NULL},
                       NULL) == 0 &&
           stack_attach();
}

const struct site site_processes = {
    .name = "processes",
    .form = SITE_PROCESSES,
    .begin = processes_begin,
    .end = site_own_end,
    .pid = processes_pid,
    .address = processes_address,
    .port = processes_port,
    .kill = family_kill,
    .stop = processes_stop,
    .start = processes_start,
    .freeze = processes_freeze,
    .thaw = processes_thaw,
    .unplug = processes_unplug,
    .plug = processes_plug,
    .limit = memory_group_limit,
    .data = processes_data,
    .forget_names = processes_forget_names,
    .know_names = processes_know_names,
    .set_clock = processes_set_clock,
};
