/*
 * http.h: the HTTP server. The only place that knows libmicrohttpd.
 *
 * Driven by one thread of ours: its epoll descriptor and an eventfd of ours stand in one epoll set,
 * so that an answer from another thread wakes it (libmicrohttpd alone would not notice).
 */
#ifndef PORTS_HTTP_H
#define PORTS_HTTP_H

#include "core/arena.h"

#define HTTP_BODY_MAX (64 * 1024)
#define HTTP_TARGET_MAX (8 * 1024)
#define HTTP_HEADERS_MAX (16 * 1024)
#define HTTP_FIELDS_MAX 64
#define HTTP_CONNECTIONS_MAX 4096
#define HTTP_IDLE_TIMEOUT_S 30

struct http_server;
struct http_exchange; /* one request and its answer */

struct http_handler {
    /* A whole request is here. It must be answered with http_answer, now or later on the same
     * thread (it is suspended meanwhile). */
    void (*request)(void *opaque, struct http_exchange *exchange);
    /* Refused by the port itself: 408, 413, 414, 431, 400 (not HTTP): fill the answer's body. */
    void (*refused)(void *opaque, struct http_exchange *exchange, int status);
    /* The exchange is over (answered, or the client went away): free what hangs on it. */
    void (*over)(void *opaque, struct http_exchange *exchange);
    /* http_wake was called. */
    void (*woken)(void *opaque);
    /* Called at least every tick_ms while the server runs; returns ms to the next call, -1: none.
     */
    int (*tick)(void *opaque);
    void *opaque;
};

/* Listens on address:port. NULL with the reason in errbuf (address in use: says so). */
struct http_server *http_server_new(const char *address, uint16_t port,
                                    const struct http_handler *handler, char *errbuf,
                                    size_t errbuf_size);
/* Runs the loop until http_server_stop. The calling thread is the HTTP thread. */
void http_server_run(struct http_server *server);
/* Any thread, async-signal-safe: wakes the loop. */
void http_wake(struct http_server *server);
/* HTTP thread: no new connections; the loop ends when the last exchange is over. */
void http_server_quiesce(struct http_server *server);
/* Any thread: the loop ends now. */
void http_server_stop(struct http_server *server);
void http_server_free(struct http_server *server);

const char *http_method(const struct http_exchange *exchange);
const char *http_path(const struct http_exchange *exchange); /* still percent-encoded, no query */
const char *http_query(const struct http_exchange *exchange, const char *name, size_t nth);
/* Calls each for every query parameter, decoded. */
void http_queries(const struct http_exchange *exchange,
                  void (*each)(void *opaque, const char *name, const char *value), void *opaque);
const char *http_header(const struct http_exchange *exchange, const char *name); /* NULL: none */
/* How often the header is there (a repeated Content-Type or Idempotency-Key is an error). */
size_t http_header_count(const struct http_exchange *exchange, const char *name);
struct saga_text http_body(const struct http_exchange *exchange);
struct arena *http_arena(struct http_exchange *exchange); /* lives as long as the exchange */
void *http_state(const struct http_exchange *exchange);
void http_set_state(struct http_exchange *exchange, void *state);

void http_answer_header(struct http_exchange *exchange, const char *name, const char *value);
/* Copies the body. Exactly once per exchange. */
void http_answer(struct http_exchange *exchange, int status, const char *content_type,
                 struct saga_text body);

#endif
