/* fault_net.c: parts that do not reach each other, or not well. */
#include <stdio.h>

#include "fault_acts.h"
#include "net.h"
#include "support/clock.h"

#define BASE_S 10    /* that a part without harm answers in */
#define ASK_MS 1500  /* no answer in this time is none */
#define LOST_LEAST 5 /* packets */

/* Between whom the fault is, as who asks and who is asked. */
static enum part asks(const struct fault *fault)
{
    enum part victim = fault_victim(fault);
    return fault->other != PARTS || PARTS_SERVICES & PART(victim) ? victim : PART_ORDER;
}

static enum part is_asked(const struct fault *fault)
{
    enum part victim = fault_victim(fault);
    if (fault->other != PARTS)
        return fault->other;
    return PARTS_SERVICES & PART(victim) ? PART_KAFKA : victim;
}

/* Before anything is done: only what has worked can be seen to fail. Returns microseconds, -1: it
 * has said that it does not work. */
static int64_t reach_first(const struct site *site, const struct fault *fault)
{
    int64_t us = -1;

    if (!CLOCK_UNTIL(BASE_S, (us = net_ask(site, asks(fault), is_asked(fault), ASK_MS)) >= 0))
        fprintf(stderr, "%s does not reach %s before the fault\n", part_names[asks(fault)],
                part_names[is_asked(fault)]);
    return us;
}

static bool reaches(const struct site *site, const struct fault *fault)
{
    return net_ask(site, asks(fault), is_asked(fault), ASK_MS) >= 0;
}

/* Also the other way round. Who has nothing to say to the other has asked it then, in vain. */
static bool either_reaches(const struct site *site, const struct fault *fault)
{
    bool forth = reaches(site, fault);
    return net_ask(site, is_asked(fault), asks(fault), ASK_MS) >= 0 || forth;
}

/* Both processes are there: it is not for their sake that there is no answer. */
static bool both_run(const struct site *site, const struct fault *fault)
{
    return site->pid(asks(fault)) != 0 && site->pid(is_asked(fault)) != 0;
}

/* ---- off the network ---- */

bool fault_unplug(const struct site *site, struct fault *fault)
{
    fault_note_births(site, fault);
    return reach_first(site, fault) >= 0 && site->unplug(fault_victim(fault));
}

bool fault_unreachable(const struct site *site, struct fault *fault)
{
    enum part victim = fault_victim(fault);

    if (fault->lifted_us != 0 || fault->before[victim] == 0 ||
        site_born(site, victim) != fault->before[victim] || !both_run(site, fault) ||
        reaches(site, fault))
        return false;
    return fault_saw(fault, "the same process as before; no answer from %s to %s",
                     part_names[is_asked(fault)], part_names[asks(fault)]);
}

bool fault_plug(const struct site *site, struct fault *fault)
{
    return site->plug(fault_victim(fault)) && site->start(fault_victim(fault));
}

/* ---- partitions ---- */

/* Which of the two is not heard by the other, and who does not hear. */
static enum part unheard(const struct fault *fault)
{
    return fault->chance & 1 ? fault_victim(fault) : fault->other;
}

static enum part deaf(const struct fault *fault)
{
    return fault->chance & 1 ? fault->other : fault_victim(fault);
}

bool fault_cut_one_way(const struct site *site, struct fault *fault)
{
    return reach_first(site, fault) >= 0 && net_count(site, deaf(fault), unheard(fault)) &&
           net_cut(site, unheard(fault), deaf(fault));
}

/* What the deaf one says has arrived meanwhile. */
bool fault_is_cut_one_way(const struct site *site, struct fault *fault)
{
    if (fault->lifted_us != 0 || either_reaches(site, fault))
        return false;
    int64_t dropped = net_hit(site, deaf(fault)), passed = net_passed(site, unheard(fault));
    if (dropped == 0 || passed == 0 || net_hit(site, unheard(fault)) != 0 || !both_run(site, fault))
        return false;
    return fault_saw(fault, "%lld packets to %s dropped, %lld from it arrived; no answer",
                     (long long)dropped, part_names[deaf(fault)], (long long)passed);
}

bool fault_cut(const struct site *site, struct fault *fault)
{
    enum part victim = fault_victim(fault);
    return reach_first(site, fault) >= 0 && net_cut(site, victim, fault->other) &&
           net_cut(site, fault->other, victim);
}

bool fault_is_cut(const struct site *site, struct fault *fault)
{
    enum part victim = fault_victim(fault);

    if (fault->lifted_us != 0 || either_reaches(site, fault))
        return false;
    int64_t forth = net_hit(site, fault->other), back = net_hit(site, victim);
    if (forth == 0 || back == 0 || !both_run(site, fault))
        return false;
    return fault_saw(fault, "%lld packets to %s and %lld to %s dropped; no answer between them",
                     (long long)forth, part_names[fault->other], (long long)back,
                     part_names[victim]);
}

bool fault_mend(const struct site *site, struct fault *fault)
{
    bool good = net_mend(site, fault_victim(fault));
    return (fault->other == PARTS || net_mend(site, fault->other)) && good;
}

/* ---- resets ---- */

/* Some times, so that what is made anew is reset too. */
bool fault_reset(const struct site *site, struct fault *fault)
{
    for (unsigned times = 0; times <= fault->chance % 4; times++) {
        if (times > 0)
            clock_pause_ms(fault->chance / 4 % 500);
        int count = net_reset(site, fault_victim(fault), fault->other);
        if (count < 0)
            return false;
        fault->noted[0] += count;
    }
    return true;
}

bool fault_was_reset(const struct site *site, struct fault *fault)
{
    (void)site;
    return fault->noted[0] > 0 && fault_saw(fault, "%lld connections are gone", fault->noted[0]);
}

bool fault_nothing(const struct site *site, struct fault *fault)
{
    (void)site;
    (void)fault;
    return true;
}

/* ---- late and lost ---- */

static int delay_ms(const struct fault *fault)
{
    return 30 + (int)(fault->chance % 270);
}

static int loss_percent(const struct fault *fault)
{
    return 5 + (int)(fault->chance % 26);
}

bool fault_delay(const struct site *site, struct fault *fault)
{
    fault->noted[0] = reach_first(site, fault);
    return fault->noted[0] >= 0 &&
           net_delay(site, fault_victim(fault), fault->other, delay_ms(fault));
}

/* The part's own connections are delayed, and another one from where it is shows by how much. */
bool fault_is_late(const struct site *site, struct fault *fault)
{
    if (fault->lifted_us != 0)
        return false;
    int64_t own = net_hit(site, fault_victim(fault));
    if (own == 0)
        return false;
    int64_t took_us = net_ask(site, asks(fault), is_asked(fault), 2 * delay_ms(fault) + ASK_MS);
    if (took_us < fault->noted[0] + 2 * 900 * delay_ms(fault))
        return false;
    return fault_saw(fault, "an answer took %.1f ms instead of %.1f; %lld connections",
                     (double)took_us / 1e3, (double)fault->noted[0] / 1e3, (long long)own);
}

bool fault_lose(const struct site *site, struct fault *fault)
{
    return net_lose(site, fault_victim(fault), loss_percent(fault));
}

bool fault_has_lost(const struct site *site, struct fault *fault)
{
    if (fault->lifted_us != 0)
        return false;
    int64_t lost = net_hit(site, fault_victim(fault));
    return lost >= LOST_LEAST && fault_saw(fault, "%lld packets were lost, of a hundred %d",
                                           (long long)lost, loss_percent(fault));
}

/* ---- names ---- */

/* Names are asked for when connections are made: so those that are there have to go. */
bool fault_forget_names(const struct site *site, struct fault *fault)
{
    enum part victim = fault_victim(fault);

    if (!CLOCK_UNTIL(BASE_S, net_resolves(site, victim, PART_KAFKA)) || !site->forget_names(victim))
        return false;
    FOR_EACH_PART(server, PARTS_ALL & ~PARTS_SERVICES)
    {
        int count = net_reset(site, victim, server);
        if (count < 0)
            return false;
        fault->noted[0] += count;
    }
    return true;
}

bool fault_has_forgotten(const struct site *site, struct fault *fault)
{
    enum part victim = fault_victim(fault);

    if (fault->lifted_us != 0 || site->pid(victim) == 0 || net_resolves(site, victim, PART_KAFKA) ||
        site->pid(victim) == 0)
        return false;
    return fault->noted[0] > 0 &&
           fault_saw(fault, "kafka is no name there, and %lld connections are gone",
                     fault->noted[0]);
}

bool fault_know_names(const struct site *site, struct fault *fault)
{
    return site->know_names(fault_victim(fault));
}
