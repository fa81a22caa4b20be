/* system.h: clocks, random bytes, digests: what the machine gives. Any thread. */
#ifndef PORTS_SYSTEM_H
#define PORTS_SYSTEM_H

#include "saga/types.h"

int64_t system_now_us(void);       /* wall clock, Unix epoch */
int64_t system_monotonic_us(void); /* never goes back */
void system_random(void *bytes, size_t len);
/* RFC 9562 version 7: 48 bits of milliseconds, then random; sorts by time, unique by chance. */
struct saga_uuid system_uuid7(void);
/* SHA-256 in lower-case hex and a NUL. */
void system_sha256(struct saga_text text, char ret_hex[65]);

#endif
