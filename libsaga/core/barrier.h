/*
 * barrier.h: what a step does about a message, given what it remembers of the order.
 *
 *                 action heard            undo heard
 *   NONE          run   -> DONE|REFUSED   fence -> VOID (and say "undone")
 *   DONE          duplicate               run   -> UNDONE         (pivot: too late, nothing)
 *   REFUSED       duplicate               nothing: the refusal started the way back
 *   UNDONE        duplicate               duplicate
 *   VOID          void: never again       duplicate
 *
 * I1: an action takes effect only out of NONE, an undo only out of DONE; both leave for good.
 * I2: no effect of the action after UNDONE or VOID; no effect of the undo but out of DONE.
 */
#ifndef BARRIER_H
#define BARRIER_H

#include "saga/service.h"

enum barrier_move {
    BARRIER_RUN,       /* run the edge's handler */
    BARRIER_FENCE,     /* undo before action: remember VOID, say undone */
    BARRIER_DUPLICATE, /* heard before */
    BARRIER_REFUSED,   /* undo of what was refused: nothing to do */
    BARRIER_TOO_LATE,  /* undo after the pivot: the saga goes on forward */
    BARRIER_VOIDED     /* action after its undo: nothing, ever */
};

enum barrier_move barrier_move(enum saga_step_kind kind, enum saga_state state, bool undo);
/* The state after a move (for RUN: refused tells which). */
enum saga_state barrier_next(enum saga_state state, enum barrier_move move, bool undo,
                             bool refused);

/* The step's edge that hears this event: NULL if none; *ret_undo tells which way. */
const struct saga_edge *barrier_edge(const struct saga_step *step, const char *event_name,
                                     bool *ret_undo);

#endif
