/* stack.c: the real stack, driven as people drive it: by deploy/up, status, env and down. */
#include "stack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "command.h"
#include "http.h"
#include "keeper.h"

const char *stack_root(void)
{
    static char root[PATH_MAX];
    char probe[PATH_MAX + 16];

    if (root[0] != '\0')
        return root;
    ssize_t n = readlink("/proc/self/exe", root, sizeof root - 1);
    root[n < 0 ? 0 : n] = '\0';
    for (char *slash; (slash = strrchr(root, '/')) != NULL;) {
        *slash = '\0';
        snprintf(probe, sizeof probe, "%s/deploy/env", root);
        if (access(probe, X_OK) == 0)
            return root;
    }
    fprintf(stderr, "no deploy/env above this program\n");
    exit(2);
}

static bool port_is_free(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool is_free = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return is_free;
}

int stack_free_port(void)
{
    for (int port = 7000 + getpid() % 500; port < 8000; port++) {
        if (port_is_free(port))
            return port;
    }
    return 0;
}

/* Ports above 32767 may be taken by a client's own end; so the shift stays small. */
bool stack_choose_ports(void)
{
    static const int bases[] = {8080, 8081, 8082, 8083, 5532, 6479, 9192, 9193, 9292, 9392};
    char text[16];

    for (int try = 0; try < 200; try++) {
        int shift = 2000 + (getpid() * 7 + try * 113) % 20000;
        bool all_free = true;
        for (size_t i = 0; i < sizeof bases / sizeof *bases && all_free; i++)
            all_free = port_is_free(bases[i] + shift);
        if (!all_free)
            continue;
        snprintf(text, sizeof text, "%d", shift);
        setenv("SAGA_PORT_SHIFT", text, 1);
        return true;
    }
    fprintf(stderr, "no free ports for a stack\n");
    return false;
}

static char own[] = "/tmp/saga-stack-XXXXXX"; /* the folder of the stack that was begun here */

/* In the keeper. */
static void wipe(bool keep_logs)
{
    char logs[PATH_MAX], kept[PATH_MAX + 32];

    if (keep_logs) {
        snprintf(logs, sizeof logs, "%s/log", own);
        snprintf(kept, sizeof kept, "%s/build/integration-logs", stack_root());
        command_run("/", (const char *const[]){"rm", "-rf", "--", kept, NULL}, NULL);
        command_run("/", (const char *const[]){"cp", "-r", "--", logs, kept, NULL}, NULL);
        fprintf(stderr, "the logs of the stack are in %s\n", kept);
    }
    if (command_run(stack_root(), (const char *const[]){"deploy/down", "--wipe", NULL}, NULL) != 0)
        fprintf(stderr, "deploy/down --wipe failed: look at %s\n", own);
    umount(own); /* if it is a file system of its own */
    rmdir(own);
}

static bool mount_small(const char *directory, int mib)
{
    char size[40];

    snprintf(size, sizeof size, "size=%dm,mode=0755", mib);
    if (mount("saga-test", directory, "tmpfs", 0, size) == 0)
        return true;
    fprintf(stderr, "a disk of %d MiB: %s\n", mib, strerror(errno));
    rmdir(directory);
    return false;
}

bool stack_begin_within(int mib)
{
    if (mkdtemp(own) == NULL || chmod(own, 0755) != 0 || !stack_choose_ports() ||
        (mib > 0 && !mount_small(own, mib)))
        return false;
    setenv("SAGA_STATE_DIR", own, 1);
    if (!keeper_begin(wipe))
        return false;
    if (command_run(stack_root(), (const char *const[]){"deploy/up", "--no-order", NULL}, NULL) !=
        0) {
        stack_end(true);
        return false;
    }
    return stack_attach();
}

bool stack_begin(void)
{
    return stack_begin_within(0);
}

void stack_end(bool keep_logs)
{
    keeper_end(keep_logs);
}

bool stack_attach(void)
{
    static const char *const http_addresses[] = {"ORDER_API", "PAYMENT_OPS", "INVENTORY_API",
                                                 "SHIPPING_OPS"};
    char *text, *rest, *line;

    if (command_run(stack_root(), (const char *const[]){"deploy/env", NULL}, &text) != 0) {
        free(text);
        return false;
    }
    for (rest = text; (line = strsep(&rest, "\n")) != NULL;) {
        char *value = strchr(line, '=');
        if (strncmp(line, "export ", 7) != 0 || value == NULL)
            continue;
        *value = '\0';
        setenv(line + 7, value + 1, 1);
    }
    free(text);
    for (size_t i = 0; i < 4; i++)
        http_loopback_only(stack_address(http_addresses[i]));
    if (strncmp(stack_address("KAFKA_BOOTSTRAP"), "127.", 4) != 0) {
        fprintf(stderr, "refused: Kafka is not on this machine\n");
        exit(2);
    }
    return true;
}

const char *stack_address(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL) {
        fprintf(stderr, "deploy/env does not give %s\n", name);
        exit(2);
    }
    return value;
}

size_t stack_parts(struct stack_part ret_parts[STACK_PARTS])
{
    char *text = NULL;
    size_t count = 0, i;
    json_t *part;

    /* Its exit status only tells whether all are ready. */
    command_run(stack_root(), (const char *const[]){"deploy/status", "--json", NULL}, &text);
    json_t *parts = text == NULL ? NULL : json_loads(text, 0, NULL);
    free(text);
    json_array_foreach(parts, i, part)
    {
        if (count == STACK_PARTS)
            break;
        struct stack_part *ret = &ret_parts[count++];
        const char *name = json_string_value(json_object_get(part, "name"));
        const char *detail = json_string_value(json_object_get(part, "detail"));
        *ret = (struct stack_part){0};
        snprintf(ret->name, sizeof ret->name, "%s", name == NULL ? "" : name);
        snprintf(ret->detail, sizeof ret->detail, "%s", detail == NULL ? "" : detail);
        ret->pid = (pid_t)json_integer_value(json_object_get(part, "pid"));
        ret->port = (int)json_integer_value(json_object_get(part, "port"));
        ret->ready = json_is_true(json_object_get(part, "ready"));
    }
    json_decref(parts);
    return count;
}

bool stack_part(const char *name, struct stack_part *ret)
{
    struct stack_part parts[STACK_PARTS];
    size_t count = stack_parts(parts);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(parts[i].name, name) == 0) {
            *ret = parts[i];
            return true;
        }
    }
    return false;
}

bool stack_signal(const char *name, int number)
{
    struct stack_part part;

    return stack_part(name, &part) && part.pid > 1 && kill(part.pid, number) == 0;
}

bool stack_gone(pid_t pid)
{
    char path[32], line[256], state = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return true;
    const char *end = fgets(line, sizeof line, file) == NULL ? NULL : strrchr(line, ')');
    fclose(file);
    return end == NULL || sscanf(end, ") %c", &state) != 1 || state == 'Z' || state == 'X';
}

bool stack_kill(const char *name)
{
    struct stack_part part;

    if (!stack_part(name, &part) || part.pid <= 1 || kill(part.pid, SIGKILL) != 0)
        return false;
    return CLOCK_UNTIL(10, stack_gone(part.pid));
}

int64_t stack_log_count(const char *name, const char *words)
{
    char path[PATH_MAX + 64], *line = NULL;
    size_t size = 0;
    int64_t count = 0;

    snprintf(path, sizeof path, "%s/log/%s.log", getenv("SAGA_STATE_DIR"), name);
    FILE *file = fopen(path, "re");
    while (file != NULL && getline(&line, &size, file) > 0)
        count += strstr(line, words) != NULL;
    free(line);
    if (file != NULL)
        fclose(file);
    return count;
}

bool stack_up(const char *name, const char *setting)
{
    const char *const plain[] = {"deploy/up", name, NULL};
    const char *const with[] = {"env", setting, "deploy/up", name, NULL};

    return command_run(stack_root(), setting == NULL ? plain : with, NULL) == 0;
}

bool stack_restart(const char *name, const char *setting)
{
    return stack_kill(name) && stack_up(name, setting);
}

/* Takes over the environment of a running process, of which only SAGA_ settings matter. */
static bool take_settings(pid_t pid)
{
    char path[32], *text = NULL;
    size_t size = 0;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (getdelim(&text, &size, '\0', file) > 0) {
        char *value = strchr(text, '=');
        if (value == NULL || strncmp(text, "SAGA_", 5) != 0)
            continue;
        *value = '\0';
        setenv(text, value + 1, 1);
    }
    free(text);
    fclose(file);
    return true;
}

pid_t stack_second(const char *name, int port)
{
    struct stack_part part;
    char program[PATH_MAX + 64], log[PATH_MAX + 64], port_text[16];
    const char *state = getenv("SAGA_STATE_DIR");

    if (!stack_part(name, &part) || part.pid <= 1)
        return 0;
    snprintf(program, sizeof program, "%s/build/bin/%s", stack_root(), name);
    snprintf(log, sizeof log, "%s/log/%s-second.log", state == NULL ? "" : state, name);
    if (state == NULL)
        snprintf(log, sizeof log, "/dev/null");
    snprintf(port_text, sizeof port_text, "%d", port);
    pid_t pid = fork();
    if (pid != 0)
        return pid > 0 ? pid : 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 || !take_settings(part.pid))
        _exit(127);
    setenv("SAGA_HTTP_PORT", port_text, 1);
    execl(program, program, (char *)NULL);
    _exit(127);
}
