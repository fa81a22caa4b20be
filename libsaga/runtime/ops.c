/* ops.c: the endpoints that every service has: /livez, /readyz, /metrics, /problems/{code}. */
#include <stdio.h>

#include "ports/system.h"
#include "runtime/door_inside.h"

const struct saga_problem ops_problems[] = {
    {"malformed_json", "The body is not acceptable JSON",
     "The body must be one JSON value in UTF-8: no duplicate members, no U+0000, no lone "
     "surrogates, no numbers out of range, nested at most 16 deep. The detail tells where it "
     "stopped."},
    {"not_found", "Nothing is here", "No resource has this path. Look at the path again."},
    {"method_not_allowed", "The method is not taken here",
     "The path exists, but not for this method. The Allow header lists those that it takes."},
    {"unsupported_media_type", "The body is of another type",
     "Send the body with Content-Type: application/json, and without a Content-Encoding."},
    {"malformed_request", "The request is not well-formed HTTP",
     "The name of a header field has letters, digits and -!#$%&'*+.^_`|~, and the colon follows it "
     "without a space; each field is one line; Host is there once."},
    {"ambiguous_length", "It is in doubt where the body ends",
     "Send one Content-Length, or Transfer-Encoding: chunked, and never both."},
    {"request_timeout", "The request took too long to arrive",
     "From its first line to its last byte a request may take 30 seconds. Nothing was done. Send "
     "it again, on another connection."},
    {"body_too_large", "The body is too large", "A body may have at most 64 KiB."},
    {"target_too_long", "The request target is too long",
     "Path and query together may have at most 8 KiB."},
    {"headers_too_large", "The headers are too large",
     "A request may have at most 64 header fields and 16 KiB of them."},
    {"unavailable", "The service cannot take this now",
     "Nothing was done, or it is safe to repeat the request with its Idempotency-Key. Try again "
     "after the seconds that Retry-After tells."},
    {"failed", "The request could not be carried out",
     "The request was understood and refused by the database, and nothing was done. Repeating it "
     "will not help; tell the operators, with the request_id."},
    {NULL, NULL, NULL},
};

static void get_livez(struct saga_request *request)
{
    saga_request_reply_json(request, 200, SAGA_TEXT("{\"status\":\"alive\"}"));
}

static void put_dependency(struct saga_json *json, const char *name, bool ok)
{
    saga_json_open(json, name, '{');
    saga_json_bool(json, "ok", ok);
    saga_json_close(json, '}');
}

/* Commands come over HTTP: then it can work for a while without Kafka, into the outbox. */
static bool takes_commands(const struct saga_service *service)
{
    return service->commands != NULL && service->commands[0] != NULL;
}

static void get_readyz(struct saga_request *request)
{
    struct door *door = request->door;
    struct engine_health health;
    engine_health(door->engine, &health);
    bool redis = reader_redis_ok(door->reader), draining = atomic_load(&door->draining);
    bool able = health.database && health.accepting && !health.lost &&
                (health.kafka || takes_commands(door->service));
    bool all = health.kafka && !health.holed && redis && reader_database_ok(door->reader);
    const char *status = draining          ? "draining"
                         : !health.started ? "starting"
                         : !able           ? "unavailable"
                         : !all            ? "degraded"
                                           : "ready";
    struct saga_json json = {0};
    saga_json_open(&json, NULL, '{');
    saga_json_text(&json, "status", saga_text(status));
    saga_json_text(&json, "detail", saga_text(health.detail));
    saga_json_int(&json, "outbox_pending", health.outbox_pending);
    saga_json_open(&json, "dependencies", '{');
    put_dependency(&json, "database", health.database);
    put_dependency(&json, "kafka", health.kafka);
    put_dependency(&json, "redis", redis);
    saga_json_close(&json, '}');
    saga_json_close(&json, '}');
    saga_request_reply_json(request, able && health.started && !draining ? 200 : 503,
                            saga_json_done(&json));
    saga_json_clear(&json);
}

/* ---- metrics ---- */

#define LAG "saga_consumer_lag"

/* A lag that is not known is left out: 0 would say that all is handled. */
static void put_lag(void *opaque, const char *topic, int32_t partition, int64_t lag)
{
    char labels[300];
    if (lag < 0)
        return;
    snprintf(labels, sizeof labels, "topic=\"%s\",partition=\"%d\"", topic, (int)partition);
    metrics_put(opaque, LAG, labels, (double)lag);
}

static void note_engine(struct door *door)
{
    struct engine_health health;
    engine_health(door->engine, &health);
    int64_t age_us = health.outbox_oldest_us ? system_now_us() - health.outbox_oldest_us : 0;
    metric_set(metric_gauge("saga_outbox_pending", "Outbox rows that are not acknowledged.", ""),
               (double)health.outbox_pending);
    metric_set(metric_gauge("saga_outbox_oldest_age_seconds", "Age of the oldest of them.", ""),
               age_us > 0 ? (double)age_us / 1e6 : 0);
    metric_set(
        metric_gauge("build_info", "The version of the program.", "version=\"" SAGA_VERSION "\""),
        1);
}

static void metrics_done(struct saga_request *request)
{
    if (saga_request_outcome(request) == SAGA_COMMITTED) {
        const struct read *read = request->read;
        metrics_zero("saga_dead_letters");
        for (size_t i = 0; i < read->reasons_count; i++) {
            char labels[96];
            snprintf(labels, sizeof labels, "reason=\"%s\"", read->reasons[i].reason);
            metric_set(metric_gauge("saga_dead_letters", "Records that are now parked.", labels),
                       (double)read->reasons[i].count);
        }
    }
    note_engine(request->door);
    struct saga_json text = {0};
    metrics_write(&text);
    metrics_put_head(&text, LAG, "Records that are not yet handled.");
    engine_lags(request->door->engine, put_lag, &text);
    request_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", saga_json_done(&text));
    saga_json_clear(&text);
}

static void gauge_done(struct saga_request *request)
{
    const struct saga_gauge *gauge = request->door->service->gauge;
    if (saga_request_outcome(request) == SAGA_COMMITTED) {
        for (size_t i = 0; gauge->labels[i] != NULL; i++) {
            char labels[96];
            snprintf(labels, sizeof labels, "%s=\"%s\"", gauge->label, gauge->labels[i]);
            metric_set(metric_gauge(gauge->name, gauge->help, labels),
                       (double)request->read->counts[i]);
        }
    }
    /* Both in the time of one: who scrapes gives up too. */
    int64_t give_up_us = request->read->give_up_us;
    request_read(request, (struct read){.kind = READ_DEAD_LETTERS, .give_up_us = give_up_us},
                 metrics_done);
}

static void get_metrics(struct saga_request *request)
{
    if (request->door->service->gauge != NULL)
        request_read(request, (struct read){.kind = READ_GAUGE}, gauge_done);
    else
        request_read(request, (struct read){.kind = READ_DEAD_LETTERS}, metrics_done);
}

/* ---- problem pages ---- */

static void get_problem(struct saga_request *request)
{
    const struct saga_problem *problem =
        door_problem(request->door, saga_request_path(request, "code"));
    if (problem == NULL) {
        saga_request_problem(request, 404, "not_found", "There is no problem of this name.", 0);
        return;
    }
    char page[2048];
    int len = snprintf(page, sizeof page, "%s\n\ncode: %s\n\n%s\n", problem->title, problem->code,
                       problem->help);
    request_answer(request, 200, "text/plain; charset=utf-8",
                   (struct saga_text){page, (size_t)len});
}

const struct saga_route ops_routes[] = {
    {"GET", "/livez", get_livez, false},
    {"GET", "/readyz", get_readyz, false},
    {"GET", "/metrics", get_metrics, false},
    {"GET", "/problems/{code}", get_problem, false},
    {NULL, NULL, NULL, false},
};
