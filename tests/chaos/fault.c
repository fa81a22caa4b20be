/* fault.c: the table of what is done to the stack. */
#include "fault.h"

#include <stdarg.h>
#include <stdio.h>

#include "fault_acts.h"

#define ONE_BROKER (1u << SITE_CONTAINERS | 1u << SITE_PROCESSES)
#define THREE_BROKERS (1u << SITE_BROKERS)
#define SERVERS (PARTS_ALL & ~PARTS_SERVICES)
#define POSTGRES PART(PART_POSTGRES)
#define KAFKA PART(PART_KAFKA)
#define REDIS PART(PART_REDIS)
#define ENDS true
#define LIVES false

enum part fault_victim(const struct fault *fault)
{
    unsigned part = 0;
    while (part < PARTS && !(fault->victims & PART(part)))
        part++;
    return (enum part)part;
}

const char *fault_names(unsigned parts, char *buffer, size_t size)
{
    size_t used = 0;

    buffer[0] = '\0';
    FOR_EACH_PART(part, parts)
    {
        if (used < size)
            used += (size_t)snprintf(buffer + used, size - used, "%s%s", used == 0 ? "" : ", ",
                                     part_names[part]);
    }
    return buffer;
}

const char *fault_victims(const struct fault *fault, char *buffer, size_t size)
{
    return fault_names(fault->victims, buffer, size);
}

bool fault_saw(struct fault *fault, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(fault->evidence, sizeof fault->evidence, format, arguments);
    va_end(arguments);
    return true;
}

void fault_note_births(const struct site *site, struct fault *fault)
{
    FOR_EACH_PART(part, fault->victims)
    {
        fault->before[part] = site_born(site, part);
    }
}

bool fault_may_end(const struct fault *fault, enum part part)
{
    return (fault->victims & PART(part)) && (fault->kind->ends || !(PARTS_SERVICES & PART(part)));
}

/* clang-format off */
/* name, what, forms, victims and how many, others, whether they end, hold_ms, fire, proof, lift */
const struct fault_kind fault_kinds[] = {
    {"kill-service", "kill -9 of a service",
     ONE_BROKER, PARTS_SERVICES, 1, 0, ENDS, {0, 4000}, fault_kill, fault_gone, fault_start},
    {"kill-postgres", "kill -9 of PostgreSQL",
     ONE_BROKER, POSTGRES, 1, 0, ENDS, {0, 6000}, fault_kill, fault_gone, fault_start},
    {"kill-kafka", "kill -9 of Kafka",
     ONE_BROKER, KAFKA, 1, 0, ENDS, {0, 6000}, fault_kill, fault_gone, fault_start},
    {"kill-redis", "kill -9 of Redis",
     ONE_BROKER, REDIS, 1, 0, ENDS, {0, 6000}, fault_kill, fault_gone, fault_start},
    {"kill-two", "kill -9 of two parts at once",
     ONE_BROKER, PARTS_ALL, 2, 0, ENDS, {0, 5000}, fault_kill, fault_gone, fault_start},
    {"kill-all", "kill -9 of all seven at once",
     ONE_BROKER, PARTS_ALL, PARTS, 0, ENDS, {0, 4000}, fault_kill, fault_gone, fault_start},
    {"kill-starting", "kill -9, and again while it starts, before it is ready",
     ONE_BROKER, PARTS_ALL, 1, 0, ENDS, {0, 3000},
     fault_kill_starting, fault_was_starting, fault_start},
    {"kill-often", "kill -9, started again, four times in a row",
     ONE_BROKER, PARTS_ALL, 1, 0, ENDS, {0, 1000},
     fault_kill_often, fault_was_killed_often, fault_start},
    {"stop-service", "SIGTERM to a service, which drains",
     ONE_BROKER, PARTS_SERVICES, 1, 0, ENDS, {0, 5000}, fault_stop, fault_drained, fault_start},
    {"restart-server", "an orderly restart of PostgreSQL, Kafka or Redis",
     ONE_BROKER, SERVERS, 1, 0, ENDS, {0, 0}, fault_restart, fault_back, fault_start},
    {"rolling-restart", "every service restarted, one after the other",
     ONE_BROKER, PARTS_SERVICES, 4, 0, ENDS, {0, 0}, fault_roll, fault_back, fault_start},
    {"freeze-service", "a service stands still for longer than its session with Kafka",
     ONE_BROKER, PARTS_SERVICES, 1, 0, LIVES, {10000, 14000},
     fault_freeze, fault_thrown_out, fault_thaw},
    {"freeze-postgres", "PostgreSQL stands still",
     ONE_BROKER, POSTGRES, 1, 0, LIVES, {3000, 12000}, fault_freeze, fault_silent, fault_thaw},
    {"freeze-kafka", "Kafka stands still",
     ONE_BROKER, KAFKA, 1, 0, LIVES, {3000, 12000}, fault_freeze, fault_silent, fault_thaw},
    {"freeze-redis", "Redis stands still",
     ONE_BROKER, REDIS, 1, 0, LIVES, {3000, 12000}, fault_freeze, fault_silent, fault_thaw},
    {"unplug", "a part is taken off the network",
     ONE_BROKER, PARTS_ALL, 1, 0, LIVES, {3000, 10000},
     fault_unplug, fault_unreachable, fault_plug},
    {"one-way-partition", "what two parts say to each other arrives one way only",
     ONE_BROKER, PARTS_ALL, 1, PARTS_ALL, LIVES, {3000, 12000},
     fault_cut_one_way, fault_is_cut_one_way, fault_mend},
    {"two-way-partition", "nothing passes between two parts",
     ONE_BROKER, PARTS_ALL, 1, PARTS_ALL, LIVES, {3000, 12000},
     fault_cut, fault_is_cut, fault_mend},
    {"reset", "the connections between a service and a server are reset, up to four times",
     ONE_BROKER, PARTS_SERVICES, 1, SERVERS, LIVES, {0, 0},
     fault_reset, fault_was_reset, fault_nothing},
    {"delay", "what a service and a server say to each other takes 30 to 300 ms each way",
     ONE_BROKER, PARTS_SERVICES, 1, SERVERS, LIVES, {4000, 10000},
     fault_delay, fault_is_late, fault_mend},
    {"loss", "5 to 30 % of the packets to and from a part are lost",
     ONE_BROKER, PARTS_ALL, 1, 0, LIVES, {4000, 10000}, fault_lose, fault_has_lost, fault_mend},
    {"names-gone", "a service can look up no name, and its connections are reset",
     ONE_BROKER, PARTS_SERVICES, 1, 0, LIVES, {4000, 8000},
     fault_forget_names, fault_has_forgotten, fault_know_names},
    {"memory-service", "the memory of a service is at its limit",
     ONE_BROKER, PARTS_SERVICES, 1, 0, ENDS, {4000, 8000},
     fault_limit, fault_out_of_memory, fault_unlimit},
    {"memory-server", "the memory of PostgreSQL, Kafka or Redis is at its limit",
     ONE_BROKER, SERVERS, 1, 0, ENDS, {4000, 8000},
     fault_limit, fault_out_of_memory, fault_unlimit},
    {"disk-full-postgres", "the disk of PostgreSQL is full",
     ONE_BROKER, POSTGRES, 1, 0, LIVES, {3000, 8000}, fault_fill, fault_disk_full, fault_empty},
    {"disk-full-kafka", "the disk of Kafka is full",
     ONE_BROKER, KAFKA, 1, 0, LIVES, {3000, 8000}, fault_fill, fault_disk_full, fault_empty},
    {"clock-jump", "the clock of a service is an hour ahead, or behind",
     ONE_BROKER, PARTS_SERVICES, 1, 0, LIVES, {4000, 8000},
     fault_jump, fault_has_jumped, fault_set_right},
    {"kill-leader", "kill -9 of the one of three brokers that leads a partition",
     THREE_BROKERS, KAFKA, 1, 0, ENDS, {12000, 15000},
     fault_kill_leader, fault_another_leads, fault_start_leader},
};
/* clang-format on */
const size_t fault_kinds_count = sizeof fault_kinds / sizeof *fault_kinds;
