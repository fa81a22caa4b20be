/* customers.c: orders at a steady rate, each pursued until its customer knows; see customers.h. */
#include "customers.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "due.h"
#include "moments.h"
#include "support/clock.h"
#include "support/db.h"
#include "support/http.h"
#include "told.h"
#include "wish.h"

#define ASKS_MAX 2000 /* of one kind, by one customer */
/* A stack that has far more is not one to do harm to. */
#define STRANGERS_PAGE "100000"
#define STRANGERS_MAX 2000000

/* Who waits for the end holds a connection meanwhile: they must not keep the others from asking. */
#define WAIT_S "5"
#define QUICK_CONNECTIONS_MAX 512
#define QUICK_TIMEOUT_MS 5000
#define WAITING_CONNECTIONS_MAX 320
#define WAITING_TIMEOUT_MS 10000

enum kind { ASK, REPLAY, POLL, CANCEL, KINDS };

/* How long until it is asked again: twice as long each time. */
static const struct {
    int64_t first_us, longest_us;
} patience[KINDS] = {[ASK] = {200000, 2000000},
                     [REPLAY] = {200000, 2000000},
                     [POLL] = {250000, 4000000},
                     [CANCEL] = {200000, 2000000}};

/* What a customer is about, beside what others see of it. */
struct pursuit {
    uint64_t sent;  /* hash of its order */
    uint64_t whole; /* of the first 201, of who does not wait: what each replay of it tells */
    uint16_t again[KINDS];
};

struct customers {
    pthread_t thread;
    bool joined;
    uint64_t run;
    double rate;
    int64_t begin_us;
    struct http_pool *quick, *waiting;
    struct customer *all;
    struct pursuit *pursuits;
    struct due due;
    struct moments *moments;
    struct customers_second *now; /* the thread's: the second that is going on */
    atomic_size_t count, accepted;
    atomic_bool resting, stop, complained;
    char complaint[700];
    char (*strangers)[37]; /* in order */
    size_t strangers_count;
};

/* The first is kept; others may read it once `complained` is set. */
static void complain(struct customers *customers, size_t n, const char *what,
                     const struct http_answer *answer)
{
    if (atomic_load(&customers->complained))
        return;
    snprintf(customers->complaint, sizeof customers->complaint,
             "%s: customer %zu, mark %016" PRIx64 ", order %s: %d %.400s", what, n,
             customers->all[n].mark, customers->all[n].id, answer->status, answer->body);
    atomic_store(&customers->complained, true);
}

/* ---- requests ---- */

static void send_order(struct customers *customers, size_t n, enum kind kind)
{
    struct customer *customer = &customers->all[n];
    char body[WISH_ORDER_SIZE], key[WISH_KEY_SIZE], headers[160];
    int64_t total = wish_write_order(customer->mark, body);

    customers->pursuits[n].sent = told_hash_sent(body, total);
    wish_write_key(customer->mark, key);
    snprintf(headers, sizeof headers, "Content-Type: application/json\r\n%s%s%s%s",
             customer->keyed ? "Idempotency-Key: " : "", customer->keyed ? key : "",
             customer->keyed ? "\r\n" : "", customer->waits ? "Prefer: wait=" WAIT_S "\r\n" : "");
    if (customer->asked < UINT16_MAX)
        customer->asked++;
    http_pool_send(customer->waits ? customers->waiting : customers->quick,
                   n | (uint64_t)kind << 32, "POST", "/v1/orders", headers, body);
}

static void send_first(struct customers *customers)
{
    size_t n = atomic_load(&customers->count);
    struct customer *customer = &customers->all[n];
    uint64_t mark = wish_mark(customers->run, n);
    struct wish wish = wish_of(mark);

    *customer = (struct customer){
        .mark = mark, .keyed = wish.keyed, .waits = wish.waits, .asked_us = clock_us()};
    customers->now->asked++;
    atomic_store(&customers->count, n + 1);
    send_order(customers, n, ASK);
}

static void send(struct customers *customers, size_t n, enum kind kind)
{
    struct customer *customer = &customers->all[n];
    char path[96];

    if (kind == ASK || kind == REPLAY) {
        send_order(customers, n, kind);
        return;
    }
    snprintf(path, sizeof path, "/v1/orders/%s%s", customer->id, kind == CANCEL ? "/cancel" : "");
    if (kind == CANCEL && customer->cancel_status == 0)
        customer->cancel_status = -1;
    http_pool_send(customers->quick, n | (uint64_t)kind << 32, kind == POLL ? "GET" : "POST", path,
                   NULL, NULL);
}

static void plan(struct customers *customers, size_t n, enum kind kind, int64_t in_us)
{
    due_add(&customers->due, clock_us() + in_us, n | (uint64_t)kind << 32);
}

static void plan_again(struct customers *customers, size_t n, enum kind kind)
{
    uint16_t *again = &customers->pursuits[n].again[kind];
    int64_t us = patience[kind].first_us << (*again < 8 ? *again : 8);

    if (us > patience[kind].longest_us)
        us = patience[kind].longest_us;
    /* Not all at the same time. */
    us += (int64_t)(n * 7919 % 1000) * us / 4000;
    if (++*again < ASKS_MAX)
        plan(customers, n, kind, us);
}

/* ---- answers ---- */

static void note_end(struct customers *customers, size_t n, const struct told *told,
                     const struct http_answer *answer)
{
    struct customer *customer = &customers->all[n];

    if (customer->ended) {
        if (told->end != customer->end)
            complain(customers, n, "another end than before", answer);
        return;
    }
    customer->ended = true;
    customer->completed = strcmp(told->status, "completed") == 0;
    customer->end = told->end;
    if (!customer->waits)
        return;
    customer->finished_us = clock_us();
    customers->now->finished++;
    moments_finished(customers->moments, customer->finished_us - customer->asked_us);
}

/* The order that its customer has had before, or now has for the first time. */
static bool knows(struct customers *customers, size_t n, const struct told *told,
                  const struct http_answer *answer)
{
    struct customer *customer = &customers->all[n];

    if (!told->marked || told->mark != customer->mark ||
        told->sent != customers->pursuits[n].sent) {
        complain(customers, n, "not the order that was sent", answer);
        return false;
    }
    if (customer->id[0] != '\0' && strcmp(customer->id, told->id) != 0) {
        complain(customers, n, "another order than before", answer);
        return false;
    }
    if (customer->body != 0 && customer->body != told->body) {
        complain(customers, n, "what never changes has changed", answer);
        return false;
    }
    return true;
}

/* A key that was answered with a queued order turns out to have another: the judge asks what has
 * become of the queued one. */
static bool forget_queued(struct customer *customer, const struct told *told)
{
    if (!customer->keyed || customer->status != 202 || customer->queued_id[0] != '\0' ||
        customer->id[0] == '\0' || strcmp(customer->id, told->id) == 0)
        return false;
    memcpy(customer->queued_id, customer->id, sizeof customer->queued_id);
    customer->id[0] = '\0';
    customer->body = 0;
    customer->ended = false;
    return true;
}

static void note_first(struct customers *customers, size_t n)
{
    struct customer *customer = &customers->all[n];
    struct wish wish = wish_of(customer->mark);

    customer->accepted_us = clock_us();
    customers->now->accepted++;
    atomic_fetch_add(&customers->accepted, 1);
    if (!customer->waits)
        moments_answered(customers->moments, customer->accepted_us - customer->asked_us);
    if (wish.cancel_ms >= 0)
        plan(customers, n, CANCEL, (int64_t)wish.cancel_ms * 1000);
    if (wish.replays)
        plan(customers, n, REPLAY, (int64_t)(n % 1000) * 1000);
}

static void check_location(struct customers *customers, size_t n, const struct told *told,
                           const struct http_answer *answer)
{
    static const char path[] = "/v1/orders/";
    char location[80] = "";

    http_header(answer, "Location", location, sizeof location);
    if (strncmp(location, path, strlen(path)) != 0 ||
        strcmp(location + strlen(path), told->id) != 0)
        complain(customers, n, "its Location is not that of its order", answer);
}

/* As it was when it was placed, whatever it is by now. */
static void check_whole(struct customers *customers, size_t n, const struct told *told,
                        const struct http_answer *answer)
{
    struct pursuit *pursuit = &customers->pursuits[n];

    if (customers->all[n].waits || answer->status != 201)
        return;
    if (pursuit->whole != 0 && pursuit->whole != told->whole)
        complain(customers, n, "a replay tells another than the first answer", answer);
    pursuit->whole = told->whole;
}

static void check_replayed(struct customers *customers, size_t n, const struct http_answer *answer)
{
    char replayed[8] = "";

    if (answer->status == 201 &&
        (!http_header(answer, "Idempotent-Replayed", replayed, sizeof replayed) ||
         strcmp(replayed, "true") != 0))
        complain(customers, n, "a key is asked again, and the answer does not say so", answer);
}

static void note_order(struct customers *customers, size_t n, enum kind kind,
                       const struct http_answer *answer)
{
    struct customer *customer = &customers->all[n];
    struct told told;

    if (!told_read(answer->body, answer->body_len, &told)) {
        complain(customers, n, "no order", answer);
        return;
    }
    bool moved = forget_queued(customer, &told);
    if (!knows(customers, n, &told, answer))
        return;
    bool final = told_is_final(&told), first = customer->accepted_us == 0;
    if (answer->status == 201 && final != customer->waits)
        complain(customers, n, "201 with another status than it should have", answer);
    check_location(customers, n, &told, answer);
    check_whole(customers, n, &told, answer);
    memcpy(customer->id, told.id, sizeof customer->id);
    customer->body = told.body;
    if (first || answer->status == 201)
        customer->status = answer->status;
    if (first)
        note_first(customers, n);
    else if (kind == REPLAY && !moved)
        check_replayed(customers, n, answer);
    if (final)
        note_end(customers, n, &told, answer);
    else if (customer->waits && (first || moved))
        plan_again(customers, n, POLL);
}

static void ordered(struct customers *customers, size_t n, enum kind kind,
                    const struct http_answer *answer)
{
    struct customer *customer = &customers->all[n];
    char code[40] = "";

    if (answer->status == 201 || answer->status == 202) {
        note_order(customers, n, kind, answer);
        return;
    }
    if (answer->status == 0) {
        customers->now->unknown++;
        if (customer->unknown < UINT16_MAX)
            customer->unknown++;
    } else {
        customers->now->refused++;
        told_read_code(answer->body, answer->body_len, code);
        if (customer->accepted_us == 0)
            customer->status = answer->status;
    }
    /* 408: it was too slow to say what it wants, where both ends are short of breath. */
    bool fine =
        answer->status == 0 || answer->status == 503 || answer->status == 408 ||
        answer->status == 429 ||
        (answer->status == 409 && customer->keyed && strcmp(code, "idempotency_in_progress") == 0);
    if (!fine)
        complain(customers, n, "not acceptable", answer);
    else if (customer->keyed)
        plan_again(customers, n, kind);
}

static void polled(struct customers *customers, size_t n, const struct http_answer *answer)
{
    struct customer *customer = &customers->all[n];
    struct told told;

    /* An order that is only in Kafka yet may be known to nobody. */
    if (answer->status == 0 || answer->status == 503 ||
        (answer->status == 404 && customer->status == 202)) {
        plan_again(customers, n, POLL);
    } else if (answer->status != 200 || !told_read(answer->body, answer->body_len, &told)) {
        complain(customers, n, "GET", answer);
    } else if (strcmp(told.reason, "duplicate_request") == 0 && customer->keyed &&
               customer->status == 202) {
        plan_again(customers, n, REPLAY); /* that tells which is its own */
    } else if (strcmp(told.id, customer->queued_id) == 0) {
        plan_again(customers, n, POLL); /* it was asked for before the key had another */
    } else if (knows(customers, n, &told, answer)) {
        if (told_is_final(&told))
            note_end(customers, n, &told, answer);
        else
            plan_again(customers, n, POLL);
    }
}

static void cancelled(struct customers *customers, size_t n, const struct http_answer *answer)
{
    struct customer *customer = &customers->all[n];
    char code[40] = "";
    struct told told;

    if (answer->status >= 400)
        told_read_code(answer->body, answer->body_len, code);
    if (answer->status == 202 && !told_read(answer->body, answer->body_len, &told)) {
        complain(customers, n, "cancel", answer);
    } else if (answer->status == 202 && strcmp(told.id, customer->queued_id) == 0) {
        plan_again(customers, n, CANCEL); /* meant for the one that the key has now */
    } else if (answer->status == 202) {
        customer->cancel_status = 202;
        if (knows(customers, n, &told, answer) && told_is_final(&told))
            note_end(customers, n, &told, answer);
    } else if (strcmp(code, "order_not_cancellable") == 0) {
        customer->cancel_status = 409;
    } else if (answer->status == 0 || answer->status == 503 || answer->status == 429 ||
               answer->status == 408 || (answer->status == 404 && customer->status == 202)) {
        plan_again(customers, n, CANCEL);
    } else {
        complain(customers, n, "cancel", answer);
    }
}

static void answered(void *opaque, uint64_t tag, const struct http_answer *answer)
{
    struct customers *customers = opaque;
    enum kind kind = (enum kind)(tag >> 32);
    size_t n = (uint32_t)tag;

    customers->now = moments_now(customers->moments, clock_us());
    if (kind == POLL)
        polled(customers, n, answer);
    else if (kind == CANCEL)
        cancelled(customers, n, answer);
    else
        ordered(customers, n, kind, answer);
}

/* ---- the thread ---- */

static bool all_know(const struct customers *customers)
{
    return customers->due.count == 0 && http_pool_pending(customers->quick) == 0 &&
           http_pool_pending(customers->waiting) == 0;
}

static void *work(void *opaque)
{
    struct customers *customers = opaque;
    uint64_t what;

    while (!atomic_load(&customers->stop)) {
        int64_t now_us = clock_us();
        size_t due = (size_t)((double)(now_us - customers->begin_us) * customers->rate / 1e6);
        bool resting = atomic_load(&customers->resting);
        if (resting && all_know(customers))
            break;
        customers->now = moments_now(customers->moments, now_us);
        if (due > CUSTOMERS_MAX)
            due = CUSTOMERS_MAX;
        while (!resting && atomic_load(&customers->count) < due)
            send_first(customers);
        while (due_take(&customers->due, now_us, &what))
            send(customers, (uint32_t)what, (enum kind)(what >> 32));
        http_pool_work(customers->quick, 2000);
        http_pool_work(customers->waiting, 0);
    }
    return NULL;
}

static void note_strangers(struct customers *customers)
{
    char after[37] = "00000000-0000-0000-0000-000000000000";
    size_t read = getenv("ORDER_DB") != NULL;

    while (read > 0 && customers->strangers_count < STRANGERS_MAX) {
        struct db_rows *rows = db_rows(DB_ORDER,
                                       "SELECT order_id FROM orders WHERE order_id > $1::uuid"
                                       " ORDER BY order_id LIMIT " STRANGERS_PAGE,
                                       after);
        read = db_rows_count(rows);
        customers->strangers =
            reallocarray(customers->strangers, customers->strangers_count + read + 1,
                         sizeof *customers->strangers);
        if (customers->strangers == NULL)
            abort();
        for (size_t i = 0; i < read; i++) {
            snprintf(after, sizeof after, "%s", db_value(rows, i, 0));
            memcpy(customers->strangers[customers->strangers_count++], after, sizeof after);
        }
        db_rows_free(rows);
    }
}

/* There are orders with this run's marks, and so with its keys. */
static bool was_run(uint64_t run)
{
    char mark[WISH_KEY_SIZE];

    wish_write_key(wish_mark(run, 0), mark);
    mark[strlen(mark) - WISH_NUMBER_BITS / 4] = '\0';
    return getenv("ORDER_DB") != NULL &&
           db_int(DB_ORDER, "SELECT 1 FROM orders WHERE metadata LIKE '%\"' || $1 || '%' LIMIT 1",
                  mark) != DB_NOTHING;
}

struct customers *customers_begin(const char *api, double rate, uint64_t seed)
{
    struct customers *customers = calloc(1, sizeof *customers);

    if (customers == NULL)
        abort();
    customers->run = wish_run(seed);
    while (was_run(customers->run))
        customers->run = wish_run(customers->run);
    customers->rate = rate;
    customers->all = calloc(CUSTOMERS_MAX, sizeof *customers->all);
    customers->pursuits = calloc(CUSTOMERS_MAX, sizeof *customers->pursuits);
    customers->quick =
        http_pool_new(api, QUICK_CONNECTIONS_MAX, QUICK_TIMEOUT_MS, answered, customers);
    customers->waiting =
        http_pool_new(api, WAITING_CONNECTIONS_MAX, WAITING_TIMEOUT_MS, answered, customers);
    note_strangers(customers);
    customers->begin_us = clock_us();
    customers->moments = moments_new(customers->begin_us);
    if (customers->all == NULL || customers->pursuits == NULL ||
        pthread_create(&customers->thread, NULL, work, customers) != 0)
        abort();
    return customers;
}

bool customers_rest(struct customers *customers, int seconds)
{
    struct timespec end;

    atomic_store(&customers->resting, true);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += seconds;
    if (customers->joined)
        return all_know(customers);
    customers->joined = true;
    if (pthread_clockjoin_np(customers->thread, NULL, CLOCK_MONOTONIC, &end) == 0)
        return true;
    atomic_store(&customers->stop, true);
    pthread_join(customers->thread, NULL);
    return false;
}

/* ---- what others see ---- */

size_t customers_seconds(const struct customers *customers)
{
    return moments_count(customers->moments);
}

struct customers_second customers_second(const struct customers *customers, size_t second)
{
    return moments_at(customers->moments, second);
}

size_t customers_accepted(const struct customers *customers)
{
    return atomic_load(&customers->accepted);
}

const char *customers_complaint(const struct customers *customers)
{
    return atomic_load(&customers->complained) ? customers->complaint : NULL;
}

static int compare_ids(const void *left, const void *right)
{
    return strcmp(left, right);
}

bool customers_is_stranger(const struct customers *customers, const char *id)
{
    return customers->strangers_count > 0 &&
           bsearch(id, customers->strangers, customers->strangers_count,
                   sizeof *customers->strangers, compare_ids) != NULL;
}

size_t customers_count(const struct customers *customers)
{
    return atomic_load(&customers->count);
}

const struct customer *customers_at(const struct customers *customers, size_t n)
{
    return &customers->all[n];
}

void customers_free(struct customers *customers)
{
    if (customers == NULL)
        return;
    customers_rest(customers, 0);
    http_pool_free(customers->quick);
    http_pool_free(customers->waiting);
    due_clear(&customers->due);
    moments_free(customers->moments);
    free(customers->all);
    free(customers->pursuits);
    free(customers->strangers);
    free(customers);
}
