/*
 * engine.h: the seven verbs. One engine = one thread = one connection = one lane.
 *
 *     collect -> recall -> load -> decide -> flush -> commit -> announce
 */
#ifndef RUNTIME_ENGINE_H
#define RUNTIME_ENGINE_H

#include "core/batch.h"
#include "runtime/config.h"

struct engine;

enum engine_outcome {
    ENGINE_COMMITTED, /* decided and committed, the reply is filled in */
    ENGINE_BUSY,      /* not taken: nothing happened, or it is in doubt and safe to repeat */
    ENGINE_FAILED     /* poison: nothing happened */
};

/* A command on its way through the engine. Owned by the door; the engine borrows it between
 * engine_submit and done. */
struct engine_command {
    const struct saga_command *command;
    struct saga_uuid order_id;
    struct saga_text traceparent;
    const void *body;
    void *reply;
    int64_t said_us;
    int64_t give_up_us; /* monotonic: not started by then: done with ENGINE_BUSY */
    /* Called on the engine's thread, after the commit or when it is known that there is none; or by
     * engine_expire. */
    void (*done)(struct engine_command *command, enum engine_outcome outcome);
    void *opaque;
    enum engine_outcome outcome;
    struct engine_command *next; /* the engine's */
};

struct engine *engine_new(const struct saga_service *service, char *errbuf, size_t errbuf_size);
/* Starts the thread. */
bool engine_start(struct engine *engine);
/* Any thread. False: full, draining or over the backlog bound; done is not called. */
bool engine_submit(struct engine *engine, struct engine_command *command);
/* Any thread: commands that nobody has begun with are done with ENGINE_BUSY when their time is
 * over, also while the engine hangs at a server that does not answer. To be called now and then. */
void engine_expire(struct engine *engine);
/* Any thread: take no new work, finish, flush, commit, end. */
void engine_drain(struct engine *engine);
/* Waits for the end until until_us (monotonic). False: a server that hangs holds it up; then
 * neither the engine nor what it uses may be freed. */
bool engine_join(struct engine *engine, int64_t until_us);
void engine_free(struct engine *engine);

/* Told on the engine's thread after a commit in which the order reached an outcome; news is
 * borrowed. */
void engine_on_outcome(struct engine *engine,
                       void (*told)(void *opaque, const struct saga_uuid *order_id,
                                    struct saga_text news),
                       void *opaque);

/* Told on the engine's thread when its session with the database was lost, before it has another.
 */
void engine_on_loss(struct engine *engine, void (*lost)(void *opaque), void *opaque);

/* What the engine knows of itself, for readyz, any thread. */
struct engine_health {
    bool started;         /* it has had its lane and, if it listens, its partitions */
    bool database, kafka; /* reached; kafka: and its group counts it as a member */
    bool holed;           /* a row of the outbox is missing: what is behind it is not sent */
    bool lost;            /* records are gone that it never heard: somebody must decide */
    bool accepting;       /* new commands are taken */
    int64_t outbox_pending;
    int64_t outbox_oldest_us; /* when the oldest row that is not acknowledged was said; 0: none */
    char detail[200];         /* why not, for people; empty if all is well */
};
void engine_health(struct engine *engine, struct engine_health *ret);
void engine_lags(struct engine *engine,
                 void (*each)(void *opaque, const char *topic, int32_t partition, int64_t lag),
                 void *opaque);

#endif
