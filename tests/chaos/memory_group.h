/*
 * memory_group.h: a control group of memory for each part that is no container. Both versions of
 * control groups do; root only.
 */
#ifndef CHAOS_MEMORY_GROUP_H
#define CHAOS_MEMORY_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "site.h"

/* The folder that has a group (a folder, with cgroup.procs) by each part's name; NULL: it has said
 * why. */
const char *memory_groups_begin(void);
/* When nobody is in them any more. */
void memory_groups_end(void);
/* So many bytes at most, or the least that is taken; 0: no limit. */
bool memory_group_limit(enum part part, size_t bytes);

#endif
