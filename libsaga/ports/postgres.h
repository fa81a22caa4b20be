/*
 * postgres.h: one pipelined connection. The only place that knows libpq.
 *
 * A round trip is: pg_send any number of statements, then pg_sync, which sends what is queued and
 * reads every answer. Statements are prepared at first use (known by the address of their SQL),
 * parameters and results are binary. The socket is non-blocking inside, so large arrays and large
 * replies cannot deadlock. Not thread-safe.
 */
#ifndef PORTS_POSTGRES_H
#define PORTS_POSTGRES_H

#include "core/arena.h"
#include "core/batch.h"

/* What a rejected round trip means, by SQLSTATE (folded in postgres.c, by code, never by text). */
enum pg_status {
    PG_OK,
    PG_CONFLICT, /* 23505 40001 40P01 55P03: somebody was faster: load and decide again */
    PG_REJECTED, /* 22*, 23*, 54*: the data: split the batch */
    PG_BUSY,     /* 53*, 57014, 58*: the server cannot now: back off, the connection may live on */
    PG_LOST,     /* no connection, or it broke: what was in flight is in doubt */
    PG_BROKEN    /* 42*, 28*, 3D*, 0A*: schema, rights or program are wrong: people must look */
};

struct pg;
struct pg_result;

/* Does not connect. conninfo: a libpq string or URI. Copies both. */
struct pg *pg_new(const char *conninfo, const char *application_name);
void pg_free(struct pg *pg); /* NULL is fine */
/* Blocks for at most timeout_ms. PG_OK, PG_LOST, PG_BROKEN, PG_BUSY. A new session: nothing is
 * prepared, no lock is held. tcp keepalive and tcp_user_timeout are set, statement and idle
 * timeouts come with the session: statement_timeout 30 s, idle_in_transaction 60 s. */
enum pg_status pg_connect(struct pg *pg, int timeout_ms);
bool pg_connected(const struct pg *pg);
void pg_disconnect(struct pg *pg);
/* The session's socket, -1 without one: for pg_ended, which any thread may ask. */
int pg_socket(const struct pg *pg);
/* The server has closed the socket, or tells an error that was not read yet: before a session's end
 * it tells one. */
bool pg_ended(int socket);
/* The last failure in words: SQLSTATE, message, constraint. Never NULL. */
const char *pg_error(const struct pg *pg);
const char *pg_sqlstate(const struct pg *pg);

/* A parameter in binary form; data lives in the arena it was made in. */
struct pg_param {
    uint32_t oid;
    const char *data; /* NULL: NULL */
    int len;
};
struct pg_param pg_int(struct arena *arena, int64_t value);   /* bigint */
struct pg_param pg_int32(struct arena *arena, int32_t value); /* integer */
struct pg_param pg_time(struct arena *arena, int64_t time_us);
struct pg_param pg_text(struct saga_text value);
struct pg_param pg_uuid(const struct saga_uuid *id);
/* An array of one member (at offset, of this type) of each of count structs. */
struct pg_param pg_array(struct arena *arena, enum saga_type type, const void *const *rows,
                         size_t count, size_t offset);
/* An array of keys: uuid[] (SAGA_UUID: 16 bytes each) or text[] (SAGA_STRING). */
struct pg_param pg_keys(struct arena *arena, enum saga_type type, const struct saga_text *keys,
                        size_t count);

#define PG_PARAMS_MAX 32
/* Queues a statement. sql must be a string with static lifetime. ret_result (may be NULL) is set
 * by pg_sync; free it with pg_result_free. */
void pg_send(struct pg *pg, const char *sql, const struct pg_param *params, size_t count,
             struct pg_result **ret_result);
/* One round trip. On failure every result is NULL and the transaction, if any, is aborted on the
 * server (a ROLLBACK is sent by the next pg_sync before anything else). */
enum pg_status pg_sync(struct pg *pg);
/* The same; when all is sent, lost is asked whether the connection is to be lost there: then what
 * was sent is in doubt. For failpoints. */
enum pg_status pg_sync_answered(struct pg *pg, bool (*lost)(void));

/* How many round trips there were since it was made. */
uint64_t pg_round_trips(const struct pg *pg);

/* One statement outside a pipeline, text in and out, for migrate and the commands. May hold several
 * statements separated by ; when there are no params. */
enum pg_status pg_execute(struct pg *pg, const char *sql);

void pg_result_free(struct pg_result *result); /* NULL is fine */
size_t pg_result_count(const struct pg_result *result);
/* Fills a struct from row `row`: columns in the shape's order, texts copied to the arena.
 * False if the columns do not fit the shape (the schema is not ours). */
bool pg_result_read(const struct pg_result *result, size_t row, const struct saga_shape *shape,
                    struct arena *arena, void *ret_struct);
/* A single bigint/integer/smallint; absent_value if NULL or no row. */
int64_t pg_result_int(const struct pg_result *result, size_t row, size_t column,
                      int64_t absent_value);
/* The bytes of a column, borrowed from the result. */
struct saga_text pg_result_bytes(const struct pg_result *result, size_t row, size_t column);

#endif
