/*
 * http.h: the HTTP door of a service.
 *
 * All functions here run on the HTTP thread. A request lives from its handler's call until it has
 * been answered; each must be answered exactly once. What takes time (a commit, a query, a wait)
 * is asked for with a continuation, which is called later on the same thread.
 */
#ifndef SAGA_HTTP_H
#define SAGA_HTTP_H

#include "saga/service.h"

struct saga_request;

struct saga_route {
    const char *method;
    const char *path; /* "/v1/orders/{id}": one {name} a segment */
    void (*handle)(struct saga_request *request);
    bool json; /* takes a body, which must be application/json (else 415) */
};

/* An error that the API answers with: its page stands at /problems/CODE. */
struct saga_problem {
    const char *code;  /* snake_case */
    const char *title; /* the same whatever the occasion */
    const char *help;  /* what it means and what to do, for the page */
};

typedef void (*saga_then)(struct saga_request *request);

/* ---- what was asked ---- */
struct saga_text saga_request_path(struct saga_request *request, const char *name);
/* Absent if there is none; names match in any case. Without blanks around it; a header that is
 * there several times reads as one, joined by ", ". */
struct saga_text saga_request_header(struct saga_request *request, const char *name);
struct saga_text saga_request_parameter(struct saga_request *request, const char *name);
/* The caller's traceparent if valid, else one made here. Never absent. */
struct saga_text saga_request_traceparent(struct saga_request *request);
/* Zeroed memory that lives as long as the request; never NULL. */
void *saga_request_alloc(struct saga_request *request, size_t size);
/* A slot of the handler's own. */
void saga_request_keep(struct saga_request *request, void *state);
void *saga_request_kept(struct saga_request *request);

/*
 * Reads the body into a zeroed struct of the shape, every rule checked. True if all is well; else
 * the request has been answered: 400 malformed_json, or 422 `code` with every faulty field.
 * more (may be NULL) is called when the fields are good in themselves, to check what spans several
 * (the sum of amounts): it calls saga_request_fault for each fault that it finds.
 */
bool saga_request_bind(struct saga_request *request, const struct saga_shape *shape,
                       const char *code, void *ret_body,
                       void (*more)(struct saga_request *request, const void *body));
void saga_request_fault(struct saga_request *request, const char *pointer, const char *detail);

/* ---- what handlers may not know, and the door does ---- */
int64_t saga_now_us(void);
struct saga_uuid saga_uuid_new(void); /* version 7 */
void saga_sha256(struct saga_text text, char ret_hex[65]);
int64_t saga_setting_deadline_us(void); /* SAGA_DEADLINE_S */

/* ---- what takes time ---- */
enum saga_outcome_kind {
    SAGA_COMMITTED, /* decided and committed: the reply is filled in */
    SAGA_BUSY,      /* not taken: queue or backlog full, draining, database away, out of time */
    SAGA_FAILED     /* the message was poison: nothing happened */
};

/*
 * Hands a command to the engine. body and reply must live as long as the request (alloc them
 * with saga_request_alloc). then sees the result with saga_request_outcome.
 */
void saga_request_submit(struct saga_request *request, const struct saga_command *command,
                         const struct saga_uuid *order_id, const void *body, void *reply,
                         saga_then then);
enum saga_outcome_kind saga_request_outcome(struct saga_request *request);

/* A query that many requests share: $1 is the array of keys, the first column the key again. */
struct saga_query {
    const char *sql;
    const struct saga_shape *shape;
};
/* then sees the row with saga_request_row: NULL if there is none. saga_request_outcome tells
 * whether the database answered (SAGA_COMMITTED) or not (SAGA_BUSY). */
void saga_request_query(struct saga_request *request, const struct saga_query *query,
                        struct saga_text key, saga_then then);
const void *saga_request_row(struct saga_request *request);

/*
 * then is called once when an outcome of the order (saga_outcome) was committed by this process,
 * after left_ms, or after half a second (another process may have committed it): look again.
 */
void saga_request_wait(struct saga_request *request, const struct saga_uuid *order_id,
                       int64_t left_ms, saga_then then);
/* What was told with the outcome that ended the wait (saga_news): absent if nothing was, or it
 * ended otherwise. Only until then returns. */
struct saga_text saga_request_news(struct saga_request *request);
/* How much is left of so many seconds since the request was received: 0 when they are over, or the
 * process is on its way out. */
int64_t saga_request_left_ms(struct saga_request *request, int64_t seconds);

/*
 * Idempotency: the memory that may forget. recall looks in Redis before then is called: absent
 * when it is not known (or Redis is away, or it was remembered by a program of another version).
 * remember is called after the commit it speaks of (I4).
 */
void saga_request_recall(struct saga_request *request, struct saga_text key, saga_then then);
struct saga_text saga_request_recalled(struct saga_request *request);
void saga_request_remember(struct saga_request *request, struct saga_text key,
                           struct saga_text value, int64_t seconds);
int64_t saga_setting_key_keep_s(void); /* SAGA_KEY_KEEP_S */

/*
 * Claims a key: one request of this process has it at a time, until it gives it back or has been
 * answered. then sees with saga_request_outcome whether it has it now (SAGA_COMMITTED), or another
 * request still had it after wait_ms (SAGA_BUSY). Saves work and tells the second one why; what
 * keeps a key from being used twice, here and in other processes, is the database. The key must
 * live as long as the request; a request claims one at most.
 */
void saga_request_claim(struct saga_request *request, struct saga_text key, int64_t wait_ms,
                        saga_then then);
void saga_request_give_back(struct saga_request *request);

/* ---- the answer ---- */
/* The name is a token, the value one line and not empty: the service's own words, never a client's,
 * since the process stops at any other. The value is copied, the name is not. */
void saga_request_add_header(struct saga_request *request, const char *name, const char *value);
/* body: a struct of the shape, as JSON. Consumes the request. */
void saga_request_reply(struct saga_request *request, int status, const struct saga_shape *shape,
                        const void *body);
/* body: JSON text, as it is. Consumes the request. */
void saga_request_reply_json(struct saga_request *request, int status, struct saga_text body);
/* RFC 9457. retry_after_s 0: no Retry-After. Consumes the request. */
void saga_request_problem(struct saga_request *request, int status, const char *code,
                          const char *detail, int retry_after_s);
/* The answer to an outcome other than SAGA_COMMITTED: 503, which promises with Retry-After that a
 * repeat is worth it (SAGA_BUSY), or does not (SAGA_FAILED). Consumes the request. */
void saga_request_not_committed(struct saga_request *request);

#endif
