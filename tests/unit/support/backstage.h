/*
 * backstage.h: what stands behind the real door of a service in a test: an engine and a reader that
 * answer at once, on the door's thread, what the test has set. They take the place of the real
 * ones in the link.
 */
#ifndef UNIT_BACKSTAGE_H
#define UNIT_BACKSTAGE_H

#include "runtime/door_inside.h"

struct backstage {
    struct engine_health health;
    bool refuses; /* the engine takes nothing */
    bool away;    /* the reader's servers do not answer */
    /* Sees each command that is taken; may fill in its reply. NULL: nobody. */
    void (*submitted)(const struct engine_command *command);
    /* Whether a query's row is there; then it is empty but for its key. NULL: none is. */
    bool (*has)(const struct read *read);
    const void *row; /* each query's, if not NULL: then nobody is asked */
};
extern struct backstage backstage;

#endif
