/*
 * http.h: the HTTP server. The only place that knows libmicrohttpd.
 *
 * Driven by one thread of ours: its epoll descriptor and an eventfd of ours stand in one epoll set,
 * so that what another thread has done wakes it (libmicrohttpd alone would not notice).
 */
#ifndef PORTS_HTTP_H
#define PORTS_HTTP_H

#include "core/arena.h"

/*
 * Who goes beyond one of these gets our answer, 413, 414 or 431. A head that is beyond what
 * libmicrohttpd holds (about 30 KiB with all that is made of it) gets libmicrohttpd's own, 431, or
 * 414 if already the first line is: the status is right, the body is HTML, without X-Request-Id.
 * So do requests that it cannot read: 400, 505 for a version that it does not know. What does not
 * even begin like a request is not answered.
 */
#define HTTP_BODY_MAX ((size_t)64 * 1024)
#define HTTP_TARGET_MAX ((size_t)8 * 1024)
#define HTTP_ARGUMENTS_MAX 64 /* of the query: 414 */
#define HTTP_HEADERS_MAX ((size_t)16 * 1024)
#define HTTP_FIELDS_MAX 64
#define HTTP_SWALLOW_MAX ((size_t)1024 * 1024) /* of a body beyond that: then it is cut */

struct http_server;
struct http_exchange; /* one request and its answer */

/*
 * How many connections, and how long each may take in all, however often a byte comes. One more
 * than so many waits, connected and unanswered, until another has gone.
 */
struct http_limits {
    unsigned connections;
    int64_t idle_ms;    /* until the first line of a request: closed, with 408 if half of it came */
    int64_t request_ms; /* from there to its last byte: 408 */
    int64_t answer_ms;  /* to take the answer: closed */
};
extern const struct http_limits http_limits; /* 4096, and a minute, 30 s, a minute */

/* Why the port itself says no; the connection ends with it. */
enum http_refusal {
    HTTP_NOT_REFUSED,
    HTTP_MALFORMED,       /* 400: no HTTP to the letter, or several Hosts */
    HTTP_AMBIGUOUS,       /* 400: it is in doubt where the body ends */
    HTTP_LATE,            /* 408: it took too long; maybe it has no method and an empty path */
    HTTP_BODY_TOO_LARGE,  /* 413, also a chunk's extension without end */
    HTTP_TARGET_TOO_LONG, /* 414, also one with too many arguments */
    HTTP_HEAD_TOO_LARGE,  /* 431 */
};

struct http_handler {
    /* A whole request is here. It must be answered with http_answer, now or later on the same
     * thread (it is suspended meanwhile, and lives until then even if the client has gone). One in
     * chunks is the last of its connection. */
    void (*request)(void *opaque, struct http_exchange *exchange);
    /* Refused by the port itself: answer it now, with this status. */
    void (*refused)(void *opaque, struct http_exchange *exchange, enum http_refusal why,
                    int status);
    /* The exchange is over: free what hangs on it. */
    void (*over)(void *opaque, struct http_exchange *exchange);
    /* http_wake was called. */
    void (*woken)(void *opaque);
    /* Called once in every round of the loop; returns ms to the next call at most, -1: none. */
    int (*tick)(void *opaque);
    void *opaque;
};

/* Listens on address:port. NULL with the reason in errbuf (address in use: says so). */
struct http_server *http_server_new(const char *address, uint16_t port,
                                    const struct http_handler *handler,
                                    const struct http_limits *limits, char *errbuf,
                                    size_t errbuf_size);
/* Runs the loop until http_server_stop. The calling thread is the HTTP thread. */
void http_server_run(struct http_server *server);
/* Any thread: wakes the loop. */
void http_wake(struct http_server *server);
/* Any thread: no new connections; the loop ends when nothing is under way any more. */
void http_server_quiesce(struct http_server *server);
/* Any thread: the loop ends now; what is under way is cut off. */
void http_server_stop(struct http_server *server);
void http_server_free(struct http_server *server); /* after the loop; NULL is fine */

const char *http_method(const struct http_exchange *exchange);
/* Still percent-encoded, without the query. */
struct saga_text http_path(const struct http_exchange *exchange);
/* Decoded; NULL: none. */
const char *http_query(const struct http_exchange *exchange, const char *name);
/* Without blanks around it; absent: none. The first, if there are several. */
struct saga_text http_header(const struct http_exchange *exchange, const char *name);
/* All of that name as one, joined by ", " (RFC 9110, 5.3); absent: none. In the arena. */
struct saga_text http_header_joined(struct http_exchange *exchange, const char *name);
/* How often the header is there (a repeated Content-Type or Idempotency-Key is an error). */
size_t http_header_count(const struct http_exchange *exchange, const char *name);
struct saga_text http_body(const struct http_exchange *exchange);
struct arena *http_arena(struct http_exchange *exchange); /* lives as long as the exchange */
void *http_state(const struct http_exchange *exchange);
void http_set_state(struct http_exchange *exchange, void *state);

/* The name is a token and lives as long as the exchange, the value one line and not empty, and is
 * copied: the program's own words, never from outside, since it aborts at any other. */
void http_answer_header(struct http_exchange *exchange, const char *name, const char *value);
/* Copies the body. Exactly once per exchange. */
void http_answer(struct http_exchange *exchange, int status, const char *content_type,
                 struct saga_text body);

#endif
