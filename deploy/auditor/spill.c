/* spill.c: an external merge sort. */
#include "spill.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNS_MAX 1024

struct run {
    int fd;
    off_t at;
    struct entry *buffer;
    size_t next, count;
};

struct spill {
    const char *dir;
    struct entry *memory;
    size_t count, max;
    size_t share; /* of the memory, for each run that is being merged */
    struct run runs[RUNS_MAX];
    size_t runs_count;
    size_t heap[RUNS_MAX], heap_count; /* of runs, by their next entry */
    struct entry current;
    bool failed;
};

struct spill *spill_new(const char *dir, size_t run_max)
{
    struct spill *spill = calloc(1, sizeof *spill);
    if (spill == NULL || (spill->memory = calloc(run_max, sizeof *spill->memory)) == NULL)
        abort();
    spill->dir = dir;
    spill->max = run_max;
    return spill;
}

#define BY(member)                                                                                 \
    if (a->member != b->member)                                                                    \
    return a->member < b->member ? -1 : 1

static int compare(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    int order = memcmp(&a->id, &b->id, sizeof a->id);
    if (order != 0)
        return order;
    BY(topic);
    BY(partition);
    BY(offset);
    BY(kind);
    BY(db);
    BY(lane);
    BY(seq);
    return 0;
}

static bool write_all(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, at, len);
        if (written <= 0)
            return false;
        at += written;
        len -= (size_t)written;
    }
    return true;
}

static bool write_run(struct spill *spill)
{
    if (spill->runs_count == RUNS_MAX)
        return false;
    qsort(spill->memory, spill->count, sizeof *spill->memory, compare);
    int fd = open(spill->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 ||
        !write_all(fd, (const char *)spill->memory, spill->count * sizeof *spill->memory)) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    spill->runs[spill->runs_count++].fd = fd;
    spill->count = 0;
    return true;
}

bool spill_add(struct spill *spill, const struct entry *entry)
{
    if (spill->count == spill->max && !write_run(spill))
        return false;
    spill->memory[spill->count++] = *entry;
    return true;
}

/* False: the run is at its end. */
static bool refill(struct spill *spill, struct run *run)
{
    if (run->next < run->count)
        return true;
    if (run->fd < 0)
        return false;
    ssize_t got = pread(run->fd, run->buffer, spill->share * sizeof *run->buffer, run->at);
    if (got < 0 || (size_t)got % sizeof *run->buffer != 0)
        spill->failed = true;
    if (got <= 0 || spill->failed)
        return false;
    run->at += got;
    run->next = 0;
    run->count = (size_t)got / sizeof *run->buffer;
    return true;
}

static bool sooner(const struct spill *spill, size_t a, size_t b)
{
    const struct run *left = &spill->runs[a], *right = &spill->runs[b];
    return compare(&left->buffer[left->next], &right->buffer[right->next]) < 0;
}

static void sift_down(struct spill *spill, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < spill->heap_count; child++)
            if (sooner(spill, spill->heap[child], spill->heap[least]))
                least = child;
        if (least == at)
            return;
        size_t run = spill->heap[at];
        spill->heap[at] = spill->heap[least];
        spill->heap[least] = run;
        at = least;
    }
}

bool spill_sort(struct spill *spill)
{
    /* All runs are on the disk then, and the memory is theirs to be read into. */
    if (!write_run(spill))
        return false;
    spill->share = spill->max / spill->runs_count;
    for (size_t i = 0; i < spill->runs_count; i++)
        spill->runs[i].buffer = spill->memory + i * spill->share;
    for (size_t i = 0; i < spill->runs_count; i++)
        if (refill(spill, &spill->runs[i]))
            spill->heap[spill->heap_count++] = i;
    for (size_t i = spill->heap_count; i-- > 0;)
        sift_down(spill, i);
    return !spill->failed;
}

const struct entry *spill_next(struct spill *spill)
{
    if (spill->heap_count == 0 || spill->failed)
        return NULL;
    struct run *run = &spill->runs[spill->heap[0]];
    spill->current = run->buffer[run->next++];
    if (!refill(spill, run))
        spill->heap[0] = spill->heap[--spill->heap_count];
    sift_down(spill, 0);
    return &spill->current;
}

bool spill_failed(const struct spill *spill)
{
    return spill->failed;
}

void spill_free(struct spill *spill)
{
    if (spill == NULL)
        return;
    for (size_t i = 0; i < spill->runs_count; i++)
        close(spill->runs[i].fd);
    free(spill->memory);
    free(spill);
}
