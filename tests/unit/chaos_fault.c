/* chaos_fault.c: the table of what the chaos ring does: each kind can be dealt, and none is proved
 * when there is nothing that it could have been done to. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "chaos/fault.h"

static bool can_be_dealt(const struct fault_kind *kind)
{
    unsigned victims = (unsigned)__builtin_popcount(kind->victims);

    return kind->count > 0 && kind->count <= victims && kind->forms != 0 && kind->hold_ms[0] >= 0 &&
           kind->hold_ms[0] <= kind->hold_ms[1] && kind->fire != NULL && kind->proof != NULL &&
           kind->lift != NULL && kind->name[0] != '\0' && kind->what[0] != '\0';
}

Test(chaos_fault, each_kind_can_be_dealt)
{
    for (size_t i = 0; i < fault_kinds_count; i++)
        cr_assert(can_be_dealt(&fault_kinds[i]), "%s", fault_kinds[i].name);
}

Test(chaos_fault, names_are_names)
{
    for (size_t i = 0; i < fault_kinds_count; i++) {
        const char *name = fault_kinds[i].name;
        cr_assert_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name), "%s", name);
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(strcmp(name, fault_kinds[j].name), 0, "%s is there twice", name);
    }
}

Test(chaos_fault, each_form_with_one_broker_has_at_least_twenty)
{
    for (unsigned form = 0; form < SITE_BROKERS; form++) {
        unsigned count = 0;
        for (size_t i = 0; i < fault_kinds_count; i++)
            count += (fault_kinds[i].forms >> form) & 1;
        cr_assert_geq(count, 20);
    }
}

Test(chaos_fault, victims_are_named)
{
    char buffer[120];
    struct fault fault = {.victims = PART(PART_KAFKA) | PART(PART_REDIS)};

    cr_assert_str_eq(fault_victims(&fault, buffer, sizeof buffer), "redis, kafka");
    cr_assert_eq(fault_victim(&fault), PART_REDIS);
    fault.victims = PARTS_ALL;
    cr_assert_lt(strlen(fault_victims(&fault, buffer, 20)), 20);
    cr_assert_lt(strlen(fault_victims(&fault, buffer, sizeof buffer)), sizeof buffer - 1);
}

Test(chaos_fault, only_those_may_end_to_whom_it_was_done)
{
    const struct fault_kind kill = {.ends = true}, cut = {.ends = false};
    struct fault fault = {
        .kind = &cut, .victims = PART(PART_PAYMENT) | PART(PART_KAFKA), .other = PART_REDIS};

    cr_assert_not(fault_may_end(&fault, PART_PAYMENT));
    cr_assert(fault_may_end(&fault, PART_KAFKA)); /* a server may give up */
    cr_assert_not(fault_may_end(&fault, PART_REDIS));
    fault.kind = &kill;
    cr_assert(fault_may_end(&fault, PART_PAYMENT));
    cr_assert_not(fault_may_end(&fault, PART_ORDER));
}

static pid_t no_process(enum part part)
{
    (void)part;
    return 0;
}

static const char *no_text(enum part part)
{
    (void)part;
    return NULL;
}

static int no_port(enum part part)
{
    (void)part;
    return 0;
}

Test(chaos_fault, what_was_never_done_is_never_seen)
{
    static const struct site nowhere = {
        .name = "nowhere", .pid = no_process, .address = no_text, .port = no_port, .data = no_text};

    for (size_t i = 0; i < fault_kinds_count; i++) {
        const struct fault_kind *kind = &fault_kinds[i];
        struct fault fault = {.kind = kind,
                              .victims = 1u << __builtin_ctz(kind->victims),
                              .other = kind->others == 0 ? PARTS
                                                         : (enum part)__builtin_ctz(kind->others)};
        fault.lifted_us = 1;
        cr_assert_not(kind->proof(&nowhere, &fault), "%s: %s", kind->name, fault.evidence);
    }
}
