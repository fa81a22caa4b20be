/*
 * http.h: an HTTP/1.1 client for tests and load tools. It speaks to 127.0.0.0/8 and nobody else.
 *
 * http_call: one request on a connection of its own. http_pool: many requests at once over a
 * bounded number of kept connections, one thread, one epoll; what finds no free connection waits
 * its turn.
 */
#ifndef SUPPORT_HTTP_H
#define SUPPORT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* status 0: no answer (refused, reset, too late). head and body end with a NUL that is not theirs.
 */
struct http_answer {
    int status;
    const char *head, *body;
    size_t head_len, body_len;
};

/* base: "http://127.0.0.1:8080". Prints why and ends the process if that is not this machine. */
void http_loopback_only(const char *base);

/* The value of a header in buffer; false if there is none. Names match in any case. */
bool http_header(const struct http_answer *answer, const char *name, char *buffer, size_t size);

/*
 * headers: whole lines "Name: value\r\n", or NULL. body NULL: none; a body's Content-Type has to be
 * among the headers. Free with http_answer_free; never NULL.
 */
struct http_answer *http_call(const char *base, const char *method, const char *path,
                              const char *headers, const char *body, int timeout_ms);
/* The same with a body of any bytes. */
struct http_answer *http_call_bytes(const char *base, const char *method, const char *path,
                                    const char *headers, const char *body, size_t body_len,
                                    int timeout_ms);
/* The same with a request that is these very bytes. */
struct http_answer *http_call_raw(const char *base, const char *bytes, size_t len, int timeout_ms);
void http_answer_free(struct http_answer *answer);

struct http_pool;

/* The answer is gone after the call. It may send again. */
typedef void (*http_done)(void *opaque, uint64_t tag, const struct http_answer *answer);

struct http_pool *http_pool_new(const char *base, size_t connections_max, int timeout_ms,
                                http_done done, void *opaque);
/* headers as in http_call; body NULL: none. */
void http_pool_send(struct http_pool *pool, uint64_t tag, const char *method, const char *path,
                    const char *headers, const char *body);
/* Moves what can be moved; waits at most so long for something to happen. */
void http_pool_work(struct http_pool *pool, int64_t wait_us);
/* Sent or waiting, and not answered. */
size_t http_pool_pending(const struct http_pool *pool);
/* The part of it that still waits for a connection. */
size_t http_pool_waiting(const struct http_pool *pool);
void http_pool_free(struct http_pool *pool);

#endif
