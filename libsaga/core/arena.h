/* arena.h: memory of one batch: bump-allocated, freed all at once, reused by the next. */
#ifndef ARENA_H
#define ARENA_H

#include "saga/types.h"

struct arena_chunk;

/* Zero-initialise, then set size_max and chunk. Not thread-safe. */
struct arena {
    struct arena_chunk *first, *current;
    size_t used;     /* bytes handed out since the last reset */
    size_t size_max; /* a batch is over when this is reached; 0: 64 MiB */
    size_t chunk;    /* taken from the machine at once, at least; 0: 64 KiB */
};

/* Zeroed, aligned for anything. Aborts when the machine has no memory left: a crash is a case that
 * is tested, a half-made batch is not. Never NULL. */
void *arena_alloc(struct arena *arena, size_t size);
struct saga_text arena_copy(struct arena *arena, struct saga_text text);
/* True once `used` has passed size_max: take no more messages into this batch. */
bool arena_full(const struct arena *arena);
/* A place in it, and back there: what was handed out since is gone, and handed out again. */
struct arena_mark {
    struct arena_chunk *current;
    size_t chunk_used, used;
};
struct arena_mark arena_mark(const struct arena *arena);
void arena_rewind(struct arena *arena, struct arena_mark mark);
/* Everything handed out is gone; the chunks stay (up to size_max) for the next batch. */
void arena_reset(struct arena *arena);
void arena_free(struct arena *arena);

#endif
