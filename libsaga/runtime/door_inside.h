/* door_inside.h: the door's own state, shared by the files that make it up. */
#ifndef RUNTIME_DOOR_INSIDE_H
#define RUNTIME_DOOR_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "ports/http.h"
#include "runtime/door.h"
#include "runtime/metrics.h"

#define DOOR_VALUES_MAX 4 /* {names} in a route */
#define DOOR_BUCKETS 4096 /* of requests that wait for an order */
#define DOOR_TOLD_MAX 4096
#define DOOR_COMMAND_US 10000000 /* a command that is not started by then is answered 503 */
#define DOOR_READ_US 5000000

/* A route, with what is counted about it. */
struct door_route {
    const struct saga_route *route;
    struct {
        int status;
        struct metric *duration;
    } series[16];
};

struct saga_request {
    struct door *door;
    struct http_exchange *exchange;
    struct door_route *route; /* NULL: none matched */
    struct {
        struct saga_text name, value;
    } values[DOOR_VALUES_MAX];
    int64_t received_us, said_us; /* monotonic, and the wall's clock */
    struct saga_text traceparent;
    char id[65];
    void *kept;
    struct saga_json faults;
    const char *problem; /* the code that it is answered with; NULL: none */

    /* what it waits for: one thing at a time */
    saga_then then;
    enum saga_outcome_kind outcome;
    struct engine_command command;
    unsigned epoch; /* reader_epoch's number, before the command went */
    struct read *read;
    struct saga_request *done_next;

    struct saga_uuid order_id; /* while it waits for an outcome */
    int64_t until_us;
    bool waiting;
    struct saga_text news;
    struct saga_request *bucket_next, **bucket_back;
    struct saga_request *time_next, *time_prev;

    struct {
        struct saga_text key; /* absent: none is claimed or waited for */
        bool mine;
        int64_t until_us;
        saga_then then;
        struct saga_request *next, **back; /* if it is mine */
    } claim;
};

struct told {
    struct saga_uuid order_id;
    size_t len;
    char news[SAGA_NEWS_MAX];
};

struct door {
    const struct saga_service *service;
    struct engine *engine;
    struct reader *reader;
    struct http_server *server;
    pthread_t thread;
    bool running;
    struct door_route *routes; /* the service's and the ops endpoints; the last has no route */
    size_t routes_count;

    /* the HTTP thread's: requests that wait for an outcome, by order and by time */
    struct saga_request *buckets[DOOR_BUCKETS];
    struct saga_request *soonest, *latest;
    struct saga_request *claims[DOOR_BUCKETS]; /* those that hold one, by key */
    struct told *telling;

    atomic_bool draining;
    atomic_size_t waiting;

    pthread_mutex_t lock; /* guards the rest: what other threads have done */
    struct saga_request *done, **done_tail;
    struct told *told; /* DOOR_TOLD_MAX; the other one is read meanwhile by the HTTP thread */
    size_t told_count;
    bool told_too_many; /* wake all */
};

extern const struct saga_route ops_routes[];
extern const struct saga_problem ops_problems[];

/* Any thread: then is called on the HTTP thread. */
void door_complete(struct saga_request *request, enum saga_outcome_kind outcome);
void door_wait(struct saga_request *request, int64_t until_us);
void door_end_waits(struct door *door, const struct saga_uuid *order_id, struct saga_text news);
const struct saga_problem *door_problem(const struct door *door, struct saga_text code);
/* Counts and times an answer. */
void door_count(struct saga_request *request, int status);
/* request.c */
void request_read(struct saga_request *request, struct read read, saga_then then);
void request_answer(struct saga_request *request, int status, const char *content_type,
                    struct saga_text body);

#endif
