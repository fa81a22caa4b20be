/*
 * family.h: the processes of a part that deploy/ has started as one: all that are in the mount
 * namespace that it went into at its start (the script `enter`).
 */
#ifndef CHAOS_FAMILY_H
#define CHAOS_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "site.h"

#define FAMILY_MAX 512

/* The process that deploy/ has recorded, if it is still that one; 0: it does not run. */
pid_t family_head(enum part part);
/* Which namespace ("net", "mnt") a process is in, as a number; 0: it is gone. */
ino_t family_namespace(pid_t pid, const char *kind);
/* The head first. One that has not gone into its namespace yet has no family. */
size_t family_of(pid_t head, pid_t ret[FAMILY_MAX]);
/* To all of them, also those that are born meanwhile. */
void family_signal(enum part part, int number);
/* kill -9 to all of them; they are gone on return. False: it has said that they are not. */
bool family_kill(enum part part);
/* Ends whoever else is in this process's mount namespace, but for its parent. */
void family_end_ours(void);

#endif
