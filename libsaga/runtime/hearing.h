/* hearing.h: what a service hears. */
#ifndef RUNTIME_HEARING_H
#define RUNTIME_HEARING_H

#include "saga/service.h"

#define HEARING_MAX 64

/* The events of its steps and watches, each once, NULL-terminated; returns how many. */
size_t hearing_events(const struct saga_service *service,
                      const struct saga_event *ret_events[HEARING_MAX + 1]);

#endif
