/* traffic.c: customers who do not give up; see traffic.h. */
#include "traffic.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "http.h"
#include "stack.h"

#define ORDERS_MAX 200000
#define CONNECTIONS_MAX 256
#define TIMEOUT_MS 5000
#define AGAIN_US 100000
#define WISHES_MAX 1024
#define CUSTOMERS 100
#define CANCEL UINT64_C(0x8000000000000000) /* of a tag */

struct traffic {
    pthread_t thread;
    char keys[40];
    double rate;
    struct http_pool *pool;
    struct {
        char id[40];
        bool asked_again;
    } * orders;
    atomic_size_t sent, accepted, too_late;
    atomic_bool ending, stop;
    size_t *again; /* orders to be sent again, at again_us */
    size_t again_count;
    int64_t again_us;
    struct wish {
        size_t n;
        int64_t at_us;
    } wishes[WISHES_MAX]; /* to be cancelled then */
    size_t wishes_count;
    char complaint[400];
};

/* What becomes of it is a function of its number, so that all paths are walked. */
static void send_order(struct traffic *traffic, size_t n)
{
    static const char *const methods[] = {"pm_card",
                                          "pm_card",
                                          "pm_card",
                                          "pm_card_declined",
                                          "pm_card",
                                          "pm_card",
                                          "pm_insufficient_funds",
                                          "pm_card"};
    char body[512], headers[160], sku[24];
    snprintf(sku, sizeof sku, "SKU-%zu", n % 50 + 20);
    if (n % 23 == 5)
        snprintf(sku, sizeof sku, "%s", n % 2 ? "SKU-SOLD-OUT" : "SKU-UNKNOWN");
    snprintf(headers, sizeof headers,
             "Content-Type: application/json\r\nIdempotency-Key: %s-%zu\r\n", traffic->keys, n);
    snprintf(body, sizeof body,
             "{\"customer_id\":\"cus_%zu\",\"currency\":\"EUR\",\"items\":["
             "{\"sku\":\"%s\",\"quantity\":%zu,\"unit_amount\":%zu},"
             "{\"sku\":\"SKU-7\",\"quantity\":1,\"unit_amount\":100}],"
             "\"payment_method\":\"%s\",\"shipping_address\":{\"country\":\"%s\"}}",
             n % CUSTOMERS, sku, n % 3 + 1, n % 1000, methods[n % 8], n % 17 == 3 ? "AQ" : "DE");
    http_pool_send(traffic->pool, n, "POST", "/v1/orders", headers, body);
}

static void complain(struct traffic *traffic, const char *what, const struct http_answer *answer)
{
    if (traffic->complaint[0] == '\0')
        snprintf(traffic->complaint, sizeof traffic->complaint, "%s: %d %s", what, answer->status,
                 answer->body);
}

static void note_order(struct traffic *traffic, size_t n, const struct http_answer *answer)
{
    json_t *order = json_loads(answer->body, 0, NULL);
    const char *id = json_string_value(json_object_get(order, "id"));
    char *known = traffic->orders[n].id;
    if (id == NULL) {
        complain(traffic, "no id", answer);
    } else if (known[0] == '\0') {
        snprintf(known, sizeof traffic->orders[n].id, "%s", id);
        atomic_fetch_add(&traffic->accepted, 1);
    } else if (strcmp(known, id) != 0) {
        complain(traffic, "another order for the same key", answer);
    }
    json_decref(order);
}

/* One in five is cancelled by its customer: at once, on its way, and when it has shipped. */
static void plan_cancel(struct traffic *traffic, size_t n)
{
    static const int after_ms[] = {0, 2, 4, 6, 8, 12, 20, 1500};
    if (n % 5 != 2 || traffic->wishes_count == WISHES_MAX)
        return;
    int64_t at_us = clock_us() + after_ms[n / 5 % 8] * 1000;
    traffic->wishes[traffic->wishes_count++] = (struct wish){n, at_us};
}

static void send_cancels(struct traffic *traffic, int64_t now_us)
{
    size_t kept = 0;
    for (size_t i = 0; i < traffic->wishes_count; i++) {
        struct wish wish = traffic->wishes[i];
        char path[96];
        if (wish.at_us > now_us && !atomic_load(&traffic->ending)) {
            traffic->wishes[kept++] = wish;
            continue;
        }
        snprintf(path, sizeof path, "/v1/orders/%s/cancel", traffic->orders[wish.n].id);
        http_pool_send(traffic->pool, wish.n | CANCEL, "POST", path, NULL, NULL);
    }
    traffic->wishes_count = kept;
}

/* Who waited long enough to ask again, while the service still has what he asked first. */
static bool is_in_progress(const struct http_answer *answer)
{
    return answer->status == 409 && strstr(answer->body, "\"idempotency_in_progress\"") != NULL;
}

static void answered(void *opaque, uint64_t tag, const struct http_answer *answer)
{
    struct traffic *traffic = opaque;
    size_t n = (size_t)(tag & ~CANCEL);
    if (tag & CANCEL) { /* a customer's wish: it may come too late, or be lost */
        if (answer->status == 409)
            atomic_fetch_add(&traffic->too_late, 1);
        return;
    }
    if (answer->status == 201) {
        note_order(traffic, n, answer);
        plan_cancel(traffic, n);
        /* One in ten did not see the answer, and asks once more: it must get the same. */
        if (n % 10 == 4 && !traffic->orders[n].asked_again) {
            traffic->orders[n].asked_again = true;
            send_order(traffic, n);
        }
    } else if (answer->status == 0 || answer->status == 503 || is_in_progress(answer)) {
        traffic->again[traffic->again_count++] = n;
    } else {
        complain(traffic, "not acceptable", answer);
    }
}

static void send_again(struct traffic *traffic, int64_t now_us)
{
    if (now_us < traffic->again_us)
        return;
    traffic->again_us = now_us + AGAIN_US;
    size_t count = traffic->again_count;
    traffic->again_count = 0;
    for (size_t i = 0; i < count; i++)
        send_order(traffic, traffic->again[i]);
}

static void *work(void *opaque)
{
    struct traffic *traffic = opaque;
    int64_t begin_us = clock_us();
    while (!atomic_load(&traffic->stop)) {
        int64_t now_us = clock_us();
        size_t due = (size_t)((double)(now_us - begin_us) * traffic->rate / 1e6);
        while (!atomic_load(&traffic->ending) && atomic_load(&traffic->sent) < due &&
               atomic_load(&traffic->sent) < ORDERS_MAX)
            send_order(traffic, atomic_fetch_add(&traffic->sent, 1));
        send_again(traffic, now_us);
        send_cancels(traffic, now_us);
        http_pool_work(traffic->pool, 2000);
        if (atomic_load(&traffic->ending) && traffic->again_count == 0 &&
            traffic->wishes_count == 0 && http_pool_pending(traffic->pool) == 0)
            break;
    }
    return NULL;
}

struct traffic *traffic_begin(double rate)
{
    struct traffic *traffic = calloc(1, sizeof *traffic);
    if (traffic == NULL)
        abort();
    snprintf(traffic->keys, sizeof traffic->keys, "k%llx", (unsigned long long)clock_us());
    traffic->rate = rate;
    traffic->orders = calloc(ORDERS_MAX, sizeof *traffic->orders);
    traffic->again = calloc(ORDERS_MAX, sizeof *traffic->again);
    traffic->pool =
        http_pool_new(stack_address("ORDER_API"), CONNECTIONS_MAX, TIMEOUT_MS, answered, traffic);
    if (traffic->orders == NULL || traffic->again == NULL ||
        pthread_create(&traffic->thread, NULL, work, traffic) != 0)
        abort();
    return traffic;
}

const char *traffic_keys(const struct traffic *traffic)
{
    return traffic->keys;
}

void traffic_key(const struct traffic *traffic, size_t n, char *buffer, size_t size)
{
    snprintf(buffer, size, "cus_%zu %s-%zu", n % CUSTOMERS, traffic->keys, n);
}

size_t traffic_accepted(const struct traffic *traffic)
{
    return atomic_load(&traffic->accepted);
}

size_t traffic_sent(const struct traffic *traffic)
{
    return atomic_load(&traffic->sent);
}

size_t traffic_too_late(const struct traffic *traffic)
{
    return atomic_load(&traffic->too_late);
}

bool traffic_end(struct traffic *traffic, int seconds)
{
    struct timespec end;
    atomic_store(&traffic->ending, true);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += seconds;
    if (pthread_clockjoin_np(traffic->thread, NULL, CLOCK_MONOTONIC, &end) == 0)
        return atomic_load(&traffic->accepted) == atomic_load(&traffic->sent);
    atomic_store(&traffic->stop, true);
    pthread_join(traffic->thread, NULL);
    return false;
}

const char *traffic_complaint(const struct traffic *traffic)
{
    return traffic->complaint[0] != '\0' ? traffic->complaint : NULL;
}

const char *traffic_order(const struct traffic *traffic, size_t n)
{
    return traffic->orders[n].id;
}

void traffic_free(struct traffic *traffic)
{
    http_pool_free(traffic->pool);
    free(traffic->orders);
    free(traffic->again);
    free(traffic);
}
