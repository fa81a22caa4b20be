/* patience.c: a queue that lets some go early; see patience.h. */
#include "runtime/patience.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Open addressing. A hash stands for what it is of: who is taken for another by mistake goes
 * early. */
struct set {
    size_t mask;
    size_t *hashes; /* 0: free */
};

struct held {
    struct kafka_record record;
    int64_t until_us;
    bool goes;
};

struct patience {
    size_t count, size, bytes;
    struct set orders, partitions;
    struct held held[];
};

/* At most half of it will be used. */
static size_t set_size(size_t members)
{
    size_t size = 2;
    while (size < 2 * members)
        size *= 2;
    return size;
}

static void set_make(struct set *set, size_t members_max)
{
    set->hashes = malloc(set_size(members_max) * sizeof *set->hashes);
    if (set->hashes == NULL)
        abort();
}

/* Empty, for so many. */
static void set_begin(struct set *set, size_t members)
{
    size_t size = set_size(members);
    set->mask = size - 1;
    memset(set->hashes, 0, size * sizeof *set->hashes);
}

/* Where it is, or would be. */
static size_t *set_find(const struct set *set, size_t *hash)
{
    *hash += *hash == 0;
    size_t at = *hash * UINT64_C(0x9e3779b97f4a7c15) >> 32 & set->mask;
    while (set->hashes[at] != 0 && set->hashes[at] != *hash)
        at = (at + 1) & set->mask;
    return &set->hashes[at];
}

static void add(struct set *set, size_t hash)
{
    size_t *at = set_find(set, &hash);
    *at = hash;
}

static bool has(const struct set *set, size_t hash)
{
    return *set_find(set, &hash) != 0;
}

static size_t partition_hash(const struct kafka_record *record)
{
    return saga_text_hash(record->topic) + (size_t)record->partition * UINT64_C(0x100000001b3);
}

static size_t bytes_of(const struct kafka_record *record)
{
    return sizeof(struct held) + record->key.len + record->value.len;
}

struct patience *patience_new(size_t burst)
{
    size_t size = PATIENCE_RECORDS_MAX + burst;
    struct patience *patience = calloc(1, sizeof *patience + size * sizeof *patience->held);
    if (patience == NULL)
        abort();
    patience->size = size;
    set_make(&patience->orders, burst);
    set_make(&patience->partitions, size);
    return patience;
}

void patience_free(struct patience *patience)
{
    if (patience == NULL)
        return;
    assert(patience->count == 0);
    free(patience->orders.hashes);
    free(patience->partitions.hashes);
    free(patience);
}

bool patience_full(const struct patience *patience)
{
    return patience->count >= PATIENCE_RECORDS_MAX || patience->bytes >= PATIENCE_BYTES_MAX;
}

void patience_hold(struct patience *patience, const struct kafka_record *record, int64_t now_us)
{
    assert(patience->count < patience->size);
    patience->held[patience->count++] = (struct held){*record, now_us + PATIENCE_US, false};
    patience->bytes += bytes_of(record);
}

/* From the last to the first: who is before one that goes, in its partition, goes too. */
static void choose(struct patience *patience, const struct kafka_record *urgent, size_t count)
{
    set_begin(&patience->orders, count);
    set_begin(&patience->partitions, patience->count);
    for (size_t i = 0; i < count; i++)
        add(&patience->orders, saga_text_hash(urgent[i].key));
    for (size_t i = patience->count; i-- > 0;) {
        struct held *held = &patience->held[i];
        size_t partition = partition_hash(&held->record);
        held->goes = has(&patience->partitions, partition) ||
                     has(&patience->orders, saga_text_hash(held->record.key));
        if (held->goes)
            add(&patience->partitions, partition);
    }
}

size_t patience_let_go(struct patience *patience, const struct kafka_record *urgent,
                       size_t urgent_count, int64_t now_us, struct kafka_record *ret, size_t room)
{
    bool all = patience_full(patience) || patience_end_us(patience) <= now_us;
    size_t gone = 0, kept = 0;
    if (patience->count == 0 || (!all && urgent_count == 0))
        return 0;
    if (!all)
        choose(patience, urgent, urgent_count);
    for (size_t i = 0; i < patience->count; i++) {
        if (gone < room && (all || patience->held[i].goes)) {
            patience->bytes -= bytes_of(&patience->held[i].record);
            ret[gone++] = patience->held[i].record;
        } else {
            patience->held[kept++] = patience->held[i];
        }
    }
    patience->count = kept;
    return gone;
}

size_t patience_share(size_t room, size_t patient)
{
    size_t share = room / (1 + patient);
    return share > 0 ? share : 1;
}

int64_t patience_end_us(const struct patience *patience)
{
    return patience->count > 0 ? patience->held[0].until_us : INT64_MAX;
}
