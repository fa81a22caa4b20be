/*
 * park.h: dead letters: what could not be handled, kept in PostgreSQL with its reason (I7).
 *
 * PARKED rows hold up the later messages of their order: these are put behind them, as HELD rows,
 * in the order of arrival. A redrive marks all of an order's rows REDRIVE; the running service
 * takes them up, oldest first. What was REDRIVEN with success, and what a person has DISCARDED,
 * holds nobody up; its row stays, as the proof of what became of the record. What was held behind
 * nothing but these is marked REDRIVE in the same transaction. All who add, mark or resolve lock an
 * order's rows first, so none is left behind. Unreadable records have no order and hold nobody up.
 */
#ifndef RUNTIME_PARK_H
#define RUNTIME_PARK_H

#include "core/batch.h"
#include "saga/service.h"

enum park_state {
    PARK_PARKED = 0,
    PARK_HELD = 1,
    PARK_REDRIVE = 2,
    PARK_DISCARDED = 3,
    PARK_REDRIVEN = 4
};

struct park_row {
    int64_t id;
    struct saga_uuid order_id; /* with has_order */
    struct saga_text reason, detail;
    int16_t state;
    int32_t attempts;
    struct saga_text topic;
    int32_t record_partition;
    int64_t record_offset, record_time_us;
    struct saga_text record_key, record_headers, record_value; /* as park.c keeps bytes */
    int64_t parked_us;
};

/* `dead-letters list | show ID | redrive ID | redrive --all | discard ID` of a service's program.
 */
int park_command(const struct saga_service *service, int argc, char **argv);

#endif
