/* verdict.h: one customer's story against the orders there that carry its mark. Pure. */
#ifndef CHAOS_VERDICT_H
#define CHAOS_VERDICT_H

#include "customers.h"

enum verdict_end { VERDICT_OPEN, VERDICT_COMPLETED, VERDICT_CANCELLED };

/* What is there. All zero: nothing. */
struct found {
    unsigned rows;       /* orders with its mark */
    unsigned duplicates; /* of these: cancelled since the key had an order already */
    /* The one that it was answered with, if that is there; else the first. */
    char id[37];
    bool answered;  /* it is that one */
    bool duplicate; /* it, or the one that it was answered with, was cancelled for its key's sake */
    uint64_t sent, body; /* as in told.h */
    enum verdict_end end;
    char reason[32]; /* why it was cancelled, where that was asked for; "": it was not */
    bool overdue;    /* it was called off for its deadline, and not before that */
};

/* It has to be asked why this order was cancelled: nobody has asked for it, and no step refuses it.
 */
bool verdict_needs_reason(const struct customer *customer, const struct found *found);
/* Several orders, or an answered one that is not among them: those that were cancelled for the
 * key's sake have to be told from the others. */
bool verdict_needs_duplicates(const struct customer *customer, const struct found *found);
/* True: all is well. Else what is wrong is in the buffer. */
bool verdict(const struct customer *customer, const struct found *found, char *ret_wrong,
             size_t size);
struct told;
/* The same of what the API tells of the order that is there. */
bool verdict_answer(const struct customer *customer, const struct found *found,
                    const struct told *told, char *ret_wrong, size_t size);
/* It has a clear no, and never had less than that. */
bool verdict_is_refused(const struct customer *customer);
/* Whether this order of the customer's may be cancelled for that reason. */
bool verdict_reason_fits(const struct customer *customer, const struct found *found,
                         const char *reason);

#endif
