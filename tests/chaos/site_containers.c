/* site_containers.c: the stack in containers, by Docker's own commands. */
#include <glob.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "net.h"
#include "site.h"
#include "site_own.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/stack.h"

#define PATH_SIZE 200
#define GONE_S 20
#define USER 10001 /* of every container */
#define NAMES "127.0.0.11"
#define LIMIT_ROOM (4 << 20) /* bytes that a part may take while its limit is on its way */

static const int ports[PARTS] = {5432, 6379, 9092, 8080, 8081, 8082, 8083};
static const char *folder;
static bool three_brokers;
static char brokers[SITE_BROKERS_COUNT][80];
static char names[PARTS][80], network[80], addresses[PARTS][16], datas[PARTS][PATH_SIZE];
static long long limits[PARTS][2]; /* memory, and with swap, as compose has set them */

/* Docker's answer without the end of its line, to be freed; NULL: it has said why. */
static char *ask_docker(const char *const *argv)
{
    char *text = NULL;

    if (command_run("/", argv, &text) != 0) {
        free(text);
        return NULL;
    }
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static bool docker_name(const char *what, const char *name)
{
    char *text = ask_docker((const char *const[]){"docker", what, name, NULL});
    bool good = text != NULL;

    free(text);
    return good;
}

static bool docker(const char *what, enum part part)
{
    return docker_name(what, names[part]);
}

/* What inspect says by a template of Go's; 0 if it says nothing. */
static long long inspect(enum part part, const char *format)
{
    char *text =
        ask_docker((const char *const[]){"docker", "inspect", "-f", format, names[part], NULL});
    long long value = text == NULL ? 0 : strtoll(text, NULL, 10);

    free(text);
    return value;
}

static bool is(enum part part, const char *state)
{
    char *text = ask_docker(
        (const char *const[]){"docker", "inspect", "-f", "{{.State.Status}}", names[part], NULL});
    bool yes = text != NULL && strcmp(text, state) == 0;

    free(text);
    return yes;
}

/* ---- who and where ---- */

/* Before each there is an init. */
static pid_t child_of(pid_t pid)
{
    char path[64];
    int child = 0;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fscanf(file, "%d", &child) != 1)
        child = 0;
    if (file != NULL)
        fclose(file);
    return child;
}

static pid_t part_pid(enum part part)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct {
        pid_t pid;
        long long born;
    } known[PARTS];

    pthread_mutex_lock(&lock);
    if (known[part].pid == 0 || site_process_born(known[part].pid) != known[part].born) {
        pid_t pid = (pid_t)inspect(part, "{{.State.Pid}}");
        pid = pid == 0 ? 0 : child_of(pid);
        known[part].born = site_process_born(pid);
        known[part].pid = known[part].born == 0 ? 0 : pid;
    }
    pid_t pid = known[part].pid;
    pthread_mutex_unlock(&lock);
    return pid;
}

static const char *part_address(enum part part)
{
    return addresses[part];
}

static int part_port(enum part part)
{
    return ports[part];
}

static const char *part_data(enum part part)
{
    return datas[part][0] == '\0' ? NULL : datas[part];
}

/* ---- begin and end ---- */

/* A network of this machine's that reaches into 10.a.b.0/24 would be lost behind ours. */
static bool is_free(unsigned a, unsigned b)
{
    char line[256];
    unsigned destination, mask;
    bool free_ = true;
    uint32_t ours = 10 | a << 8 | b << 16; /* as the table has it: the first byte is the lowest */
    FILE *routes = fopen("/proc/net/route", "re");

    while (routes != NULL && fgets(line, sizeof line, routes) != NULL) {
        if (sscanf(line, "%*s %x %*s %*s %*s %*s %*s %x", &destination, &mask) == 2 && mask != 0 &&
            ((ours ^ destination) & mask & 0xffffff) == 0)
            free_ = false;
    }
    if (routes != NULL)
        fclose(routes);
    return free_;
}

static bool choose_network(unsigned *ret_a, unsigned *ret_b)
{
    for (unsigned try = 0; try < 100; try++) {
        *ret_a = 64 + (unsigned)getpid() % 128;
        *ret_b = ((unsigned)getpid() / 128 + try * 37) % 256;
        if (is_free(*ret_a, *ret_b))
            return true;
    }
    fprintf(stderr, "no free network for containers\n");
    return false;
}

static bool write_clock(enum part part, int seconds)
{
    char path[PATH_SIZE], new[PATH_SIZE + 8];

    snprintf(path, sizeof path, "%s/clock/%s/offset", folder, part_names[part]);
    snprintf(new, sizeof new, "%s.new", path);
    FILE *file = fopen(new, "we");
    if (file == NULL)
        return false;
    fprintf(file, "%+d\n", seconds);
    return fclose(file) == 0 && rename(new, path) == 0;
}

static bool make_clocks(void)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/clock", folder);
    bool good = mkdir(path, 0755) == 0;
    for (enum part part = 0; part < PARTS && good; part++) {
        snprintf(path, sizeof path, "%s/clock/%s", folder, part_names[part]);
        good = mkdir(path, 0755) == 0 && write_clock(part, 0);
    }
    return good;
}

static bool make_disk(enum part part, int mib)
{
    snprintf(datas[part], sizeof datas[part], "%s/%s/data", folder, part_names[part]);
    return site_own_disk(part_names[part], mib) && mkdir(datas[part], 0700) == 0 &&
           chown(datas[part], USER, USER) == 0;
}

/* What this run adds to compose.yaml: addresses that stay, disks that can be full, clocks that can
 * be wrong. */
static void write_compose(FILE *file, unsigned a, unsigned b, const char *faketime)
{
    fprintf(file, "networks:\n  default:\n    ipam: { config: [{ subnet: 10.%u.%u.0/24 }] }\n", a,
            b);
    fprintf(file, "volumes:\n");
    for (enum part part = 0; part < PARTS; part++) {
        if (datas[part][0] != '\0')
            fprintf(file, "  %s-data: { driver_opts: { type: none, o: bind, device: %s } }\n",
                    part_names[part], datas[part]);
    }
    fprintf(file, "services:\n");
    for (enum part part = 0; part < PARTS; part++) {
        /* Docker gives the jobs the first ones. */
        snprintf(addresses[part], sizeof addresses[part], "10.%u.%u.%d", a, b, 100 + (int)part);
        fprintf(file, "  %s:\n    networks: { default: { ipv4_address: %s } }\n", part_names[part],
                addresses[part]);
        /* Without the fix, which is none, waits by the monotonic clock would be over at once. */
        if (PARTS_SERVICES & PART(part))
            fprintf(file,
                    "    environment: { LD_PRELOAD: /faketime/libfaketimeMT.so.1,"
                    " FAKETIME_TIMESTAMP_FILE: /clock/offset, FAKETIME_CACHE_DURATION: \"1\","
                    " FAKETIME_DONT_FAKE_MONOTONIC: \"1\", FAKETIME_FORCE_MONOTONIC_FIX: \"0\" }\n"
                    "    volumes: [\"%s:/faketime:ro\", \"%s/clock/%s:/clock:ro\"]\n",
                    faketime, folder, part_names[part]);
    }
}

static bool make_compose(void)
{
    char path[PATH_SIZE];
    glob_t found;
    unsigned a, b;

    if (glob("/usr/lib/*/faketime/libfaketimeMT.so.1", 0, NULL, &found) != 0) {
        fprintf(stderr, "libfaketime is missing: deploy/install tests\n");
        return false;
    }
    *strrchr(found.gl_pathv[0], '/') = '\0';
    snprintf(path, sizeof path, "%s/compose.yaml", folder);
    FILE *file = fopen(path, "we");
    bool good = file != NULL && choose_network(&a, &b);
    if (good)
        write_compose(file, a, b, found.gl_pathv[0]);
    globfree(&found);
    if (file == NULL || fclose(file) != 0)
        return false;
    setenv("SAGA_TEST_COMPOSE", path, 1);
    return good;
}

static bool read_project(char ret[64])
{
    char path[PATH_SIZE], line[256];
    bool found = false;

    snprintf(path, sizeof path, "%s/compose.env", getenv("SAGA_STATE_DIR"));
    FILE *file = fopen(path, "re");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        found = sscanf(line, "COMPOSE_PROJECT_NAME=%63s", ret) == 1;
    if (file != NULL)
        fclose(file);
    return found;
}

/* The names differ between versions of compose, the labels do not. */
static bool find_name(const char *project, const char *service, char ret[80])
{
    char of_project[128], of_service[128];

    snprintf(of_project, sizeof of_project, "label=com.docker.compose.project=%s", project);
    snprintf(of_service, sizeof of_service, "label=com.docker.compose.service=%s", service);
    char *name =
        ask_docker((const char *const[]){"docker", "ps", "-a", "--format", "{{.Names}}", "--filter",
                                         of_project, "--filter", of_service, NULL});
    bool good = name != NULL && name[0] != '\0';
    snprintf(ret, 80, "%s", good ? name : "");
    free(name);
    return good;
}

static bool find_names(void)
{
    static const char *const broker_names[SITE_BROKERS_COUNT] = {"kafka", "kafka-2", "kafka-3"};
    char project[64];

    if (!read_project(project))
        return false;
    snprintf(network, sizeof network, "%s_default", project);
    for (int i = 0; three_brokers && i < SITE_BROKERS_COUNT; i++) {
        if (!find_name(project, broker_names[i], brokers[i]))
            return false;
    }
    for (enum part part = 0; part < PARTS; part++) {
        if (!find_name(project, part_names[part], names[part]))
            return false;
        limits[part][0] = inspect(part, "{{.HostConfig.Memory}}");
        limits[part][1] = inspect(part, "{{.HostConfig.MemorySwap}}");
    }
    return true;
}

/* In the keeper. */
static void take_away(bool keep_logs)
{
    static const char unharm[] =
        "for name in $(docker ps -q --filter label=com.docker.compose.project=\"$1\"); do"
        "    docker unpause \"$name\" >/dev/null 2>&1; done";
    static const char keep[] =
        "rm -rf \"$2\"; cp -r \"$3/log\" \"$2\" || exit;"
        " for name in $(docker ps -a --format '{{.Names}}'"
        "               --filter label=com.docker.compose.project=\"$1\"); do"
        "    docker logs \"$name\" >\"$2/$name.log\" 2>&1; done;"
        " echo \"the logs of the stack are in $2\"";
    char project[64], logs[4200];

    snprintf(logs, sizeof logs, "%s/build/test-logs", stack_root());
    if (read_project(project)) {
        command_run("/", (const char *const[]){"sh", "-c", unharm, "sh", project, NULL}, NULL);
        if (keep_logs)
            command_run("/",
                        (const char *const[]){"sh", "-c", keep, "sh", project, logs,
                                              getenv("SAGA_STATE_DIR"), NULL},
                        NULL);
    }
    /* It waits for an `up` that goes on without whoever began it. */
    if (command_run(stack_root(), (const char *const[]){"deploy/down", "--wipe", NULL}, NULL) != 0)
        fprintf(stderr, "deploy/down --wipe failed: look at %s\n", getenv("SAGA_STATE_DIR"));
}

static void end(bool keep_logs)
{
    site_own_end(keep_logs);
}

static bool begin(int disk_mib)
{
    folder = site_own_begin(take_away);
    return folder != NULL && make_clocks() && make_disk(PART_POSTGRES, disk_mib) &&
           make_disk(PART_KAFKA, disk_mib) && make_compose() &&
           command_run(stack_root(),
                       (const char *const[]){"deploy/up", "--containers", "--no-order",
                                             three_brokers ? "--three-brokers" : NULL, NULL},
                       NULL) == 0 &&
           stack_attach() && find_names();
}

static bool begin_with_brokers(int disk_mib)
{
    three_brokers = true;
    return begin(disk_mib);
}

/* ---- what is done to a part ---- */

/* Also of one that Docker is about to start again. */
static bool comes_to_rest(enum part part)
{
    return CLOCK_UNTIL(GONE_S, part_pid(part) == 0);
}

static bool kill_part(enum part part)
{
    if (part_pid(part) == 0 || !docker("kill", part))
        docker("stop", part); /* so that it is not started again */
    return comes_to_rest(part);
}

static bool stop_part(enum part part)
{
    return docker("stop", part) && comes_to_rest(part);
}

static bool start_part(enum part part)
{
    /* One that has failed some times is started again later and later. */
    if (is(part, "restarting"))
        docker("stop", part);
    return docker("start", part);
}

static bool freeze(enum part part)
{
    return docker("pause", part);
}

static bool thaw(enum part part)
{
    return !is(part, "paused") || docker("unpause", part);
}

static bool is_plugged(enum part part)
{
    char *text = ask_docker((const char *const[]){
        "docker", "inspect", "-f", "{{len .NetworkSettings.Networks}}", names[part], NULL});
    bool yes = text != NULL && strcmp(text, "0") != 0;

    free(text);
    return yes;
}

static bool unplug(enum part part)
{
    char *text = ask_docker(
        (const char *const[]){"docker", "network", "disconnect", network, names[part], NULL});
    bool good = text != NULL;

    free(text);
    return good;
}

static bool plug(enum part part)
{
    if (is_plugged(part))
        return true;
    char *text =
        ask_docker((const char *const[]){"docker", "network", "connect", "--ip", addresses[part],
                                         "--alias", part_names[part], network, names[part], NULL});
    bool good = text != NULL;
    free(text);
    return good;
}

static bool set_limit(enum part part, long long memory, long long with_swap)
{
    char texts[2][24];

    snprintf(texts[0], sizeof texts[0], "%lld", memory);
    snprintf(texts[1], sizeof texts[1], "%lld", with_swap);
    char *text = ask_docker((const char *const[]){"docker", "update", "--memory", texts[0],
                                                  "--memory-swap", texts[1], names[part], NULL});
    bool good = text != NULL;
    free(text);
    return good;
}

static bool limit(enum part part, size_t bytes)
{
    if (bytes == 0)
        return set_limit(part, limits[part][0], limits[part][1]);
    long long used = memory_used(part_pid(part)), least = (long long)bytes;
    if (memory_refuses_less() && used + LIMIT_ROOM > least)
        least = used + LIMIT_ROOM;
    return set_limit(part, least, least);
}

static bool forget_names(enum part part)
{
    return net_mute(&site_containers, part, NAMES);
}

static bool know_names(enum part part)
{
    return net_mend(&site_containers, part);
}

static bool kill_broker(int number)
{
    return docker_name("kill", brokers[number - 1]);
}

static bool start_broker(int number)
{
    return docker_name("start", brokers[number - 1]);
}

#define IN_CONTAINERS                                                                              \
    .end = end, .pid = part_pid, .address = part_address, .port = part_port, .kill = kill_part,    \
    .stop = stop_part, .start = start_part, .freeze = freeze, .thaw = thaw, .unplug = unplug,      \
    .plug = plug, .limit = limit, .data = part_data, .forget_names = forget_names,                 \
    .know_names = know_names, .set_clock = write_clock

const struct site site_containers = {
    .name = "containers", .form = SITE_CONTAINERS, .begin = begin, IN_CONTAINERS};

const struct site site_brokers = {
    .name = "containers, three brokers",
    .form = SITE_BROKERS,
    .begin = begin_with_brokers,
    IN_CONTAINERS,
    .kill_broker = kill_broker,
    .start_broker = start_broker,
};
