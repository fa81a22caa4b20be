/* report.c: what a run has shown; see report.h. */
#include "report.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page.h"
#include "picture.h"
#include "summary.h"

bool report_good(const struct run *run)
{
    struct summary summary = summary_of(run);
    bool good = summary_good(&summary);

    summary_free(&summary);
    return good;
}

/* ---- standard output ---- */

static void print_faults(const struct summary *summary)
{
    char names[160], victims[120], seen[300];

    printf("\n%8s  %-22s %-32s %6s %9s  %s\n", "at, s", "fault", "to", "held", "recovery",
           "what was seen");
    for (size_t i = 0; i < summary->faults_count; i++) {
        const struct fault *fault = &summary->faults[i];
        double recovery_s = summary_recovery_s(fault);
        int64_t lifted_us = fault->lifted_us ? fault->lifted_us : summary->end_us;
        char recovery[16] = "NOT";
        if (recovery_s >= 0)
            snprintf(recovery, sizeof recovery, "%.1f", recovery_s);
        snprintf(names, sizeof names, "%s%s%s", fault_victims(fault, victims, sizeof victims),
                 fault->other < PARTS ? " and " : "",
                 fault->other < PARTS ? part_names[fault->other] : "");
        printf("%8.1f  %-22s %-32s %6.1f %9s  %s\n",
               (double)(fault->fired_us - summary->begin_us) / 1e6, fault->kind->name,
               fault->victims == PARTS_ALL ? "all seven" : names,
               (double)(lifted_us - fault->fired_us) / 1e6, recovery,
               summary_seen(fault, seen, sizeof seen));
    }
}

static void print_kinds(const struct summary *summary)
{
    size_t count;
    struct summary_kind *kinds = summary_kinds(summary, &count);

    printf("\n%-22s %5s %5s %10s %20s\n", "kind", "done", "seen", "recovered",
           "slowest recovery, s");
    for (size_t i = 0; i < count; i++) {
        printf("%-22s %5zu %5zu %10zu ", kinds[i].name, kinds[i].fired, kinds[i].proved,
               kinds[i].recovered);
        if (kinds[i].slowest_s < 0)
            printf("%20s\n", "none");
        else
            printf("%20.1f\n", kinds[i].slowest_s);
    }
}

static void print_customers(const struct summary *summary)
{
    const struct judgement *judgement = summary->judgement;

    printf("\ncustomers: %llu; accepted %zu, refused %zu, do not know %zu (an order is there for "
           "%zu of these)\n"
           "answers: %llu accepted, %llu refused, %llu requests without one\n"
           "orders there: %zu completed, %zu cancelled; %zu counterexamples\n"
           "auditor: held %zu times, %zu of these between faults; broken %zu times, could not look "
           "%zu times\n"
           "%s %.1f s after the last fault\n",
           (unsigned long long)summary->asked, judgement->accepted, judgement->refused,
           judgement->unknown, judgement->unknown_there, (unsigned long long)summary->accepted,
           (unsigned long long)summary->refused, (unsigned long long)summary->unknown,
           judgement->completed, judgement->cancelled, judgement->wrong, summary->audits_held,
           summary->audits_live, summary->audits_broken, summary->audits_blind,
           summary->settled ? "every order at its end" : "NOT EVERY ORDER AT ITS END",
           summary->settle_s);
}

static void print_wrong(const struct summary *summary)
{
    const struct judgement *judgement = summary->judgement;

    if (summary->why[0] != '\0')
        printf("\nbroken off: %s\n", summary->why);
    if (summary->complaint[0] != '\0')
        printf("\nan answer that no customer should get: %s\n", summary->complaint);
    for (size_t i = 0; i < WATCH_TOLD_MAX && summary->said[i] != NULL; i++)
        printf("\nthe auditor: %s", summary->said[i]);
    for (size_t i = 0; i < judgement->wrong && i < JUDGE_COUNTEREXAMPLES_MAX; i++) {
        const struct counterexample *example = &judgement->counterexamples[i];
        printf("\ncounterexample: order %s: %s\n%s",
               example->order_id[0] == '\0' ? "unknown" : example->order_id, example->what,
               example->timeline == NULL ? "" : example->timeline);
    }
}

void report_print(const struct run *run)
{
    struct summary summary = summary_of(run);
    const char *wrong = summary_wrong(&summary);
    char again[SUMMARY_AGAIN_SIZE];

    if (summary.faults_count > 0) {
        print_faults(&summary);
        print_kinds(&summary);
    }
    print_customers(&summary);
    print_wrong(&summary);
    printf("\nverdict: %s\nagain: %s\n",
           wrong == NULL ? "good: nothing lost, nothing twice, all faults seen and recovered from"
                         : wrong,
           summary_again(&summary, again, sizeof again));
    fflush(stdout);
    summary_free(&summary);
}

/* ---- files ---- */

/* A full disk is told at the end at the latest. */
static bool write_file(const char *folder, const char *name, const struct summary *summary,
                       void (*write)(FILE *file, const struct summary *summary))
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    bool good = file != NULL;
    if (good) {
        write(file, summary);
        good = !ferror(file);
        good = fclose(file) == 0 && good;
    }
    if (!good)
        fprintf(stderr, "report: %s: %s\n", path, strerror(errno));
    return good;
}

static void write_picture(FILE *file, const struct summary *summary)
{
    picture_write(file, summary, false);
}

bool report_write(const struct run *run, const char *folder)
{
    struct summary summary = summary_of(run);
    bool good = write_file(folder, "chaos.html", &summary, page_write);

    good = write_file(folder, "timeline.svg", &summary, write_picture) && good;
    if (good)
        printf("in %s: chaos.html, timeline.svg\n", folder);
    summary_free(&summary);
    return good;
}
