/*
 * claim.c: one request at a time for a key. HTTP thread.
 *
 * Who waits for a key waits as for an order's outcome, under the holder's token; when the key comes
 * back all of them try again, each in a round of its own.
 */
#include "ports/system.h"
#include "runtime/door_inside.h"

static struct saga_request **bucket_of(struct door *door, struct saga_text key)
{
    return &door->claims[saga_text_hash(key) % DOOR_BUCKETS];
}

/* No order has such an id: its first half is zero. */
static struct saga_uuid token_of(const struct saga_request *holder)
{
    struct saga_uuid token = {0};
    uint64_t spread = (uint64_t)(uintptr_t)holder * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(token.bytes + 8, &spread, sizeof spread);
    return token;
}

static void end_claim(struct saga_request *request, enum saga_outcome_kind outcome)
{
    request->outcome = outcome;
    request->claim.then(request);
}

static void try_again(struct saga_request *request);

static void try_to_claim(struct saga_request *request)
{
    struct saga_request **bucket = bucket_of(request->door, request->claim.key);
    struct saga_request *holder = *bucket;
    while (holder != NULL && !saga_text_equal(holder->claim.key, request->claim.key))
        holder = holder->claim.next;
    if (holder == NULL) {
        request->claim.mine = true;
        request->claim.next = *bucket;
        request->claim.back = bucket;
        if (*bucket != NULL)
            (*bucket)->claim.back = &request->claim.next;
        *bucket = request;
        end_claim(request, SAGA_COMMITTED);
    } else if (system_monotonic_us() >= request->claim.until_us ||
               atomic_load(&request->door->draining)) {
        end_claim(request, SAGA_BUSY);
    } else {
        request->order_id = token_of(holder);
        request->then = try_again;
        door_wait(request, request->claim.until_us);
    }
}

/* Not from within the loop that ends waits: this may begin one. */
static void try_again(struct saga_request *request)
{
    request->then = try_to_claim;
    door_complete(request, SAGA_COMMITTED);
}

void saga_request_claim(struct saga_request *request, struct saga_text key, int64_t wait_ms,
                        saga_then then)
{
    request->claim.key = key;
    request->claim.until_us = system_monotonic_us() + wait_ms * 1000;
    request->claim.then = then;
    try_to_claim(request);
}

void saga_request_give_back(struct saga_request *request)
{
    if (!request->claim.mine)
        return;
    request->claim.mine = false;
    *request->claim.back = request->claim.next;
    if (request->claim.next != NULL)
        request->claim.next->claim.back = request->claim.back;
    struct saga_uuid token = token_of(request);
    door_end_waits(request->door, &token, (struct saga_text){0});
}
