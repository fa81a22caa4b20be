/* memory.h: what Redis remembers of the orders' keys. */
#ifndef AUDITOR_MEMORY_H
#define AUDITOR_MEMORY_H

#include "spill.h"

/* Adds an ENTRY_KEY for each key under the prefix. False: it has said why on standard error. */
bool memory_read(const char *redis_url, const char *prefix, struct spill *spill);

#endif
