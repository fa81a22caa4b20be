/* fault.c: the table of what is done to the stack. */
#include "fault.h"

#include <stdio.h>
#include <string.h>

#define EVERY_FORM ((1u << SITE_FORMS) - 1)

enum part fault_victim(const struct fault *fault)
{
    unsigned part = 0;
    while (part < PARTS && !(fault->victims & PART(part)))
        part++;
    return (enum part)part;
}

const char *fault_victims(const struct fault *fault, char *buffer, size_t size)
{
    size_t used = 0;

    buffer[0] = '\0';
    for (unsigned part = 0; part < PARTS && used < size; part++) {
        if (fault->victims & PART(part))
            used += (size_t)snprintf(buffer + used, size - used, "%s%s", used == 0 ? "" : ", ",
                                     part_names[part]);
    }
    return buffer;
}

/* Whatever else is done to them: who they were. */
static void note_births(const struct site *site, struct fault *fault)
{
    for (unsigned part = 0; part < PARTS; part++)
        fault->before[part] = fault->victims & PART(part) ? site_born(site, part) : 0;
}

static bool kill_them(const struct site *site, struct fault *fault)
{
    bool good = true;

    note_births(site, fault);
    for (unsigned part = 0; part < PARTS; part++) {
        if (fault->victims & PART(part))
            good = site->kill(part) && good;
    }
    return good;
}

/* None of them is the process that it was. */
static bool all_gone(const struct site *site, struct fault *fault)
{
    size_t used = 0;

    for (unsigned part = 0; part < PARTS; part++) {
        if (!(fault->victims & PART(part)))
            continue;
        if (fault->before[part] == 0 || site_born(site, part) == fault->before[part])
            return false;
        if (used < sizeof fault->evidence)
            used += (size_t)snprintf(fault->evidence + used, sizeof fault->evidence - used, "%s%s",
                                     used == 0 ? "gone: " : ", ", part_names[part]);
    }
    return true;
}

static bool start_them(const struct site *site, struct fault *fault)
{
    bool good = true;

    for (unsigned part = 0; part < PARTS; part++) {
        if (fault->victims & PART(part))
            good = site->start(part) && good;
    }
    return good;
}

const struct fault_kind fault_kinds[] = {
    {"kill-service",
     "kill -9 of a service",
     EVERY_FORM,
     PARTS_SERVICES,
     1,
     0,
     {0, 4000},
     kill_them,
     all_gone,
     start_them},
    {"kill-postgres",
     "kill -9 of PostgreSQL",
     EVERY_FORM,
     PART(PART_POSTGRES),
     1,
     0,
     {0, 6000},
     kill_them,
     all_gone,
     start_them},
    {"kill-kafka",
     "kill -9 of Kafka",
     EVERY_FORM,
     PART(PART_KAFKA),
     1,
     0,
     {0, 6000},
     kill_them,
     all_gone,
     start_them},
    {"kill-redis",
     "kill -9 of Redis",
     EVERY_FORM,
     PART(PART_REDIS),
     1,
     0,
     {0, 6000},
     kill_them,
     all_gone,
     start_them},
    {"kill-all",
     "kill -9 of all seven at once",
     EVERY_FORM,
     PARTS_ALL,
     PARTS,
     0,
     {0, 4000},
     kill_them,
     all_gone,
     start_them},
};
const size_t fault_kinds_count = sizeof fault_kinds / sizeof *fault_kinds;
