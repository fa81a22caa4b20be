/*
 * fault_acts.h: what the table of kinds in fault.c is made of: how each is fired, proved and
 * lifted.
 *
 * A proof that looks at what is only so while the fault holds says no afterwards: so a fault that
 * did nothing is not proved by the trouble of a recovery. A lift leaves each victim running and
 * unharmed, whatever became of the rest, and may be called again.
 */
#ifndef CHAOS_FAULT_ACTS_H
#define CHAOS_FAULT_ACTS_H

#include "fault.h"

#define FOR_EACH_PART(one, parts)                                                                  \
    for (enum part one = 0; one < PARTS; one++)                                                    \
        if (!((parts)&PART(one))) {                                                                \
        } else

typedef bool fault_act(const struct site *site, struct fault *fault);

/* Writes the evidence; true. */
__attribute__((format(printf, 2, 3))) bool fault_saw(struct fault *fault, const char *format, ...);
/* Who the victims are: fault->before. */
void fault_note_births(const struct site *site, struct fault *fault);

/* ---- fault_life.c: processes that end, or stand still ---- */
fault_act fault_kill, fault_stop, fault_restart, fault_roll, fault_kill_starting, fault_kill_often;
fault_act fault_gone, fault_drained, fault_back, fault_was_starting, fault_was_killed_often;
fault_act fault_start;
fault_act fault_freeze, fault_silent, fault_thrown_out, fault_thaw;

/* ---- fault_leader.c: one of three brokers ---- */
fault_act fault_kill_leader, fault_another_leads, fault_start_leader;

/* ---- fault_net.c: the network ---- */
fault_act fault_unplug, fault_unreachable, fault_plug;
fault_act fault_cut_one_way, fault_is_cut_one_way, fault_cut, fault_is_cut, fault_mend;
fault_act fault_reset, fault_was_reset, fault_nothing;
fault_act fault_delay, fault_is_late;
fault_act fault_lose, fault_has_lost;
fault_act fault_forget_names, fault_has_forgotten, fault_know_names;

/* ---- fault_means.c: memory, disk, time ---- */
fault_act fault_limit, fault_out_of_memory, fault_unlimit;
fault_act fault_fill, fault_disk_full, fault_empty;
fault_act fault_jump, fault_has_jumped, fault_set_right;

#endif
