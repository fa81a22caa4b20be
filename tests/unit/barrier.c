/* barrier.c: the whole transition table of a step, every kind, state and direction. */
#include <criterion/criterion.h>

#include "core/barrier.h"

static const struct rule {
    enum saga_state state;
    bool undo;
    enum barrier_move move;
    enum saga_state next;
} rules[] = {
    {SAGA_NONE, false, BARRIER_RUN, SAGA_DONE},
    {SAGA_NONE, true, BARRIER_FENCE, SAGA_VOID},
    {SAGA_DONE, false, BARRIER_DUPLICATE, SAGA_DONE},
    {SAGA_DONE, true, BARRIER_RUN, SAGA_UNDONE},
    {SAGA_REFUSED, false, BARRIER_DUPLICATE, SAGA_REFUSED},
    {SAGA_REFUSED, true, BARRIER_REFUSED, SAGA_REFUSED},
    {SAGA_UNDONE, false, BARRIER_DUPLICATE, SAGA_UNDONE},
    {SAGA_UNDONE, true, BARRIER_DUPLICATE, SAGA_UNDONE},
    {SAGA_VOID, false, BARRIER_VOIDED, SAGA_VOID},
    {SAGA_VOID, true, BARRIER_DUPLICATE, SAGA_VOID},
};

static const enum saga_step_kind kinds[] = {SAGA_COMPENSATABLE, SAGA_PIVOT, SAGA_RETRIABLE};

Test(barrier, every_rule)
{
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
            struct rule rule = rules[i];
            if (rule.state == SAGA_DONE && rule.undo && kinds[k] != SAGA_COMPENSATABLE) {
                rule.move = BARRIER_TOO_LATE;
                rule.next = SAGA_DONE;
            }
            enum barrier_move move = barrier_move(kinds[k], rule.state, rule.undo);
            cr_expect_eq(move, rule.move, "kind %zu rule %zu", k, i);
            cr_expect_eq(barrier_next(rule.state, move, rule.undo, false), rule.next,
                         "kind %zu rule %zu", k, i);
        }
    }
}

Test(barrier, refusal_is_remembered)
{
    cr_assert_eq(barrier_next(SAGA_NONE, BARRIER_RUN, false, true), SAGA_REFUSED);
}

/* I1, I2 over every sequence of seven messages, with every choice of refusing. */
Test(barrier, effects_over_all_sequences)
{
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (unsigned sequence = 0; sequence < 1u << 14; sequence++) {
            enum saga_state state = SAGA_NONE;
            int acted = 0, undone = 0, fenced = 0;
            for (unsigned i = 0; i < 7; i++) {
                bool undo = (sequence >> (2 * i)) & 1;
                bool refused = !undo && ((sequence >> (2 * i + 1)) & 1);
                enum barrier_move move = barrier_move(kinds[k], state, undo);
                state = barrier_next(state, move, undo, refused);
                if (move == BARRIER_FENCE)
                    fenced++;
                if (move != BARRIER_RUN || refused)
                    continue;
                if (undo) {
                    cr_assert(acted == 1 && kinds[k] == SAGA_COMPENSATABLE);
                    undone++;
                } else {
                    cr_assert(fenced == 0 && undone == 0);
                    acted++;
                }
            }
            cr_assert(acted <= 1 && undone <= 1 && fenced <= 1);
        }
    }
}

static const struct saga_event sold = {.name = "sold"};
static const struct saga_event sold_elsewhere = {.name = "sold"};
static const struct saga_event returned = {.name = "returned"};
static const struct saga_event lost = {.name = "lost"};

Test(barrier, edge_by_name)
{
    const struct saga_step step = {
        .name = "step",
        .action.on = (const struct saga_event *const[]){&sold, NULL},
        .undo.on = (const struct saga_event *const[]){&lost, &returned, NULL},
    };
    bool undo = true;
    cr_assert_eq(barrier_edge(&step, sold_elsewhere.name, &undo), &step.action);
    cr_assert_not(undo);
    cr_assert_eq(barrier_edge(&step, "returned", &undo), &step.undo);
    cr_assert(undo);
    cr_assert_null(barrier_edge(&step, "solder", &undo));
    cr_assert_null(barrier_edge(&step, "sol", &undo));
    cr_assert_null(barrier_edge(&(struct saga_step){.name = "deaf"}, "sold", &undo));
}
