/*
 * site.h: the stack that is harmed, and how its parts are reached: in containers, or as processes
 * with a network namespace each. All forms are brought up, looked at and taken down by deploy/.
 *
 * A part is known by the process that does its work: its namespaces are the part's network and
 * files, whatever the form. So what is done to the network is written once, in net.h.
 */
#ifndef CHAOS_SITE_H
#define CHAOS_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum part {
    PART_POSTGRES,
    PART_REDIS,
    PART_KAFKA,
    PART_ORDER,
    PART_PAYMENT,
    PART_INVENTORY,
    PART_SHIPPING,
    PARTS
};

#define PART(part) (1u << (part)) /* parts are also handled as a set */
#define PARTS_ALL (PART(PARTS) - 1)
#define PARTS_SERVICES                                                                             \
    (PART(PART_ORDER) | PART(PART_PAYMENT) | PART(PART_INVENTORY) | PART(PART_SHIPPING))

/* As deploy/ names them. */
extern const char *const part_names[PARTS];

/* SITE_BROKERS: containers, and Kafka is three brokers, of which PART_KAFKA is the first. */
enum site_form { SITE_CONTAINERS, SITE_PROCESSES, SITE_BROKERS, SITE_FORMS };
#define SITE_BROKERS_COUNT 3

/*
 * One form. Whatever fails has said why on standard error. One thread calls at a time, except pid,
 * address and port, which any may call.
 */
struct site {
    const char *name; /* "containers" */
    enum site_form form;

    /* Brings the stack up, on ports and in a folder of its own, its data on a disk of its own with
     * so many MiB. The addresses of deploy/env are in the environment then. */
    bool (*begin)(int disk_mib);
    /* Takes all of it away, whatever state it is in; keep_logs: they are in build/test-logs first.
     * A process beside this one does it too if this one dies. */
    void (*end)(bool keep_logs);

    /* The process that does the part's work, as this machine numbers it; 0: it does not run. */
    pid_t (*pid)(enum part part);
    /* Where the others reach it, "10.0.0.3"; the same after a restart; NULL: not now. */
    const char *(*address)(enum part part);
    /* The port there. */
    int (*port)(enum part part);

    /* kill -9: it is gone on return, and stays away until start. */
    bool (*kill)(enum part part);
    /* SIGTERM, and by force after the drain's time; it is gone on return. */
    bool (*stop)(enum part part);
    /* Does not wait until it is ready. One that runs is left alone. */
    bool (*start)(enum part part);
    /* All its processes stand still, and go on. */
    bool (*freeze)(enum part part);
    bool (*thaw)(enum part part);
    /* Off the network as if its cable were pulled, and back. */
    bool (*unplug)(enum part part);
    bool (*plug)(enum part part);
    /* So much memory at most; 0: as it was. */
    bool (*limit)(enum part part, size_t bytes);
    /* The folder of this machine that has the part's data, on that disk; NULL: it has none. */
    const char *(*data)(enum part part);
    /* Names of other parts are no longer known in it, and are again. */
    bool (*forget_names)(enum part part);
    bool (*know_names)(enum part part);
    /* Its clock differs by so many seconds; 0: it does not. Only services. */
    bool (*set_clock)(enum part part, int seconds);
    /* kill and start of a broker by its number, from 1; NULL: there is only one. */
    bool (*kill_broker)(int number);
    bool (*start_broker)(int number);
};

extern const struct site site_containers, site_processes, site_brokers;

/* ---- what is the same in every form ---- */

/* Answers that it is there and does its work (deploy/'s own question to it), within the time. */
bool site_ready(const struct site *site, enum part part, int seconds);
/* All parts of the set. */
bool site_all_ready(const struct site *site, unsigned parts, int seconds);
/* When the part's process was born, in the kernel's ticks since boot: with the pid it tells whether
 * it is still the same one. 0: it does not run. */
long long site_born(const struct site *site, enum part part);
/* The same of any process. */
long long site_process_born(pid_t pid);

#endif
