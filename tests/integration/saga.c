/* saga.c: every path of the saga, end to end: over HTTP, in the four databases, on the topics. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/auditor.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/orders.h"
#include "support/stack.h"
#include "support/topics.h"

#define SOON_S 20

static void attach(void)
{
    cr_assert(stack_attach());
}

/* Whatever a test did, the next one finds all parts running. */
static void detach(void)
{
    static const char *const names[] = {"order-svc", "payment-svc", "inventory-svc",
                                        "shipping-svc"};
    for (size_t i = 0; i < 4; i++)
        stack_signal(names[i], SIGCONT);
}

TestSuite(saga, .init = attach, .fini = detach, .timeout = 120);

#define IS(db, expected, sql, id)                                                                  \
    do {                                                                                           \
        int64_t is_ = db_int(db, sql, id);                                                         \
        cr_assert_eq(is_, expected, "%s: %lld", sql, (long long)is_);                              \
    } while (0)

static const char charged[] = "SELECT coalesce(sum(amount), 0) FROM payment_ledger"
                              " WHERE kind = 'charged' AND order_id = $1::uuid";
static const char refunded[] = "SELECT coalesce(sum(amount), 0) FROM payment_ledger"
                               " WHERE kind = 'refunded' AND order_id = $1::uuid";
static const char held[] = "SELECT count(*) FROM stock_ledger WHERE kind = 'held'"
                           " AND order_id = $1::uuid";
static const char released[] = "SELECT count(*) FROM stock_ledger WHERE kind = 'released'"
                               " AND order_id = $1::uuid";
static const char issued[] = "SELECT count(*) FROM stock_ledger WHERE kind = 'issued'"
                             " AND order_id = $1::uuid";
static const char shipped[] = "SELECT count(*) FROM parcel WHERE tracking_number IS NOT NULL"
                              " AND order_id = $1::uuid";

/* ---- what stands on the topics ---- */

struct seen {
    const char *id;
    char topics[256];
    char trace[40];
    size_t wrong;
    char why[200];
};

static void complain(struct seen *seen, const struct topics_record *record, const char *why)
{
    if (seen->wrong++ == 0)
        snprintf(seen->why, sizeof seen->why, "%s: %s", record->topic, why);
}

static void see(void *opaque, const struct topics_record *record)
{
    static const char *const fixed[][2] = {
        {"ce_specversion", "1.0"}, {"ce_schemaversion", "1"}, {"content-type", "application/json"}};
    struct seen *seen = opaque;
    if (record->key == NULL || strcmp(record->key, seen->id) != 0)
        return;
    size_t len = strlen(seen->topics);
    snprintf(seen->topics + len, sizeof seen->topics - len, "%s%s", len ? " " : "", record->topic);
    for (size_t i = 0; i < 3; i++) {
        const char *value = topics_header(record, fixed[i][0]);
        if (value == NULL || strcmp(value, fixed[i][1]) != 0)
            complain(seen, record, fixed[i][0]);
    }
    const char *type = topics_header(record, "ce_type"), *id = topics_header(record, "ce_id");
    const char *subject = topics_header(record, "ce_subject");
    const char *source = topics_header(record, "ce_source");
    const char *trace = topics_header(record, "traceparent");
    if (type == NULL || strcmp(type, record->topic) != 0)
        complain(seen, record, "ce_type");
    if (subject == NULL || strcmp(subject, seen->id) != 0)
        complain(seen, record, "ce_subject");
    if (source == NULL || source[0] != '/' || id == NULL ||
        topics_header_count(record, "ce_id") != 1)
        complain(seen, record, "ce_source or ce_id");
    if (topics_header(record, "ce_time") == NULL)
        complain(seen, record, "ce_time");
    if (trace == NULL || strstr(trace, seen->trace) == NULL)
        complain(seen, record, "traceparent");
    json_t *value = record->value ? json_loads(record->value, 0, NULL) : NULL;
    const char *order_id = json_string_value(json_object_get(value, "order_id"));
    if (order_id == NULL || strcmp(order_id, seen->id) != 0)
        complain(seen, record, "value");
    json_decref(value);
}

static int compare_words(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Topics are read side by side, so only which ones there are can be told, not in what order. */
static void sort_words(char *text)
{
    char copy[256], *words[16], *rest = copy, *word;
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    while ((word = strsep(&rest, " ")) != NULL && count < 16)
        words[count++] = word;
    qsort(words, count, sizeof *words, compare_words);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        strncat(text, i ? " " : "", 2);
        strncat(text, words[i], 40);
    }
}

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define TRACED "Prefer: wait=20\r\ntraceparent: 00-" TRACE "-00f067aa0ba902b7-01\r\n"

/* Sends an order, waits for its end, and looks at what stands on the topics about it with a reader
 * that has nothing of the services' own code: exactly these records, each of them readable. */
static struct order_answer send_and_read(const char *body, const char *expected)
{
    struct seen seen = {.trace = TRACE};
    struct topics *topics =
        topics_open(stack_address("KAFKA_BOOTSTRAP"), topics_all, false, see, &seen);
    cr_assert_not_null(topics);
    struct order_answer answer = order_send(body, TRACED);
    cr_assert_eq(answer.status, 201);
    seen.id = answer.id;
    cr_assert(topics_catch_up(topics, SOON_S));
    sort_words(seen.topics);
    char sorted[256];
    snprintf(sorted, sizeof sorted, "%s", expected);
    sort_words(sorted);
    cr_assert_str_eq(seen.topics, sorted);
    cr_assert_eq(seen.wrong, 0, "%s", seen.why);
    topics_close(topics);
    return answer;
}

/* Topics are read side by side: the end may be heard before an event that led to it. */
static void timeline_is(const char *id, const char *expected)
{
    char *timeline = NULL;
    bool is = CLOCK_UNTIL(SOON_S, ({
                              free(timeline);
                              timeline = order_timeline(id);
                              strcmp(timeline, expected) == 0;
                          }));
    cr_assert(is, "%s, not %s", timeline, expected);
    free(timeline);
}

static int64_t refunded_told(const struct order_answer *answer)
{
    return json_integer_value(json_object_get(json_object_get(answer->body, "amount"), "refunded"));
}

Test(saga, completes)
{
    int64_t on_hand = db_int(DB_INVENTORY, "SELECT on_hand FROM stock WHERE sku = 'SKU-90'", NULL);
    const char *events =
        "order.created payment.done inventory.reserved order.shipped order.completed";
    struct order_answer answer = send_and_read(order_body(NULL, "SKU-90", NULL), events);
    cr_assert_str_eq(order_text(&answer, "status"), "completed");
    cr_assert(json_is_null(json_object_get(answer.body, "status_reason")));
    cr_assert_str_eq(answer.applied, "wait=20");
    timeline_is(answer.id, events);
    IS(DB_PAYMENT, 3998, charged, answer.id);
    IS(DB_PAYMENT, 0, refunded, answer.id);
    IS(DB_SHIPPING, 1, shipped, answer.id);
    char *number = db_text(
        DB_SHIPPING, "SELECT tracking_number FROM parcel WHERE order_id = $1::uuid", answer.id);
    cr_assert_str_eq(number, order_text(&answer, "tracking_number"));
    free(number);
    /* The issue of the goods runs beside the completion. */
    cr_assert(CLOCK_UNTIL(SOON_S, db_int(DB_INVENTORY, issued, answer.id) == 1));
    IS(DB_INVENTORY, 1, held, answer.id);
    IS(DB_INVENTORY, 0, released, answer.id);
    IS(DB_INVENTORY, on_hand - 2, "SELECT on_hand FROM stock WHERE sku = 'SKU-90'", NULL);
    order_answer_free(&answer);
}

static void refused(const char *method, const char *sku, const char *country, const char *reason,
                    int64_t money, const char *timeline)
{
    struct order_answer answer = send_and_read(order_body(method, sku, country), timeline);
    cr_assert_str_eq(order_text(&answer, "status"), "cancelled");
    cr_assert_str_eq(order_text(&answer, "status_reason"), reason);
    cr_assert_eq(refunded_told(&answer), money);
    timeline_is(answer.id, timeline);
    IS(DB_PAYMENT, money, charged, answer.id);
    IS(DB_PAYMENT, money, refunded, answer.id);
    IS(DB_INVENTORY, db_int(DB_INVENTORY, held, answer.id), released, answer.id);
    IS(DB_INVENTORY, 0, issued, answer.id);
    IS(DB_SHIPPING, 0, shipped, answer.id);
    order_answer_free(&answer);
}

Test(saga, payment_refuses)
{
    const char *timeline = "order.created payment.failed order.cancelled";
    refused("pm_card_declined", NULL, NULL, "card_declined", 0, timeline);
    refused("pm_insufficient_funds", NULL, NULL, "insufficient_funds", 0, timeline);
    refused("pm_of_the_moon", NULL, NULL, "unknown_payment_method", 0, timeline);
}

Test(saga, inventory_refuses)
{
    const char *timeline =
        "order.created payment.done inventory.failed payment.refunded order.cancelled";
    refused(NULL, "SKU-SOLD-OUT", NULL, "out_of_stock", 3998, timeline);
    refused(NULL, "SKU-NEVER-SEEN", NULL, "unknown_sku", 3998, timeline);
}

Test(saga, shipping_refuses)
{
    refused(NULL, NULL, "AQ", "address_undeliverable", 3998,
            "order.created payment.done inventory.reserved shipping.failed inventory.released "
            "payment.refunded order.cancelled");
}

/* inventory-svc stands still, so that the order is caught between payment and shipping. */
static struct order_answer caught(void)
{
    cr_assert(stack_signal("inventory-svc", SIGSTOP));
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert_eq(answer.status, 201);
    cr_assert_str_eq(order_text(&answer, "status"), "pending");
    cr_assert(order_reaches(answer.id, "paid", SOON_S));
    return answer;
}

static void goes_back(struct order_answer *answer, const char *reason)
{
    cr_assert(stack_signal("inventory-svc", SIGCONT));
    cr_assert(order_reaches(answer->id, "cancelled", SOON_S));
    struct order_answer end = order_get(answer->id);
    cr_assert_str_eq(order_text(&end, "status_reason"), reason);
    cr_assert_eq(refunded_told(&end), 3998);
    IS(DB_PAYMENT, 3998, refunded, answer->id);
    IS(DB_INVENTORY, db_int(DB_INVENTORY, held, answer->id), released, answer->id);
    IS(DB_SHIPPING, 0, shipped, answer->id);
    order_answer_free(&end);
    order_answer_free(answer);
}

Test(saga, customer_cancels)
{
    struct order_answer answer = caught();
    struct order_answer cancel = order_cancel(answer.id);
    cr_assert_eq(cancel.status, 202);
    cr_assert_str_eq(order_text(&cancel, "status"), "cancelling");
    cr_assert_str_eq(order_text(&cancel, "status_reason"), "customer_request");
    order_answer_free(&cancel);
    goes_back(&answer, "customer_request");
}

Test(saga, deadline_passes)
{
    cr_assert(stack_restart("order-svc", "SAGA_DEADLINE_S=2"));
    struct order_answer answer = caught();
    cr_assert(order_reaches(answer.id, "cancelling", SOON_S));
    goes_back(&answer, "deadline_exceeded");
    cr_assert(stack_restart("order-svc", NULL));
}

Test(saga, cancel_comes_too_late_or_again)
{
    struct order_answer done = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    struct order_answer late = order_cancel(done.id);
    cr_assert_eq(late.status, 409);
    cr_assert_str_eq(order_text(&late, "code"), "order_not_cancellable");
    struct order_answer back =
        order_send(order_body("pm_card_declined", NULL, NULL), "Prefer: wait=20\r\n");
    struct order_answer again = order_cancel(back.id);
    cr_assert_eq(again.status, 202);
    cr_assert_str_eq(order_text(&again, "status"), "cancelled");
    struct order_answer nobody = order_cancel("01900000-0000-7000-8000-000000000000");
    cr_assert_eq(nobody.status, 404);
    order_answer_free(&done);
    order_answer_free(&late);
    order_answer_free(&back);
    order_answer_free(&again);
    order_answer_free(&nobody);
}

/* ---- idempotency ---- */

Test(saga, a_key_makes_one_order)
{
    char headers[80];
    snprintf(headers, sizeof headers, "Idempotency-Key: \"one-%lld\"\r\n", (long long)clock_us());
    struct order_answer first = order_send(order_body(NULL, "SKU-3", NULL), headers);
    cr_assert_eq(first.status, 201);
    cr_assert_str_eq(first.replayed, "");
    for (int i = 0; i < 3; i++) {
        if (i == 1) /* PostgreSQL knows it too */
            cr_assert(stack_kill("redis"));
        if (i == 2)
            cr_assert(stack_up("redis", NULL));
        struct order_answer again = order_send(order_body(NULL, "SKU-3", NULL), headers);
        cr_assert_eq(again.status, 201);
        cr_assert_str_eq(again.replayed, "true");
        cr_assert_str_eq(again.location, first.location);
        cr_assert(json_equal(again.body, first.body));
        order_answer_free(&again);
        struct order_answer other = order_send(order_body(NULL, "SKU-4", NULL), headers);
        cr_assert_eq(other.status, 422);
        cr_assert_str_eq(order_text(&other, "code"), "idempotency_key_reused");
        order_answer_free(&other);
    }
    order_answer_free(&first);
}

Test(saga, zzz_the_auditor_agrees)
{
    auditor_holds(SOON_S);
}
