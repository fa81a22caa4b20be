/* summary.c: a run as the report tells it; see summary.h. */
#include "summary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The watch's second that began in this one of the customers'. */
static struct watch_second watched(const struct run *run, size_t second)
{
    struct watch_second none = {.in_flight = -1};
    int64_t begin_us = run->begin_us + (int64_t)second * 1000000 - watch_began_us(run->watch);
    int64_t there = begin_us <= 0 ? 0 : (begin_us + 999999) / 1000000;

    for (size_t part = 0; part < PARTS; part++)
        none.backlog[part] = -1;
    if ((size_t)there >= watch_seconds(run->watch))
        return none;
    return watch_second(run->watch, (size_t)there);
}

static void add_audits(struct summary *summary, const struct watch *watch)
{
    size_t said = 0;

    for (size_t n = 0; n < watch_audits(watch); n++) {
        struct watch_audit audit = watch_audit(watch, n);
        summary->audits_held += audit.status == 0;
        summary->audits_live += audit.status == 0 && !audit.last;
        summary->audits_broken += audit.status == 1;
        summary->audits_blind += audit.status != 0 && audit.status != 1;
        if (audit.status == 1 && said < WATCH_TOLD_MAX)
            summary->said[said++] = audit.said;
    }
}

struct summary summary_of(const struct run *run)
{
    const char *complaint = customers_complaint(run->customers);
    struct summary summary = {.form = run->site == NULL ? "?" : run->site->name,
                              .form_number = run->site == NULL ? SITE_FORMS : run->site->form,
                              .seed = run->seed,
                              .rate = run->rate,
                              .seconds = run->seconds,
                              .kinds = run->kinds,
                              .kinds_count = run->kinds_count,
                              .begin_us = run->begin_us,
                              .end_us = run->end_us,
                              .faults = run->faults,
                              .faults_count = run->faults_count,
                              .judgement = &run->judgement,
                              .settled = run->settled,
                              .settle_s = run->settle_s,
                              .why = run->why,
                              .complaint = complaint == NULL ? "" : complaint};

    add_audits(&summary, run->watch);
    summary.count = customers_seconds(run->customers);
    summary.at = calloc(summary.count + 1, sizeof *summary.at);
    if (summary.at == NULL)
        abort();
    for (size_t second = 0; second < summary.count; second++) {
        struct summary_second *at = &summary.at[second];
        at->customers = customers_second(run->customers, second);
        at->watch = watched(run, second);
        summary.asked += at->customers.asked;
        summary.accepted += at->customers.accepted;
        summary.refused += at->customers.refused;
        summary.unknown += at->customers.unknown;
        summary.finished += at->customers.finished;
    }
    return summary;
}

void summary_free(struct summary *summary)
{
    free(summary->at);
    *summary = (struct summary){0};
}

double summary_recovery_s(const struct fault *fault)
{
    if (fault->recovered_us == 0)
        return -1;
    return (double)(fault->recovered_us - fault->lifted_us) / 1e6;
}

const char *summary_seen(const struct fault *fault, char *buffer, size_t size)
{
    char names[120];

    snprintf(buffer, size, "%s%s%s%s", fault->proved ? "" : "NOT SEEN: ", fault->evidence,
             fault->ended == 0 ? "" : "; ended, and should not: ",
             fault->ended == 0 ? "" : fault_names(fault->ended, names, sizeof names));
    return buffer;
}

const char *summary_wrong(const struct summary *summary)
{
    bool proved = true, recovered = true, ended = false;
    double asked = (double)summary->asked, accepted = (double)summary->judgement->accepted;

    for (size_t i = 0; i < summary->faults_count; i++) {
        proved &= summary->faults[i].proved;
        ended |= summary->faults[i].ended != 0;
        recovered &= summary->faults[i].recovered_us != 0;
    }
    const struct {
        bool wrong;
        const char *what;
    } checks[] = {
        {summary->why[0] != '\0', "it was broken off"},
        {summary->judgement->wrong > 0, "orders are not as their customers were told"},
        {summary->audits_broken > 0, "an invariant was broken"},
        {summary->complaint[0] != '\0', "a customer got an answer that nobody should get"},
        {!summary->settled, "not every order came to its end in time"},
        {!recovered, "the stack did not recover from a fault"},
        {!proved, "a fault was done, and no effect of it was seen"},
        {ended, "a part ended that should not"},
        {summary->faults_count == 0, "no fault was done"},
        {summary->audits_live == 0, "the auditor could never look while it was harmed"},
        {asked < summary->rate * summary->seconds * SUMMARY_ASKED_LEAST,
         "fewer orders were asked for than the rate comes to"},
        {accepted == 0 || accepted < asked * SUMMARY_ACCEPTED_LEAST,
         "too few of the orders were accepted"},
    };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (checks[i].wrong)
            return checks[i].what;
    return NULL;
}

bool summary_good(const struct summary *summary)
{
    return summary_wrong(summary) == NULL;
}

static void add_to_kind(struct summary_kind *kind, const struct fault *fault)
{
    double recovery_s = summary_recovery_s(fault);

    kind->name = fault->kind->name;
    kind->fired++;
    kind->proved += fault->proved;
    kind->recovered += recovery_s >= 0;
    if (recovery_s > kind->slowest_s)
        kind->slowest_s = recovery_s;
}

struct summary_kind *summary_kinds(const struct summary *summary, size_t *ret_count)
{
    struct summary_kind *kinds = calloc(summary->faults_count + 1, sizeof *kinds);
    size_t count = 0;

    if (kinds == NULL)
        abort();
    for (size_t i = 0; i < summary->faults_count; i++) {
        size_t k = 0;
        while (k < count && strcmp(kinds[k].name, summary->faults[i].kind->name) != 0)
            k++;
        if (k == count)
            kinds[count++].slowest_s = -1;
        add_to_kind(&kinds[k], &summary->faults[i]);
    }
    *ret_count = count;
    return kinds;
}

/* tests/run knows nothing of kinds: then it is the program itself. */
static void write_limited(const struct summary *summary, const char *form, char *buffer,
                          size_t size)
{
    int used = snprintf(buffer, size,
                        "build/tests/bin/chaos %s--seed %" PRIu64 " --seconds %d --rate %.0f", form,
                        summary->seed, summary->seconds, summary->rate);

    for (size_t i = 0; i < summary->kinds_count && (size_t)used < size; i++)
        used += snprintf(buffer + used, size - (size_t)used, " --kind %s", summary->kinds[i].name);
}

const char *summary_again(const struct summary *summary, char *buffer, size_t size)
{
    const char *form = summary->form_number == SITE_PROCESSES ? "--processes "
                       : summary->form_number == SITE_BROKERS ? "--three-brokers "
                                                              : "";
    char seconds[48] = "";

    if (summary->kinds_count > 0) {
        write_limited(summary, form, buffer, size);
        return buffer;
    }
    if (summary->seconds > 0)
        snprintf(seconds, sizeof seconds, " SAGA_TEST_CHAOS_SECONDS=%d", summary->seconds);
    snprintf(buffer, size,
             "SAGA_TEST_CHAOS_SEED=%" PRIu64 "%s SAGA_TEST_CHAOS_RATE=%.0f ./tests/run %schaos",
             summary->seed, seconds, summary->rate, form);
    return buffer;
}
