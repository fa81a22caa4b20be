/* engine_inside.h: the engine's own state, shared by the files that make up its verbs. */
#ifndef RUNTIME_ENGINE_INSIDE_H
#define RUNTIME_ENGINE_INSIDE_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/lane.h"
#include "core/linger.h"
#include "ports/kafka.h"
#include "ports/postgres.h"
#include "runtime/engine.h"
#include "runtime/hearing.h"
#include "runtime/outbox.h"
#include "runtime/park.h"
#include "runtime/patience.h"

#define ENGINE_QUEUE_MAX 16384
#define ENGINE_LANES_MAX 5 /* its own, and four that dead instances left behind */
#define ENGINE_TICK_US 1000000
#define ENGINE_REFUSED_MAX 256

/* Where a message of the batch came from: what has to be done once it is decided. */
struct source {
    const struct kafka_record *record; /* NULL unless it is one */
    struct engine_command *command;    /* NULL unless it is one, or once it was answered */
    int64_t record_time_us;
};

struct engine {
    const struct saga_service *service;
    pthread_t thread;
    int wake_fd, epoll_fd;

    pthread_mutex_t lock; /* guards the queue */
    struct engine_command *queue_head, **queue_tail;
    size_t queue_count;

    /* below: the engine's thread only */
    struct pg *pg;
    struct kafka_consumer *consumer;
    struct kafka_producer *producer;
    bool producer_dead; /* make a new one: set by a delivery report, done outside of it */
    struct batch *batch;
    struct kafka_record *records; /* of the batch */
    size_t records_count;
    struct kafka_record *records_taken, *records_held; /* on their way there */
    struct patience *patience;
    uint64_t round_trips;         /* of pg, as far as they are counted */
    struct saga_uuid timer_after; /* the last that was due in this round; zero: it begins */
    struct linger linger;
    struct lane *lanes[ENGINE_LANES_MAX]; /* [0] is its own */
    size_t lanes_count;
    struct outbox_source source;
    const struct saga_event *hears[HEARING_MAX + 1];
    bool hears_patiently[HEARING_MAX]; /* that one: patience.h */
    size_t patient_kinds;              /* how many of them */
    int64_t next_tick_us, next_timer_us, next_cursor_us, next_commit_us, next_reports_us;
    int64_t next_producer_us; /* none could be made: not before this; else 0 */
    int64_t next_truncate_us, next_keys_us, next_refused_us;
    struct {
        int32_t lane;
        int64_t seq;
        char error[96];
    } refused[ENGINE_REFUSED_MAX];
    size_t refused_count;
    unsigned join_failures;   /* in a row */
    int64_t next_join_us;     /* the consumer was dropped, and joins again then; 0: it was not */
    int64_t outside_since_us; /* its group does not count it as a member; 0: it does */
    /* COMMIT of a batch that says events was sent and not answered */
    bool in_doubt;
    char error[160];

    void (*told)(void *opaque, const struct saga_uuid *order_id, struct saga_text news);
    void *told_opaque;
    void (*lost)(void *opaque);
    void *lost_opaque;

    /* written by the engine, read by anyone */
    atomic_bool started, database_ok, kafka_ok, outbox_holed;
    atomic_bool draining, stop; /* finish what there is; end now */
    _Atomic int64_t pending, oldest_us;
    _Atomic int hearing;                   /* enum hearing_state */
    char detail[200], hearing_detail[200]; /* under lock */
};

/* Any thread: the engine looks at what there is to do. */
static inline void engine_wake(struct engine *engine)
{
    uint64_t one = 1;
    if (write(engine->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
        abort();
}

/* Tells these, which were taken out of the queue, that they are not done. Not under the lock. */
static inline void engine_refuse(struct engine_command *gone)
{
    for (struct engine_command *next; gone != NULL; gone = next) {
        next = gone->next; /* its memory is the door's again */
        gone->outcome = ENGINE_BUSY;
        gone->done(gone, ENGINE_BUSY);
    }
}

/* hearing.c: the consumer. */
enum hearing_state {
    HEARING_WELL,
    HEARING_BROKEN, /* for a while there is no consumer, or it is in no group */
    HEARING_LOST    /* of a partition nothing is read: records are gone */
};
/* Nothing is said because of this event. */
bool hearing_is_patient(const struct engine *engine, struct saga_text topic);
bool hearing_open(struct engine *engine, char *errbuf, size_t size);
void hearing_work(struct engine *engine);

/* sources.c: fill the batch. */
void sources_collect(struct engine *engine);
void sources_expire(struct engine *engine);
/* The batch's records are done with. */
void sources_release(struct engine *engine);
/* Drops what is held: it is not stored, so it is read again. */
void sources_forget(struct engine *engine);
/* "Busy" to the command of this message, if it has one; it is run no more. */
void sources_give_up(struct engine *engine, struct batch_message *message);
void sources_answer(struct engine *engine, struct batch_message *message,
                    enum engine_outcome outcome);

/* relay.c: the outbox. */
/* After a (re)connection: lane, epoch. False: *ret_why tells. */
bool relay_open(struct engine *engine, const char **ret_why);
void relay_send_outbox(struct engine *engine, size_t from, size_t to, struct arena *arena);
void relay_publish(struct engine *engine);    /* announce: the batch's events, from memory */
void relay_work(struct engine *engine);       /* reports, catching up, cursor, adoption */
bool relay_idle(const struct engine *engine); /* everything committed is acknowledged */
void relay_close(struct engine *engine);
int64_t relay_next_us(const struct engine *engine);

/* counts.c: adds what became of the messages [from, to) to the metrics. */
void counts_add(struct batch *batch, size_t from, size_t to);

/* refused.c: what the broker refused. */
void refused_work(struct engine *engine);

/* upkeep.c: rows that are kept no longer. */
int32_t upkeep_slot(void); /* of the outbox: where rows go now */
void upkeep_work(struct engine *engine);

/* park.c: dead letters. */
void park_send(struct engine *engine, size_t from, size_t to);
void park_redrives(struct engine *engine);
/* Counts a parked message; its reason, NULL if it was not parked. */
const char *park_count(const struct batch_message *message);
/* Bytes and headers as dead_letter keeps them, back as they were. too_many: the record had more. */
struct saga_text park_keep_headers(struct arena *arena, const struct kafka_record *record);
struct saga_text park_bytes(struct arena *arena, struct saga_text kept);
/* What the server said, as a text column takes it: it may have been cut within a character. */
struct saga_text park_detail(struct arena *arena, const char *error);
size_t park_headers(struct arena *arena, struct saga_text kept,
                    struct envelope_header ret_headers[ENVELOPE_HEADERS_MAX], bool *ret_too_many);

/* A failpoint's error: the connection is gone. */
static inline void engine_lose_if(struct engine *engine, bool failed)
{
    if (failed)
        pg_disconnect(engine->pg);
}

/* recover.c: after the connection was lost. */
/* Connects and takes a lane; false: the engine is to stop. */
bool recover_connect(struct engine *engine);
/* The same for the messages [from, to), whose COMMIT may be in doubt. True if there is nothing left
 * to do for them. */
bool recover(struct engine *engine, size_t from, size_t to);

/* engine.c */
void *engine_run(void *opaque); /* its thread; opaque: the engine */
/* The database cannot be had: who has waited too long is told so, and it is waited a little; an
 * engine that drains stops instead, and everybody is told. */
void engine_wait_for_database(struct engine *engine, int *wait_ms);
/* What readyz tells: NULL: the database answers; else why it does not. */
void engine_database_is(struct engine *engine, const char *why);
/* After the commit: events, answers, offsets. */
void engine_announce(struct engine *engine, size_t from, size_t to);
/* Until something arrives, so long at most. */
void engine_wait(struct engine *engine, int64_t wait_us);
#define ENGINE_WAIT_FIRST_MS 100
/* Adds a row set of a statement with one array per field of the shape. */
void engine_send_rows(struct engine *engine, const char *sql, const struct saga_shape *shape,
                      const void *const *rows, size_t count);
/* One small statement on its own, outside a batch; result may be NULL. */
enum pg_status engine_ask(struct engine *engine, const char *sql, const struct pg_param *params,
                          size_t count, struct pg_result **ret_result);

#endif
