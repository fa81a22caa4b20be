/*
 * fault.h: what is done to the stack. One table (fault_kinds) is what the planner deals from, what
 * README and the report list, and what the run does.
 *
 * A kind is fired (fire), must be seen to have had an effect (proof: what was observed, never the
 * exit code of the command that did it), holds for a while, and is lifted. A fault that was not
 * seen fails the run.
 */
#ifndef CHAOS_FAULT_H
#define CHAOS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "site.h"

struct fault;

struct fault_kind {
    const char *name; /* "one-way-partition" */
    const char *what; /* one line for people */
    unsigned forms;   /* a bit for each site_form that can do it */
    unsigned victims; /* from which parts it is dealt */
    unsigned count;   /* how many victims at once */
    unsigned others;  /* a second part between which it is, dealt from these; 0: none */
    bool ends;        /* of it the victims' processes end, and others have their work */
    int hold_ms[2];   /* how long it holds, at least and at most; dealt */
    bool (*fire)(const struct site *site, struct fault *fault);
    /* Asked again and again, from fire until the fault is lifted and then for PROOF_S more, until
     * it says yes and has written what it saw. */
    bool (*proof)(const struct site *site, struct fault *fault);
    bool (*lift)(const struct site *site, struct fault *fault);
};

#define FAULT_PROOF_S 20

extern const struct fault_kind fault_kinds[];
extern const size_t fault_kinds_count;

/* One fault of a run: what the plan says, and what became of it. */
struct fault {
    /* planned */
    const struct fault_kind *kind;
    unsigned victims; /* a set of parts */
    enum part other;  /* PARTS: none */
    int gap_ms;       /* after the recovery from the one before */
    int hold_ms;
    uint32_t chance; /* for what else is left to chance: a percentage, a direction */
    /* happened; times are clock_us(), 0: not */
    int64_t fired_us, lifted_us, recovered_us;
    bool proved;
    unsigned ended;          /* a set of parts whose process ended of it, and should not have */
    char evidence[160];      /* "pid 812 is gone, 1034 has its work"; or why not */
    long long before[PARTS]; /* when each victim was born, and */
    long long noted[2];      /* what else fire has noted for proof */
};

/* Whether the part's process may end of this fault: that of a victim, where it is the fault's way,
 * or where it is a server, which may give up. A service never does, nor who was left alone. */
bool fault_may_end(const struct fault *fault, enum part part);
/* The first victim; for kinds with one. */
enum part fault_victim(const struct fault *fault);
/* A set of parts as "payment-svc, kafka"; in buffer. */
const char *fault_names(unsigned parts, char *buffer, size_t size);
const char *fault_victims(const struct fault *fault, char *buffer, size_t size);

#endif
