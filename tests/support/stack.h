/*
 * stack.h: the real stack, driven as people drive it: by deploy/up, status, env and down.
 *
 * A process asks for one stack at most. The addresses are environment variables by the names of
 * deploy/env, so that the processes it starts have them too.
 */
#ifndef SUPPORT_STACK_H
#define SUPPORT_STACK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct stack_part {
    char name[24];
    pid_t pid; /* 0: not running */
    int port;
    bool ready;
    char detail[160];
};

#define STACK_PARTS 7

/* The root of the repository: above this program's file. */
const char *stack_root(void);

/*
 * Starts a stack of its own, in a fresh folder below /tmp and on free ports; false: it has said
 * why. A keeper process wipes it when stack_end is called or this process ends, however it ends.
 */
bool stack_begin(void);
/* The same on a disk of its own with so many MiB, in memory: only root can make one. */
bool stack_begin_within(int mib);
/* keep_logs: the logs are copied to build/integration-logs before the stack is wiped. */
void stack_end(bool keep_logs);

/* Takes the addresses of a running stack (SAGA_STATE_DIR, SAGA_PORT_SHIFT as in deploy/). */
bool stack_attach(void);

/* An address by its name in deploy/env: "ORDER_API", "PAYMENT_DB"; ends the process without it. */
const char *stack_address(const char *name);

/* All parts as deploy/status --json tells them; returns how many, 0 if it could not be asked. */
size_t stack_parts(struct stack_part ret_parts[STACK_PARTS]);
/* One part; false if there is none of that name. */
bool stack_part(const char *name, struct stack_part *ret);

/* How many lines of the part's log have these words; 0 if there is no log. */
int64_t stack_log_count(const char *name, const char *words);

/* The process runs no more: it may still wait for its parent to collect it. */
bool stack_gone(pid_t pid);
/* kill -9 by process id, and waits until it is gone; false if it did not run. */
bool stack_kill(const char *name);
bool stack_signal(const char *name, int signal);
/* deploy/up NAME: returns when it is ready; false: what it said is on standard error. setting:
 * "SAGA_DEADLINE_S=3" for this start only, or NULL. */
bool stack_up(const char *name, const char *setting);
/* The opposite of stack_up with a setting: kill -9 and deploy/up. */
bool stack_restart(const char *name, const char *setting);

/* Another process of a service, with the settings of the one that runs and a port of its own.
 * It dies with this process. 0: it could not be started. */
pid_t stack_second(const char *name, int port);
/* SAGA_PORT_SHIFT becomes one with which all ports of a stack are free. False: it has said why. */
bool stack_choose_ports(void);
/* A port below 32768 that nobody listens on. */
int stack_free_port(void);

#endif
