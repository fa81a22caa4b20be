/* check.c: explores the real wiring, and every wiring that differs from it in one place. */
#include <stdio.h>
#include <string.h>

#include "model.h"
#include "services.h"

static size_t passed, failed, by_closure, by_exploring;

static void count(bool good)
{
    if (good)
        passed++;
    else
        failed++;
}

/* A mutant is caught when it is not closed, or some run of it goes wrong. */
static void check_mutant(const struct wiring *mutant, const char *step, const char *what,
                         const char *from, const char *to)
{
    struct model_result result = {0};
    const char *why = wiring_closed(mutant);
    if (why != NULL) {
        by_closure++;
    } else {
        model_explore(mutant, false, &result);
        why = result.wrong;
        by_exploring += why[0] != '\0';
    }
    count(why[0] != '\0');
    if (why[0] == '\0')
        printf("NOT CAUGHT: %s, %s: %s -> %s\n", step, what, from, to);
}

static const char *name_of(const struct wiring *wiring, int event)
{
    return event < 0 ? "nothing" : wiring->events[event];
}

/* Each event that is heard: left out, or another in its place; and each that is not, heard too. */
static void mutate_on(struct wiring *wiring, const char *step, const char *what, uint32_t *on)
{
    uint32_t was = *on;
    for (int old = 0; old < (int)wiring->events_count; old++) {
        if (!(was >> old & 1)) {
            *on = was | UINT32_C(1) << old;
            check_mutant(wiring, step, what, "also", wiring->events[old]);
            continue;
        }
        *on = was & ~(UINT32_C(1) << old);
        check_mutant(wiring, step, what, wiring->events[old], "nothing");
        for (int other = 0; other < (int)wiring->events_count; other++) {
            if (was >> other & 1)
                continue;
            *on = (was & ~(UINT32_C(1) << old)) | UINT32_C(1) << other;
            check_mutant(wiring, step, what, wiring->events[old], wiring->events[other]);
        }
    }
    *on = was;
}

static void mutate_says(struct wiring *wiring, const char *step, const char *what, int *says)
{
    int was = *says;
    for (int other = -1; other < (int)wiring->events_count; other++) {
        if (other == was)
            continue;
        *says = other;
        check_mutant(wiring, step, what, name_of(wiring, was), name_of(wiring, other));
    }
    *says = was;
}

static void mutate_kind(struct wiring *wiring, struct wiring_step *step)
{
    static const char *const kinds[] = {"compensatable", "pivot", "retriable"};
    enum saga_step_kind was = step->kind;
    for (int kind = SAGA_COMPENSATABLE; kind <= SAGA_RETRIABLE; kind++) {
        if (kind == (int)was)
            continue;
        step->kind = (enum saga_step_kind)kind;
        check_mutant(wiring, step->name, "kind", kinds[was], kinds[kind]);
    }
    step->kind = was;
}

int main(void)
{
    struct wiring wiring;
    struct model_result result;
    wiring_read(&wiring, services);
    const char *why = wiring_closed(&wiring);
    if (why != NULL)
        printf("not closed: %s\n", why);
    count(why == NULL);
    model_explore(&wiring, true, &result);
    if (result.wrong[0] != '\0')
        printf("WRONG: %s\n", result.wrong);
    count(result.wrong[0] == '\0');
    printf("explored %zu states, %zu of them ends\n", result.states, result.ends);

    for (size_t i = 0; i < wiring.steps_count; i++) {
        struct wiring_step *step = &wiring.steps[i];
        mutate_on(&wiring, step->name, "action runs on", &step->action.on);
        mutate_on(&wiring, step->name, "undo runs on", &step->undo.on);
        mutate_says(&wiring, step->name, "action says", &step->action.says);
        mutate_says(&wiring, step->name, "action refuses with", &step->action.refuses);
        mutate_says(&wiring, step->name, "undo says", &step->undo.says);
        mutate_kind(&wiring, step);
    }
    printf("mutants caught: %zu by the closure, %zu by exploring\n", by_closure, by_exploring);
    printf("model: %zu passed, %zu failed\n", passed, failed);
    return failed > 0;
}
