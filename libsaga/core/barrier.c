/* barrier.c: the one transition function of a step, as the table in barrier.h. */
#include "core/barrier.h"

enum barrier_move barrier_move(enum saga_step_kind kind, enum saga_state state, bool undo)
{
    switch (state) {
    case SAGA_NONE:
        return undo ? BARRIER_FENCE : BARRIER_RUN; /* I1 */
    case SAGA_DONE:
        if (!undo)
            return BARRIER_DUPLICATE;
        return kind == SAGA_COMPENSATABLE ? BARRIER_RUN : BARRIER_TOO_LATE;
    case SAGA_REFUSED:
        return undo ? BARRIER_REFUSED : BARRIER_DUPLICATE;
    case SAGA_UNDONE:
        return BARRIER_DUPLICATE;
    case SAGA_VOID:
        return undo ? BARRIER_DUPLICATE : BARRIER_VOIDED; /* I2 */
    }
    return BARRIER_DUPLICATE;
}

enum saga_state barrier_next(enum saga_state state, enum barrier_move move, bool undo, bool refused)
{
    switch (move) {
    case BARRIER_RUN:
        if (undo)
            return SAGA_UNDONE;
        return refused ? SAGA_REFUSED : SAGA_DONE;
    case BARRIER_FENCE:
        return SAGA_VOID;
    case BARRIER_DUPLICATE:
    case BARRIER_REFUSED:
    case BARRIER_TOO_LATE:
    case BARRIER_VOIDED:
        return state;
    }
    return state;
}

static bool edge_hears(const struct saga_edge *edge, const char *event_name)
{
    for (saga_events on = edge->on; on != NULL && *on != NULL; on++)
        if (strcmp((*on)->name, event_name) == 0)
            return true;
    return false;
}

const struct saga_edge *barrier_edge(const struct saga_step *step, const char *event_name,
                                     bool *ret_undo)
{
    if (edge_hears(&step->action, event_name)) {
        *ret_undo = false;
        return &step->action;
    }
    if (edge_hears(&step->undo, event_name)) {
        *ret_undo = true;
        return &step->undo;
    }
    return NULL;
}
