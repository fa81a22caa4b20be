/*
 * judge.h: what the customers were answered against what is there in the end: every 201 and 202 is
 * there once, with that body; a clear no left nothing; an unknown one (and 503, which may be a
 * COMMIT in doubt) at most what it asked for; nothing else is there. Looks into the order database
 * and, for bodies, at the API.
 */
#ifndef CHAOS_JUDGE_H
#define CHAOS_JUDGE_H

#include "customers.h"

#define JUDGE_COUNTEREXAMPLES_MAX 20

struct judgement {
    size_t accepted, refused, unknown; /* customers, by what they know in the end */
    size_t unknown_there;              /* of those who do not know: they have an order */
    size_t completed, cancelled;       /* orders there */
    size_t wrong;                      /* counterexamples in all */
    struct counterexample {
        char order_id[37]; /* "": it has none */
        char what[200];    /* what was answered, and what is there */
        char *timeline;    /* the order's own, a line each; NULL: none; freed by judge_free */
    } counterexamples[JUDGE_COUNTEREXAMPLES_MAX];
};

/* False: it could not look, and has said why. */
bool judge(const struct customers *customers, struct judgement *ret_judgement);
void judge_free(struct judgement *judgement);

#endif
