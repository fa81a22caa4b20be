/*
 * summary.h: a run as the report tells it: plain data, so that table, page and verdict are
 * functions of it.
 */
#ifndef CHAOS_SUMMARY_H
#define CHAOS_SUMMARY_H

#include "report.h"

#define SUMMARY_AGAIN_SIZE 2048 /* with all kinds that there are */
/* So much at least was asked for of what the rate comes to, and accepted of the customers: those
 * without a key ask once, and give up. */
#define SUMMARY_ASKED_LEAST 0.95
#define SUMMARY_ACCEPTED_LEAST 0.8

struct summary_second {
    struct customers_second customers;
    struct watch_second watch;
};

struct summary {
    const char *form;
    enum site_form form_number;
    uint64_t seed;
    double rate;
    int seconds; /* as in struct run, as are kinds */
    const struct fault_kind *kinds;
    size_t kinds_count;
    int64_t begin_us, end_us;
    const struct fault *faults;
    size_t faults_count;
    const struct judgement *judgement;
    bool settled;
    double settle_s;
    const char *why, *complaint;                          /* "": none */
    size_t audits_held, audits_broken, audits_blind;      /* blind: could not look */
    size_t audits_live;                                   /* of those held: while it was harmed */
    const char *said[WATCH_TOLD_MAX];                     /* by those broken; NULL: no more */
    uint64_t asked, accepted, refused, unknown, finished; /* of all seconds */
    struct summary_second *at;
    size_t count;
};

/* Borrows from the run; free with summary_free. */
struct summary summary_of(const struct run *run);
void summary_free(struct summary *summary);

/* Nothing is wrong, and something was shown: orders were asked for at the rate and mostly accepted,
 * faults were done, every one of them proved and recovered from, and no process ended that should
 * not; the auditor could look meanwhile and found nothing broken, all came to its end in time,
 * nothing in the judgement, no complaint. */
bool summary_good(const struct summary *summary);
/* The first thing that is wrong, in a few words; NULL: nothing is. */
const char *summary_wrong(const struct summary *summary);

/* From lifted to recovered; -1: it has not. */
double summary_recovery_s(const struct fault *fault);

/* What was seen of it, and who ended that should not; in buffer. */
const char *summary_seen(const struct fault *fault, char *buffer, size_t size);

struct summary_kind {
    const char *name;
    size_t fired, proved, recovered;
    double slowest_s; /* -1: none recovered */
};
/* One for each kind that was done, in the order of their first; to be freed. */
struct summary_kind *summary_kinds(const struct summary *summary, size_t *ret_count);

/* How to do the same run again; in buffer. */
const char *summary_again(const struct summary *summary, char *buffer, size_t size);

#endif
