/* memory.h: the memory of a part's control group, first or second version. */
#ifndef CHAOS_MEMORY_H
#define CHAOS_MEMORY_H

#include <stdbool.h>
#include <sys/types.h>

/* Bytes that the group of this process has in use; -1: it has no group of its own. */
long long memory_used(pid_t pid);
/* A limit below what is in use is refused (the first version), or has processes ended at once. */
bool memory_refuses_less(void);
/* Takes all that the group of this process has left, from within it, until the kernel ends a
 * process for want of memory: the largest. Then gives it back. Returns how many were
 * ended; -1: it has said why not. Only where there is a limit. */
int memory_squeeze(pid_t pid);

#endif
