/*
 * door.h: a door that answers at once, for the routes of order-svc and inventory-svc, in memory:
 * what PostgreSQL, Redis and the engine would say is in the request. It checks what it is told, and
 * aborts if that could never be right.
 */
#ifndef UNIT_DOOR_H
#define UNIT_DOOR_H

#include "core/arena.h"
#include "saga/http.h"

struct saga_request {
    struct arena arena;
    struct saga_text key, prefer, recalled, body, path;
    enum saga_outcome_kind outcome;
    bool declines, replays; /* the command's handler says no; knows the key of an order already */
    bool missing, later;    /* the row is not there; a later version has written it */
    char *said;             /* gets all that the service said, if not NULL */
    size_t said_size;
    void *kept;
    saga_then then;
    const void *row;
    struct saga_text news; /* what the end of a wait tells */
    int answers, waits, faults;
};

/* Above 0 while the door itself checks, and no code of a service runs. */
extern int door_checking;

#endif
