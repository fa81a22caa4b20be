/* counts.c: what became of a batch, for the metrics. A series is found by its labels, which costs
 * more than the counting: so what is alike is added up first, and told once a batch. */
#include <stdio.h>

#include "runtime/engine_inside.h"
#include "runtime/metrics.h"

#define KINDS_MAX 32 /* more of them are told in between */

/* Equal ones point to the same strings, which stand in the service's tables. */
struct kind {
    const char *step, *op;
    enum batch_result result;
    unsigned count;
};

struct kinds {
    struct kind at[KINDS_MAX];
    size_t count;
};

static void tell_kinds(struct kinds *kinds)
{
    static const char *const results[] = {"done", "refused", "void", "duplicate"};
    char labels[128];
    for (size_t i = 0; i < kinds->count; i++) {
        const struct kind *kind = &kinds->at[i];
        snprintf(labels, sizeof labels, "step=\"%s\",op=\"%s\",result=\"%s\"", kind->step, kind->op,
                 results[kind->result]);
        metric_add(metric_counter("saga_steps_total", "Steps decided.", labels), kind->count);
    }
    kinds->count = 0;
}

static void add_kind(struct kinds *kinds, const struct batch_message *message)
{
    if (message->step == NULL || message->result > BATCH_DUPLICATE ||
        strcmp(message->op, "watch") == 0)
        return;
    size_t i = 0;
    while (i < kinds->count &&
           (kinds->at[i].step != message->step || kinds->at[i].op != message->op ||
            kinds->at[i].result != message->result))
        i++;
    if (i == KINDS_MAX) {
        tell_kinds(kinds);
        i = 0;
    }
    if (i == kinds->count)
        kinds->at[kinds->count++] = (struct kind){message->step, message->op, message->result, 0};
    kinds->at[i].count++;
}

struct outcome {
    const char *name;
    struct metric *total, *duration;
};

static struct outcome find_outcome(const char *name)
{
    static const double bounds[] = {0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5,
                                    1,     2,    5,    10,   30,  60,  600};
    char labels[64];
    snprintf(labels, sizeof labels, "outcome=\"%s\"", name);
    return (struct outcome){
        name, metric_counter("saga_orders_total", "Orders that reached their end.", labels),
        metric_histogram("saga_duration_seconds", "From placement to the end.", labels, bounds,
                         sizeof bounds / sizeof *bounds)};
}

void counts_add(struct batch *batch, size_t from, size_t to)
{
    struct kinds kinds = {.count = 0};
    struct outcome outcome = {NULL, NULL, NULL}; /* nearly always that of the one before */
    for (size_t i = from; i < to; i++) {
        const struct batch_message *message = batch_at(batch, i);
        add_kind(&kinds, message);
        if (message->outcome == NULL)
            continue;
        if (outcome.name != message->outcome)
            outcome = find_outcome(message->outcome);
        metric_add(outcome.total, 1);
        metric_observe(outcome.duration, (double)(message->in.now_us - message->began_us) / 1e6);
    }
    tell_kinds(&kinds);
}
