/* door.h: the HTTP thread: routes, ops endpoints, and what libsaga's http.h promises to services.
 */
#ifndef RUNTIME_DOOR_H
#define RUNTIME_DOOR_H

#include "runtime/engine.h"
#include "runtime/reader.h"

struct door;

struct door *door_new(const struct saga_service *service, struct engine *engine,
                      struct reader *reader, char *errbuf, size_t errbuf_size);
/* Starts the HTTP thread. */
bool door_start(struct door *door);
/* Any thread. Not ready from now on, 503 for new work; what has begun is answered. */
void door_drain(struct door *door);
/* Waits until nothing is under way, at most until deadline_us (monotonic), then ends the thread. */
void door_stop(struct door *door, int64_t deadline_us);
void door_free(struct door *door);

#endif
