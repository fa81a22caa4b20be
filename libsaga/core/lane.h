/*
 * lane.h: the outbox's acknowledged prefix and the state of its relay. Pure.
 *
 * Rows of a lane are numbered 1, 2, 3... in commit order. For each lane
 *
 *      acked <= sent <= last
 *
 * acked: every row up to it is known to be on its topic, or parked (I6); sent: handed to the
 * producer in this life; last: committed. LIVE hands over from memory right after the commit;
 * BEHIND reads the table; BACKOFF waits after a failure, with everything in flight forgotten.
 *
 *            lane_open                 lane_caught_up
 *   (start) -----------> BEHIND ---------------------> LIVE
 *                          ^  ^                          |
 *            lane_resume   |  |    lane_full             |
 *                          |  +--------------------------+
 *                       BACKOFF <------ lane_failed ----- (LIVE, BEHIND)
 */
#ifndef LANE_H
#define LANE_H

#include "saga/types.h"

enum lane_state { LANE_BEHIND, LANE_LIVE, LANE_BACKOFF };

#define LANE_WINDOW 65536 /* rows in flight at most: sent - acked; a power of two */

struct lane {
    int32_t number;
    enum lane_state state;
    int64_t acked, sent, last;
    int64_t written;                 /* the acked that the database knows */
    int64_t resume_us;               /* BACKOFF: until when */
    int64_t look_us;                 /* BEHIND: the table is not read before */
    bool holed;                      /* row sent + 1 was not in the table */
    unsigned failures;               /* in a row */
    uint64_t acks[LANE_WINDOW / 64]; /* one bit a row in (acked, acked + LANE_WINDOW] */
    int64_t said_us[LANE_WINDOW];    /* of the same rows; 0: not noted */
};

void lane_open(struct lane *lane, int32_t number, int64_t acked, int64_t last);
/* When row seq was said; outside the window it is not noted. */
void lane_said(struct lane *lane, int64_t seq, int64_t said_us);
/* When the oldest row that is not acknowledged was said; 0 if there is none, or it was not noted.
 */
int64_t lane_oldest_us(const struct lane *lane);
/* How many more rows may be handed to the producer. */
int64_t lane_room(const struct lane *lane);
/* Row seq was handed over; it must be sent + 1. */
void lane_sent(struct lane *lane, int64_t seq);
/* The broker acknowledged row seq (or it was parked). Late reports of forgotten sends are harmless:
 * the row is on its topic all the same. True if acked moved. */
bool lane_acked(struct lane *lane, int64_t seq);
/* Row seq, which is not yet handed over again, is on its topic since before something failed. */
bool lane_is_out(const struct lane *lane, int64_t seq);
/* Rows up to seq are committed. In LIVE the caller hands them over, in other states the table is
 * read. */
void lane_committed(struct lane *lane, int64_t seq);
void lane_full(struct lane *lane);
/* BEHIND: row sent + 1, which was committed, is not in the table: somebody took it out. Nothing
 * behind it may be sent, so the table is not read before look_us. True if it was not known. */
bool lane_lacks(struct lane *lane, int64_t look_us);
void lane_caught_up(struct lane *lane);
/* A send failed: nothing beyond acked counts as sent; wait (full jitter from `random`), then read
 * again. */
void lane_failed(struct lane *lane, int64_t now_us, uint32_t random);
/* True if the wait is over; then the state is BEHIND. */
bool lane_resume(struct lane *lane, int64_t now_us);

#endif
