/* chaos_customers.c: customers against a shop of our own that behaves badly in one way each time.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <jansson.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chaos/customers.h"
#include "chaos/wish.h"
#include "support/clock.h"

#define ENOUGH 150
#define RATE 300
#define PATIENCE_S 60
#define SEED 5

enum manner {
    HONEST,
    LOSES_FIRST,    /* takes the first request of each, and answers nothing */
    BUSY_FIRST,     /* 503, then 409 idempotency_in_progress */
    QUEUES_FIRST,   /* 202 with an order that turns out to be one too many for its key */
    OTHER_ORDER,    /* when it is asked again with a key */
    FORGETS_TO_SAY, /* that it is a replay */
    OTHER_BODY,
    LATER_BODY,     /* as its order is by now, not as it was first answered */
    OTHER_LOCATION, /* that of another order */
    NO_LOCATION,
    OTHER_END, /* another tracking number, likewise */
    BROKEN,    /* 500 */
    UNDECIDED  /* 201 for who waits, though it goes on */
};

static enum manner manner;
static int listener = -1;
static atomic_ullong run; /* of the customers: their marks differ in the number only */
static atomic_uint asked[CUSTOMERS_MAX]; /* POST of an order, by number */

/* ---- the shop ---- */

static void write_id(uint64_t mark, bool other, char buffer[40])
{
    snprintf(buffer, 40, "0190aaaa-aaaa-7aaa-%s-%012llx", other ? "9aaa" : "8aaa",
             (unsigned long long)wish_number(mark));
}

static int64_t total_of(const json_t *order)
{
    int64_t total = 0;
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(order, "items"), i, item)
    {
        total += json_integer_value(json_object_get(item, "quantity")) *
                 json_integer_value(json_object_get(item, "unit_amount"));
    }
    return total;
}

/* The order of this mark, as an answer tells it. */
static void write_order(FILE *out, uint64_t mark, bool other, const char *status,
                        const char *reason)
{
    char text[WISH_ORDER_SIZE], id[40], tracking[24];
    unsigned times = manner == OTHER_END ? atomic_load(&asked[wish_number(mark)]) : 1;
    bool ends = strcmp(status, "completed") == 0;
    snprintf(tracking, sizeof tracking, "PKG%u", times);
    wish_write_order(mark, text);
    write_id(mark, other, id);
    json_t *order = json_loads(text, 0, NULL);
    int64_t total = total_of(order) + (manner == OTHER_BODY);
    json_t *more = json_pack("{s:s, s:s, s:s, s:s?, s:{s:I, s:i}, s:s, s:s, s:s?}", "object",
                             "order", "id", id, "status", status, "status_reason", reason, "amount",
                             "total", (json_int_t)total, "refunded", 0, "created_at",
                             "2026-11-27T09:02:51.062Z", "deadline_at", "2026-11-27T09:12:51.062Z",
                             "tracking_number", ends ? tracking : NULL);
    json_object_update(order, more);
    json_dumpf(order, out, JSON_COMPACT);
    json_decref(more);
    json_decref(order);
}

static int problem(FILE *out, int status, const char *code)
{
    fprintf(out, "{\"code\":\"%s\"}", code);
    return status;
}

static void write_headers(uint64_t mark, bool replayed, bool other, char buffer[160])
{
    char id[40];
    write_id(mark, other != (manner == OTHER_LOCATION), id);
    snprintf(buffer, 160, "%s%s%s%s", replayed ? "Idempotent-Replayed: true\r\n" : "",
             manner == NO_LOCATION ? "" : "Location: /v1/orders/", manner == NO_LOCATION ? "" : id,
             manner == NO_LOCATION ? "" : "\r\n");
}

/* Returns the status; 0: no answer. */
static int take_order(const char *head, const char *body, FILE *out, char ret_headers[160])
{
    json_t *order = json_loads(body, 0, NULL);
    uint64_t mark = 0;
    bool keyed = strstr(head, "Idempotency-Key: ") != NULL;
    bool waits = strstr(head, "Prefer: wait=") != NULL;
    cr_assert(wish_read_key(
        json_string_value(json_object_get(json_object_get(order, "metadata"), "mark")), &mark));
    json_decref(order);
    atomic_store(&run, mark >> WISH_NUMBER_BITS);
    unsigned times = atomic_fetch_add(&asked[wish_number(mark)], 1);
    bool replayed = keyed && times > 0;
    if (manner == BROKEN)
        return problem(out, 500, "broken");
    if (manner == LOSES_FIRST && times == 0)
        return 0;
    if (manner == BUSY_FIRST && times == 0)
        return problem(out, 503, "unavailable");
    if (manner == BUSY_FIRST && times == 1)
        return problem(out, 409, "idempotency_in_progress");
    bool queued = manner == QUEUES_FIRST && times == 0 && keyed;
    bool ends = waits && manner != UNDECIDED && !queued;
    bool other = queued || (manner == OTHER_ORDER && replayed);
    bool later = manner == LATER_BODY && replayed;
    write_order(out, mark, other, ends ? "completed" : later ? "paid" : "pending", NULL);
    write_headers(mark, replayed && manner != FORGETS_TO_SAY, other, ret_headers);
    return queued ? 202 : 201;
}

/* "GET /v1/orders/ID", "POST /v1/orders/ID/cancel". */
static int tell_order(const char *head, FILE *out)
{
    const char *id = strstr(head, "/v1/orders/") + strlen("/v1/orders/");
    bool cancel = strncmp(head, "POST", 4) == 0, other = id[19] == '9';
    uint64_t mark = wish_mark(atomic_load(&run), strtoull(id + 24, NULL, 16));
    write_order(out, mark, other,
                cancel  ? "cancelling"
                : other ? "cancelled"
                        : "completed",
                other ? "duplicate_request" : NULL);
    return cancel ? 202 : 200;
}

/* False: the connection is over. */
static bool serve_one(int fd)
{
    char in[4096], head[256], headers[160] = "", *body = NULL, *text = NULL;
    size_t len = 0, size;
    while (body == NULL ||
           len < (size_t)(body - in) +
                     (strstr(in, "Content-Length: ") == NULL
                          ? 0
                          : strtoul(strstr(in, "Content-Length: ") + 16, NULL, 10))) {
        ssize_t n = recv(fd, in + len, sizeof in - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        in[len] = '\0';
        body = strstr(in, "\r\n\r\n");
        body = body == NULL ? NULL : body + 4;
    }
    FILE *out = open_memstream(&text, &size);
    int status = strncmp(in, "POST /v1/orders HTTP", 20) == 0 ? take_order(in, body, out, headers)
                                                              : tell_order(in, out);
    fclose(out);
    int head_len = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n",
                            status, size, headers);
    bool good = status != 0 && send(fd, head, (size_t)head_len, MSG_NOSIGNAL | MSG_MORE) > 0 &&
                send(fd, text, size, MSG_NOSIGNAL) > 0;
    free(text);
    return good;
}

static void *serve(void *opaque)
{
    int fd = (int)(intptr_t)opaque;
    while (serve_one(fd))
        ;
    close(fd);
    return NULL;
}

static void *open_shop(void *opaque)
{
    pthread_t thread;
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
        cr_assert_eq(pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd), 0);
        pthread_detach(thread);
    }
    return opaque;
}

/* ---- its customers ---- */

/* Until there are enough, and each of them knows. */
static struct customers *shop_as(enum manner how, uint64_t seed)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    char api[64];
    pthread_t thread;
    manner = how;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(listener, 512), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    cr_assert_eq(pthread_create(&thread, NULL, open_shop, NULL), 0);
    pthread_detach(thread);
    snprintf(api, sizeof api, "http://127.0.0.1:%d", ntohs(address.sin_port));
    struct customers *customers = customers_begin(api, RATE, seed);
    cr_assert(CLOCK_UNTIL(PATIENCE_S, customers_count(customers) >= ENOUGH));
    cr_assert(customers_rest(customers, PATIENCE_S));
    return customers;
}

static struct customers *shop(enum manner how)
{
    return shop_as(how, SEED);
}

static void expect_no_complaint(const struct customers *customers)
{
    cr_assert_null(customers_complaint(customers), "%s", customers_complaint(customers));
}

static void expect_complaint(enum manner how, const char *words)
{
    struct customers *customers = shop(how);
    const char *complaint = customers_complaint(customers);
    cr_assert(complaint != NULL && strstr(complaint, words) != NULL, "%s", complaint);
    customers_free(customers);
}

TestSuite(chaos_customers, .timeout = 3 * PATIENCE_S);

Test(chaos_customers, all_know_what_an_honest_shop_tells_them)
{
    struct customers *customers = shop(HONEST);
    expect_no_complaint(customers);
    size_t replayed = 0, cancelled = 0, unknown = 0;
    for (size_t n = 0; n < customers_count(customers); n++) {
        const struct customer *customer = customers_at(customers, n);
        struct wish wish = wish_of(customer->mark);
        unknown += customer->unknown > 0; /* this machine was too slow for that one */
        if (customer->unknown > 0)
            continue;
        cr_assert_eq(customer->status, 201);
        cr_assert(customer->accepted_us >= customer->asked_us && customer->body != 0);
        cr_assert_eq(customer->asked, wish.replays ? 2 : 1);
        cr_assert_eq(customer->cancel_status, wish.cancel_ms >= 0 ? 202 : 0);
        cr_assert_eq(customer->ended, customer->waits);
        cr_assert_eq(customer->finished_us > 0, customer->waits);
        replayed += wish.replays;
        cancelled += customer->cancel_status == 202;
    }
    cr_assert(replayed > 0 && cancelled > 0);
    cr_assert_geq(customers_accepted(customers) + unknown, customers_count(customers));
    customers_free(customers);
}

Test(chaos_customers, who_they_are_and_what_they_want_follows_from_the_seed)
{
    struct customers *one = shop(HONEST), *same = shop(HONEST), *other = shop_as(HONEST, SEED + 1);
    size_t differ = 0;
    for (size_t n = 0; n < ENOUGH; n++) {
        uint64_t mark = customers_at(one, n)->mark;
        struct wish wish = wish_of(mark), others = wish_of(customers_at(other, n)->mark);
        cr_assert_eq(customers_at(same, n)->mark, mark);
        cr_assert_neq(customers_at(other, n)->mark, mark);
        differ += wish.path != others.path || wish.keyed != others.keyed;
    }
    cr_assert_gt(differ, ENOUGH / 4);
    customers_free(one);
    customers_free(same);
    customers_free(other);
}

Test(chaos_customers, who_has_a_key_asks_until_it_knows)
{
    static const enum manner manners[] = {LOSES_FIRST, BUSY_FIRST};
    for (size_t i = 0; i < 2; i++) {
        struct customers *customers = shop(manners[i]);
        bool loses = manners[i] == LOSES_FIRST;
        expect_no_complaint(customers);
        for (size_t n = 0; n < customers_count(customers); n++) {
            const struct customer *customer = customers_at(customers, n);
            unsigned unknown = loses;
            cr_assert_geq(customer->unknown, unknown);
            if (customer->unknown > unknown)
                continue; /* this machine was too slow for that one */
            cr_assert_eq(customer->status, customer->keyed ? 201 : loses ? 0 : 503);
            cr_assert_eq(customer->accepted_us != 0, customer->keyed);
            cr_assert_geq(customer->asked, customer->keyed ? (loses ? 2 : 3) : 1);
        }
        customers_free(customers);
        for (size_t n = 0; n < CUSTOMERS_MAX; n++)
            atomic_store(&asked[n], 0);
    }
}

Test(chaos_customers, a_queued_order_may_turn_out_to_be_one_too_many)
{
    struct customers *customers = shop(QUEUES_FIRST);
    size_t moved = 0;
    expect_no_complaint(customers);
    for (size_t n = 0; n < customers_count(customers); n++) {
        const struct customer *customer = customers_at(customers, n);
        /* Who waits, or asks again, finds out. */
        if (customer->unknown > 0)
            continue; /* this machine was too slow for that one */
        bool finds_out = customer->keyed && (customer->waits || wish_of(customer->mark).replays);
        cr_assert_eq(customer->queued_id[0] != '\0', finds_out);
        cr_assert_eq(customer->id[19], customer->keyed && !finds_out ? '9' : '8');
        moved += finds_out;
    }
    cr_assert_gt(moved, 0);
    customers_free(customers);
}

Test(chaos_customers, another_order_for_the_same_key)
{
    expect_complaint(OTHER_ORDER, "another order than before");
}

Test(chaos_customers, another_end_than_before)
{
    expect_complaint(OTHER_END, "another end than before");
}

Test(chaos_customers, a_replay_that_is_not_said_to_be_one)
{
    expect_complaint(FORGETS_TO_SAY, "the answer does not say so");
}

Test(chaos_customers, a_replay_that_tells_what_has_become_of_the_order)
{
    expect_complaint(LATER_BODY, "a replay tells another");
}

Test(chaos_customers, a_location_that_is_not_that_of_the_order)
{
    expect_complaint(OTHER_LOCATION, "its Location is not");
    expect_complaint(NO_LOCATION, "its Location is not");
}

Test(chaos_customers, another_order_than_was_sent)
{
    expect_complaint(OTHER_BODY, "not the order that was sent");
}

Test(chaos_customers, an_answer_that_nobody_should_get)
{
    expect_complaint(BROKEN, "not acceptable");
}

Test(chaos_customers, an_end_that_is_none)
{
    expect_complaint(UNDECIDED, "201 with another status");
}
