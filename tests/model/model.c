/* model.c: the breadth-first search; see model.h. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/barrier.h"

#define STATES_MAX 4000000u
#define SLOTS (8u * 1024 * 1024) /* a power of two, at least twice STATES_MAX */
#define PAIRS_MAX 32

struct state {
    uint64_t key;    /* 3 bits of barrier a step, then a bit an event: said */
    uint64_t parent; /* index of the state it was reached from */
    uint32_t owed;   /* bits of pairs that are still to be delivered */
    int32_t move;    /* what was done there: a pair, or ~event that came from outside */
};

struct pair {
    int event, service;
};

struct search {
    const struct wiring *wiring;
    struct pair pairs[PAIRS_MAX];
    size_t pairs_count;
    uint32_t outside; /* events that no step says: they come whenever they like */
    struct state *states;
    size_t count;
    uint32_t *slots; /* index + 1; 0: free */
    uint32_t ran_action[WIRING_STEPS_MAX], ran_undo[WIRING_STEPS_MAX];
    struct model_result *result;
};

static enum saga_state barrier_of(uint64_t key, size_t step)
{
    return (enum saga_state)(key >> (3 * step) & 7);
}

static uint64_t with_barrier(uint64_t key, size_t step, enum saga_state barrier)
{
    return (key & ~(UINT64_C(7) << (3 * step))) | (uint64_t)barrier << (3 * step);
}

static uint32_t said(uint64_t key)
{
    return (uint32_t)(key >> (3 * WIRING_STEPS_MAX));
}

/* ---- what must hold ---- */

static const char *check_always(const struct wiring *wiring, uint64_t key)
{
    bool ended = (said(key) & wiring->final) != 0, pivoted = false, any_retriable = false;
    bool all_compensatable_done = true, none_done = true;
    for (size_t i = 0; i < wiring->steps_count; i++) {
        enum saga_state barrier = barrier_of(key, i);
        bool done = barrier == SAGA_DONE;
        if (wiring->steps[i].kind == SAGA_PIVOT)
            pivoted = done;
        if (wiring->steps[i].kind == SAGA_RETRIABLE)
            any_retriable = any_retriable || done;
        else
            none_done = none_done && !done;
        if (wiring->steps[i].kind == SAGA_COMPENSATABLE)
            all_compensatable_done = all_compensatable_done && done;
    }
    if (pivoted && !all_compensatable_done)
        return "the pivot is done, and a step before it is not";
    if (any_retriable && !pivoted)
        return "a step behind the pivot is done, and the pivot is not";
    if (ended && !pivoted && !none_done)
        return "the order has ended without shipping, and something is still done";
    return NULL;
}

static const char *check_end(const struct wiring *wiring, uint64_t key)
{
    uint32_t finals = said(key) & wiring->final;
    bool pivoted = false, all_done = true;
    if (finals == 0)
        return "all is delivered, and the order has not ended";
    if (finals & (finals - 1))
        return "the order has ended in two ways";
    for (size_t i = 0; i < wiring->steps_count; i++) {
        bool done = barrier_of(key, i) == SAGA_DONE;
        all_done = all_done && done;
        pivoted = pivoted || (done && wiring->steps[i].kind == SAGA_PIVOT);
    }
    if (pivoted && !all_done)
        return "the order has shipped, and a step is not done";
    return NULL;
}

/* ---- the search ---- */

static bool is_end(const struct state *state)
{
    return state->owed == 0;
}

static size_t hash(uint64_t key, uint32_t owed)
{
    uint64_t mixed = (key ^ (uint64_t)owed << 29) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(mixed >> 40) & (SLOTS - 1);
}

static void print_state(const struct search *search, const struct state *state)
{
    static const char *const names[] = {"-", "done", "refused", "undone", "void"};
    for (size_t i = 0; i < search->wiring->steps_count; i++)
        fprintf(stderr, " %s=%s", search->wiring->steps[i].name, names[barrier_of(state->key, i)]);
    fprintf(stderr, "\n");
}

static void print_way(const struct search *search, uint64_t index)
{
    const struct state *state = &search->states[index];
    if (index != state->parent)
        print_way(search, state->parent);
    if (state->move < 0)
        fprintf(stderr, "  %s is said;", search->wiring->events[~state->move]);
    else
        fprintf(stderr, "  %s hears %s;",
                search->wiring->services[search->pairs[state->move].service],
                search->wiring->events[search->pairs[state->move].event]);
    print_state(search, state);
}

static void add(struct search *search, uint64_t key, uint32_t owed, uint64_t parent, int32_t move)
{
    size_t slot = hash(key, owed);
    for (; search->slots[slot] != 0; slot = (slot + 1) & (SLOTS - 1)) {
        const struct state *known = &search->states[search->slots[slot] - 1];
        if (known->key == key && known->owed == owed)
            return;
    }
    if (search->count == STATES_MAX) {
        snprintf(search->result->wrong, sizeof search->result->wrong, "there are too many states");
        return;
    }
    search->states[search->count] = (struct state){key, parent, owed, move};
    search->slots[slot] = (uint32_t)++search->count;
}

static void say(const struct search *search, int event, uint64_t *key, uint32_t *owed)
{
    if (event < 0)
        return;
    *key |= UINT64_C(1) << (3 * WIRING_STEPS_MAX + event);
    for (size_t i = 0; i < search->pairs_count; i++)
        if (search->pairs[i].event == event)
            *owed |= UINT32_C(1) << i;
}

/* One service hears one event: each of its steps, in turn; both ways where one can refuse. */
static void deliver(struct search *search, size_t index, size_t pair, size_t first_step,
                    uint64_t key, uint32_t owed)
{
    const struct wiring *wiring = search->wiring;
    int event = search->pairs[pair].event;
    for (size_t i = first_step; i < wiring->steps_count; i++) {
        const struct wiring_step *step = &wiring->steps[i];
        bool undo = step->undo.on >> event & 1, action = step->action.on >> event & 1;
        if (step->service != search->pairs[pair].service || !(undo || action))
            continue;
        enum saga_state barrier = barrier_of(key, i);
        undo = undo && !action; /* as barrier_edge looks */
        enum barrier_move move = barrier_move(step->kind, barrier, undo);
        if (move != BARRIER_RUN && move != BARRIER_FENCE)
            continue;
        const struct wiring_edge *edge = undo ? &step->undo : &step->action;
        (undo ? search->ran_undo : search->ran_action)[i] |= UINT32_C(1) << event;
        if (move == BARRIER_RUN && edge->refuses >= 0) {
            uint64_t refused_key = with_barrier(key, i, barrier_next(barrier, move, undo, true));
            uint32_t refused_owed = owed;
            say(search, edge->refuses, &refused_key, &refused_owed);
            deliver(search, index, pair, i + 1, refused_key, refused_owed);
        }
        key = with_barrier(key, i, barrier_next(barrier, move, undo, false));
        say(search, edge->says, &key, &owed);
    }
    add(search, key, owed, index, (int32_t)pair);
}

static void expand(struct search *search, size_t index)
{
    struct state state = search->states[index];
    for (size_t i = 0; i < search->pairs_count; i++)
        if (said(state.key) >> search->pairs[i].event & 1)
            deliver(search, index, i, 0, state.key, state.owed & ~(UINT32_C(1) << i));
    for (int event = 0; event < WIRING_EVENTS_MAX; event++) {
        if (!(search->outside >> event & 1) || (said(state.key) >> event & 1))
            continue;
        uint64_t key = state.key;
        uint32_t owed = state.owed;
        say(search, event, &key, &owed);
        add(search, key, owed, index, ~event);
    }
}

static void prepare(struct search *search)
{
    const struct wiring *wiring = search->wiring;
    search->outside = wiring_outside(wiring);
    for (size_t service = 0; service < wiring->services_count; service++) {
        uint32_t heard = wiring_heard(wiring, (int)service) | wiring->watched[service];
        for (int event = 0; event < WIRING_EVENTS_MAX; event++) {
            if (!(heard >> event & 1))
                continue;
            if (search->pairs_count == PAIRS_MAX)
                abort();
            search->pairs[search->pairs_count++] = (struct pair){event, (int)service};
        }
    }
}

static void begin(struct search *search)
{
    uint64_t key = 0;
    uint32_t owed = 0;
    for (size_t i = 0; i < search->wiring->steps_count; i++) {
        if (!search->wiring->steps[i].starts)
            continue;
        key = with_barrier(key, i, SAGA_DONE);
        say(search, search->wiring->steps[i].action.says, &key, &owed);
        add(search, key, owed, 0, ~search->wiring->steps[i].action.says);
    }
}

static void check_edges(const struct search *search)
{
    for (size_t i = 0; i < search->wiring->steps_count; i++) {
        const struct wiring_step *step = &search->wiring->steps[i];
        uint32_t idle =
            (step->action.on & ~search->ran_action[i]) | (step->undo.on & ~search->ran_undo[i]);
        for (int event = 0; event < WIRING_EVENTS_MAX; event++)
            if (idle >> event & 1)
                snprintf(search->result->wrong, sizeof search->result->wrong,
                         "%s hears %s, which never makes it do anything", step->name,
                         search->wiring->events[event]);
    }
}

void model_explore(const struct wiring *wiring, bool trace, struct model_result *ret)
{
    struct search search = {.wiring = wiring, .result = ret};
    *ret = (struct model_result){0};
    search.states = malloc(STATES_MAX * sizeof *search.states);
    search.slots = calloc(SLOTS, sizeof *search.slots);
    if (search.states == NULL || search.slots == NULL)
        abort();
    prepare(&search);
    begin(&search);
    for (size_t i = 0; i < search.count && ret->wrong[0] == '\0'; i++) {
        const struct state *state = &search.states[i];
        const char *why = check_always(wiring, state->key);
        if (why == NULL && is_end(state)) {
            ret->ends++;
            why = check_end(wiring, state->key);
        }
        if (why != NULL) {
            snprintf(ret->wrong, sizeof ret->wrong, "%s", why);
            if (trace)
                print_way(&search, i);
        } else {
            expand(&search, i);
        }
    }
    ret->states = search.count;
    if (ret->wrong[0] == '\0')
        check_edges(&search);
    free(search.states);
    free(search.slots);
}
