/* reader_inside.h: what the three files of the reader share. */
#ifndef RUNTIME_READER_INSIDE_H
#define RUNTIME_READER_INSIDE_H

#include "runtime/reader.h"

#include "ports/postgres.h"
#include "ports/redis.h"

#include <pthread.h>
#include <stdatomic.h>

#define READER_PING_US 2000000 /* how old reader_database_ok and reader_redis_ok may be */
#define READER_STATEMENTS_MAX 16
#define READER_MEMORY_VERSION "1 " /* what each value in Redis begins with */

struct asked {
    struct read *read; /* NULL: it gave up */
    struct saga_text key;
};

/* What is asked of one query (or of the gauge, the dead letters), sorted by key. */
struct statement {
    enum read_kind kind;
    const struct saga_query *query;
    struct asked *asked;
    size_t count;
    struct pg_result *result;
    enum pg_status status;
};

struct round {
    struct arena arena;
    struct statement statements[READER_STATEMENTS_MAX];
    size_t count;
};

enum turn { FREE, GIVEN, ANSWERED };

/* reader_epoch lends these out, so they stay until the end; databases are seldom replaced. */
struct prefix {
    struct prefix *before;
    char text[];
};

struct reader {
    const struct saga_service *service;
    pthread_t thread, database_thread;
    bool started, stuck; /* stuck: the database thread could not be ended */
    atomic_bool redis_ok, database_ok;
    atomic_int database_fd; /* of the database thread's session; -1: there is none */

    pthread_mutex_t lock;
    struct prefix *prefixes, *epoch; /* all, the last first; that which is known to hold, or NULL */
    unsigned epoch_number;           /* how often that has changed */
    bool doubted;                    /* whatever the database is telling of its epoch is old */
    pthread_cond_t wake, work;       /* of the reader thread, of the database thread */
    struct read *submitted, **submitted_last;
    size_t outstanding; /* submitted and not done */
    bool stopping, connected;
    int64_t away_since_us; /* while not connected */
    enum turn turn;

    struct round round; /* whose turn it is */

    /* the reader thread's */
    struct redis *redis;
    struct arena scratch;
    struct read *waiting, **waiting_last;
    int64_t next_end_us; /* no read gives up before */
    int64_t redis_used_us, again_us, next_complaint_us;

    /* the database thread's */
    struct pg *pg;
    unsigned failures;
    int64_t epoch_read_us;
};

/* Waits for cond at most until until_us (monotonic); the lock is held. */
void reader_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_us);
/* The epoch is not known any more. The lock is held. */
void reader_withdraw_epoch(struct reader *reader);
/* The end of a read. Reader thread. */
void reader_done(struct reader *reader, struct read *read, bool answered);

/* ---- reader_database.c ---- */
void *reader_database_main(void *opaque);

/* ---- reader_round.c, reader thread ---- */
/* Puts a read among those that wait for the next round. */
void reader_keep(struct reader *reader, struct read *read);
/* All that waits becomes the round; what does not fit waits for the next. */
void reader_give(struct reader *reader);
/* Hands out the answers of the round; what may succeed later waits again. */
void reader_deliver(struct reader *reader);
/* Ends the reads whose time is over. impatient: the database has been away for long: those that
 * wait need not wait for their time. */
void reader_expire(struct reader *reader, int64_t now_us, bool impatient);
/* Ends every read that waits or is in the round. */
void reader_abandon(struct reader *reader);

#endif
