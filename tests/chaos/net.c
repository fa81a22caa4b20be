/* net.c: harm to a part's network: rules of nft and resets by ss, in the part's own namespace. */
#include "net.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net_delay.h"
#include "support/command.h"

#define TEXT_MAX 1024
#define CONNECTIONS_MAX 256

/* A table of its own; adding what is there changes nothing. */
#define BASE                                                                                       \
    "add table ip saga_chaos\n"                                                                    \
    "add counter ip saga_chaos hit\n"                                                              \
    "add counter ip saga_chaos passed\n"                                                           \
    "add chain ip saga_chaos heard { type filter hook input priority 0 ; }\n"                      \
    "add chain ip saga_chaos said { type filter hook output priority 0 ; }\n"                      \
    "add chain ip saga_chaos led { type nat hook output priority -100 ; }\n"

static struct delayer *delayers[PARTS];

/* Runs a program of this machine in the network of a part. */
static int run_there(const struct site *site, enum part part, const char *const *words,
                     char **ret_output)
{
    char network[48];
    const char *argv[16] = {"nsenter", network};
    pid_t pid = site->pid(part);

    if (pid <= 0)
        return -1;
    snprintf(network, sizeof network, "--net=/proc/%d/ns/net", (int)pid);
    for (size_t i = 0; i < 13 && words[i] != NULL; i++)
        argv[i + 2] = words[i];
    return command_run("/", argv, ret_output);
}

__attribute__((format(printf, 3, 4))) static bool add_rules(const struct site *site, enum part part,
                                                            const char *format, ...)
{
    char text[TEXT_MAX] = BASE;
    size_t used = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    int len = vsnprintf(text + used, sizeof text - used, format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= sizeof text - used)
        return false;
    if (run_there(site, part, (const char *const[]){"nft", text, NULL}, NULL) == 0)
        return true;
    fprintf(stderr, "%s: nft could not do it%s\n", part_names[part],
            site->pid(part) == 0 ? ": it does not run" : "");
    return false;
}

/* NULL: it has said so. */
static const char *address_of(const struct site *site, enum part part)
{
    const char *address = site->address(part);
    if (address == NULL)
        fprintf(stderr, "%s has no address now\n", part_names[part]);
    return address;
}

bool net_cut(const struct site *site, enum part from, enum part to)
{
    const char *address = address_of(site, from);
    return address != NULL &&
           add_rules(site, to, "add rule ip saga_chaos heard ip saddr %s counter name hit drop\n",
                     address);
}

bool net_count(const struct site *site, enum part from, enum part to)
{
    const char *address = address_of(site, from);
    return address != NULL &&
           add_rules(site, to, "add rule ip saga_chaos heard ip saddr %s counter name passed\n",
                     address);
}

bool net_mute(const struct site *site, enum part part, const char *address)
{
    return add_rules(site, part, "add rule ip saga_chaos said ip daddr %s counter name hit drop\n",
                     address);
}

bool net_lose(const struct site *site, enum part part, int percent)
{
    return add_rules(site, part,
                     "add rule ip saga_chaos heard iifname != \"lo\""
                     " numgen random mod 100 < %d counter name hit drop\n"
                     "add rule ip saga_chaos said oifname != \"lo\""
                     " numgen random mod 100 < %d counter name hit drop\n",
                     percent, percent);
}

bool net_delay(const struct site *site, enum part part, enum part other, int ms)
{
    const char *address = address_of(site, other);
    int port = 0;

    if (address == NULL || delayers[part] != NULL)
        return false;
    delayers[part] = delayer_new(site->pid(part), ms, &port);
    /* Those that are there go past it: they have to come anew. */
    return delayers[part] != NULL &&
           add_rules(site, part,
                     "add rule ip saga_chaos led ip daddr %s ip protocol tcp meta mark != %d"
                     " counter name hit redirect to :%d\n",
                     address, DELAYER_MARK, port) &&
           net_reset(site, part, other) >= 0;
}

/* The local ports of connections that are there; returns how many, -1: it could not look. */
static int connections(const struct site *site, enum part part, const char *address,
                       int ret_ports[CONNECTIONS_MAX])
{
    const char *const words[] = {"ss", "-tHn", "state", "established", "dst", address, NULL};
    char *text = NULL, *rest, *line;
    int count = 0;

    if (run_there(site, part, words, &text) != 0) {
        free(text);
        return -1;
    }
    for (rest = text; (line = strsep(&rest, "\n")) != NULL && count < CONNECTIONS_MAX;) {
        /* Recv-Q Send-Q Local:Port Peer:Port */
        int port;
        if (sscanf(line, " %*s %*s %*[^:]:%d", &port) == 1)
            ret_ports[count++] = port;
    }
    free(text);
    return count;
}

int net_reset(const struct site *site, enum part part, enum part other)
{
    int before[CONNECTIONS_MAX], after[CONNECTIONS_MAX], gone = 0;
    const char *address = address_of(site, other);
    char *text = NULL;

    if (address == NULL)
        return -1;
    int before_count = connections(site, part, address, before);
    const char *const words[] = {"ss", "-K", "-tHn", "dst", address, NULL};
    int status = run_there(site, part, words, &text);
    free(text);
    int after_count = connections(site, part, address, after);
    if (before_count < 0 || after_count < 0 || status != 0) {
        fprintf(stderr, "%s: ss could not reset its connections\n", part_names[part]);
        return -1;
    }
    for (int i = 0; i < before_count; i++) {
        bool there = false;
        for (int j = 0; j < after_count; j++)
            there |= after[j] == before[i];
        gone += !there;
    }
    return gone;
}

bool net_mend(const struct site *site, enum part part)
{
    char text[] = "add table ip saga_chaos\ndelete table ip saga_chaos\n";
    bool good = site->pid(part) == 0 ||
                run_there(site, part, (const char *const[]){"nft", text, NULL}, NULL) == 0 ||
                site->pid(part) == 0; /* it ended meanwhile, and its network with it */

    delayer_free(delayers[part]);
    delayers[part] = NULL;
    return good;
}

static int64_t counted(const struct site *site, enum part part, const char *name)
{
    const char *const words[] = {"nft", "-j", "list", "counters", NULL};
    char *text = NULL;
    int64_t packets = 0;
    size_t i;
    json_t *item;

    if (run_there(site, part, words, &text) == 0) {
        json_t *root = json_loads(text, 0, NULL);
        json_array_foreach(json_object_get(root, "nftables"), i, item)
        {
            const json_t *counter = json_object_get(item, "counter");
            const char *table = json_string_value(json_object_get(counter, "table"));
            const char *own = json_string_value(json_object_get(counter, "name"));
            if (table != NULL && strcmp(table, "saga_chaos") == 0 && strcmp(own, name) == 0)
                packets += json_integer_value(json_object_get(counter, "packets"));
        }
        json_decref(root);
    }
    free(text);
    return packets;
}

int64_t net_hit(const struct site *site, enum part part)
{
    return counted(site, part, "hit");
}

int64_t net_passed(const struct site *site, enum part part)
{
    return counted(site, part, "passed");
}
