/*
 * load.c: sends orders to the running local stack and measures whole sagas.
 *
 * An order counts when its final status was read: each is posted with `Prefer: wait=30`, and only
 * an answer that says completed counts. With --rate the load is open: orders are sent at their
 * intended times whatever the answers do, and latency counts from the intended time. With
 * --at-once a fixed number of orders is always under way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "support/clock.h"
#include "support/http.h"
#include "usage.h"

#define CONNECTIONS_MAX 3500
#define TIMEOUT_MS 40000
#define SETTLE_S 40

static struct {
    double rate;          /* orders a second; 0: closed load */
    long at_once;         /* closed load: so many under way */
    double warm_s, run_s; /* not counted, counted */
    double sagas_min, p99_max_ms;
} options = {.warm_s = 3, .run_s = 10};

static struct {
    struct http_pool *pool;
    int64_t *intended_us; /* by tag */
    size_t sent, size;
    int64_t count_from_us, count_to_us;
    double *latencies_ms; /* of those that were completed and counted */
    size_t completed, other;
    char complaint[400]; /* the first answer that was none of ours */
    bool ending;
} run;

static void send_order(int64_t intended_us)
{
    char body[512];
    if (run.sent == run.size) {
        run.size = run.size ? run.size * 2 : 65536;
        run.intended_us = realloc(run.intended_us, run.size * sizeof *run.intended_us);
        run.latencies_ms = realloc(run.latencies_ms, run.size * sizeof *run.latencies_ms);
        if (run.intended_us == NULL || run.latencies_ms == NULL)
            abort();
    }
    run.intended_us[run.sent] = intended_us;
    long sku = random() % 100;
    snprintf(body, sizeof body,
             "{\"customer_id\":\"cus_%ld\",\"currency\":\"EUR\",\"items\":["
             "{\"sku\":\"SKU-%ld\",\"quantity\":1,\"unit_amount\":1999},"
             "{\"sku\":\"SKU-%ld\",\"quantity\":2,\"unit_amount\":550}],"
             "\"payment_method\":\"pm_card\",\"shipping_address\":{\"name\":\"A. Buyer\","
             "\"line1\":\"1 Main St\",\"city\":\"Berlin\",\"postal_code\":\"10115\","
             "\"country\":\"DE\"}}",
             random() % 100000, sku + 1, (sku + 37) % 100 + 1);
    http_pool_send(run.pool, run.sent++, "POST", "/v1/orders",
                   "Content-Type: application/json\r\nPrefer: wait=30\r\n", body);
}

static void answered(void *opaque, uint64_t tag, const struct http_answer *answer)
{
    (void)opaque;
    int64_t now_us = clock_us();
    bool completed =
        answer->status == 201 && strstr(answer->body, "\"status\":\"completed\"") != NULL;
    bool counted = options.rate > 0 ? run.intended_us[tag] >= run.count_from_us &&
                                          run.intended_us[tag] < run.count_to_us
                                    : now_us >= run.count_from_us && now_us < run.count_to_us;
    if (!completed) {
        run.other++;
        if (run.complaint[0] == '\0')
            snprintf(run.complaint, sizeof run.complaint, "%d %s", answer->status, answer->body);
    } else if (counted) {
        run.latencies_ms[run.completed++] = (double)(now_us - run.intended_us[tag]) / 1000;
    }
    if (options.rate == 0 && !run.ending)
        send_order(now_us);
}

static void send_open(int64_t until_us)
{
    int64_t begin_us = clock_us();
    for (size_t i = 0;; i++) {
        int64_t due_us = begin_us + (int64_t)((double)i * 1e6 / options.rate);
        if (due_us >= until_us)
            break;
        for (int64_t left_us; (left_us = due_us - clock_us()) > 0;)
            http_pool_work(run.pool, left_us);
        send_order(due_us);
        if (i % 16 == 0)
            http_pool_work(run.pool, 0);
    }
    while (clock_us() < until_us)
        http_pool_work(run.pool, until_us - clock_us());
}

static void send_closed(int64_t until_us)
{
    for (long i = 0; i < options.at_once; i++)
        send_order(clock_us());
    while (clock_us() < until_us)
        http_pool_work(run.pool, 10000);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double percentile(double percent)
{
    if (run.completed == 0)
        return 0;
    size_t at = (size_t)((double)run.completed * percent / 100);
    return run.latencies_ms[at < run.completed ? at : run.completed - 1];
}

static void print_usage(const struct usage *before, const struct usage *after, size_t count)
{
    double total = 0;
    printf("%-14s %14s %9s\n", "process", "CPU us/order", "RSS MB");
    for (size_t i = 0; i < count; i++) {
        double us = (after[i].cpu_s - before[i].cpu_s) * 1e6 / (double)(run.completed + 1);
        printf("%-14s %14.0f %9.0f\n", after[i].name, us, after[i].rss_mb);
        if (strcmp(after[i].name, "load") != 0)
            total += us;
    }
    printf("%-14s %14.0f\n", "the stack", total);
}

static void measure(void)
{
    struct usage before[USAGE_MAX], after[USAGE_MAX];
    int64_t begin_us = clock_us();
    run.count_from_us = begin_us + (int64_t)(options.warm_s * 1e6);
    run.count_to_us = run.count_from_us + (int64_t)(options.run_s * 1e6);

    /* What is counted: CPU time from the end of the warm-up to the end, per counted order. */
    int64_t full_end_us = run.count_to_us;
    if (options.warm_s > 0 && options.rate > 0)
        send_open(run.count_from_us);
    else if (options.warm_s > 0)
        send_closed(run.count_from_us);
    size_t count = usage_read(before);
    double machine_s = usage_machine_s();
    run.count_from_us = clock_us();
    run.count_to_us = run.count_from_us + (int64_t)(options.run_s * 1e6);
    full_end_us = run.count_to_us;
    if (options.rate > 0)
        send_open(full_end_us);
    else if (options.warm_s > 0)
        while (clock_us() < full_end_us)
            http_pool_work(run.pool, 10000);
    else
        send_closed(full_end_us);
    run.ending = true;
    usage_read(after);
    machine_s = usage_machine_s() - machine_s;
    int64_t give_up_us = clock_us() + (int64_t)SETTLE_S * 1000000;
    while (http_pool_pending(run.pool) > 0 && clock_us() < give_up_us)
        http_pool_work(run.pool, 10000);

    qsort(run.latencies_ms, run.completed, sizeof *run.latencies_ms, compare);
    if (options.rate > 0)
        printf("%.0f orders/s for %.0f s, open load\n", options.rate, options.run_s);
    else
        printf("%ld orders always under way, for %.0f s\n", options.at_once, options.run_s);
    printf("sagas/s        %10.0f  (%zu of %zu sent were completed and counted, %zu others)\n",
           (double)run.completed / options.run_s, run.completed, run.sent, run.other);
    printf("latency ms     p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f\n", percentile(50),
           percentile(90), percentile(99), percentile(99.9), percentile(100));
    printf("cores busy     %10.2f\n", machine_s / options.run_s);
    print_usage(before, after, count);
    if (run.other > 0)
        printf("not completed  %s\n", run.complaint);
}

static double number(const char *name, const char *text)
{
    char *end;
    double value = text ? strtod(text, &end) : -1;
    if (text == NULL || *end != '\0' || value < 0) {
        fprintf(stderr, "load: %s takes a number that is not negative\n", name);
        exit(2);
    }
    return value;
}

static void read_options(char **argv)
{
    for (int i = 1; argv[i] != NULL; i += 2) {
        double value = number(argv[i], argv[i + 1]);
        if (strcmp(argv[i], "--rate") == 0)
            options.rate = value;
        else if (strcmp(argv[i], "--at-once") == 0)
            options.at_once = (long)value;
        else if (strcmp(argv[i], "--warm-up") == 0)
            options.warm_s = value;
        else if (strcmp(argv[i], "--seconds") == 0)
            options.run_s = value;
        else if (strcmp(argv[i], "--sagas-min") == 0)
            options.sagas_min = value;
        else if (strcmp(argv[i], "--p99-max") == 0)
            options.p99_max_ms = value;
        else {
            fprintf(
                stderr,
                "usage: load (--rate N | --at-once N) [--seconds S] [--warm-up S]\n"
                "            [--sagas-min N] [--p99-max MS]\n"
                "Sends orders to the local stack that SAGA_STATE_DIR and SAGA_PORT_SHIFT name.\n");
            exit(2);
        }
    }
    if ((options.rate > 0) == (options.at_once > 0) || options.at_once > CONNECTIONS_MAX) {
        fprintf(stderr, "load: either --rate, or --at-once of at most %d\n", CONNECTIONS_MAX);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    read_options(argv);
    struct usage parts[USAGE_MAX];
    if (!stack_attach() || usage_read(parts) <= 1) {
        fprintf(stderr, "load: there is no stack to send to; ./deploy/up starts one\n");
        return 2;
    }
    struct rlimit files = {8192, 8192};
    setrlimit(RLIMIT_NOFILE, &files);
    run.pool =
        http_pool_new(stack_address("ORDER_API"), CONNECTIONS_MAX, TIMEOUT_MS, answered, NULL);
    measure();
    http_pool_free(run.pool);
    double sagas = (double)run.completed / options.run_s, p99_ms = percentile(99);
    bool good = run.other == 0 && sagas >= options.sagas_min &&
                (options.p99_max_ms == 0 || p99_ms <= options.p99_max_ms);
    if (!good)
        printf("load: not good enough\n");
    return good ? 0 : 1;
}
