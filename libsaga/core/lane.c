/* lane.c: moves the acknowledged prefix of one outbox lane, and only over what is proved. */
#include "core/lane.h"

#include <assert.h>
#include <string.h>

#define BACKOFF_FIRST_US 50000
#define BACKOFF_MAX_US 5000000

static bool ack_get(const struct lane *lane, int64_t seq)
{
    uint64_t bit = (uint64_t)seq % LANE_WINDOW;
    return (lane->acks[bit / 64] >> (bit % 64)) & 1;
}

static void ack_set(struct lane *lane, int64_t seq, bool value)
{
    uint64_t bit = (uint64_t)seq % LANE_WINDOW;
    uint64_t mask = UINT64_C(1) << (bit % 64);
    if (value)
        lane->acks[bit / 64] |= mask;
    else
        lane->acks[bit / 64] &= ~mask;
}

void lane_open(struct lane *lane, int32_t number, int64_t acked, int64_t last)
{
    assert(acked >= 0 && acked <= last);
    memset(lane, 0, sizeof *lane); /* in place: it is too large for the stack */
    lane->number = number;
    lane->state = LANE_BEHIND;
    lane->acked = lane->sent = lane->written = acked;
    lane->last = last;
}

void lane_said(struct lane *lane, int64_t seq, int64_t said_us)
{
    if (seq > lane->acked && seq <= lane->acked + LANE_WINDOW)
        lane->said_us[seq % LANE_WINDOW] = said_us;
}

int64_t lane_oldest_us(const struct lane *lane)
{
    return lane->acked < lane->last ? lane->said_us[(lane->acked + 1) % LANE_WINDOW] : 0;
}

int64_t lane_room(const struct lane *lane)
{
    return LANE_WINDOW - (lane->sent - lane->acked);
}

void lane_sent(struct lane *lane, int64_t seq)
{
    assert(lane->state != LANE_BACKOFF && seq == lane->sent + 1 && seq <= lane->last);
    assert(lane_room(lane) > 0);
    lane->sent = seq;
    lane->holed = false;
}

bool lane_lacks(struct lane *lane, int64_t look_us)
{
    assert(lane->state == LANE_BEHIND && lane->sent < lane->last);
    bool known = lane->holed;
    lane->holed = true;
    lane->look_us = look_us;
    return !known;
}

bool lane_acked(struct lane *lane, int64_t seq)
{
    /* A number outside the window belongs to an earlier life of the lane, or was counted already.
     */
    if (seq <= lane->acked || seq > lane->acked + LANE_WINDOW || seq > lane->last)
        return false;
    ack_set(lane, seq, true);
    if (seq != lane->acked + 1)
        return false;
    /* I6: only a contiguous run of acknowledged rows moves the cursor. */
    while (lane->acked < lane->last && ack_get(lane, lane->acked + 1)) {
        lane->acked++;
        ack_set(lane, lane->acked, false);
        lane->said_us[lane->acked % LANE_WINDOW] = 0;
    }
    if (lane->sent < lane->acked)
        lane->sent = lane->acked;
    lane->failures = 0;
    return true;
}

bool lane_is_out(const struct lane *lane, int64_t seq)
{
    return seq > lane->acked && seq <= lane->acked + LANE_WINDOW && ack_get(lane, seq);
}

void lane_committed(struct lane *lane, int64_t seq)
{
    assert(seq >= lane->last);
    lane->last = seq;
}

void lane_full(struct lane *lane)
{
    assert(lane->state == LANE_LIVE);
    lane->state = LANE_BEHIND;
}

void lane_caught_up(struct lane *lane)
{
    assert(lane->state == LANE_BEHIND && lane->sent == lane->last);
    lane->state = LANE_LIVE;
    lane->holed = false;
}

void lane_failed(struct lane *lane, int64_t now_us, uint32_t random)
{
    int64_t limit_us = BACKOFF_MAX_US;
    if (lane->failures < 7)
        limit_us = (int64_t)BACKOFF_FIRST_US << lane->failures;
    if (limit_us > BACKOFF_MAX_US)
        limit_us = BACKOFF_MAX_US;
    lane->failures++;
    lane->state = LANE_BACKOFF;
    lane->sent = lane->acked; /* acknowledgements beyond a gap stay noted: those rows are out */
    lane->resume_us = now_us + limit_us / 2 + (int64_t)(random % (uint32_t)(limit_us / 2 + 1));
}

bool lane_resume(struct lane *lane, int64_t now_us)
{
    if (lane->state != LANE_BACKOFF || now_us < lane->resume_us)
        return false;
    lane->state = LANE_BEHIND;
    return true;
}
