/*
 * wiring.h: who hears what and says what, taken from the running tables of the services, in a form
 * that can be explored and mutated.
 */
#ifndef MODEL_WIRING_H
#define MODEL_WIRING_H

#include "saga/service.h"

#define WIRING_SERVICES_MAX 4
#define WIRING_EVENTS_MAX 16
#define WIRING_STEPS_MAX 8

struct wiring_edge {
    uint32_t on;       /* bits of events */
    int says, refuses; /* an event; -1: none */
};

struct wiring_step {
    const char *name;
    int service;
    enum saga_step_kind kind;
    bool starts; /* its action runs on the command that begins the saga */
    struct wiring_edge action, undo;
};

struct wiring {
    size_t services_count, events_count, steps_count;
    const char *services[WIRING_SERVICES_MAX];
    uint32_t watched[WIRING_SERVICES_MAX], owned[WIRING_SERVICES_MAX]; /* bits of events */
    const char *events[WIRING_EVENTS_MAX];
    uint32_t final; /* bits of events */
    struct wiring_step steps[WIRING_STEPS_MAX];
};

/* Ends the process if the services have more of anything than fits. */
void wiring_read(struct wiring *ret, const struct saga_service *const *services);

/* Events that the service's steps hear. */
uint32_t wiring_heard(const struct wiring *wiring, int service);

/* Events that no step says: a command does, whenever it likes (a cancel, a deadline). */
uint32_t wiring_outside(const struct wiring *wiring);

/*
 * The closure: every event that is said has one owner, who declares it, and is heard by somebody or
 * declared final; every event that is heard is said; one step starts the saga, one is its pivot;
 * actions hear the way forward, undos the way back, what comes from outside enters at the pivot.
 * NULL if it holds, else what is wrong, in a static buffer.
 */
const char *wiring_closed(const struct wiring *wiring);

#endif
