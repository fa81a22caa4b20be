/* report.c: what was found, as one line for each invariant. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

static const char *const holds[INVARIANTS] = {
    "an action takes effect once at most, and so does its undo",
    "nothing takes effect after its undo, nothing is undone that was not done",
    "business rows, barrier and outbox agree",
    "Redis remembers nothing that PostgreSQL does not know",
    "what is behind a stored offset has been taken or parked",
    "what counts as sent is on its topic",
    "what could not be handled is parked, and what waits has a reason to",
    "money, goods and parcels agree with every order",
    "a key has made one order at most",
};

static const struct audit_id no_order;

void report_broken(struct report *report, int invariant, const struct audit_id *id,
                   const char *text, bool unfinished)
{
    const size_t i = (size_t)invariant - 1;
    const bool about_order = memcmp(id, &no_order, sizeof *id) != 0;
    report->hard = report->hard || !unfinished;
    if (about_order && report->found[i].orders > 0 &&
        memcmp(&report->found[i].last, id, sizeof *id) == 0)
        return;
    if (report->found[i].orders == 0 && (about_order || report->found[i].others == 0)) {
        report->found[i].first = *id;
        snprintf(report->found[i].text, sizeof report->found[i].text, "%s", text);
    }
    report->found[i].last = *id;
    *(about_order ? &report->found[i].orders : &report->found[i].others) += 1;
}

bool report_holds(const struct report *report)
{
    for (size_t i = 0; i < INVARIANTS; i++)
        if (report->found[i].orders + report->found[i].others > 0)
            return false;
    return true;
}

void report_print(const struct report *report)
{
    for (size_t i = 0; i < INVARIANTS; i++) {
        const int64_t orders = report->found[i].orders, others = report->found[i].others;
        char id[TEXT_UUID_SIZE] = "-";
        if (orders + others == 0) {
            printf("I%zu ok      %s\n", i + 1, holds[i]);
            continue;
        }
        if (orders > 0)
            text_format_uuid(&report->found[i].first, id);
        printf("I%zu BROKEN order=%s %s (%" PRId64 " in all)\n", i + 1, id, report->found[i].text,
               orders > 0 ? orders : others);
    }
    printf("orders %" PRId64 ", in flight %" PRId64 ", parked %" PRId64
           ", unreadable records %" PRId64 "\n",
           report->orders, report->in_flight, report->parked, report->unreadable);
    if (report->formers > 0)
        printf("%" PRId64 " records are of an earlier epoch: nothing is held against them\n",
               report->formers);
}
