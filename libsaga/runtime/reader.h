/*
 * reader.h: reads for the HTTP door: one thread, one connection of its own, and the Redis
 * connection. Requests that have arrived together share one statement per query (batches form by
 * themselves). It never writes to PostgreSQL.
 */
#ifndef RUNTIME_READER_H
#define RUNTIME_READER_H

#include "core/arena.h"
#include "saga/http.h"

struct reader;

enum read_kind {
    READ_QUERY,       /* a row of a saga_query by its key */
    READ_RECALL,      /* a Redis value by its key */
    READ_REMEMBER,    /* a Redis value to keep; done is called, nothing is answered */
    READ_GAUGE,       /* the service's gauge: counts by label; for /metrics */
    READ_DEAD_LETTERS /* parked records by reason; for /metrics */
};

/* Owned by the caller until done is called (on the reader's thread). */
struct read {
    enum read_kind kind;
    const struct saga_query *query; /* READ_QUERY */
    struct saga_text key;           /* must live until done */
    struct saga_text value;         /* REMEMBER: what; RECALL: the answer, in `arena` */
    int64_t seconds;                /* REMEMBER: for how long */
    unsigned epoch;                 /* REMEMBER: reader_epoch's number before the commit */
    struct arena *arena; /* where the answer goes; only touched between submit and done */
    const void *row;     /* QUERY: the struct, or NULL if there is none */
    int64_t counts[32];  /* GAUGE: one per label of the gauge, in its order */
    struct {
        char reason[64];
        int64_t count;
    } reasons[32]; /* DEAD_LETTERS */
    size_t reasons_count;
    bool answered;      /* false: the server was away */
    int64_t give_up_us; /* monotonic: not answered by then: done, answered = false */
    void (*done)(struct read *read);
    void *opaque;
    struct read *next; /* the reader's */
};

struct reader *reader_new(const struct saga_service *service, char *errbuf, size_t errbuf_size);
bool reader_start(struct reader *reader);
/* Any thread. False if too many are waiting (READER_QUEUE_MAX): done is not called. */
#define READER_QUEUE_MAX 16384
bool reader_submit(struct reader *reader, struct read *read);
/* Ends the thread; reads that wait are done with answered = false. */
void reader_stop(struct reader *reader);
void reader_free(struct reader *reader);
/* For readyz, any thread: as seen at the last use or a ping of at most 2 s ago. */
bool reader_redis_ok(struct reader *reader);
bool reader_database_ok(struct reader *reader);
/* The epoch under which Redis keys stand (I4): "saga:<service>:<epoch>:"; empty while it is not
 * known. Any thread. ret_number is 0 then, and else another one each time that it became known. */
const char *reader_epoch(struct reader *reader, unsigned *ret_number);
/* Any thread: another session of this process was lost, and the next may be one of another
 * database: the epoch is not known until it was read anew. */
void reader_doubt(struct reader *reader);

#endif
