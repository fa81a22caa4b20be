/* send.c: customers; see send.h. */
#include "send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/http.h"

#define TIMEOUT_MS 40000
#define LOOK_US 10000

struct send {
    struct send_plan plan;
    struct http_pool *pool;
    struct tally *tally;
    int64_t *intended_us; /* by tag, which is the number of the order */
    size_t size;
    int64_t begin_us; /* open: of order 0 */
    int64_t count_from_us, count_to_us;
    bool ending;
    struct send_result result;
};

/* The id of an order in an answer: 36 characters, or "". */
static void read_id(const char *body, char ret_id[37])
{
    const char *at = strstr(body, "\"id\":\"");
    snprintf(ret_id, 37, "%s", at == NULL ? "" : at + strlen("\"id\":\""));
}

static void send_order(struct send *send, int64_t intended_us)
{
    char body[512];
    size_t n = send->result.sent;

    if (n == TALLY_ORDERS_MAX)
        return;
    if (n == send->size) {
        send->size = send->size ? send->size * 2 : 65536;
        send->intended_us = realloc(send->intended_us, send->size * sizeof *send->intended_us);
        if (send->intended_us == NULL)
            abort();
    }
    send->intended_us[n] = intended_us;
    mix_write_order(mix_path(&send->plan.mix, n), body, sizeof body);
    http_pool_send(send->pool, send->result.sent++, "POST", "/v1/orders",
                   "Content-Type: application/json\r\nPrefer: wait=30\r\n", body);
}

static bool counts(const struct send *send, uint64_t tag, int64_t now_us)
{
    int64_t at_us = send->plan.rate > 0 ? send->intended_us[tag] : now_us;
    return at_us >= send->count_from_us && at_us < send->count_to_us;
}

static void note_end(struct send *send, uint64_t tag, enum tally_end end, int64_t now_us)
{
    struct send_result *result = &send->result;
    int64_t latency_us = now_us - send->intended_us[tag];

    result->finished += now_us >= send->count_from_us && now_us < send->count_to_us;
    if (!counts(send, tag, now_us))
        return;
    histogram_record(&result->latency, latency_us);
    if (end == TALLY_CANCELLED)
        histogram_record(&result->latency_cancelled, latency_us);
    *(end == TALLY_COMPLETED ? &result->completed : &result->cancelled) += 1;
}

static void answered(void *opaque, uint64_t tag, const struct http_answer *answer)
{
    struct send *send = opaque;
    struct send_result *result = &send->result;
    int64_t now_us = clock_us();
    enum path path = mix_path(&send->plan.mix, tag);
    enum tally_end end = path == PATH_COMPLETED ? TALLY_COMPLETED : TALLY_CANCELLED;
    char id[37];

    read_id(answer->body, id);
    if (!mix_expected(path, answer->status, answer->body) ||
        !tally_answered(send->tally, id, end)) {
        if (result->other++ == 0)
            snprintf(result->complaint, sizeof result->complaint, "%d %s", answer->status,
                     answer->body);
    } else {
        note_end(send, tag, end, now_us);
    }
    if (send->plan.rate == 0 && !send->ending)
        send_order(send, now_us);
}

struct send *send_new(const struct send_plan *plan, struct tally *tally)
{
    struct send *send = calloc(1, sizeof *send);
    if (send == NULL)
        abort();
    send->plan = *plan;
    send->tally = tally;
    send->count_from_us = INT64_MAX;
    send->pool = http_pool_new(plan->api, SEND_CONNECTIONS_MAX, TIMEOUT_MS, answered, send);
    return send;
}

static void work(struct send *send, int64_t wait_us)
{
    http_pool_work(send->pool, wait_us);
    size_t waiting = http_pool_waiting(send->pool);
    if (waiting > send->result.waiting_max)
        send->result.waiting_max = waiting;
}

static void go_on(struct send *send, int64_t until_us)
{
    const double rate = send->plan.rate;

    if (send->begin_us == 0) {
        send->begin_us = clock_us();
        for (size_t i = 0; rate == 0 && i < send->plan.at_once; i++)
            send_order(send, send->begin_us);
    }
    while (rate > 0 && send->result.sent < TALLY_ORDERS_MAX) {
        int64_t due_us = send->begin_us + (int64_t)((double)send->result.sent * 1e6 / rate);
        if (due_us >= until_us)
            break;
        for (int64_t left_us; (left_us = due_us - clock_us()) > 0;)
            work(send, left_us);
        int64_t late_us = clock_us() - due_us;
        send_order(send, due_us);
        if (due_us >= send->count_from_us && due_us < send->count_to_us)
            histogram_record(&send->result.late, late_us);
        /* It is behind: answers want to be read all the same. */
        if (send->result.sent % 16 == 0)
            work(send, 0);
    }
    for (int64_t left_us; (left_us = until_us - clock_us()) > 0;)
        work(send, left_us < LOOK_US ? left_us : LOOK_US);
}

void send_warm_up(struct send *send, int64_t until_us)
{
    go_on(send, until_us);
}

void send_count(struct send *send, int64_t until_us)
{
    send->count_from_us = clock_us();
    send->count_to_us = until_us;
    go_on(send, until_us);
}

void send_cool_down(struct send *send, int64_t until_us)
{
    go_on(send, until_us);
}

void send_stop(struct send *send)
{
    /* Each has its own time-out, and what waits for a connection one after that. */
    int64_t give_up_us = clock_us() + (int64_t)2 * TIMEOUT_MS * 1000;

    send->ending = true;
    while (http_pool_pending(send->pool) > 0 && clock_us() < give_up_us)
        http_pool_work(send->pool, LOOK_US);
    send->result.other += http_pool_pending(send->pool);
}

const struct send_result *send_result(const struct send *send)
{
    return &send->result;
}

void send_free(struct send *send)
{
    if (send == NULL)
        return;
    http_pool_free(send->pool);
    free(send->intended_us);
    free(send);
}
