/* door.c: the HTTP thread: routes requests, and takes up what other threads have done for them. */
#include "runtime/door_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/envelope.h"
#include "ports/failpoint.h"
#include "ports/system.h"

/* ---- routes ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A segment without its percent-escapes; one that is broken stays as it is. */
static struct saga_text decode(struct arena *arena, struct saga_text segment)
{
    char *to = arena_alloc(arena, segment.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < segment.len; i++) {
        int high = -1, low = -1;
        if (segment.at[i] == '%' && i + 2 < segment.len) {
            high = hex_digit(segment.at[i + 1]);
            low = hex_digit(segment.at[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            to[len++] = (char)(high * 16 + low);
            i += 2;
        } else {
            to[len++] = segment.at[i];
        }
    }
    return (struct saga_text){to, len};
}

static struct saga_text next_segment(struct saga_text *path)
{
    struct saga_text segment = {path->at, 0};
    while (segment.len < path->len && path->at[segment.len] != '/')
        segment.len++;
    size_t used = segment.len < path->len ? segment.len + 1 : segment.len;
    path->at += used;
    path->len -= used;
    return segment;
}

static bool match_path(struct saga_request *request, const char *pattern, struct saga_text path)
{
    struct saga_text want = saga_text(pattern);
    size_t count = 0;
    if (want.len > 0 && path.len > 0 &&
        (want.at[want.len - 1] == '/') != (path.at[path.len - 1] == '/'))
        return false;
    while (want.len > 0 && path.len > 0) {
        struct saga_text segment = next_segment(&want), given = next_segment(&path);
        if (segment.len > 0 && segment.at[0] == '{') {
            if (given.len == 0 || count == DOOR_VALUES_MAX)
                return false;
            request->values[count].name = (struct saga_text){segment.at + 1, segment.len - 2};
            request->values[count++].value = decode(http_arena(request->exchange), given);
        } else if (!saga_text_equal(segment, given)) {
            return false;
        }
    }
    return want.len == 0 && path.len == 0;
}

/* HEAD is GET without the body, which the HTTP port leaves out. */
static bool match_method(const char *wanted, const char *given)
{
    return strcmp(wanted, given) == 0 || (strcmp(wanted, "GET") == 0 && strcmp(given, "HEAD") == 0);
}

/* NULL if there is none; then ret_allow is what the path takes, empty if it is not known at all. */
static struct door_route *find_route(struct saga_request *request, char *ret_allow, size_t size)
{
    struct door *door = request->door;
    struct saga_text path = http_path(request->exchange);
    const char *method = http_method(request->exchange);
    *ret_allow = '\0';
    for (size_t i = 0; i < door->routes_count; i++) {
        const struct saga_route *route = door->routes[i].route;
        if (!match_path(request, route->path, path))
            continue;
        if (match_method(route->method, method))
            return &door->routes[i];
        size_t len = strlen(ret_allow);
        snprintf(ret_allow + len, size - len, "%s%s%s", len ? ", " : "", route->method,
                 strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
    }
    return NULL;
}

void door_count(struct saga_request *request, int status)
{
    static const double bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                    0.25,   0.5,   1,      2.5,   5,    10,    30};
    struct door_route *route = request->route;
    if (route == NULL)
        route = &request->door->routes[request->door->routes_count];
    size_t i = 0;
    while (route->series[i].status != 0 && route->series[i].status != status && i < 15)
        i++;
    if (route->series[i].status != status) {
        char labels[160];
        snprintf(labels, sizeof labels, "method=\"%s\",route=\"%s\",code=\"%d\"",
                 route->route ? route->route->method : "other",
                 route->route ? route->route->path : "unmatched", status);
        route->series[i].status = status;
        route->series[i].duration =
            metric_histogram("http_server_request_duration_seconds", "From request to answer.",
                             labels, bounds, sizeof bounds / sizeof *bounds);
    }
    metric_observe(route->series[i].duration,
                   (double)(system_monotonic_us() - request->received_us) / 1e6);
}

/* ---- a request comes in ---- */

/* The caller's if it is sane: it goes into logs and headers. */
static void set_id(struct saga_request *request)
{
    struct saga_text given = http_header(request->exchange, "X-Request-Id");
    bool sane = given.len > 0 && given.len < sizeof request->id;
    for (size_t i = 0; sane && i < given.len; i++) {
        char c = given.at[i];
        sane = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               memchr("._-", c, 3) != NULL;
    }
    if (sane) {
        memcpy(request->id, given.at, given.len);
        request->id[given.len] = '\0';
        return;
    }
    struct saga_uuid id = system_uuid7();
    saga_uuid_format(&id, request->id);
}

static void set_trace(struct saga_request *request)
{
    static const char hex[] = "0123456789abcdef";
    struct saga_text given = http_header(request->exchange, "traceparent");
    if (http_header_count(request->exchange, "traceparent") == 1 && traceparent_valid(given)) {
        request->traceparent = arena_copy(http_arena(request->exchange), given);
        return;
    }
    unsigned char random[24];
    system_random(random, sizeof random);
    random[0] |= 1; /* neither id may be all zero */
    random[16] |= 1;
    char *text = arena_alloc(http_arena(request->exchange), 56);
    char *at = text + sprintf(text, "00-");
    for (size_t i = 0; i < sizeof random; i++) {
        *at++ = hex[random[i] >> 4];
        *at++ = hex[random[i] & 15];
        if (i == 15)
            *at++ = '-';
    }
    at += sprintf(at, "-01");
    request->traceparent = (struct saga_text){text, (size_t)(at - text)};
}

static struct saga_request *new_request(struct door *door, struct http_exchange *exchange)
{
    struct saga_request *request = arena_alloc(http_arena(exchange), sizeof *request);
    request->door = door;
    request->exchange = exchange;
    request->received_us = system_monotonic_us();
    request->said_us = system_now_us();
    http_set_state(exchange, request);
    set_id(request);
    set_trace(request);
    return request;
}

static bool is_json(const struct http_exchange *exchange)
{
    static const char json[] = "application/json";
    struct saga_text type = http_header(exchange, "Content-Type");
    size_t len = 0;
    if (http_header_count(exchange, "Content-Type") != 1)
        return false;
    while (len < type.len && memchr("; \t", type.at[len], 3) == NULL)
        len++;
    if (len != strlen(json) || strncasecmp(type.at, json, len) != 0)
        return false;
    while (len < type.len && (type.at[len] == ' ' || type.at[len] == '\t'))
        len++;
    return len == type.len || type.at[len] == ';';
}

/* RFC 9110, 8.4 and 15.5.16: a coding that is not undone must not be taken for the body. */
static void refuse_coding(struct saga_request *request)
{
    saga_request_add_header(request, "Accept-Encoding", "identity");
    saga_request_problem(request, 415, "unsupported_media_type",
                         "The body must be sent without a Content-Encoding.", 0);
}

static void on_request(void *opaque, struct http_exchange *exchange)
{
    struct saga_request *request = new_request(opaque, exchange);
    char allow[128];
    request->route = find_route(request, allow, sizeof allow);
    if (request->route == NULL && *allow == '\0') {
        saga_request_problem(request, 404, "not_found", "There is nothing at this path.", 0);
    } else if (request->route == NULL) {
        saga_request_add_header(request, "Allow", allow);
        saga_request_problem(request, 405, "method_not_allowed",
                             "This path does not take this method; see Allow.", 0);
    } else if (request->route->route->json && !is_json(exchange)) {
        saga_request_problem(request, 415, "unsupported_media_type",
                             "The body must be sent as Content-Type: application/json.", 0);
    } else if (request->route->route->json && http_header_count(exchange, "Content-Encoding") > 0) {
        refuse_coding(request);
    } else if (request->route->route->json && FAILPOINT(door_received)) {
        saga_request_problem(request, 503, "unavailable", "A test has asked for this.", 1);
    } else {
        request->route->route->handle(request);
    }
}

static void on_refused(void *opaque, struct http_exchange *exchange, enum http_refusal why,
                       int status)
{
    static const struct {
        const char *code, *detail;
    } problems[] = {
        [HTTP_MALFORMED] = {"malformed_request",
                            "It has a header field that is none, or more than one Host."},
        [HTTP_AMBIGUOUS] = {"ambiguous_length",
                            "It must have one Content-Length, or be chunked, and never both."},
        [HTTP_LATE] = {"request_timeout", "The request has not arrived whole in time."},
        [HTTP_BODY_TOO_LARGE] = {"body_too_large", "The body may have at most 65536 bytes."},
        [HTTP_TARGET_TOO_LONG] = {"target_too_long",
                                  "Path and query may have at most 8192 bytes, and the query 64 "
                                  "arguments."},
        [HTTP_HEAD_TOO_LARGE] = {"headers_too_large",
                                 "The headers may have at most 64 fields and 16384 bytes."},
    };
    struct saga_request *request = new_request(opaque, exchange);
    if (status == 400) /* what follows may be part of it */
        saga_request_add_header(request, "Connection", "close");
    saga_request_problem(request, status, problems[why].code, problems[why].detail, 0);
}

static void on_over(void *opaque, struct http_exchange *exchange)
{
    (void)opaque;
    struct saga_request *request = http_state(exchange);
    if (request == NULL)
        return;
    saga_request_give_back(request);
    saga_json_clear(&request->faults);
}

/* ---- waiting for an outcome ---- */

static struct saga_request **bucket_of(struct door *door, const struct saga_uuid *id)
{
    return &door->buckets[(id->bytes[15] | id->bytes[14] << 8) % DOOR_BUCKETS];
}

void door_wait(struct saga_request *request, int64_t until_us)
{
    struct door *door = request->door;
    struct saga_request **bucket = bucket_of(door, &request->order_id);
    request->waiting = true;
    request->until_us = until_us;
    request->bucket_next = *bucket;
    request->bucket_back = bucket;
    if (*bucket != NULL)
        (*bucket)->bucket_back = &request->bucket_next;
    *bucket = request;
    /* Nearly all come in the order of their time, so the place is found from the end. */
    struct saga_request *before = door->latest;
    while (before != NULL && before->until_us > until_us)
        before = before->time_prev;
    request->time_prev = before;
    request->time_next = before ? before->time_next : door->soonest;
    *(request->time_next ? &request->time_next->time_prev : &door->latest) = request;
    *(before ? &before->time_next : &door->soonest) = request;
    atomic_fetch_add(&door->waiting, 1);
    /* Told between its commit and now, when nobody waited: that is looked at in the next round. */
    pthread_mutex_lock(&door->lock);
    bool told = door->told_count > 0 || door->told_too_many;
    pthread_mutex_unlock(&door->lock);
    if (told || atomic_load(&door->draining))
        http_wake(door->server);
}

static void end_wait(struct saga_request *request, struct saga_text news)
{
    struct door *door = request->door;
    *request->bucket_back = request->bucket_next;
    if (request->bucket_next != NULL)
        request->bucket_next->bucket_back = request->bucket_back;
    *(request->time_next ? &request->time_next->time_prev : &door->latest) = request->time_prev;
    *(request->time_prev ? &request->time_prev->time_next : &door->soonest) = request->time_next;
    request->waiting = false;
    atomic_fetch_sub(&door->waiting, 1);
    request->news = news;
    request->then(request);
}

void door_end_waits(struct door *door, const struct saga_uuid *order_id, struct saga_text news)
{
    for (struct saga_request *request = *bucket_of(door, order_id), *next; request;
         request = next) {
        next = request->bucket_next;
        if (memcmp(&request->order_id, order_id, sizeof *order_id) == 0)
            end_wait(request, news);
    }
}

static void end_waits_until(struct door *door, int64_t until_us)
{
    while (door->soonest != NULL && door->soonest->until_us <= until_us)
        end_wait(door->soonest, (struct saga_text){0});
}

/* Engine's thread. */
static void on_outcome(void *opaque, const struct saga_uuid *order_id, struct saga_text news)
{
    struct door *door = opaque;
    pthread_mutex_lock(&door->lock);
    if (door->told_count < DOOR_TOLD_MAX) {
        struct told *told = &door->told[door->told_count++];
        told->order_id = *order_id;
        told->len = news.len;
        if (news.len > 0)
            memcpy(told->news, news.at, news.len);
    } else {
        door->told_too_many = true;
    }
    bool first = door->told_count == 1;
    pthread_mutex_unlock(&door->lock);
    if (first && atomic_load(&door->waiting) > 0)
        http_wake(door->server);
}

/* ---- what other threads have done ---- */

void door_complete(struct saga_request *request, enum saga_outcome_kind outcome)
{
    struct door *door = request->door;
    request->outcome = outcome;
    request->done_next = NULL;
    pthread_mutex_lock(&door->lock);
    bool first = door->done == NULL;
    *door->done_tail = request;
    door->done_tail = &request->done_next;
    pthread_mutex_unlock(&door->lock);
    if (first)
        http_wake(door->server);
}

static void on_woken(void *opaque)
{
    struct door *door = opaque;
    pthread_mutex_lock(&door->lock);
    struct saga_request *done = door->done, *next;
    door->done = NULL;
    door->done_tail = &door->done;
    size_t told_count = door->told_count;
    bool all = door->told_too_many;
    struct told *telling = door->told;
    door->told = door->telling;
    door->telling = telling;
    door->told_count = 0;
    door->told_too_many = false;
    pthread_mutex_unlock(&door->lock);
    /* First the commits, then the outcomes: a commit's request may wait for its order's outcome,
     * which was told after it. */
    for (; done != NULL; done = next) {
        next = done->done_next;
        done->then(done);
    }
    for (size_t i = 0; i < told_count && atomic_load(&door->waiting) > 0; i++)
        door_end_waits(
            door, &telling[i].order_id,
            (struct saga_text){telling[i].len > 0 ? telling[i].news : NULL, telling[i].len});
    if (all || atomic_load(&door->draining))
        end_waits_until(door, INT64_MAX);
}

static int on_tick(void *opaque)
{
    struct door *door = opaque;
    int64_t now_us = system_monotonic_us();
    engine_expire(door->engine);
    end_waits_until(door, now_us);
    if (door->soonest == NULL)
        return -1;
    return (int)((door->soonest->until_us - now_us + 999) / 1000);
}

/* ---- making and ending ---- */

const struct saga_problem *door_problem(const struct door *door, struct saga_text code)
{
    const struct saga_problem *lists[] = {door->service->problems, ops_problems};
    for (size_t i = 0; i < 2; i++)
        for (const struct saga_problem *problem = lists[i]; problem && problem->code; problem++)
            if (saga_text_equal(saga_text(problem->code), code))
                return problem;
    return NULL;
}

static void add_routes(struct door *door, const struct saga_route *route)
{
    for (; route != NULL && route->method != NULL; route++) {
        door->routes = realloc(door->routes, (door->routes_count + 2) * sizeof *door->routes);
        if (door->routes == NULL)
            abort();
        door->routes[door->routes_count++] = (struct door_route){.route = route};
        door->routes[door->routes_count] = (struct door_route){0};
    }
}

struct door *door_new(const struct saga_service *service, struct engine *engine,
                      struct reader *reader, char *errbuf, size_t errbuf_size)
{
    char hex[65];
    struct door *door = calloc(1, sizeof *door);
    if (door == NULL)
        abort();
    /* libcrypto makes its tables at its first use, and uses what it had no memory for. */
    system_sha256((struct saga_text){0}, hex);
    door->service = service;
    door->engine = engine;
    door->reader = reader;
    door->done_tail = &door->done;
    door->told = calloc(DOOR_TOLD_MAX, sizeof *door->told);
    door->telling = calloc(DOOR_TOLD_MAX, sizeof *door->telling);
    if (door->told == NULL || door->telling == NULL)
        abort();
    pthread_mutex_init(&door->lock, NULL);
    add_routes(door, service->routes);
    add_routes(door, ops_routes);
    struct http_handler handler = {on_request, on_refused, on_over, on_woken, on_tick, door};
    door->server = http_server_new(config.http_address, (uint16_t)config.http_port, &handler,
                                   &http_limits, errbuf, errbuf_size);
    if (door->server == NULL) {
        door_free(door);
        return NULL;
    }
    engine_on_outcome(engine, on_outcome, door);
    return door;
}

static void *door_thread(void *opaque)
{
    struct door *door = opaque;
    http_server_run(door->server);
    return NULL;
}

bool door_start(struct door *door)
{
    door->running = pthread_create(&door->thread, NULL, door_thread, door) == 0;
    return door->running;
}

void door_drain(struct door *door)
{
    atomic_store(&door->draining, true);
    http_wake(door->server);
}

void door_stop(struct door *door, int64_t deadline_us)
{
    if (!door->running)
        return;
    http_server_quiesce(door->server);
    struct timespec end = {.tv_sec = deadline_us / 1000000,
                           .tv_nsec = deadline_us % 1000000 * 1000};
    if (pthread_clockjoin_np(door->thread, NULL, CLOCK_MONOTONIC, &end) != 0) {
        http_server_stop(door->server);
        pthread_join(door->thread, NULL);
    }
    door->running = false;
}

void door_free(struct door *door)
{
    if (door == NULL)
        return;
    http_server_free(door->server);
    pthread_mutex_destroy(&door->lock);
    free(door->routes);
    free(door->told);
    free(door->telling);
    free(door);
}
