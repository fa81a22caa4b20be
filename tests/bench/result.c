/* result.c: what one load has shown; see result.h. */
#include "result.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* A latency counts from the intended time, so the generator's own delay is in it: it may be a tenth
 * of what is told, or what a timer of the kernel may be off. */
#define LATE_SHARE_MAX 0.1
#define LATE_US_MAX 1000
/* Of the orders that were sent in the window so many must have ended in it: with fewer, a queue has
 * grown, and every latency is only that of a run of this length. */
#define KEPT_UP_MIN 0.97

static const struct {
    const char *name;
    double percent;
} percentiles[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99_9", 99.9}, {"max", 100}};
#define PERCENTILES (sizeof percentiles / sizeof *percentiles)

static double ms(const struct histogram *histogram, double percent)
{
    return (double)histogram_percentile(histogram, percent) / 1000;
}

double result_sagas(const struct result *result)
{
    return (double)result->sent->finished / result->run_s;
}

bool result_kept_up(const struct result *result)
{
    return result->plan->rate == 0 || result_sagas(result) >= result->plan->rate * KEPT_UP_MIN;
}

/* By the orders that came to their end between the looks: under an overload those that were sent
 * then have their work later. */
static double per_order(const struct result *result, double amount)
{
    double orders = result_sagas(result) * result->sampled_s;
    return orders > 0 ? amount / orders : 0;
}

static double counted_per_order(const struct result *result, double amount)
{
    return per_order(result, amount) * result->sampled_s / result->counted_s;
}

/* The witness reads everything, so it is divided by all orders and not only those that count. */
static double per_answer(const struct result *result, double amount)
{
    size_t answers =
        result->tally.answered[TALLY_COMPLETED] + result->tally.answered[TALLY_CANCELLED];
    return answers > 0 ? amount / (double)answers : 0;
}

static double per_batch(const struct counters *counted, size_t i)
{
    return counted->batches[i] > 0 ? counted->messages[i] / counted->batches[i] : 0;
}

static double trips_per_batch(const struct counters *counted, size_t i)
{
    return counted->batches[i] > 0 ? counted->round_trips[i] / counted->batches[i] : 0;
}

bool result_in_time(const struct result *result)
{
    double late_us = (double)histogram_percentile(&result->sent->late, 99);
    double told_us = (double)histogram_percentile(&result->sent->latency, 99);
    return result->sent->waiting_max <= result->plan->at_once &&
           (late_us <= LATE_US_MAX || late_us <= told_us * LATE_SHARE_MAX);
}

static bool is_service(const char *name)
{
    for (size_t i = 0; i < COUNTERS_SERVICES; i++)
        if (strcmp(name, counters_services[i]) == 0)
            return true;
    return false;
}

static double services_s(const struct result *result)
{
    double sum = 0;
    for (size_t i = 0; i < result->usage_count; i++)
        if (is_service(result->usage[i].name))
            sum += result->usage[i].cpu_s;
    return sum;
}

/* The stack's and the load's; what the machine did else is its own upkeep, or a stranger. */
static double ours_s(const struct result *result)
{
    double sum = 0;
    for (size_t i = 0; i < result->usage_count; i++)
        sum += result->usage[i].cpu_s;
    return sum;
}

static double stack_s(const struct result *result)
{
    return ours_s(result) - result->usage[result->usage_count - 1].cpu_s;
}

static double elsewhere(const struct result *result)
{
    double cores = (result->machine_s - ours_s(result)) / result->sampled_s;
    return cores > 0 ? cores : 0;
}

static void name_load(const struct result *result, char *buffer, size_t size)
{
    const struct send_plan *plan = result->plan;
    int len = plan->rate > 0 ? snprintf(buffer, size, "%g orders/s", plan->rate)
                             : snprintf(buffer, size, "%zu orders always under way", plan->at_once);
    if (plan->mix.refused > 0)
        snprintf(buffer + len, size - (size_t)len, ", %u/%u", plan->mix.completed,
                 plan->mix.refused);
}

/* ---- text ---- */

static void print_latency(const char *name, const struct histogram *histogram)
{
    printf("%-14s", name);
    for (size_t i = 0; i < PERCENTILES; i++)
        printf(" %s %.1f ", percentiles[i].percent == 99.9 ? "p99.9" : percentiles[i].name,
               ms(histogram, percentiles[i].percent));
    printf("\n");
}

static void print_parts(const struct result *result)
{
    printf("%-14s %14s %9s %9s %10s %12s\n", "process", "CPU us/order", "RSS MB", "peak MB",
           "batch of", "round trips");
    for (size_t i = 0; i < result->usage_count; i++) {
        const struct usage *usage = &result->usage[i];
        printf("%-14s %14.0f %9.0f %9.0f", usage->name, per_order(result, usage->cpu_s * 1e6),
               usage->rss_mb, usage->peak_mb);
        for (size_t k = 0; k < COUNTERS_SERVICES; k++)
            if (strcmp(usage->name, counters_services[k]) == 0)
                printf(" %10.1f %12.1f", per_batch(&result->counted, k),
                       trips_per_batch(&result->counted, k));
        printf("\n");
    }
    printf("%-14s %14.0f\n", "the services", per_order(result, services_s(result) * 1e6));
    printf("%-14s %14.0f\n", "the stack", per_order(result, stack_s(result) * 1e6));
}

void result_print(const struct result *result)
{
    const struct send_result *sent = result->sent;
    const struct tally_counts *tally = &result->tally;
    const struct counters *counted = &result->counted;
    char name[80];

    name_load(result, name, sizeof name);
    printf("%s for %.0f s, %s load\n", name, result->run_s,
           result->plan->rate > 0 ? "open" : "closed");
    printf("sagas/s        %.0f%s\n", result_sagas(result),
           result_kept_up(result) ? "" : "  - BEHIND: more was sent than came to its end");
    printf("orders         %zu completed and %zu cancelled as expected; %zu sent in all, %zu not "
           "as expected\n",
           sent->completed, sent->cancelled, sent->sent, sent->other);
    print_latency("latency ms", &sent->latency);
    if (sent->cancelled > 0)
        print_latency(" of cancelled", &sent->latency_cancelled);
    if (result->plan->rate > 0)
        printf("sent late ms   p50 %.2f  p99 %.2f  max %.1f%s\n", ms(&sent->late, 50),
               ms(&sent->late, 99), ms(&sent->late, 100),
               result_in_time(result) ? "" : "  - TOO LATE: the load generator is in the latency");
    printf("topics         completed %zu, cancelled %zu, told again %zu; of %.0f records, %.0f "
           "bytes an order\n",
           tally->recorded[TALLY_COMPLETED], tally->recorded[TALLY_CANCELLED], tally->again,
           result->records, per_answer(result, result->record_bytes));
    printf("PostgreSQL     WAL %.0f bytes, %.3f syncs, %.3f commits, %.4f full pages an order\n",
           counted_per_order(result, counted->wal_bytes),
           counted_per_order(result, counted->wal_syncs),
           counted_per_order(result, counted->pg_commits),
           counted_per_order(result, counted->wal_full_pages));
    printf("cores busy     %.2f, of these %.2f not with the stack or the load\n",
           result->machine_s / result->sampled_s, elsewhere(result));
    print_parts(result);
    if (sent->other > 0)
        printf("not expected   %s\n", sent->complaint);
    if (!result->agrees)
        printf("answers and topics disagree: %s\n", result->why);
}

/* ---- JSON ---- */

static json_t *latency_json(const struct histogram *histogram)
{
    json_t *object = json_object();
    for (size_t i = 0; i < PERCENTILES; i++)
        json_object_set_new(object, percentiles[i].name,
                            json_real(ms(histogram, percentiles[i].percent)));
    return object;
}

static json_t *plan_json(const struct result *result)
{
    char name[80];
    name_load(result, name, sizeof name);
    return json_pack("{s:s, s:f, s:I, s:[I,I], s:f}", "name", name, "rate", result->plan->rate,
                     "at_once", (json_int_t)result->plan->at_once, "mix",
                     (json_int_t)result->plan->mix.completed, (json_int_t)result->plan->mix.refused,
                     "seconds", result->run_s);
}

static json_t *orders_json(const struct result *result)
{
    const struct send_result *sent = result->sent;
    const struct tally_counts *tally = &result->tally;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "sent",
                     (json_int_t)sent->sent, "not_as_expected", (json_int_t)sent->other,
                     "counted_completed", (json_int_t)sent->completed, "counted_cancelled",
                     (json_int_t)sent->cancelled, "answered_completed",
                     (json_int_t)tally->answered[TALLY_COMPLETED], "answered_cancelled",
                     (json_int_t)tally->answered[TALLY_CANCELLED], "recorded_completed",
                     (json_int_t)tally->recorded[TALLY_COMPLETED], "recorded_cancelled",
                     (json_int_t)tally->recorded[TALLY_CANCELLED], "recorded_again",
                     (json_int_t)tally->again, "agree", result->agrees);
}

static json_t *parts_json(const struct result *result)
{
    json_t *parts = json_object();
    for (size_t i = 0; i < result->usage_count; i++) {
        const struct usage *usage = &result->usage[i];
        json_t *part =
            json_pack("{s:f, s:f, s:f}", "cpu_us_per_order", per_order(result, usage->cpu_s * 1e6),
                      "rss_mb", usage->rss_mb, "peak_mb", usage->peak_mb);
        for (size_t k = 0; k < COUNTERS_SERVICES; k++)
            if (strcmp(usage->name, counters_services[k]) == 0) {
                json_object_set_new(part, "batch_size", json_real(per_batch(&result->counted, k)));
                json_object_set_new(
                    part, "batches_per_order",
                    json_real(counted_per_order(result, result->counted.batches[k])));
                json_object_set_new(part, "round_trips_per_batch",
                                    json_real(trips_per_batch(&result->counted, k)));
            }
        json_object_set_new(parts, usage->name, part);
    }
    return parts;
}

static json_t *per_order_json(const struct result *result)
{
    const struct counters *counted = &result->counted;
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "wal_bytes",
                     counted_per_order(result, counted->wal_bytes), "wal_syncs",
                     counted_per_order(result, counted->wal_syncs), "commits",
                     counted_per_order(result, counted->pg_commits), "full_pages",
                     counted_per_order(result, counted->wal_full_pages), "records",
                     per_answer(result, result->records), "record_bytes",
                     per_answer(result, result->record_bytes));
}

bool result_write(const struct result *result, const char *path)
{
    const struct send_result *sent = result->sent;
    json_t *late = json_pack("{s:f, s:f, s:f}", "p50", ms(&sent->late, 50), "p99",
                             ms(&sent->late, 99), "max", ms(&sent->late, 100));
    json_t *object = json_pack(
        "{s:o, s:o, s:f, s:b, s:o, s:o, s:o, s:I, s:b, s:f, s:f, s:f, s:f, s:o, s:o}", "load",
        plan_json(result), "orders", orders_json(result), "sagas_per_s", result_sagas(result),
        "kept_up", result_kept_up(result), "latency_ms", latency_json(&sent->latency),
        "latency_cancelled_ms", latency_json(&sent->latency_cancelled), "sent_late_ms", late,
        "waited_for_connection_max", (json_int_t)sent->waiting_max, "in_time",
        result_in_time(result), "cores_busy", result->machine_s / result->sampled_s,
        "cores_busy_elsewhere", elsewhere(result), "services_cpu_us_per_order",
        per_order(result, services_s(result) * 1e6), "stack_cpu_us_per_order",
        per_order(result, stack_s(result) * 1e6), "parts", parts_json(result), "per_order",
        per_order_json(result));
    bool good = object != NULL &&
                json_dump_file(object, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) == 0;
    if (!good)
        fprintf(stderr, "load: %s: %s\n", path, object == NULL ? "no JSON" : strerror(errno));
    json_decref(object);
    return good;
}
