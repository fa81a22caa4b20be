/* ops.c: what operators look at: readyz in every state, metrics, dead letters, log lines. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/auditor.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/exposition.h"
#include "support/letters.h"
#include "support/orders.h"
#include "support/stack.h"
#include "support/traffic.h"

#define SOON_S 20
#define TIMEOUT_MS 10000
#define SERVICES 4
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const services[SERVICES] = {"order-svc", "payment-svc", "inventory-svc",
                                               "shipping-svc"};
static const char *const bases[SERVICES] = {"ORDER_API", "PAYMENT_OPS", "INVENTORY_API",
                                            "SHIPPING_OPS"};

static void attach(void)
{
    cr_assert(stack_attach());
}

static void detach(void)
{
    stack_signal("kafka", SIGCONT);
    stack_signal("postgres", SIGCONT);
}

TestSuite(ops, .init = attach, .fini = detach, .timeout = 120);

/* ---- readyz ---- */

struct ready {
    int status;
    char word[16], detail[128];
    bool database, kafka, redis;
    int64_t pending;
};

static bool member_ok(const json_t *body, const char *name)
{
    const json_t *all = json_object_get(body, "dependencies");
    return json_is_true(json_object_get(json_object_get(all, name), "ok"));
}

static struct ready readyz(const char *base)
{
    struct http_answer *answer =
        http_call(stack_address(base), "GET", "/readyz", NULL, NULL, TIMEOUT_MS);
    json_t *body = json_loadb(answer->body, answer->body_len, 0, NULL);
    const char *word = json_string_value(json_object_get(body, "status"));
    const char *detail = json_string_value(json_object_get(body, "detail"));
    struct ready ready = {.status = answer->status,
                          .database = member_ok(body, "database"),
                          .kafka = member_ok(body, "kafka"),
                          .redis = member_ok(body, "redis")};
    snprintf(ready.word, sizeof ready.word, "%s", word ? word : "");
    snprintf(ready.detail, sizeof ready.detail, "%s", detail ? detail : "");
    ready.pending = json_integer_value(json_object_get(body, "outbox_pending"));
    json_decref(body);
    http_answer_free(answer);
    return ready;
}

/* Looks until the service says this with this status. */
static struct ready says(const char *base, int status, const char *word)
{
    struct ready ready;
    bool said = CLOCK_UNTIL(SOON_S, ({
                                ready = readyz(base);
                                ready.status == status &&strcmp(ready.word, word) == 0;
                            }));
    cr_assert(said, "%s: %d %s (%s), not %d %s", base, ready.status, ready.word, ready.detail,
              status, word);
    return ready;
}

Test(ops, all_is_well)
{
    for (size_t i = 0; i < SERVICES; i++) {
        struct ready ready = says(bases[i], 200, "ready");
        cr_assert(ready.database && ready.kafka && ready.redis);
        cr_assert_str_eq(ready.detail, "");
    }
}

/* Nothing can be accepted: 503, which names the database. The process is alive all the same. */
Test(ops, postgres_is_away)
{
    cr_assert(stack_kill("postgres"));
    for (size_t i = 0; i < SERVICES; i++) {
        struct ready ready = says(bases[i], 503, "unavailable");
        cr_assert(!ready.database && ready.kafka && ready.redis);
        cr_assert_eq(strncmp(ready.detail, "database: ", 10), 0, "%s", ready.detail);
        struct http_answer *alive =
            http_call(stack_address(bases[i]), "GET", "/livez", NULL, NULL, TIMEOUT_MS);
        cr_assert_eq(alive->status, 200);
        http_answer_free(alive);
        /* What only the database knows is left out; what the process knows is told. */
        struct exposition *metrics = exposition_ask(stack_address(bases[i]));
        cr_assert_null(exposition_wrong(metrics), "%s", exposition_wrong(metrics));
        cr_assert_eq(exposition_count(metrics, "saga_outbox_pending"), 1);
        exposition_free(metrics);
    }
    cr_assert(stack_up("postgres", NULL));
    for (size_t i = 0; i < SERVICES; i++)
        says(bases[i], 200, "ready");
}

/* Nothing is under way any more, and all that was said is acknowledged. */
static void wait_settled(void)
{
    auditor_holds(SOON_S);
    cr_assert(CLOCK_UNTIL(SOON_S, readyz("ORDER_API").pending == 0));
}

#define BACKLOG_MAX 5

/* order-svc takes orders without Kafka up to its bound, then it refuses them; the others can do
 * nothing meanwhile. What it took is not lost, and when Kafka is back it recovers by itself. One
 * customer who waits for each answer is at most one order ahead of the count. */
Test(ops, kafka_is_away_and_the_backlog_fills, .timeout = 240)
{
    char ids[BACKLOG_MAX + 1][40];
    int accepted = 0;
    cr_assert(stack_restart("order-svc", "SAGA_BACKLOG_MAX=5"));
    wait_settled();
    cr_assert(stack_kill("kafka"));
    struct ready ready = says("ORDER_API", 200, "degraded");
    cr_assert(ready.database && !ready.kafka && ready.redis);
    ready = says("PAYMENT_OPS", 503, "unavailable");
    cr_assert(ready.database && !ready.kafka && ready.redis);
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), NULL);
    for (; answer.status == 201; accepted++) {
        cr_assert_leq(accepted, BACKLOG_MAX, "more were accepted than the bound allows");
        snprintf(ids[accepted], sizeof ids[accepted], "%s", answer.id);
        order_answer_free(&answer);
        answer = order_send(order_body(NULL, NULL, NULL), NULL);
    }
    cr_assert_geq(accepted, BACKLOG_MAX, "only %d were accepted", accepted);
    cr_assert_eq(answer.status, 503);
    cr_assert_str_eq(order_text(&answer, "code"), "unavailable");
    cr_assert_str_neq(answer.retry_after, "");
    order_answer_free(&answer);
    ready = says("ORDER_API", 503, "unavailable");
    cr_assert(ready.pending == accepted && !ready.kafka, "%lld", (long long)ready.pending);
    struct stack_part before, after;
    cr_assert(stack_part("order-svc", &before) && stack_up("kafka", NULL));
    for (size_t i = 0; i < SERVICES; i++)
        says(bases[i], 200, "ready");
    for (int i = 0; i < accepted; i++)
        cr_assert(order_reaches(ids[i], "completed", 60), "%s", ids[i]);
    /* Their ends are events too, and fill the backlog until they are acknowledged. */
    cr_assert(CLOCK_UNTIL(SOON_S, readyz("ORDER_API").pending == 0));
    answer = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    cr_assert_eq(answer.status, 201, "%d", answer.status);
    cr_assert_str_eq(order_text(&answer, "status"), "completed");
    order_answer_free(&answer);
    wait_settled();
    cr_assert(stack_part("order-svc", &after) && after.pid == before.pid, "it was restarted");
    cr_assert(stack_restart("order-svc", NULL));
    says("ORDER_API", 200, "ready");
}

/* The last line of a service's log. */
static char *last_line(const char *service)
{
    static char line[1024];
    char path[256];
    snprintf(path, sizeof path, "%s/log/%s.log", getenv("SAGA_STATE_DIR"), service);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    while (fgets(line, sizeof line, file) != NULL)
        ;
    fclose(file);
    return line;
}

/* What was said cannot be delivered, so it takes a while; records that come meanwhile are left for
 * the next life. It ends by itself, and in good order. */
Test(ops, a_drain_is_told)
{
    struct stack_part order, inventory, kafka;
    cr_assert(stack_part("order-svc", &order) && stack_part("inventory-svc", &inventory) &&
              stack_part("kafka", &kafka));
    kill(inventory.pid, SIGSTOP);
    struct order_answer paid = order_send(order_body(NULL, NULL, NULL), NULL);
    kill(kafka.pid, SIGSTOP);
    struct order_answer unsent = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert_eq(unsent.status, 201);
    cr_assert_eq(kill(order.pid, SIGTERM), 0);
    says("ORDER_API", 503, "draining");
    kill(inventory.pid, SIGCONT);
    kill(kafka.pid, SIGCONT);
    cr_assert(CLOCK_UNTIL(25, stack_gone(order.pid)), "it does not end");
    cr_assert_not_null(strstr(last_line("order-svc"), "\"stopped\""), "%s", last_line("order-svc"));
    cr_assert(stack_up("order-svc", NULL));
    cr_assert(order_reaches(unsent.id, "completed", SOON_S));
    cr_assert(order_reaches(paid.id, "completed", SOON_S));
    order_answer_free(&paid);
    order_answer_free(&unsent);
}

/* Records keep coming while it leaves its group: they are left for the next life. */
static void bring_back(void)
{
    stack_up("payment-svc", NULL);
    detach();
}

Test(ops, ends_in_good_order_under_load, .fini = bring_back)
{
    struct traffic *traffic = traffic_begin(300);
    for (int i = 0; i < 2; i++) {
        struct stack_part part;
        size_t accepted = traffic_accepted(traffic);
        cr_assert(CLOCK_UNTIL(SOON_S, traffic_accepted(traffic) > accepted + 300));
        cr_assert(stack_part("payment-svc", &part) && kill(part.pid, SIGTERM) == 0);
        cr_assert(CLOCK_UNTIL(25, stack_gone(part.pid)), "it does not end");
        cr_assert_not_null(strstr(last_line("payment-svc"), "\"stopped\""), "%s",
                           last_line("payment-svc"));
        cr_assert(stack_up("payment-svc", NULL));
    }
    cr_assert(traffic_end(traffic, SOON_S));
    traffic_free(traffic);
    auditor_holds(SOON_S);
}

/* ---- metrics ---- */

Test(ops, the_reader_of_metrics_is_strict)
{
    static const char *const bad[] = {
        "",
        "# HELP a A.\n# TYPE a gauge\na 1",
        "# HELP a A.\na 1\n",
        "# TYPE a gauge\na 1\n",
        "a 1\n",
        "# HELP a A.\n# TYPE a gauge\nb 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a A.\n# TYPE a gauge\na x\n",
        "# HELP a A.\n# TYPE a gauge\na\n",
        "# HELP a A.\n# TYPE a gauge\na NaN\n",
        "# HELP a A.\n# TYPE a gauge\n\na 1\n",
        "# HELP a A.\n# TYPE a widget\na 1\n",
        "# HELP a A.\n# TYPE a counter\na -1\n",
        "# HELP a A.\n# TYPE a gauge\na{b=c} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"c} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"\\c\"} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"c\",} 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\n# HELP a A.\n# TYPE a gauge\n",
        ("# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\n"
         "a_sum 1\na_count 1\n"),
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 1\n",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct exposition *exposition = exposition_read(bad[i]);
        cr_expect_not_null(exposition_wrong(exposition), "%zu: %s", i, bad[i]);
        exposition_free(exposition);
    }
    struct exposition *good =
        exposition_read("# HELP a A.\n# TYPE a histogram\na_bucket{x=\"\\\"\",le=\"1\"} 1\n"
                        "a_bucket{x=\"\\\"\",le=\"+Inf\"} 1\na_sum{x=\"\\\"\"} 1\n"
                        "a_count{x=\"\\\"\"} 1\n# HELP b B.\n# TYPE b gauge\nb -1.5\n");
    cr_assert_null(exposition_wrong(good), "%s", exposition_wrong(good));
    cr_assert(exposition_has(good, "a", "histogram", "x"));
    cr_assert(!exposition_has(good, "a", "gauge", "x") && !exposition_has(good, "c", "gauge", ""));
    cr_assert_eq(exposition_value(good, "b", 0), -1.5);
    exposition_free(good);
}

/* Every name of the contract, with its type and its labels, in each service that has such a thing.
 */
Test(ops, every_metric_is_there)
{
    static const struct {
        const char *name, *type, *labels;
        const char *only; /* in order-svc only */
    } metrics[] = {
        {"saga_orders_total", "counter", "outcome", "order-svc"},
        {"saga_orders_in_flight", "gauge", "status", "order-svc"},
        {"saga_steps_total", "counter", "step,op,result", NULL},
        {"saga_dead_letters", "gauge", "reason", NULL},
        {"saga_dead_letters_total", "counter", "reason", NULL},
        {"saga_outbox_pending", "gauge", "", NULL},
        {"saga_outbox_oldest_age_seconds", "gauge", "", NULL},
        {"saga_consumer_lag", "gauge", "topic,partition", NULL},
        {"saga_duration_seconds", "histogram", "outcome", "order-svc"},
        {"saga_batch_size", "histogram", "", NULL},
        {"http_server_request_duration_seconds", "histogram", "method,route,code", NULL},
        {"build_info", "gauge", "version", NULL},
    };
    /* One dead letter in each: order-svc hears payment.done too. */
    static const char *const heard[] = {"order.created", "payment.done", "order.cancel_requested"};
    for (size_t i = 0; i < COUNT(heard); i++)
        letters_produce(heard[i], "garbage", "this is no JSON", "-H ce_id=1");
    struct order_answer order = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    order_answer_free(&order);
    for (size_t i = 0; i < SERVICES; i++) {
        const char *base = stack_address(bases[i]);
        double parked = 0;
        cr_assert(CLOCK_UNTIL(SOON_S, ({
                                  struct exposition *now = exposition_ask(base);
                                  parked = exposition_value(
                                      now, "saga_dead_letters{reason=\"missing_ce_specversion\"}",
                                      0);
                                  exposition_free(now);
                                  parked > 0;
                              })));
        struct exposition *all = exposition_ask(base);
        cr_assert_null(exposition_wrong(all), "%s: %s", services[i], exposition_wrong(all));
        for (size_t k = 0; k < COUNT(metrics); k++)
            if (metrics[k].only == NULL || strcmp(metrics[k].only, services[i]) == 0)
                cr_expect(exposition_has(all, metrics[k].name, metrics[k].type, metrics[k].labels),
                          "%s: %s", services[i], metrics[k].name);
        exposition_free(all);
    }
    static const enum db databases[SERVICES] = {DB_ORDER, DB_PAYMENT, DB_INVENTORY, DB_SHIPPING};
    for (size_t i = 0; i < SERVICES; i++)
        db_run(databases[i], "UPDATE dead_letter SET state = 3");
}

static double letters_of(const char *reason, bool ever)
{
    char series[96];
    snprintf(series, sizeof series, "saga_dead_letters%s{reason=\"%s\"}", ever ? "_total" : "",
             reason);
    struct exposition *all = exposition_ask(stack_address("PAYMENT_OPS"));
    double value = exposition_value(all, series, 0);
    exposition_free(all);
    return value;
}

/* Now parked goes up and down, ever parked only up. What cannot be read is no better when it is
 * redriven: it is parked again, and counts as one. */
Test(ops, dead_letters_go_up_and_down)
{
    const char *reason = "unknown_specversion";
    double ever = letters_of(reason, true);
    cr_assert_eq(letters_of(reason, false), 0);
    letters_produce("order.created", "garbage", "no JSON", "-H ce_specversion=2.0");
    cr_assert(CLOCK_UNTIL(SOON_S, letters_of(reason, false) == 1));
    cr_assert_eq(letters_of(reason, true), ever + 1);
    char *id = db_text(DB_PAYMENT, "SELECT max(id)::text FROM dead_letter", NULL);
    free(letters_command("payment-svc", "redrive", id));
    const char *again = "SELECT count(*) FROM dead_letter WHERE id = $1::bigint AND state = 0"
                        " AND attempts = 2 AND reason = 'unknown_specversion'";
    cr_assert(CLOCK_UNTIL(SOON_S, db_int(DB_PAYMENT, again, id) == 1));
    cr_assert_eq(letters_of(reason, false), 1);
    free(letters_command("payment-svc", "discard", id));
    cr_assert(CLOCK_UNTIL(SOON_S, letters_of(reason, false) == 0));
    cr_assert(letters_of(reason, true) >= ever + 1);
    free(id);
}

static double oldest_age(void)
{
    struct exposition *all = exposition_ask(stack_address("ORDER_API"));
    double age = exposition_value(all, "saga_outbox_oldest_age_seconds", -1);
    exposition_free(all);
    return age;
}

/* The broker hangs: the age is that of the oldest row, not of the last. */
Test(ops, the_oldest_age_grows_with_the_clock)
{
    cr_assert(stack_signal("kafka", SIGSTOP));
    int64_t began_us = clock_us();
    struct order_answer first = order_send(order_body(NULL, NULL, NULL), NULL);
    int64_t said_us = clock_us();
    cr_assert_eq(first.status, 201);
    cr_assert(CLOCK_UNTIL(SOON_S, oldest_age() > 1));
    struct order_answer second = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert(CLOCK_UNTIL(SOON_S, oldest_age() > 2));
    double most = (double)(clock_us() - began_us) / 1e6,
           least = (double)(clock_us() - said_us) / 1e6;
    double age = oldest_age();
    cr_assert(age >= least - 0.1 && age <= most + 1, "%f, not from %f to %f", age, least, most);
    cr_assert(stack_signal("kafka", SIGCONT));
    cr_assert(CLOCK_UNTIL(SOON_S, oldest_age() == 0));
    cr_assert(order_reaches(first.id, "completed", SOON_S));
    cr_assert(order_reaches(second.id, "completed", SOON_S));
    order_answer_free(&first);
    order_answer_free(&second);
}

/* Something is always on its way, but nothing for long. */
Test(ops, the_oldest_age_stays_small_under_load)
{
    struct traffic *traffic =
        traffic_begin(500); /* for 10 s: so old is what never becomes small again */
    double worst = 0;
    while (traffic_accepted(traffic) < 5000) {
        double age = oldest_age();
        worst = age > worst ? age : worst;
    }
    cr_assert(traffic_end(traffic, SOON_S));
    traffic_free(traffic);
    cr_assert_lt(worst, 1.5, "%f s", worst);
}

/* ---- logs ---- */

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4737"
#define TRACED "Prefer: wait=20\r\ntraceparent: 00-" TRACE "-00f067aa0ba902b7-01\r\n"

static void restart_all(const char *setting)
{
    struct stack_part part[SERVICES];
    for (size_t i = 0; i < SERVICES; i++)
        cr_assert(stack_part(services[i], &part[i]) && kill(part[i].pid, SIGTERM) == 0);
    for (size_t i = 0; i < SERVICES; i++)
        cr_assert(CLOCK_UNTIL(25, kill(part[i].pid, 0) != 0), "%s does not end", services[i]);
    const char *const argv[] = {"env",       setting,     "deploy/up", services[0],
                                services[1], services[2], services[3], NULL};
    cr_assert_eq(command_run(stack_root(), argv, NULL), 0);
}

/* The service's lines about the order; each of them has the trace id. */
static size_t lines_about(const char *service, const char *id)
{
    char path[256], *line = NULL;
    size_t size = 0, count = 0;
    snprintf(path, sizeof path, "%s/log/%s.log", getenv("SAGA_STATE_DIR"), service);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    while (getline(&line, &size, file) > 0) {
        if (strstr(line, id) == NULL)
            continue;
        json_t *entry = json_loads(line, 0, NULL);
        const char *trace = json_string_value(json_object_get(entry, "trace_id"));
        cr_assert(trace != NULL && strcmp(trace, TRACE) == 0, "%s", line);
        json_decref(entry);
        count++;
    }
    free(line);
    fclose(file);
    return count;
}

/* The trace id of the request stands on every line about its order, in all services. */
Test(ops, a_trace_goes_through_all_logs)
{
    restart_all("SAGA_LOG_LEVEL=debug");
    struct order_answer sold = order_send(order_body(NULL, NULL, NULL), TRACED);
    struct order_answer refused = order_send(order_body(NULL, NULL, "AQ"), TRACED);
    cr_assert_str_eq(order_text(&sold, "status"), "completed");
    cr_assert_str_eq(order_text(&refused, "status"), "cancelled");
    for (size_t i = 0; i < SERVICES; i++) {
        cr_assert(CLOCK_UNTIL(SOON_S, lines_about(services[i], sold.id) > 0), "%s", services[i]);
        cr_assert(CLOCK_UNTIL(SOON_S, lines_about(services[i], refused.id) > 0), "%s", services[i]);
    }
    restart_all("SAGA_LOG_LEVEL=info");
    order_answer_free(&sold);
    order_answer_free(&refused);
}
