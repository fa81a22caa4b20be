/* http_inside.h: the HTTP server's own state, shared by the files that make it up. */
#ifndef PORTS_HTTP_INSIDE_H
#define PORTS_HTTP_INSIDE_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "ports/http.h"

/* What a connection's time runs for. */
enum http_phase {
    HTTP_IDLE,      /* no first line yet */
    HTTP_READING,   /* its first line is here, the rest is not */
    HTTP_ANSWERING, /* the client has not taken all of the answer */
    HTTP_WORKING,   /* the request is with the handler: no time runs */
    HTTP_PHASES
};

struct http_connection {
    struct http_server *server;
    struct MHD_Connection *library;
    int fd;
    struct http_exchange *exchange; /* of its request, or NULL */
    enum http_phase phase;
    int64_t since_us; /* of the phase */
    bool used, cut;   /* has had a request before; no more is heard of it */
    bool lingers;     /* cut, and what it still sends is read */
    bool hurried;     /* see http_connection_hurry */
    bool ended;       /* its client sends no more */
    bool listed;      /* in the server's list of these */
    struct http_connection *next_ended;
    int64_t seen; /* bytes that libmicrohttpd had read when it seemed to be stuck; 0: it did not */
    struct http_connection *next, *prev;
};

struct http_exchange {
    struct http_server *server;
    struct http_connection *connection;
    struct http_exchange *next, **back; /* of the server's list of exchanges under way */
    struct arena arena;
    const char *method, *target, *target_at; /* the last: where libmicrohttpd has it */
    char *body;
    size_t body_len, body_size, swallowed;
    bool begun, given, answered, suspended;
    bool last; /* of its connection: what is behind it is not read */
    struct MHD_Response *response;
    unsigned status;
    struct http_header {
        struct http_header *next;
        const char *name, *value;
    } * headers;
    void *state;
};

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_handler handler;
    struct http_limits limits;
    int listen_fd, wake_fd, epoll_fd;
    struct http_exchange *live, *spare;
    /* Connections whose time runs: in a phase all have the same time, so the oldest is over first.
     */
    struct {
        struct http_connection *first, *last;
    } phases[HTTP_WORKING];
    struct http_connection *ended; /* whose client sends no more, to be looked at */
    unsigned connections;
    bool room;   /* for one more, and there was none: run libmicrohttpd at once */
    bool called; /* by libmicrohttpd, in this round */
    atomic_bool stop, quiesce;
    bool quiet, over; /* takes no more connections; no more requests */
};

/* http_head.c */
/* Why it cannot be relied on; before its body is read. method, version: in place, in the head. */
enum http_refusal http_head_refusal(const struct http_exchange *exchange, const char *method,
                                    const char *version);
/* HTTP_BODY_MAX for a body in chunks. */
size_t http_body_length(const struct http_exchange *exchange);
/* As libmicrohttpd has it, and goes by it. */
const char *http_raw_header(const struct http_exchange *exchange, const char *name);

/* http_exchange.c */
struct http_exchange *http_exchange_new(struct http_server *server,
                                        struct http_connection *connection, const char *target);
void http_exchange_end(struct http_exchange *exchange);
/* Lives as long as the exchange. */
const char *http_exchange_copy(struct http_exchange *exchange, const char *string);
/* Has the handler answer it with why it is refused. */
void http_exchange_refuse(struct http_exchange *exchange, enum http_refusal why);

/* http_connection.c */
/* libmicrohttpd's: a connection begins or is over. */
void http_connection_notify(void *opaque, struct MHD_Connection *library, void **context,
                            enum MHD_ConnectionNotificationCode code);
struct http_connection *http_connection_of(struct MHD_Connection *library);
void http_connection_enter(struct http_connection *connection, enum http_phase phase);
/* Waits for libmicrohttpd's sockets, the wake-up, and clients who send no more. */
void http_connections_wait(struct http_server *server, int wait_ms);
/* After libmicrohttpd has run: ends those whose client sends no more and has left a request
 * unfinished, or has none. */
void http_connections_end_halves(struct http_server *server);
/* Ends those whose time is over. Not from within a call of libmicrohttpd's. */
void http_connections_cut(struct http_server *server);
/* libmicrohttpd wants to be run again at once, and has told nothing in this round: refuses those
 * that it can read no further, or it would want that until their time is over. Not from within a
 * call. */
void http_connections_unstick(struct http_server *server);
/* Before it is resumed: its answer goes first, before what else there is of it is read. */
void http_connection_hurry(struct http_connection *connection);
void http_connection_hurry_no_more(struct http_connection *connection);
/* ms until the next one is over, wait_ms at most. */
int http_connections_wait_ms(const struct http_server *server, int wait_ms);
/* In the middle of its request: what the handler answers is sent at once, past libmicrohttpd; the
 * caller sees to it that the connection ends. */
void http_connection_refuse(struct http_connection *connection, struct http_exchange *exchange,
                            enum http_refusal why);
/* It has been refused: no more is said, and what it still sends is read, for as long as an answer
 * may take. */
void http_connection_linger(struct http_connection *connection);
/* Nor is it any longer. Not from within a call of libmicrohttpd's. */
void http_connections_linger_no_more(struct http_server *server);
/* For all that is still to come of it, it is as if the client had gone. */
void http_connection_end(struct http_connection *connection);
/* That answer, as it stands. */
void http_connection_say(struct http_connection *connection, const char *content_type,
                         struct saga_text body);

#endif
