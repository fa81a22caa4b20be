/*
 * lost.c: what Kafka loses, or does not take: a topic, records that were not read yet, deliveries.
 * Under load; what deploy/README.md tells to do then, and in the end every order is at its end.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/auditor.h"
#include "support/broker.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/harm.h"
#include "support/http.h"
#include "support/orders.h"
#include "support/program.h"
#include "support/stack.h"

#define SOON_S 30
#define ANSWERS_S 60
#define SETTLE_S 90

/* What is lost is lost for all orders of before too: so this stack is its own. */
static void begin(void)
{
    cr_assert(stack_begin());
}

static void end(void)
{
    stack_end(false);
}

TestSuite(lost, .init = begin, .fini = end, .timeout = 300);
/* Whatever a test did, the next one finds Kafka as it was. */
static void bring_back(void)
{
    stack_up("kafka", NULL);
    broker_set_topic(stack_address("KAFKA_BOOTSTRAP"), "order.created", "max.message.bytes", NULL);
}

TestSuite(undelivered, .init = harm_attach, .fini = bring_back, .timeout = 300);

static void run_well(const char *service, const char *arguments, const char *expected)
{
    char *output = NULL;
    cr_assert(CLOCK_UNTIL(SOON_S, (output = program_run(service, arguments)) != NULL), "%s %s",
              service, arguments);
    cr_assert_not_null(strstr(output, expected), "%s %s: %s", service, arguments, output);
    free(output);
}

static void settle(struct traffic *traffic)
{
    bool all = traffic_end(traffic, ANSWERS_S);
    cr_assert_null(traffic_complaint(traffic), "%s", traffic_complaint(traffic));
    cr_assert(all);
    auditor_holds(SETTLE_S);
    traffic_free(traffic);
}

/* Whoever hears the topic hears the new one: an order in each partition went all its way, of which
 * inventory-svc's is the last step. */
static void wait_heard(const char *event)
{
    for (int i = 0; i < 10; i++) {
        struct order_answer answer = order_send(order_body(NULL, NULL, NULL), NULL);
        char *events = NULL;
        cr_assert(order_reaches(answer.id, "completed", SOON_S), "%s: %s", event, answer.id);
        cr_assert(CLOCK_UNTIL(SOON_S, ({
                                  free(events);
                                  events = order_timeline(answer.id);
                                  events != NULL &&strstr(events, event) != NULL;
                              })),
                  "%s: %s", answer.id, events);
        cr_assert(CLOCK_UNTIL(SOON_S, db_int(DB_INVENTORY,
                                             "SELECT issue_state FROM reservation"
                                             " WHERE order_id = $1::uuid",
                                             answer.id) == 1),
                  "%s: %s is not issued", event, answer.id);
        free(events);
        order_answer_free(&answer);
    }
}

/* One of each that says any, each heard by another: under one load, since all that may be missed is
 * said again before the next. */
Test(lost, topics_are_made_anew_and_said_again)
{
    static const struct {
        const char *service, *event;
    } said[] = {{"order-svc", "order.created"},
                {"payment-svc", "payment.done"},
                {"inventory-svc", "inventory.reserved"},
                {"shipping-svc", "order.shipped"}};
    struct traffic *traffic = traffic_begin(HARM_RATE);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        char republish[40];
        snprintf(republish, sizeof republish, "republish %s", said[i].event);
        harm_wait_accepted(traffic);
        cr_assert(broker_delete_topic(stack_address("KAFKA_BOOTSTRAP"), said[i].event));
        harm_wait_accepted(traffic); /* it is missed for a while */
        run_well(said[i].service, "create-topics", "");
        wait_heard(said[i].event);
        run_well(said[i].service, republish, " events were said again");
    }
    settle(traffic);
}

/* ---- records that are gone before they were read ---- */

static bool readyz_says(const char *what)
{
    struct http_answer *answer =
        http_call(stack_address("SHIPPING_OPS"), "GET", "/readyz", NULL, NULL, 5000);
    bool says = answer != NULL && answer->status == 503 && strstr(answer->body, what) != NULL;
    http_answer_free(answer);
    return says;
}

static bool is_gone(const char *name)
{
    struct stack_part part;
    return stack_part(name, &part) && part.pid == 0;
}

Test(lost, records_gone_unread_are_told_and_made_good)
{
    struct traffic *traffic = traffic_begin(HARM_RATE);
    harm_wait_accepted(traffic);
    cr_assert(stack_signal("shipping-svc", SIGSTOP));
    harm_wait_accepted(traffic);
    for (int32_t i = 0; i < 2; i++) /* all there are: -1 is the end */
        cr_assert(
            broker_delete_records(stack_address("KAFKA_BOOTSTRAP"), "inventory.reserved", i, -1));
    cr_assert(stack_signal("shipping-svc", SIGCONT));
    cr_assert(CLOCK_UNTIL(SOON_S, readyz_says("are gone and were never read")));
    cr_assert(readyz_says("kafka: inventory.reserved/"));
    /* It stays up, and so. */
    harm_wait_accepted(traffic);
    cr_assert(readyz_says("are gone and were never read"));
    cr_assert_null(program_run("shipping-svc", "reset-offsets"), "while it has members");
    cr_assert(stack_signal("shipping-svc", SIGTERM));
    cr_assert(CLOCK_UNTIL(SOON_S, is_gone("shipping-svc")));
    run_well("shipping-svc", "reset-offsets", "inventory.reserved/");
    cr_assert(stack_up("shipping-svc", NULL));
    run_well("inventory-svc", "republish inventory.reserved", " events were said again");
    settle(traffic);
}

/* ---- events that the broker refuses ---- */

/* An order with so many items that its event is larger than the topic takes. */
static char *large_order(void)
{
    char *body = malloc(20000), *end = body;
    cr_assert_not_null(body);
    end += snprintf(end, 200,
                    "{\"customer_id\":\"c\",\"currency\":\"EUR\",\"payment_method\":\"pm_card\","
                    "\"shipping_address\":{\"country\":\"DE\"},\"items\":[");
    for (int i = 1; i <= 100; i++)
        end += snprintf(end, 100, "%s{\"sku\":\"SKU-%d\",\"quantity\":1,\"unit_amount\":1}",
                        i > 1 ? "," : "", i);
    snprintf(end, 4, "]}");
    return body;
}

#define TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

/* The row that was refused and the one that was said instead, and no third, however often it is
 * asked for: the trace goes on in it. */
static void said_again_once(const char *order_id)
{
    char redrive[80];
    char *letter = db_text(DB_ORDER,
                           "SELECT id::text FROM dead_letter WHERE state = 4 AND"
                           " reason = 'refused_by_broker' AND order_id = $1::uuid",
                           order_id);
    cr_assert_not_null(letter);
    snprintf(redrive, sizeof redrive, "dead-letters redrive %s", letter);
    run_well("order-svc", redrive, "0 to be redriven");
    cr_assert_eq(db_int(DB_ORDER,
                        "SELECT count(*) FROM outbox WHERE type = 'order.created' AND"
                        " traceparent = '" TRACEPARENT "' AND order_id = $1::uuid",
                        order_id),
                 2);
    free(letter);
}

Test(undelivered, event_that_is_refused_is_parked_and_said_again)
{
    const char *kafka = stack_address("KAFKA_BOOTSTRAP");
    struct traffic *traffic = harm_begin();
    cr_assert(broker_set_topic(kafka, "order.created", "max.message.bytes", "3000"));
    char *body = large_order();
    struct order_answer answer = order_send(body, "traceparent: " TRACEPARENT "\r\n");
    cr_assert_eq(answer.status, 201);
    cr_assert(
        CLOCK_UNTIL(SOON_S, db_int(DB_ORDER,
                                   "SELECT count(*) FROM dead_letter WHERE state = 0 AND"
                                   " reason = 'refused_by_broker' AND order_id = $1::uuid",
                                   answer.id) == 1),
        "it has come to: %s",
        db_text(DB_ORDER, "SELECT timeline FROM orders WHERE order_id = $1::uuid", answer.id));
    harm_wait_accepted(traffic); /* the others go on, and are not parked with it */
    cr_assert_eq(db_int(DB_ORDER, "SELECT count(*) FROM dead_letter WHERE state = 0", NULL), 1);
    cr_assert(broker_set_topic(kafka, "order.created", "max.message.bytes", NULL));
    /* The process dies before its cursor has told: it is not sent, though it would be taken now. */
    cr_assert(stack_kill("order-svc"));
    db_run(DB_ORDER, "UPDATE lane SET acked = least(acked, record_offset - 1) FROM dead_letter"
                     " WHERE state = 0 AND lane = -1 - record_partition");
    cr_assert(stack_up("order-svc", NULL));
    harm_wait_accepted(traffic);
    run_well("order-svc", "dead-letters redrive --all", "1 to be redriven");
    cr_assert(order_reaches(answer.id, "completed", SOON_S));
    said_again_once(answer.id);
    order_answer_free(&answer);
    free(body);
    auditor_rest();
    settle(traffic);
}

/* ---- a row that somebody takes out ---- */

static bool order_svc_says(const char *what)
{
    struct http_answer *answer =
        http_call(stack_address("ORDER_API"), "GET", "/readyz", NULL, NULL, 5000);
    bool says = answer != NULL && answer->status == 200 && strstr(answer->body, what) != NULL;
    http_answer_free(answer);
    return says;
}

/* What order-svc has used of the processors, in clock ticks. */
static int64_t ticks_used(void)
{
    struct stack_part part;
    char path[40];
    long long user = -1, kernel = 0;
    cr_assert(stack_part("order-svc", &part) && part.pid > 0);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)part.pid);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld",
                        &user, &kernel),
                 2);
    fclose(file);
    return user + kernel;
}

/* Of the last two rows that are out the first is gone, and neither is known to be out. */
static void take_one_out(void)
{
    db_run(DB_ORDER,
           "CREATE TABLE taken_out AS SELECT o.* FROM outbox o JOIN lane USING (lane)"
           " WHERE seq = acked - 1 ORDER BY created_at DESC LIMIT 1;"
           "DELETE FROM outbox o USING taken_out t WHERE o.lane = t.lane AND o.seq = t.seq;"
           "UPDATE lane SET acked = acked - 2 WHERE lane IN (SELECT lane FROM taken_out)");
}

/* It is told once, and not looked for all the time; put back, it is sent. */
Test(undelivered, a_missing_row_is_told_and_waited_for)
{
    static const char told[] = " is missing: no row behind it is sent";
    struct order_answer order = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    cr_assert_str_eq(order_text(&order, "status"), "completed");
    order_answer_free(&order);
    int64_t before = stack_log_count("order-svc", told);
    cr_assert(stack_kill("order-svc"));
    take_one_out();
    cr_assert(stack_up("order-svc", NULL));
    cr_assert(CLOCK_UNTIL(SOON_S, order_svc_says("outbox: a row is missing")));
    int64_t ticks = ticks_used(), from_us = clock_us();
    cr_assert(CLOCK_UNTIL(10, clock_us() - from_us > 3000000));
    cr_assert_lt(ticks_used() - ticks, sysconf(_SC_CLK_TCK), "it is looked for all the time");
    cr_assert_eq(stack_log_count("order-svc", told), before + 1);
    db_run(DB_ORDER, "INSERT INTO outbox SELECT * FROM taken_out; DROP TABLE taken_out");
    cr_assert(CLOCK_UNTIL(SOON_S, order_svc_says("\"status\":\"ready\"")));
    auditor_holds(SETTLE_S);
}

/* ---- deliveries ---- */

/*
 * Kafka is away for longer than a delivery may take, while orders come in: producers are given up,
 * and the lanes read their tables again. SAGA_TEST_AWAY_S=70: the same with the time that services
 * have by default.
 */
Test(undelivered, deliveries_time_out)
{
    static const char timed_out[] = "not delivered: Local: Message timed out";
    const char *away = getenv("SAGA_TEST_AWAY_S");
    int64_t away_us = (away ? strtoll(away, NULL, 10) : 6) * 1000000;
    cr_assert(stack_restart("order-svc", away ? NULL : "SAGA_DELIVERY_S=2"));
    int64_t before = stack_log_count("order-svc", timed_out);
    struct traffic *traffic = harm_begin();
    int64_t from_us = clock_us();
    cr_assert(stack_kill("kafka"));
    cr_assert(CLOCK_UNTIL(away_us / 1000000 + SOON_S,
                          clock_us() - from_us > away_us &&
                              stack_log_count("order-svc", timed_out) > before),
              "no delivery timed out");
    cr_assert(stack_up("kafka", NULL));
    harm_wait_accepted(traffic);
    harm_end(traffic);
    cr_assert(stack_restart("order-svc", NULL));
}
