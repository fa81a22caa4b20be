/* tally.c: a set of orders by id, open addressing; see tally.h. */
#include "tally.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 65536
#define ANSWERED(end) (1u << (end))
#define RECORDED(end) (4u << (end))

struct entry {
    uint64_t high, low; /* the id; it is random enough to be its own hash */
    uint8_t marks;      /* 0: nobody's */
};

struct tally {
    struct entry *entries;
    size_t slots, used, again;
};

static struct entry *make_entries(size_t slots)
{
    struct entry *entries = calloc(slots, sizeof *entries);
    if (entries == NULL)
        abort();
    return entries;
}

struct tally *tally_new(void)
{
    struct tally *tally = calloc(1, sizeof *tally);
    if (tally == NULL)
        abort();
    tally->slots = SLOTS_FIRST;
    tally->entries = make_entries(tally->slots);
    return tally;
}

void tally_free(struct tally *tally)
{
    if (tally == NULL)
        return;
    free(tally->entries);
    free(tally);
}

static bool read_id(const char *id, uint64_t *ret_high, uint64_t *ret_low)
{
    unsigned long a, b, c, d, e;
    int used = 0;

    if (strlen(id) != 36 ||
        sscanf(id, "%8lx-%4lx-%4lx-%4lx-%12lx%n", &a, &b, &c, &d, &e, &used) != 5 || used != 36)
        return false;
    *ret_high = a << 32 | b << 16 | c;
    *ret_low = d << 48 | e;
    return true;
}

/* The order's entry, or the empty one where it would be. */
static struct entry *find(struct entry *entries, size_t slots, uint64_t high, uint64_t low)
{
    /* A UUIDv7 begins with the time: its end is what differs. */
    size_t at = (size_t)((low ^ low >> 29 ^ high) * 0x9e3779b97f4a7c15u >> 20) & (slots - 1);
    while (entries[at].marks != 0 && (entries[at].high != high || entries[at].low != low))
        at = (at + 1) & (slots - 1);
    return &entries[at];
}

static void grow(struct tally *tally)
{
    struct entry *entries = make_entries(tally->slots * 2);
    for (size_t i = 0; i < tally->slots; i++) {
        const struct entry *old = &tally->entries[i];
        if (old->marks != 0)
            *find(entries, tally->slots * 2, old->high, old->low) = *old;
    }
    free(tally->entries);
    tally->entries = entries;
    tally->slots *= 2;
}

/* NULL: it is no id, or there are too many. The caller marks it, and so takes it. */
static struct entry *entry_of(struct tally *tally, const char *id)
{
    uint64_t high, low;

    if (!read_id(id, &high, &low))
        return NULL;
    if (tally->used * 2 >= tally->slots)
        grow(tally);
    struct entry *entry = find(tally->entries, tally->slots, high, low);
    if (entry->marks == 0) {
        if (tally->used == TALLY_ORDERS_MAX)
            return NULL;
        tally->used++;
        entry->high = high;
        entry->low = low;
    }
    return entry;
}

bool tally_answered(struct tally *tally, const char *id, enum tally_end end)
{
    struct entry *entry = entry_of(tally, id);
    unsigned any = ANSWERED(TALLY_COMPLETED) | ANSWERED(TALLY_CANCELLED);

    if (entry == NULL || (entry->marks & any) != 0)
        return false;
    entry->marks = (uint8_t)(entry->marks | ANSWERED(end));
    return true;
}

bool tally_recorded(struct tally *tally, const char *id, enum tally_end end)
{
    struct entry *entry = entry_of(tally, id);

    if (entry == NULL)
        return false;
    tally->again += (entry->marks & RECORDED(end)) != 0;
    entry->marks = (uint8_t)(entry->marks | RECORDED(end));
    return true;
}

void tally_count(const struct tally *tally, struct tally_counts *ret_counts)
{
    *ret_counts = (struct tally_counts){.again = tally->again};
    for (size_t i = 0; i < tally->slots; i++) {
        for (unsigned end = 0; end < TALLY_ENDS; end++) {
            ret_counts->answered[end] += (tally->entries[i].marks & ANSWERED(end)) != 0;
            ret_counts->recorded[end] += (tally->entries[i].marks & RECORDED(end)) != 0;
        }
    }
}

static const char *contradiction(unsigned marks)
{
    static const struct {
        unsigned marks;
        const char *says;
    } wrong[] = {
        {ANSWERED(TALLY_COMPLETED), "was answered completed, and has no record of its end"},
        {ANSWERED(TALLY_CANCELLED), "was answered cancelled, and has no record of its end"},
        {RECORDED(TALLY_COMPLETED), "has order.completed, and nobody was answered so"},
        {RECORDED(TALLY_CANCELLED), "has order.cancelled, and nobody was answered so"},
    };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (marks == wrong[i].marks)
            return wrong[i].says;
    return "was answered one end, and has a record of the other";
}

bool tally_agrees(const struct tally *tally, char *why, size_t size)
{
    const struct entry *first = NULL;
    size_t wrong = 0;

    for (size_t i = 0; i < tally->slots; i++) {
        const struct entry *entry = &tally->entries[i];
        if (entry->marks == 0 ||
            entry->marks == (ANSWERED(TALLY_COMPLETED) | RECORDED(TALLY_COMPLETED)) ||
            entry->marks == (ANSWERED(TALLY_CANCELLED) | RECORDED(TALLY_CANCELLED)))
            continue;
        if (wrong++ == 0)
            first = entry;
    }
    if (first == NULL)
        return true;
    snprintf(why, size, "%zu orders do not agree; %08lx-%04lx-%04lx-%04lx-%012lx %s", wrong,
             (unsigned long)(first->high >> 32), (unsigned long)(first->high >> 16 & 0xffff),
             (unsigned long)(first->high & 0xffff), (unsigned long)(first->low >> 48),
             (unsigned long)(first->low & 0xffffffffffff), contradiction(first->marks));
    return false;
}
