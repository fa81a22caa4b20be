/* arena.c: chunks in a list; a reset starts again at the first. */
#include "core/arena.h"

#include <stdlib.h>

#define CHUNK_SIZE (64 * 1024)
#define SIZE_MAX_DEFAULT (64u * 1024 * 1024)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size, used;
    max_align_t bytes[];
};

static struct arena_chunk *chunk_new(size_t size)
{
    struct arena_chunk *chunk = malloc(sizeof *chunk + size);
    if (chunk == NULL)
        abort();
    chunk->next = NULL;
    chunk->size = size;
    chunk->used = 0;
    return chunk;
}

/* The next chunk with room for size bytes: an old one, moved to the front of those that are not in
 * use, or a new one. So a batch like the one before takes nothing from the machine. */
static struct arena_chunk *chunk_with_room(struct arena *arena, size_t size)
{
    struct arena_chunk **front = arena->current ? &arena->current->next : &arena->first;
    struct arena_chunk **link = front, *chunk;
    while (*link != NULL && (*link)->size < size)
        link = &(*link)->next;
    if (*link != NULL) {
        chunk = *link;
        *link = chunk->next;
    } else {
        size_t least = arena->chunk ? arena->chunk : CHUNK_SIZE;
        chunk = chunk_new(size > least ? size : least);
    }
    chunk->next = *front;
    *front = chunk;
    chunk->used = 0;
    arena->current = chunk;
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t unit = sizeof(max_align_t);
    size = (size + unit - 1) / unit * unit;
    if (size == 0)
        size = unit;
    struct arena_chunk *chunk = arena->current;
    if (chunk == NULL || chunk->size - chunk->used < size)
        chunk = chunk_with_room(arena, size);
    void *memory = (char *)chunk->bytes + chunk->used;
    chunk->used += size;
    arena->used += size;
    return memset(memory, 0, size);
}

struct saga_text arena_copy(struct arena *arena, struct saga_text text)
{
    if (text.at == NULL)
        return text;
    char *copy = arena_alloc(arena, text.len + 1);
    memcpy(copy, text.at, text.len);
    return (struct saga_text){copy, text.len};
}

bool arena_full(const struct arena *arena)
{
    return arena->used >= (arena->size_max ? arena->size_max : SIZE_MAX_DEFAULT);
}

struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){arena->current, arena->current ? arena->current->used : 0,
                               arena->used};
}

void arena_rewind(struct arena *arena, struct arena_mark mark)
{
    arena->current = mark.current;
    if (mark.current != NULL)
        mark.current->used = mark.chunk_used;
    arena->used = mark.used;
}

void arena_reset(struct arena *arena)
{
    /* What a huge batch needed beyond the limit is given back. */
    size_t kept = 0, limit = arena->size_max ? arena->size_max : SIZE_MAX_DEFAULT;
    for (struct arena_chunk **link = &arena->first; *link != NULL;) {
        struct arena_chunk *chunk = *link;
        if (kept + chunk->size > limit) {
            *link = chunk->next;
            free(chunk);
            continue;
        }
        kept += chunk->size;
        link = &chunk->next;
    }
    arena->current = NULL;
    arena->used = 0;
}

void arena_free(struct arena *arena)
{
    for (struct arena_chunk *chunk = arena->first, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    arena->first = arena->current = NULL;
    arena->used = 0;
}
