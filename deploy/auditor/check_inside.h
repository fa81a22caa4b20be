/* check_inside.h: what the parts of the check share. */
#ifndef AUDITOR_CHECK_INSIDE_H
#define AUDITOR_CHECK_INSIDE_H

#include "check.h"

#define LL(value) ((long long)(value))

struct looking {
    const struct check *check;
    const struct audited *at;
};

/* A contradiction. unfinished: wrong only when nothing may be in flight any more. */
void check_tell(const struct looking *on, int invariant, bool unfinished, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define broken(on, invariant, ...) check_tell(on, invariant, false, __VA_ARGS__)
#define unfinished(on, invariant, ...) check_tell(on, invariant, true, __VA_ARGS__)

static inline bool is_one_of(int64_t value, enum audit_state a, enum audit_state b)
{
    return value == (int64_t)a || value == (int64_t)b;
}

/* I3 to I7 of one order: what was said, sent, taken and parked, and what Redis remembers of it. */
void check_events(const struct looking *on);

#endif
