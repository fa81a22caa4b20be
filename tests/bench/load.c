/*
 * load.c: sends orders to the running local stack and measures whole sagas.
 *
 * An order counts when its final status was read: each is posted with `Prefer: wait=30`, and only
 * the expected end counts (send.h). When all have their answer, an independent consumer reads what
 * was said on the topics meanwhile (witness.h): unless both agree about every order, the load has
 * failed. CPU time and counters are looked at when the counted window begins and ends, by a thread
 * of its own, for a look takes long and orders have their times.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "result.h"
#include "support/clock.h"
#include "support/http.h"
#include "support/stack.h"
#include "witness.h"

#define SETTLE_S 40
#define COOL_DOWN_US 20000
#define COOL_DOWN_S_MAX 30 /* who does not answer to a look by then */
#define SECONDS_MAX 3600

static struct {
    struct send_plan plan;
    double warm_s, run_s; /* not counted, counted */
    double sagas_min, p99_max_ms;
    const char *json;
} options = {.warm_s = 3, .run_s = 10};

/* ---- two looks ---- */

struct look {
    int64_t at_us; /* when, then when it was */
    int64_t counters_at_us;
    double machine_s;
    struct usage usage[USAGE_MAX];
    struct counters counters;
    bool good;
};

static struct look looks[2];
static atomic_bool looked; /* at both */

static void *take_looks(void *opaque)
{
    (void)opaque;
    for (size_t i = 0; i < 2; i++) {
        struct look *look = &looks[i];
        struct timespec at = {look->at_us / 1000000, look->at_us % 1000000 * 1000};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
            ;
        look->at_us = clock_us();
        look->machine_s = usage_machine_s();
        usage_read(look->usage);
        look->counters_at_us = clock_us();
        look->good = counters_read(&look->counters);
    }
    usage_read_memory(looks[1].usage); /* last: it takes longest */
    atomic_store(&looked, true);
    return NULL;
}

/* False: a part was gone, or did not answer. */
static bool compare_looks(struct result *result)
{
    bool good = looks[0].good && looks[1].good;

    result->sampled_s = (double)(looks[1].at_us - looks[0].at_us) / 1e6;
    result->counted_s = (double)(looks[1].counters_at_us - looks[0].counters_at_us) / 1e6;
    result->machine_s = looks[1].machine_s - looks[0].machine_s;
    result->counted = counters_between(&looks[0].counters, &looks[1].counters);
    for (size_t i = 0; i < result->usage_count; i++) {
        result->usage[i] = looks[1].usage[i];
        result->usage[i].cpu_s -= looks[0].usage[i].cpu_s;
        if (looks[0].usage[i].cpu_s < 0 || looks[1].usage[i].cpu_s < 0) {
            printf("%s has ended under load\n", looks[1].usage[i].name);
            result->usage[i].cpu_s = 0;
            good = false;
        }
    }
    return good;
}

/* ---- the load ---- */

/* The orders under way at one end of the window make up for those at the other, if the load is on
 * at both: so it goes on until both looks are done. */
static bool measure(struct send *send, struct result *result)
{
    int64_t begin_us = clock_us();
    pthread_t looker;

    looks[0].at_us = begin_us + (int64_t)(options.warm_s * 1e6);
    looks[1].at_us = looks[0].at_us + (int64_t)(options.run_s * 1e6);
    int64_t count_us = looks[0].at_us, end_us = looks[1].at_us;
    if (pthread_create(&looker, NULL, take_looks, NULL) != 0)
        abort();
    send_warm_up(send, count_us);
    send_count(send, end_us);
    int64_t give_up_us = clock_us() + (int64_t)COOL_DOWN_S_MAX * 1000000;
    while (!atomic_load(&looked) && clock_us() < give_up_us)
        send_cool_down(send, clock_us() + COOL_DOWN_US);
    send_stop(send);
    pthread_join(looker, NULL);
    return compare_looks(result);
}

static bool good_enough(const struct result *result)
{
    double sagas = result_sagas(result);
    double p99_ms = (double)histogram_percentile(&result->sent->latency, 99) / 1000;
    bool good = true;

    if (sagas < options.sagas_min) {
        printf("load: %.0f sagas/s are less than %.0f\n", sagas, options.sagas_min);
        good = false;
    }
    if (options.p99_max_ms > 0 && p99_ms > options.p99_max_ms) {
        printf("load: a p99 of %.1f ms is more than %.0f\n", p99_ms, options.p99_max_ms);
        good = false;
    }
    return good;
}

static bool run_load(size_t usage_count)
{
    struct tally *tally = tally_new();
    struct witness *witness = witness_begin(stack_address("KAFKA_BOOTSTRAP"), tally);
    if (witness == NULL)
        return false;
    struct send *send = send_new(&options.plan, tally);
    struct result result = {.plan = &options.plan,
                            .run_s = options.run_s,
                            .sent = send_result(send),
                            .usage_count = usage_count};
    bool good = measure(send, &result);
    result.agrees = witness_settle(witness, SETTLE_S, result.why, sizeof result.why);
    tally_count(tally, &result.tally);
    result.records = (double)witness_records(witness);
    result.record_bytes = (double)witness_bytes(witness);
    result_print(&result);
    if (options.json != NULL)
        good = result_write(&result, options.json) && good;
    good = good_enough(&result) && good && result.agrees && result.sent->other == 0 &&
           result_sagas(&result) > 0;
    send_free(send);
    witness_free(witness);
    tally_free(tally);
    return good;
}

/* ---- options ---- */

static const char help[] =
    "usage: load (--rate N | --at-once N) [--mix 90/10] [--seconds S] [--warm-up S]\n"
    "            [--sagas-min N] [--p99-max MS] [--json FILE] [--api http://127.x.x.x:N]\n"
    "Sends orders to the local stack that SAGA_STATE_DIR and SAGA_PORT_SHIFT name. --mix:\n"
    "so many complete, so many are refused, at payment, inventory and shipping in turn.\n"
    "--api: another instance of order-svc.\n";

static _Noreturn void wrong(const char *why)
{
    fprintf(stderr, "load: %s; load --help tells the options\n", why);
    exit(2);
}

static double number(const char *name, const char *text, double max)
{
    char *end, why[120];
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !(value >= 0 && value <= max)) {
        snprintf(why, sizeof why, "%s takes a number from 0 to %.0f", name, max);
        wrong(why);
    }
    return value;
}

static void read_option(const char *name, const char *text)
{
    if (text == NULL)
        wrong("each option takes a value");
    if (strcmp(name, "--rate") == 0)
        options.plan.rate = number(name, text, 100000);
    else if (strcmp(name, "--at-once") == 0)
        options.plan.at_once = (size_t)number(name, text, SEND_CONNECTIONS_MAX);
    else if (strcmp(name, "--warm-up") == 0)
        options.warm_s = number(name, text, SECONDS_MAX);
    else if (strcmp(name, "--seconds") == 0)
        options.run_s = number(name, text, SECONDS_MAX);
    else if (strcmp(name, "--sagas-min") == 0)
        options.sagas_min = number(name, text, 1e6);
    else if (strcmp(name, "--p99-max") == 0)
        options.p99_max_ms = number(name, text, 1e6);
    else if (strcmp(name, "--json") == 0)
        options.json = text;
    else if (strcmp(name, "--api") == 0)
        options.plan.api = text;
    else if (strcmp(name, "--mix") != 0)
        wrong("there is no such option");
    else if (!mix_read(text, &options.plan.mix))
        wrong("--mix takes two numbers, as in 90/10");
}

static void read_options(char **argv)
{
    options.plan.mix = (struct mix){1, 0};
    for (int i = 1; argv[i] != NULL; i += 2)
        read_option(argv[i], argv[i + 1]);
    if ((options.plan.rate > 0) == (options.plan.at_once > 0))
        wrong("either --rate or --at-once");
    if (options.run_s <= 0)
        wrong("--seconds must be more than 0");
    if (options.plan.rate * (options.warm_s + options.run_s + COOL_DOWN_S_MAX) > TALLY_ORDERS_MAX)
        wrong("these are too many orders for one run");
    if (options.plan.api != NULL)
        http_loopback_only(options.plan.api);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return fputs(help, stdout) == EOF;
    read_options(argv);
    size_t usage_count = stack_attach() ? usage_begin() : 0;
    if (usage_count == 0) {
        fprintf(stderr, "load: there is no stack to send to; ./deploy/up starts one\n");
        return 2;
    }
    if (options.plan.api == NULL)
        options.plan.api = stack_address("ORDER_API");
    struct rlimit files = {8192, 8192};
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        fprintf(stderr, "load: files: %s\n", strerror(errno));
    if (!counters_begin())
        return 2;
    bool good = run_load(usage_count);
    counters_end();
    return good ? 0 : 1;
}
