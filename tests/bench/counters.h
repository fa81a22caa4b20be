/* counters.h: what the servers and the services have counted of themselves. */
#ifndef BENCH_COUNTERS_H
#define BENCH_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>

#define COUNTERS_SERVICES 4

/* As deploy names them, in the saga's order. */
extern const char *const counters_services[COUNTERS_SERVICES];

struct counters {
    double wal_bytes;                             /* pg_current_wal_lsn */
    double wal_syncs, wal_full_pages, pg_commits; /* the sessions report them once a second */
    double batches[COUNTERS_SERVICES], messages[COUNTERS_SERVICES]; /* saga_batch_size */
    double round_trips[COUNTERS_SERVICES]; /* saga_database_round_trips_total */
};

/* Connects to the server of ADMIN_DB; false: it has said why. */
bool counters_begin(void);
/* False: something did not answer, and it has said what. */
bool counters_read(struct counters *ret_counters);
/* later - sooner, of each. */
struct counters counters_between(const struct counters *sooner, const struct counters *later);
void counters_end(void);

#endif
