/*
 * redis.h: a memory that may forget (I4). The only place that knows hiredis.
 *
 * Blocking with a short limit; after a failure it answers "not known" at once for a while
 * (back-off) instead of slowing everybody down. Belongs to one thread.
 */
#ifndef PORTS_REDIS_H
#define PORTS_REDIS_H

#include "core/arena.h"

struct redis;

/* url: redis://host:port/db. NULL with a reason in errbuf if it is no such URL. Does not connect.
 */
struct redis *redis_new(const char *url, char *errbuf, size_t errbuf_size);
void redis_free(struct redis *redis);
/* One pipelined round trip of GETs: values[i] absent when unknown; texts in the arena.
 * False if Redis did not answer (then all are absent). */
bool redis_get(struct redis *redis, struct arena *arena, const struct saga_text *keys, size_t count,
               struct saga_text *ret_values);
/* One pipelined round trip of SET key value EX seconds. Failures are forgotten. */
bool redis_set(struct redis *redis, const struct saga_text *keys, const struct saga_text *values,
               const int64_t *seconds, size_t count);
/* PING, honouring the back-off. */
bool redis_alive(struct redis *redis);

#endif
