/* plan.c: deals the faults of a run from a seed: kinds in rounds, like cards, and for each whom it
 * meets, for how long and how soon. */
#include "plan.h"

#include <assert.h>

#define KINDS_MAX 64

/* splitmix64 (Steele, Lea, Flood 2014): a counter that is well stirred. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* From 0 to limit - 1. The upper bits decide; that limits do not divide 2^32 favours nobody by more
 * than one in many millions. */
static uint32_t below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)((next(state) >> 32) * limit >> 32);
}

static int between(uint64_t *state, int least, int most)
{
    return least + (int)below(state, (uint32_t)(most - least) + 1);
}

static unsigned size(unsigned parts)
{
    return (unsigned)__builtin_popcount(parts);
}

/* One of the set. */
static enum part draw(uint64_t *state, unsigned parts)
{
    uint32_t skip = below(state, size(parts));

    while (skip-- > 0)
        parts &= parts - 1;
    return (enum part)__builtin_ctz(parts);
}

static unsigned draw_some(uint64_t *state, unsigned parts, unsigned count)
{
    unsigned some = 0;

    while (size(some) < count)
        some |= PART(draw(state, parts & ~some));
    return some;
}

/* The other one first, from those that leave victims enough: so neither is ever both. */
static void draw_parts(uint64_t *state, struct fault *fault)
{
    const struct fault_kind *kind = fault->kind;
    unsigned others = 0;

    fault->other = PARTS;
    for (unsigned left = kind->others; left != 0; left &= left - 1) {
        unsigned one = left & -left;
        others |= size(kind->victims & ~one) >= kind->count ? one : 0;
    }
    if (kind->others != 0) {
        assert(others != 0);
        fault->other = draw(state, others);
    }
    fault->victims = draw_some(
        state, kind->victims & ~(fault->other == PARTS ? 0 : PART(fault->other)), kind->count);
}

static void deal(uint64_t *state, const struct fault_kind *kind, struct fault *fault)
{
    assert(kind->count > 0 && kind->count <= size(kind->victims));
    assert(kind->hold_ms[0] >= 0 && kind->hold_ms[0] <= kind->hold_ms[1]);
    *fault = (struct fault){.kind = kind};
    draw_parts(state, fault);
    fault->gap_ms = between(state, 0, PLAN_GAP_MS_MAX);
    fault->hold_ms = between(state, kind->hold_ms[0], kind->hold_ms[1]);
    fault->chance = (uint32_t)(next(state) >> 32);
}

/* Fisher and Yates. */
static void shuffle(uint64_t *state, const struct fault_kind **cards, size_t count)
{
    for (size_t left = count; left > 1; left--) {
        size_t at = below(state, (uint32_t)left);
        const struct fault_kind *card = cards[at];
        cards[at] = cards[left - 1];
        cards[left - 1] = card;
    }
}

void plan_make(uint64_t seed, const struct fault_kind *kinds, size_t kinds_count,
               enum site_form form, struct fault *faults, size_t count)
{
    const struct fault_kind *cards[KINDS_MAX];
    uint64_t state = seed;
    size_t cards_count = 0;

    assert(kinds_count <= KINDS_MAX);
    for (size_t i = 0; i < kinds_count; i++) {
        if (kinds[i].forms & 1u << form)
            cards[cards_count++] = &kinds[i];
    }
    assert(cards_count > 0 || count == 0);
    for (size_t i = 0; i < count; i++) {
        if (i % cards_count == 0)
            shuffle(&state, cards, cards_count);
        deal(&state, cards[i % cards_count], &faults[i]);
    }
}
