/*
 * faults_kafka.c: a Kafka that is away, and a world that says things twice, late and in another
 * order; under load, while the auditor looks.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/auditor.h"
#include "support/clock.h"
#include "support/db.h"
#include "support/echo.h"
#include "support/harm.h"
#include "support/metric.h"
#include "support/orders.h"
#include "support/outlived.h"
#include "support/stack.h"
#include "support/topics.h"

#define ANSWERS_S 60
#define SETTLE_S 90

static void go_on(void)
{
    db_release();
    stack_signal("payment-svc", SIGCONT);
}

TestSuite(faults_kafka, .init = harm_attach, .fini = go_on, .timeout = 300);

/* How many of the four services have told so. */
static int told_by(const char *words)
{
    static const char *const services[] = {"order-svc", "payment-svc", "inventory-svc",
                                           "shipping-svc"};
    int count = 0;
    for (size_t i = 0; i < 4; i++)
        count += stack_log_count(services[i], words) > 0;
    return count;
}

/* The client library says nothing of a group that is not reached: the service does. */
Test(faults_kafka, kafka_away_for_long)
{
    struct traffic *traffic = harm_begin();
    cr_assert(stack_kill("kafka"));
    harm_last(60);
    cr_expect_eq(told_by("not in its group for 30 s"), 4);
    cr_assert(stack_up("kafka", NULL));
    harm_wait_accepted(traffic);
    cr_expect(CLOCK_UNTIL(ANSWERS_S, told_by("in its group again, after") == 4));
    harm_end(traffic);
}

#define BACKLOG_MAX 300
#define RATE 30 /* who is refused asks again ten times a second */

static void end_bound(void)
{
    stack_restart("order-svc", NULL);
}

/* Its answer is a customer's who asks once. */
static bool is_refused(int number)
{
    char headers[64];
    snprintf(headers, sizeof headers, "Idempotency-Key: once-%d-%d\r\n", (int)getpid(), number);
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), headers);
    bool refused = answer.status == 503 && strcmp(answer.retry_after, "1") == 0;
    cr_assert(refused || answer.status == 201, "%d", answer.status);
    order_answer_free(&answer);
    return refused;
}

/* Orders are accepted up to the bound, no more, and again when there is room; those who were
 * refused have asked again by themselves. */
Test(faults_kafka, the_backlog_fills, .fini = end_bound)
{
    int asked = 0;
    cr_assert(stack_restart("order-svc", "SAGA_BACKLOG_MAX=300"));
    struct traffic *traffic = traffic_begin(RATE);
    cr_assert(CLOCK_UNTIL(ANSWERS_S, traffic_accepted(traffic) >= RATE));
    cr_assert(stack_kill("kafka"));
    cr_assert(CLOCK_UNTIL(ANSWERS_S, is_refused(asked++)));
    double pending = metric_of(stack_address("ORDER_API"), "saga_outbox_pending");
    cr_assert(pending >= BACKLOG_MAX && pending < BACKLOG_MAX + 5 * RATE, "%.0f", pending);
    cr_assert(stack_up("kafka", NULL));
    harm_wait_accepted(traffic);
    cr_assert(CLOCK_UNTIL(ANSWERS_S, !is_refused(asked++)));
    harm_end(traffic);
}

#define TOPICS 12
#define RESULTS 4

/* Every event that a step hears is one of these. */
static const struct edge {
    const char *address, *step, *op, *topics[2];
} edges[] = {{"PAYMENT_OPS", "payment", "action", {"order.created"}},
             {"PAYMENT_OPS", "payment", "undo", {"inventory.failed", "inventory.released"}},
             {"INVENTORY_API", "inventory", "action", {"payment.done"}},
             {"INVENTORY_API", "inventory", "undo", {"shipping.failed"}},
             {"INVENTORY_API", "issue", "action", {"order.shipped"}},
             {"SHIPPING_OPS", "shipping", "action", {"inventory.reserved"}},
             {"SHIPPING_OPS", "shipping", "undo", {"order.cancel_requested"}},
             {"ORDER_API", "placement", "undo", {"payment.failed", "payment.refunded"}},
             {"ORDER_API", "completion", "action", {"order.shipped"}}};
#define EDGES (sizeof edges / sizeof *edges)

struct said {
    long events[TOPICS], repeats[TOPICS];
};

static size_t number_of(const char *topic)
{
    size_t i = 0;
    while (strcmp(topics_all[i], topic) != 0)
        i++;
    return i;
}

static void on_record(void *opaque, const struct topics_record *record)
{
    struct said *said = opaque;
    size_t i = number_of(record->topic);
    if (topics_header(record, ECHO_MARK) != NULL)
        said->repeats[i]++;
    else
        said->events[i]++;
}

/* What the steps did so far: took effect, refused; and what had none. */
static void count_steps(long ret_counts[EDGES][RESULTS])
{
    static const char *const results[RESULTS] = {"done", "refused", "void", "duplicate"};
    for (size_t i = 0; i < EDGES; i++) {
        for (size_t k = 0; k < RESULTS; k++) {
            char series[120];
            snprintf(series, sizeof series, "saga_steps_total{step=\"%s\",op=\"%s\",result=\"%s\"}",
                     edges[i].step, edges[i].op, results[k]);
            double count = metric_of(stack_address(edges[i].address), series);
            ret_counts[i][k] = count < 0 ? 0 : (long)count;
        }
    }
}

/* Each repeat was heard, as was each event, and no more of them had an effect than there are
 * events. */
static void check_edge(const struct edge *edge, const struct said *said, const long before[RESULTS],
                       const long after[RESULTS])
{
    long events = 0, repeats = 0, heard = 0;
    for (size_t i = 0; i < 2 && edge->topics[i] != NULL; i++) {
        events += said->events[number_of(edge->topics[i])];
        repeats += said->repeats[number_of(edge->topics[i])];
    }
    for (size_t i = 0; i < RESULTS; i++)
        heard += after[i] - before[i];
    long effects = after[0] - before[0] + after[1] - before[1];
    cr_assert_eq(heard, events + repeats, "%s, %s: %ld heard of %ld + %ld", edge->step, edge->op,
                 heard, events, repeats);
    cr_assert(effects <= events, "%s, %s: %ld effects of %ld", edge->step, edge->op, effects,
              events);
}

Test(faults_kafka, every_event_is_said_twice)
{
    const char *kafka = stack_address("KAFKA_BOOTSTRAP");
    struct said said = {{0}, {0}};
    long before[EDGES][RESULTS], after[EDGES][RESULTS];
    cr_assert(CLOCK_UNTIL(SETTLE_S, outlived_at_rest()));
    count_steps(before);
    struct topics *topics = topics_mark(kafka, topics_all, on_record, &said);
    struct echo *echo = echo_begin(kafka, 300);
    cr_assert(topics != NULL && echo != NULL);
    struct traffic *traffic = harm_begin();
    harm_wait_accepted(traffic);
    harm_wait_accepted(traffic);
    harm_end(traffic);
    cr_assert_gt(echo_end(echo), 2 * HARM_RATE);
    cr_assert(CLOCK_UNTIL(SETTLE_S, outlived_at_rest()));
    cr_assert(topics_catch_up(topics, ANSWERS_S));
    topics_close(topics);
    count_steps(after);
    for (size_t i = 0; i < TOPICS; i++)
        cr_assert(said.events[i] > 0 && said.repeats[i] == said.events[i], "%s: %ld of %ld",
                  topics_all[i], said.repeats[i], said.events[i]);
    for (size_t i = 0; i < EDGES; i++)
        check_edge(&edges[i], &said, before[i], after[i]);
    auditor_holds(SETTLE_S); /* also now that the last is repeated */
}

/* It has partitions of its own. */
static bool hears(const char *base, const char *topic)
{
    bool any = false;
    for (int i = 0; i < 2; i++) {
        char series[96];
        snprintf(series, sizeof series, "saga_consumer_lag{topic=\"%s\",partition=\"%d\"}", topic,
                 i);
        any = any || metric_of(base, series) >= 0;
    }
    return any;
}

/* Members come and go: partitions and lanes change hands all the time. */
Test(faults_kafka, rebalances_in_a_loop)
{
    static const struct {
        const char *name, *topic;
    } services[] = {{"order-svc", "payment.done"},
                    {"payment-svc", "order.created"},
                    {"inventory-svc", "payment.done"},
                    {"shipping-svc", "inventory.reserved"}};
    struct traffic *traffic = harm_begin();
    for (int i = 0; i < 8; i++) {
        char base[64];
        int port = stack_free_port();
        pid_t second = stack_second(services[i % 4].name, port);
        cr_assert_gt(second, 0);
        snprintf(base, sizeof base, "http://127.0.0.1:%d", port);
        cr_assert(CLOCK_UNTIL(30, hears(base, services[i % 4].topic)), "%s: no partitions",
                  services[i % 4].name);
        harm_wait_accepted(traffic);
        kill(second, i < 4 ? SIGTERM : SIGKILL);
        waitpid(second, NULL, 0);
    }
    harm_end(traffic);
}

#define LANES_HELD                                                                                 \
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"                                    \
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"

/* The first is stopped in its tracks and loses its session; the second loses its own too, and finds
 * every lane taken but that one. */
static void lane_changes_hands(const char *lane)
{
    const char *last = "SELECT coalesce(max(seq), 0) FROM outbox WHERE lane = $1::integer";
    char sql[400];
    snprintf(sql, sizeof sql,
             "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
             " WHERE datname = current_database() AND usename LIKE '%%\\_app';"
             "SELECT pg_advisory_lock(1935763297, lane) FROM lane WHERE lane <> %s",
             lane);
    cr_assert(stack_signal("payment-svc", SIGSTOP));
    db_hold(DB_PAYMENT, sql);
    int64_t before = db_int(DB_PAYMENT, last, lane);
    cr_assert(CLOCK_UNTIL(30, db_int(DB_PAYMENT, last, lane) > before), "lane %s has nobody", lane);
    db_release();
    cr_assert(stack_signal("payment-svc", SIGCONT));
}

/* Both lose their session, and with it their lane, again and again: who is faster has it. */
Test(faults_kafka, two_fight_for_a_lane)
{
    struct traffic *traffic = harm_begin();
    char *lane = db_text(DB_PAYMENT,
                         "SELECT min(lane) FROM outbox"
                         " WHERE created_at = (SELECT max(created_at) FROM outbox)",
                         NULL);
    pid_t second = stack_second("payment-svc", stack_free_port());
    cr_assert_gt(second, 0);
    cr_assert(CLOCK_UNTIL(30, db_int(DB_PAYMENT, LANES_HELD, NULL) >= 2));
    harm_wait_accepted(traffic);
    lane_changes_hands(lane);
    for (int i = 0; i < 30; i++) {
        harm_end_sessions(DB_PAYMENT);
        clock_pause_ms(100);
    }
    harm_wait_accepted(traffic);
    kill(second, SIGKILL);
    waitpid(second, NULL, 0);
    harm_end(traffic);
    free(lane);
}
