/*
 * fire.h: brings a service to a failpoint that is armed, under load, and waits until it has fired.
 *
 * The services share the files in SAGA_TEST_FAILPOINTS with this program.
 */
#ifndef CRASH_FIRE_H
#define CRASH_FIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "libsaga/ports/failpoint.h"
#include "support/traffic.h"

#define FIRE_RATE 150 /* orders a second */
#define FIRE_S 20
#define FIRE_ANSWERS_S 60

enum service { ORDER_SVC, PAYMENT_SVC, INVENTORY_SVC, SHIPPING_SVC, SERVICES };
extern const char *const services[SERVICES];

/* Those of a failpoint; and PostgreSQL is killed, with all its processes, while COMMIT has no
 * answer: it has done it, or never saw it. Then it is up again when fire returns, and the service
 * has said that it was in doubt, and found out. */
enum fault {
    KILL = FAILPOINT_KILL,
    PAUSE = FAILPOINT_PAUSE,
    FAIL = FAILPOINT_ERROR,
    COMMIT_DONE,
    COMMIT_LOST
};

/* False: there are no such files. */
bool fire_attach(void);
/* What the service shares: how often it has passed a point, how often one fired. */
const struct failpoint_control *fire_control(enum service service);
/* The point can be reached in that service. */
bool fire_can(enum service service, enum failpoint point);

/* False: it has not fired. The load may be ended and begun anew. */
bool fire(enum service service, enum failpoint point, enum fault fault, struct traffic **traffic);
/* The point is in a command that runs beside the service; or where the service ends. */
bool fire_beside(enum failpoint point);
bool fire_ends(enum failpoint point);
/* Nothing fires any more, and what was done to bring the service there is taken back. */
bool fire_end(enum service service, enum failpoint point);
/* That service parks messages when the point fires: they are the occasion. */
bool fire_parks(enum failpoint point);
/* How many it has parked, ever. */
int64_t fire_parked(enum service service);
/* Redrives what is parked, until nothing is; without load, while all services run. */
bool fire_mend(enum service service);

#endif
