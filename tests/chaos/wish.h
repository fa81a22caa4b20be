/*
 * wish.h: what a customer wants: a function of its mark alone, so that judge and report know it
 * without a record of it.
 *
 * A mark has the run above its lowest 20 bits, and the customer's number in them.
 */
#ifndef CHAOS_WISH_H
#define CHAOS_WISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WISH_NUMBER_BITS 20
#define WISH_KEY_SIZE 24
#define WISH_ORDER_SIZE 640

enum wish_path {
    WISH_CARD,
    WISH_DECLINED,
    WISH_FUNDS,
    WISH_METHOD,
    WISH_SKU,
    WISH_SOLD_OUT,
    WISH_ADDRESS,
    WISH_PATHS
};

struct wish {
    enum wish_path path;
    bool keyed;    /* has an Idempotency-Key */
    bool waits;    /* Prefer: wait */
    bool replays;  /* asks once more with its key when it has its answer */
    int cancel_ms; /* asks to cancel so long after its answer; -1: does not */
};

/* The run that has this seed. */
uint64_t wish_run(uint64_t seed);

static inline uint64_t wish_mark(uint64_t run, size_t number)
{
    return run << WISH_NUMBER_BITS | number;
}

static inline size_t wish_number(uint64_t mark)
{
    return mark & ((UINT64_C(1) << WISH_NUMBER_BITS) - 1);
}

struct wish wish_of(uint64_t mark);
/* The order as it is sent. Returns its total. */
int64_t wish_write_order(uint64_t mark, char buffer[WISH_ORDER_SIZE]);
/* The mark as it stands in the metadata, and is the key; and back, false if it is none. */
void wish_write_key(uint64_t mark, char buffer[WISH_KEY_SIZE]);
bool wish_read_key(const char *text, uint64_t *ret_mark);
/* Why a step refuses an order of this path; NULL: none does. */
const char *wish_reason(enum wish_path path);

#endif
