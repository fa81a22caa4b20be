/*
 * model.h: explores every run of one order through a wiring, breadth first.
 *
 * A state is: the barrier of every step, which events have been said, and which of them are still
 * to be delivered to whom. From each state every event that was ever said may be delivered to each
 * of those who hear it, in any order and any number of times: that is at-least-once delivery with
 * every reordering, and a crash is one more delivery. A step that can refuse does both. What no
 * step says (a cancel, a deadline) may be said at any point. What a step does is decided by
 * barrier_move, the code that runs in the services.
 *
 * In every state:   the end is not told before it is the end (I8), and nothing is undone beyond the
 *                   pivot, nothing done behind an undo (I2)
 * When all is delivered: exactly one of the final events was said; then either every step is done,
 *                   or none is (I8)
 * Over all states:  every event that an edge hears makes it run somewhere, or it has no business
 * there
 */
#ifndef MODEL_H
#define MODEL_H

#include "wiring.h"

struct model_result {
    size_t states, ends;
    char wrong[400]; /* empty if all holds */
};

/* trace: print the way to what is wrong on standard error. */
void model_explore(const struct wiring *wiring, bool trace, struct model_result *ret);

#endif
