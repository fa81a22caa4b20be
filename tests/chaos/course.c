/* course.c: the course of a run: fault after fault under load, and what must be true at the end. */
#include "course.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "support/clock.h"
#include "support/stack.h"

#define AUDIT_WAIT_S 10 /* for what is no order's: a cursor is written a moment later */
#define COLD_S 5        /* whatever begins is slow at first */
#define CALM_SECONDS 5  /* before the first fault */
#define CALM_S 3   /* and an order takes less than that, even on a machine that has much to do */
#define ASK_MS 200 /* between two looks for a proof, or for a recovery */
#define CALM_LEAST 0.9 /* of the rate is accepted, or the machine is too small for it */
#define MOST 0.8       /* of the rate is accepted in a second that is as before, */
#define FEW 0.1        /* and so much of it refused */

static volatile sig_atomic_t interrupted;

void course_interrupt(void)
{
    interrupted = 1;
}

/* The first reason is the one that is told. */
__attribute__((format(printf, 2, 3))) static void break_off(struct course *course,
                                                            const char *format, ...)
{
    va_list arguments;

    if (course->run.why[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(course->run.why, sizeof course->run.why, format, arguments);
    va_end(arguments);
}

/* False, with the reason told: the run is over. */
static bool goes_on(struct course *course)
{
    if (interrupted)
        break_off(course, "interrupted");
    return course->run.why[0] == '\0';
}

static double elapsed_s(const struct course *course)
{
    return (double)(clock_us() - course->run.begin_us) / 1e6;
}

__attribute__((format(printf, 2, 3))) static void say(const struct course *course,
                                                      const char *format, ...)
{
    va_list arguments;

    printf("[%6.1f s] ", elapsed_s(course));
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

/* ---- what a second was like ---- */

struct second {
    int64_t begin_us;
    struct customers_second customers;
    struct watch_second watch;
};

/* The customers' second `n`, and the watch's that began in it; false: not both are over yet. */
static bool second_at(const struct course *course, size_t n, struct second *ret)
{
    int64_t begin_us = course->run.begin_us + (int64_t)n * 1000000;
    int64_t later_us = begin_us - watch_began_us(course->watch);
    size_t watched = later_us <= 0 ? 0 : (size_t)((later_us + 999999) / 1000000);

    if (n >= customers_seconds(course->customers) || watched >= watch_seconds(course->watch))
        return false;
    ret->begin_us = begin_us;
    ret->customers = customers_second(course->customers, n);
    ret->watch = watch_second(course->watch, watched);
    return true;
}

/* Rows not yet acknowledged, in all; -1: a service did not answer. */
static double backlog_of(const struct watch_second *watch)
{
    double sum = 0;

    for (enum part part = PART_ORDER; part < PARTS; part++) {
        if (watch->backlog[part] < 0)
            return -1;
        sum += watch->backlog[part];
    }
    return sum;
}

static bool all_answer(const struct second *second)
{
    return second->watch.silent == 0 && second->watch.not_ready == 0 &&
           second->watch.in_flight >= 0 && backlog_of(&second->watch) >= 0;
}

/* As many orders may be under way as come in half a second more than twice that of calm, and their
 * rows: what a fault has left behind is many times that. Nobody is sent away. */
static bool is_as_before(const struct course *course, const struct second *second)
{
    const struct calm *calm = &course->calm;
    double some = course->run.rate / 2;

    return all_answer(second) && second->watch.in_flight <= 2 * calm->in_flight + some &&
           backlog_of(&second->watch) <= 2 * (calm->backlog + some) &&
           second->customers.accepted >= course->run.rate * MOST &&
           second->customers.refused <= course->run.rate * FEW &&
           second->customers.finished >= calm->finished / 2;
}

/* Why a second was not as before, for people; in buffer. */
static const char *describe(const struct second *second, char *buffer, size_t size)
{
    size_t used = (size_t)snprintf(
        buffer, size,
        "%.0f orders in flight, %.0f rows not sent, %u accepted, %u seen to finish, %u refused, "
        "%u unknown",
        second->watch.in_flight, backlog_of(&second->watch), second->customers.accepted,
        second->customers.finished, second->customers.refused, second->customers.unknown);

    for (unsigned part = 0; part < PARTS && used < size; part++) {
        const char *what = second->watch.silent & PART(part)      ? "does not answer"
                           : second->watch.not_ready & PART(part) ? "is not ready"
                                                                  : NULL;
        if (what != NULL)
            used += (size_t)snprintf(buffer + used, size - used, ", %s %s", part_names[part], what);
    }
    return buffer;
}

/* Orders come to their end as they come in. */
static bool is_calm(const struct course *course, const struct second *second)
{
    return all_answer(second) && second->customers.finished > 0 && second->customers.unknown == 0 &&
           second->watch.in_flight <= course->run.rate * CALM_S;
}

/* ---- who is there ---- */

/* Whose process is another than it was, and may not be; now they are known. fault NULL: nothing was
 * done to anybody. */
static unsigned note_ended(struct course *course, const struct fault *fault)
{
    unsigned ended = 0;

    for (enum part part = 0; part < PARTS; part++) {
        long long born = site_born(course->run.site, part);
        if (course->births[part] != 0 && born != course->births[part] &&
            (fault == NULL || !fault_may_end(fault, part)))
            ended |= PART(part);
        course->births[part] = born;
    }
    return ended;
}

/* ---- calm ---- */

static bool warm_up(struct course *course)
{
    struct second second = {0};
    struct calm *calm = &course->calm;
    char what[300];

    for (size_t n = COLD_S, good = 0; good < CALM_SECONDS && goes_on(course);) {
        if (elapsed_s(course) > COURSE_WARM_UP_S)
            break_off(course, "orders did not get through in the first %d s; the last one: %s",
                      COURSE_WARM_UP_S, describe(&second, what, sizeof what));
        if (!second_at(course, n, &second)) {
            clock_pause_ms(ASK_MS);
            continue;
        }
        n++;
        if (!is_calm(course, &second))
            continue;
        good++;
        calm->in_flight += second.watch.in_flight / CALM_SECONDS;
        calm->backlog += backlog_of(&second.watch) / CALM_SECONDS;
        calm->accepted += (double)second.customers.accepted / CALM_SECONDS;
        calm->finished += (double)second.customers.finished / CALM_SECONDS;
    }
    if (goes_on(course))
        say(course,
            "calm: %.0f orders in flight, %.0f rows not yet sent, %.0f accepted and %.0f seen to "
            "finish a second",
            calm->in_flight, calm->backlog, calm->accepted, calm->finished);
    if (goes_on(course) && calm->accepted < course->run.rate * CALM_LEAST)
        break_off(course, "this stack takes no %.0f orders a second: SAGA_TEST_CHAOS_RATE",
                  course->run.rate);
    note_ended(course, NULL);
    return goes_on(course);
}

/* ---- one fault ---- */

static void ask_for_proof(const struct course *course, struct fault *fault)
{
    if (!fault->proved)
        fault->proved = fault->kind->proof(course->run.site, fault);
}

/* Until then it is asked for the proof; an interrupted run waits for nothing. */
static void hold_until(const struct course *course, struct fault *fault, int64_t until_us)
{
    while (!interrupted) {
        ask_for_proof(course, fault);
        int64_t left_us = until_us - clock_us();
        if (left_us <= 0)
            break;
        clock_pause_ms(left_us / 1000 < ASK_MS ? left_us / 1000 + 1 : ASK_MS);
    }
}

/* The stack may not be left harmed: a lift that fails is tried once more. */
static void lift(struct course *course, struct fault *fault, const char *name)
{
    bool lifted =
        fault->kind->lift(course->run.site, fault) || fault->kind->lift(course->run.site, fault);

    fault->lifted_us = clock_us();
    if (!lifted)
        break_off(course, "%s could not be lifted", name);
}

/* A server may end of what was done to it when that is over already; an operator starts it again. A
 * service does not end, nor does anybody who was left alone. */
static void start_victims(const struct course *course, const struct fault *fault)
{
    for (enum part part = 0; part < PARTS; part++) {
        if (!(fault->victims & ~PARTS_SERVICES & PART(part)) || course->run.site->pid(part) != 0)
            continue;
        say(course, "    %s has ended, and is started again", part_names[part]);
        course->run.site->start(part);
    }
}

/* It is over when a whole second was as before and every part says that it is ready; it counts from
 * the begin of that second. */
static void wait_for_recovery(struct course *course, struct fault *fault, const char *name)
{
    int64_t limit_us = fault->lifted_us + (int64_t)COURSE_RECOVERY_S * 1000000;
    size_t n = (size_t)((fault->lifted_us - course->run.begin_us) / 1000000 + 1);
    struct second second = {0};
    char what[300];

    while (fault->recovered_us == 0 && goes_on(course)) {
        if (!second_at(course, n, &second)) {
            clock_pause_ms(ASK_MS);
        } else if (second.begin_us > limit_us) {
            break_off(course, "no recovery from %s within %d s; the last one: %s", name,
                      COURSE_RECOVERY_S, describe(&second, what, sizeof what));
        } else {
            n++;
            start_victims(course, fault);
            if (is_as_before(course, &second) && site_all_ready(course->run.site, PARTS_ALL, 1))
                fault->recovered_us = second.begin_us;
        }
    }
}

static void run_fault(struct course *course, struct fault *fault)
{
    char victims[120], other[40] = "", name[240];

    fault_victims(fault, victims, sizeof victims);
    if (fault->other != PARTS)
        snprintf(other, sizeof other, " and %s", part_names[fault->other]);
    snprintf(name, sizeof name, "%s: %s%s", fault->kind->name, victims, other);
    say(course, "%s, for %.1f s", name, fault->hold_ms / 1e3);
    course->run.faults_count++;
    fault->fired_us = clock_us();
    if (fault->kind->fire(course->run.site, fault))
        hold_until(course, fault, clock_us() + (int64_t)fault->hold_ms * 1000);
    else
        snprintf(fault->evidence, sizeof fault->evidence, "it could not be done");
    lift(course, fault, name);
    for (int64_t end_us = fault->lifted_us + (int64_t)FAULT_PROOF_S * 1000000;
         !fault->proved && clock_us() < end_us && goes_on(course);)
        hold_until(course, fault, clock_us() + ASK_MS * 1000);
    wait_for_recovery(course, fault, name);
    say(course, "    %s: %s", fault->proved ? "seen" : "NOT SEEN",
        fault->evidence[0] == '\0' ? "nothing" : fault->evidence);
    if (fault->recovered_us != 0)
        say(course, "    as before %.1f s after it was lifted",
            (double)(fault->recovered_us - fault->lifted_us) / 1e6);
    fault->ended = note_ended(course, fault);
    if (fault->ended != 0)
        say(course, "    ENDED, and should not: %s",
            fault_names(fault->ended, victims, sizeof victims));
}

static void run_faults(struct course *course)
{
    int64_t end_us = course->run.begin_us + (int64_t)course->run.seconds * 1000000;

    for (size_t n = 0; n < course->planned && goes_on(course); n++) {
        struct fault *fault = &course->run.faults[n];
        int64_t fire_us = clock_us() + (int64_t)fault->gap_ms * 1000;
        while (clock_us() < fire_us && !interrupted)
            clock_pause_ms(ASK_MS);
        if (clock_us() >= end_us || !goes_on(course))
            break;
        run_fault(course, fault);
    }
    /* What is left of the time is calm. */
    while (clock_us() < end_us && goes_on(course))
        clock_pause_ms(ASK_MS);
}

/* ---- the end ---- */

static bool is_at_rest(const struct watch_second *watch)
{
    return watch->silent == 0 && watch->not_ready == 0 && watch->in_flight == 0 &&
           backlog_of(watch) == 0;
}

/* By the services' own figures, of a second that begins from now on. False: not in time. */
static bool wait_for_rest(const struct course *course, int64_t limit_us)
{
    size_t n = watch_seconds(course->watch) + 1;
    bool rests = false;

    while (!rests && clock_us() < limit_us) {
        if (n < watch_seconds(course->watch)) {
            struct watch_second watch = watch_second(course->watch, n++);
            rests = is_at_rest(&watch);
        } else {
            clock_pause_ms(ASK_MS);
        }
    }
    return rests;
}

/* Also of a run that was broken off: then it shows what became of the orders, if it can be seen. */
static void come_to_rest(struct course *course)
{
    struct run *run = &course->run;
    int64_t begin_us = clock_us();

    say(course, "no more faults: %d s for all orders to come to their end", COURSE_REST_S);
    if (!customers_rest(course->customers, COURSE_REST_S))
        break_off(course, "customers still asked %d s after the last fault", COURSE_REST_S);
    run->end_us = clock_us();
    if (!wait_for_rest(course, begin_us + (int64_t)COURSE_REST_S * 1000000))
        break_off(course, "orders were on their way, or rows not sent, %d s after the last fault",
                  COURSE_REST_S);
    run->settle_s = (double)(clock_us() - begin_us) / 1e6;
    if (note_ended(course, NULL) != 0)
        break_off(course, "a part has ended, and nothing was done to it");
    run->settled = watch_settle(course->watch, AUDIT_WAIT_S);
    say(course, "%s after %.1f s", run->settled ? "settled" : "NOT SETTLED", run->settle_s);
    if (!judge(course->customers, &run->judgement))
        break_off(course, "what is there could not be compared with what was answered");
    watch_end(course->watch);
}

/* Nothing is asked any more: what is known can be shown. */
static void leave(struct course *course)
{
    customers_rest(course->customers, 1);
    course->run.end_us = clock_us();
    watch_audit_off(course->watch);
    watch_end(course->watch);
}

void course_run(struct course *course)
{
    struct run *run = &course->run;

    course->customers = customers_begin(stack_address("ORDER_API"), run->rate, run->seed);
    run->begin_us = clock_us();
    course->watch = watch_begin();
    run->customers = course->customers;
    run->watch = course->watch;
    /* All the time: a look that was not possible is none. */
    watch_audit_on(course->watch);
    if (warm_up(course))
        run_faults(course);
    if (run->why[0] != '\0')
        say(course, "broken off: %s", run->why);
    if (interrupted)
        leave(course);
    else
        come_to_rest(course);
}

void course_count(const struct course *course, size_t *ret_good, size_t *ret_bad)
{
    const struct run *run = &course->run;
    size_t broken = 0, live = 0, good = 0;

    for (size_t n = 0; n < watch_audits(run->watch); n++) {
        struct watch_audit audit = watch_audit(run->watch, n);
        broken += audit.status == 1;
        live += audit.status == 0 && !audit.last;
    }
    for (size_t n = 0; n < run->faults_count; n++)
        good +=
            run->faults[n].proved && run->faults[n].recovered_us != 0 && run->faults[n].ended == 0;
    const bool at_end[] = {run->why[0] == '\0', run->settled, run->judgement.wrong == 0,
                           broken == 0 && live > 0, customers_complaint(run->customers) == NULL};
    size_t checks = run->faults_count + sizeof at_end / sizeof *at_end;
    for (size_t n = 0; n < sizeof at_end / sizeof *at_end; n++)
        good += at_end[n];
    /* The report knows best: what it does not call good is not. */
    if (good == checks && !report_good(run))
        good--;
    *ret_good = good;
    *ret_bad = checks - good;
}

void course_free(struct course *course)
{
    judge_free(&course->run.judgement);
    watch_free(course->watch);
    customers_free(course->customers);
}
