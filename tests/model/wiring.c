/* wiring.c: the wiring of the services, and whether it is closed; see wiring.h. */
#include "wiring.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void need(bool fits)
{
    if (!fits) {
        fprintf(stderr, "wiring.h is too small for these services\n");
        exit(2);
    }
}

static int event_number(struct wiring *wiring, const struct saga_event *event)
{
    if (event == NULL)
        return -1;
    size_t i = 0;
    while (i < wiring->events_count && strcmp(wiring->events[i], event->name) != 0)
        i++;
    if (i == wiring->events_count) {
        need(i < WIRING_EVENTS_MAX);
        wiring->events[wiring->events_count++] = event->name;
    }
    return (int)i;
}

static uint32_t event_bits(struct wiring *wiring, saga_events events)
{
    uint32_t bits = 0;
    for (; events != NULL && *events != NULL; events++)
        bits |= UINT32_C(1) << event_number(wiring, *events);
    return bits;
}

static struct wiring_edge read_edge(struct wiring *wiring, const struct saga_edge *edge)
{
    return (struct wiring_edge){event_bits(wiring, edge->on), event_number(wiring, edge->says),
                                event_number(wiring, edge->refuses)};
}

void wiring_read(struct wiring *ret, const struct saga_service *const *services)
{
    *ret = (struct wiring){0};
    for (; *services != NULL; services++) {
        const struct saga_service *service = *services;
        int number = (int)ret->services_count++;
        need(number < WIRING_SERVICES_MAX);
        ret->services[number] = service->name;
        ret->owned[number] = event_bits(ret, service->says);
        for (saga_events event = service->says; *event != NULL; event++)
            if ((*event)->final)
                ret->final |= UINT32_C(1) << event_number(ret, *event);
        for (const struct saga_watch *const *watch = service->watches; watch && *watch; watch++)
            ret->watched[number] |= event_bits(ret, (*watch)->on);
        for (const struct saga_step *const *step = service->steps; step && *step; step++) {
            need(ret->steps_count < WIRING_STEPS_MAX);
            ret->steps[ret->steps_count++] =
                (struct wiring_step){.name = (*step)->name,
                                     .service = number,
                                     .kind = (*step)->kind,
                                     .starts = (*step)->action.on_command != NULL,
                                     .action = read_edge(ret, &(*step)->action),
                                     .undo = read_edge(ret, &(*step)->undo)};
        }
    }
}

uint32_t wiring_heard(const struct wiring *wiring, int service)
{
    uint32_t heard = 0;
    for (size_t i = 0; i < wiring->steps_count; i++)
        if (wiring->steps[i].service == service)
            heard |= wiring->steps[i].action.on | wiring->steps[i].undo.on;
    return heard;
}

static const char *wrong(const char *format, ...)
{
    static char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

/* Why an event that this step says may not be said here; NULL: it may. */
static const char *not_owned(const struct wiring *wiring, const struct wiring_step *step, int event)
{
    if (event < 0 || (wiring->owned[step->service] >> event & 1))
        return NULL;
    return wrong("%s of %s says %s, which %s does not declare", step->name,
                 wiring->services[step->service], wiring->events[event],
                 wiring->services[step->service]);
}

/* Events that this step says on its way forward, and on its way back. */
static uint32_t bit_of(int event)
{
    return event < 0 ? 0 : UINT32_C(1) << event;
}

static uint32_t back_of(const struct wiring_step *step)
{
    return bit_of(step->action.refuses) | bit_of(step->undo.says);
}

uint32_t wiring_outside(const struct wiring *wiring)
{
    uint32_t outside = 0;
    for (size_t i = 0; i < wiring->services_count; i++)
        outside |= wiring->owned[i];
    for (size_t i = 0; i < wiring->steps_count; i++)
        outside &= ~(bit_of(wiring->steps[i].action.says) | back_of(&wiring->steps[i]));
    return outside;
}

/* The way back is the way forward, read from right to left: an undo hears the steps that come right
 * behind it, and the pivot's what comes from outside. */
static uint32_t way_back_to(const struct wiring *wiring, const struct wiring_step *step)
{
    if (step->kind == SAGA_PIVOT)
        return wiring_outside(wiring);
    uint32_t back = 0;
    for (size_t i = 0; i < wiring->steps_count; i++)
        if (wiring->steps[i].action.on & bit_of(step->action.says))
            back |= back_of(&wiring->steps[i]);
    return back;
}

static uint32_t way_forward(const struct wiring *wiring)
{
    uint32_t forward = 0;
    for (size_t i = 0; i < wiring->steps_count; i++)
        forward |= bit_of(wiring->steps[i].action.says);
    return forward;
}

static const char *check_step(const struct wiring *wiring, const struct wiring_step *step)
{
    const int said[] = {step->action.says, step->action.refuses, step->undo.says,
                        step->undo.refuses};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        const char *why = not_owned(wiring, step, said[i]);
        if (why != NULL)
            return why;
    }
    if (step->kind == SAGA_COMPENSATABLE && step->undo.on == 0)
        return wrong("%s is compensatable and has no undo", step->name);
    if (step->kind == SAGA_RETRIABLE && (step->undo.on != 0 || step->action.refuses >= 0))
        return wrong("%s is retriable: it can neither refuse nor be undone", step->name);
    if (step->kind == SAGA_PIVOT && step->action.refuses < 0)
        return wrong("%s is the pivot and cannot refuse: then it decides nothing", step->name);
    if (step->starts && (step->action.refuses >= 0 || step->action.on != 0))
        return wrong("%s starts the saga: it runs on no event and refuses with none", step->name);
    if (!step->starts && step->action.on == 0)
        return wrong("%s has an action that nothing starts", step->name);
    if (step->undo.refuses >= 0 || (step->undo.on == 0 && step->undo.says >= 0))
        return wrong("%s has an undo that refuses, or that never runs and says something",
                     step->name);
    if (step->action.on & ~way_forward(wiring))
        return wrong("%s acts on an event of the way back", step->name);
    if (step->undo.on & ~way_back_to(wiring, step))
        return wrong("%s is undone by something that is not on the way back to it", step->name);
    return NULL;
}

/* An event has one meaning: one step says it, forward or back. */
static const char *check_meaning(const struct wiring *wiring, int event)
{
    size_t steps = 0;
    bool forward = false, back = false;
    for (size_t i = 0; i < wiring->steps_count; i++) {
        bool here_forward = bit_of(wiring->steps[i].action.says) >> event & 1;
        bool here_back = back_of(&wiring->steps[i]) >> event & 1;
        steps += here_forward || here_back;
        forward = forward || here_forward;
        back = back || here_back;
    }
    if (steps > 1 || (forward && back))
        return wrong("%s is said by several steps, or both ways", wiring->events[event]);
    return NULL;
}

static const char *check_event(const struct wiring *wiring, int event)
{
    const char *name = wiring->events[event];
    size_t owners = 0, ears = 0;
    for (size_t i = 0; i < wiring->services_count; i++) {
        owners += wiring->owned[i] >> event & 1;
        ears += (wiring->watched[i] | wiring_heard(wiring, (int)i)) >> event & 1;
    }
    bool final = wiring->final >> event & 1;
    if (owners != 1)
        return wrong(owners ? "%s has several owners" : "%s is heard, and nobody says it", name);
    if (ears == 0 && !final)
        return wrong("%s is said, nobody hears it, and it is not final", name);
    if (ears > 0 && final)
        return wrong("%s is final, and yet it is heard", name);
    return check_meaning(wiring, event);
}

const char *wiring_closed(const struct wiring *wiring)
{
    size_t starts = 0, pivots = 0;
    for (size_t i = 0; i < wiring->steps_count; i++) {
        const char *why = check_step(wiring, &wiring->steps[i]);
        if (why != NULL)
            return why;
        starts += wiring->steps[i].starts;
        pivots += wiring->steps[i].kind == SAGA_PIVOT;
    }
    if (starts != 1 || pivots != 1)
        return wrong("%zu steps start the saga and %zu are its pivot: one each", starts, pivots);
    for (size_t i = 0; i < wiring->events_count; i++) {
        const char *why = check_event(wiring, (int)i);
        if (why != NULL)
            return why;
    }
    return NULL;
}
