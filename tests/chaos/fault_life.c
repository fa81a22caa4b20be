/* fault_life.c: processes that are killed, stopped, started, or stand still. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault_acts.h"
#include "support/clock.h"
#include "support/groups.h"
#include "support/stack.h"

#define READY_S 60
#define TIMES_KILLED 3
#define DRAIN_MS_MAX 25000 /* as a service promises; who takes longer was ended by force */

/* ---- the end of a process ---- */

bool fault_kill(const struct site *site, struct fault *fault)
{
    bool good = true;

    fault_note_births(site, fault);
    /* Several: all in the same moment, not one command after the other. */
    if (fault->kind->count > 1) {
        FOR_EACH_PART(part, fault->victims)
        {
            pid_t pid = site->pid(part);
            if (pid > 1)
                kill(pid, SIGKILL);
        }
    }
    FOR_EACH_PART(part, fault->victims)
    {
        good = site->kill(part) && good;
    }
    return good;
}

bool fault_stop(const struct site *site, struct fault *fault)
{
    int64_t begin_us = clock_us();

    fault_note_births(site, fault);
    bool good = site->stop(fault_victim(fault));
    fault->noted[0] = (clock_us() - begin_us) / 1000;
    return good;
}

/* None of the victims is the process that it was. */
bool fault_gone(const struct site *site, struct fault *fault)
{
    char victims[120];

    FOR_EACH_PART(part, fault->victims)
    {
        if (fault->before[part] == 0 || site_born(site, part) == fault->before[part])
            return false;
    }
    return fault_saw(fault, "gone: %s", fault_victims(fault, victims, sizeof victims));
}

/* By itself: it was not ended by force, which comes later. */
bool fault_drained(const struct site *site, struct fault *fault)
{
    return fault->noted[0] > 0 && fault->noted[0] < DRAIN_MS_MAX && fault_gone(site, fault) &&
           fault_saw(fault, "it has drained, and ended after %lld ms", fault->noted[0]);
}

bool fault_start(const struct site *site, struct fault *fault)
{
    bool good = true;

    FOR_EACH_PART(part, fault->victims)
    {
        good = site->start(part) && good;
    }
    return good;
}

/* ---- and its next life ---- */

bool fault_restart(const struct site *site, struct fault *fault)
{
    fault_note_births(site, fault);
    return site->stop(fault_victim(fault)) && site->start(fault_victim(fault));
}

/* One after the other, as a new version is brought out. */
bool fault_roll(const struct site *site, struct fault *fault)
{
    fault_note_births(site, fault);
    FOR_EACH_PART(part, fault->victims)
    {
        if (!site->stop(part) || !site->start(part) || !site_ready(site, part, READY_S))
            return false;
    }
    return true;
}

/* Each is there, as another process. */
bool fault_back(const struct site *site, struct fault *fault)
{
    char victims[120];

    FOR_EACH_PART(part, fault->victims)
    {
        long long born = site_born(site, part);
        if (fault->before[part] == 0 || born == 0 || born == fault->before[part])
            return false;
    }
    return fault_saw(fault, "another process: %s", fault_victims(fault, victims, sizeof victims));
}

/* Starts it and lets it live for so long, but not until it is ready; ret_ms: how long it lived, -1:
 * it was ready. False: it does not start. */
static bool live_shortly(const struct site *site, enum part part, int ms, long long *ret_ms,
                         long long *ret_born)
{
    if (!site->start(part) || !CLOCK_UNTIL(READY_S, (*ret_born = site_born(site, part)) != 0))
        return false;
    int64_t begin_us = clock_us();
    while (clock_us() < begin_us + (int64_t)ms * 1000)
        clock_pause_ms(1);
    bool was_ready = site_ready(site, part, 0);
    *ret_ms = was_ready ? -1 : (clock_us() - begin_us) / 1000;
    return site->kill(part);
}

/* noted: when the last one was born, and for how many ms it lived. */
bool fault_kill_starting(const struct site *site, struct fault *fault)
{
    enum part part = fault_victim(fault);
    int ms = (int)(fault->chance % (PARTS_SERVICES & PART(part) ? 100 : 700));

    fault_note_births(site, fault);
    if (!site->kill(part))
        return false;
    for (int try = 0; try < 4; try++, ms /= 4) {
        if (!live_shortly(site, part, ms, &fault->noted[1], &fault->noted[0]))
            return false;
        if (fault->noted[1] >= 0)
            return true;
    }
    return true;
}

bool fault_was_starting(const struct site *site, struct fault *fault)
{
    enum part part = fault_victim(fault);

    if (fault->noted[0] == 0 || fault->noted[1] < 0 || fault->noted[0] == fault->before[part] ||
        site_born(site, part) == fault->noted[0])
        return false;
    return fault_saw(fault, "gone %lld ms after its start, when it was not ready yet",
                     fault->noted[1]);
}

/* noted: when the last one was born, and how many ended before that. */
bool fault_kill_often(const struct site *site, struct fault *fault)
{
    enum part part = fault_victim(fault);
    long long ms, born;

    fault_note_births(site, fault);
    fault->noted[0] = fault->before[part];
    for (int times = 0; times < TIMES_KILLED; times++) {
        if (!site->kill(part) ||
            !live_shortly(site, part, (int)(fault->chance >> times * 8 & 0x3ff), &ms, &born))
            return false;
        fault->noted[1] += born != fault->noted[0] && fault->noted[0] != 0;
        fault->noted[0] = born;
    }
    return true;
}

bool fault_was_killed_often(const struct site *site, struct fault *fault)
{
    if (fault->noted[1] < TIMES_KILLED || site_born(site, fault_victim(fault)) == fault->noted[0])
        return false;
    return fault_saw(fault, "%lld processes of it are gone", fault->noted[1] + 1);
}

/* ---- standing still ---- */

bool fault_freeze(const struct site *site, struct fault *fault)
{
    enum part part = fault_victim(fault);

    fault_note_births(site, fault);
    if (PARTS_SERVICES & PART(part))
        fault->noted[0] = groups_members(stack_address("KAFKA_BOOTSTRAP"), part_names[part]);
    fault->noted[1] = clock_us();
    return site->freeze(part);
}

/* It is the same process, and answers nothing. */
bool fault_silent(const struct site *site, struct fault *fault)
{
    enum part part = fault_victim(fault);

    if (fault->lifted_us != 0 || fault->before[part] == 0 || site_ready(site, part, 0) ||
        site_born(site, part) != fault->before[part])
        return false;
    return fault_saw(fault, "the same process as before, and no answer from it");
}

/* And so long that Kafka counts it as dead: its partitions are nobody's. */
bool fault_thrown_out(const struct site *site, struct fault *fault)
{
    enum part part = fault_victim(fault);

    if (fault->lifted_us != 0 || fault->before[part] == 0 || fault->noted[0] <= 0 ||
        site_born(site, part) != fault->before[part] ||
        groups_members(stack_address("KAFKA_BOOTSTRAP"), part_names[part]) != 0)
        return false;
    return fault_saw(fault, "the same process as before, out of its consumer group after %.1f s",
                     (double)(clock_us() - fault->noted[1]) / 1e6);
}

bool fault_thaw(const struct site *site, struct fault *fault)
{
    return site->thaw(fault_victim(fault)) && site->start(fault_victim(fault));
}
