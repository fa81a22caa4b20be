/* report.h: what was found, as one line for each invariant. */
#ifndef AUDITOR_REPORT_H
#define AUDITOR_REPORT_H

#include "check.h"

struct report {
    struct {
        int64_t orders; /* that break it */
        int64_t others; /* contradictions that are about no order */
        struct audit_id first, last;
        char text[300]; /* of the first order, or of the first other if there is no order */
    } found[INVARIANTS];
    bool hard; /* something is broken that time does not mend */
    int64_t orders, in_flight, parked, records, unreadable, formers;
};

/* Orders come in the order of their ids, which is how they are counted. */
void report_broken(struct report *report, int invariant, const struct audit_id *id,
                   const char *text, bool unfinished);
bool report_holds(const struct report *report);
void report_print(const struct report *report);

#endif
