/*
 * plan.h: which faults, against whom, for how long, in which order: all of it follows from the seed
 * and the table of kinds. Pure: no clock, no I/O.
 */
#ifndef CHAOS_PLAN_H
#define CHAOS_PLAN_H

#include "fault.h"

#define PLAN_GAP_MS_MAX 3000 /* between a recovery and the next fault */

/*
 * Fills `faults` with a plan of `count`. Kinds are dealt like cards: each that this form can do
 * once, in an order of the seed's, then all again in another. Two runs with the same seed, kinds
 * and form have the same plan; a longer one begins with the shorter one.
 */
void plan_make(uint64_t seed, const struct fault_kind *kinds, size_t kinds_count,
               enum site_form form, struct fault *faults, size_t count);

#endif
