/* plan.c: what chaos/plan.h promises: a plan is its seed's, and stays within what a kind allows. */
#include <criterion/criterion.h>
#include <string.h>

#include "chaos/plan.h"

#define FORM(form) (1u << (form))
#define BOTH (FORM(SITE_CONTAINERS) | FORM(SITE_PROCESSES))
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MANY 700
#define SEEDS 20

/* Every shape that a kind can have; the last two leave little choice. */
static const struct fault_kind kinds[] = {
    {.name = "one", .forms = BOTH, .victims = PARTS_ALL, .count = 1, .hold_ms = {0, 0}},
    {.name = "two", .forms = BOTH, .victims = PARTS_ALL, .count = 2, .hold_ms = {100, 5000}},
    {.name = "all", .forms = BOTH, .victims = PARTS_ALL, .count = PARTS, .hold_ms = {7, 8}},
    {.name = "containers",
     .forms = FORM(SITE_CONTAINERS),
     .victims = PARTS_SERVICES,
     .count = 1,
     .hold_ms = {1000, 2000}},
    {.name = "processes",
     .forms = FORM(SITE_PROCESSES),
     .victims = PART(PART_REDIS),
     .count = 1,
     .hold_ms = {1000, 2000}},
    {.name = "between",
     .forms = BOTH,
     .victims = PARTS_ALL,
     .count = 1,
     .others = PARTS_ALL,
     .hold_ms = {1, 9000}},
    {.name = "narrow",
     .forms = BOTH,
     .victims = PART(PART_KAFKA),
     .count = 1,
     .others = PART(PART_KAFKA) | PART(PART_ORDER),
     .hold_ms = {1, 1}},
    {.name = "narrow, the other way",
     .forms = BOTH,
     .victims = PART(PART_KAFKA) | PART(PART_ORDER),
     .count = 1,
     .others = PART(PART_KAFKA),
     .hold_ms = {1, 1}},
};

static struct fault plan[MANY], again[MANY];

static void make(uint64_t seed, enum site_form form, struct fault *faults, size_t count)
{
    memset(faults, 0xa5, count * sizeof *faults); /* nothing may be left of what was there */
    plan_make(seed, kinds, COUNT(kinds), form, faults, count);
}

static bool same(const struct fault *a, const struct fault *b)
{
    return a->kind == b->kind && a->victims == b->victims && a->other == b->other &&
           a->gap_ms == b->gap_ms && a->hold_ms == b->hold_ms && a->chance == b->chance;
}

Test(plan, the_same_seed_is_the_same_plan)
{
    make(42, SITE_CONTAINERS, plan, MANY);
    make(42, SITE_CONTAINERS, again, MANY);
    for (size_t i = 0; i < MANY; i++)
        cr_assert(same(&plan[i], &again[i]), "fault %zu", i);
}

Test(plan, another_seed_is_another_plan)
{
    size_t differ = 0;

    make(42, SITE_CONTAINERS, plan, MANY);
    make(43, SITE_CONTAINERS, again, MANY);
    for (size_t i = 0; i < MANY; i++)
        differ += !same(&plan[i], &again[i]);
    cr_assert_gt(differ, MANY / 2);
}

/* A run's seed must mean the same with another table of the same kinds in it, or next year: these
 * figures change with the generator, and then every seed that somebody has noted means nothing. */
Test(plan, a_seed_keeps_its_meaning)
{
    make(1, SITE_CONTAINERS, plan, 3);
    cr_assert_str_eq(plan[0].kind->name, "one");
    cr_assert_eq(plan[0].gap_ms, 1569);
    cr_assert_eq(plan[0].chance, 3410189454);
}

Test(plan, a_longer_one_begins_with_the_shorter_one)
{
    make(7, SITE_PROCESSES, plan, MANY);
    for (size_t count = 0; count < 30; count++) {
        make(7, SITE_PROCESSES, again, count);
        for (size_t i = 0; i < count; i++)
            cr_assert(same(&plan[i], &again[i]), "fault %zu of %zu", i, count);
    }
}

Test(plan, each_kind_of_the_form_comes_once_a_round)
{
    for (enum site_form form = 0; form < SITE_BROKERS; form++) {
        size_t cards = COUNT(kinds) - 1; /* one is for the other form only */
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            make(seed, form, plan, MANY);
            for (size_t i = 0; i < MANY; i++) {
                cr_assert(plan[i].kind->forms & FORM(form), "%s", plan[i].kind->name);
                for (size_t j = i - i % cards; j < i; j++)
                    cr_assert_neq(plan[j].kind, plan[i].kind, "%s", plan[i].kind->name);
            }
        }
    }
}

Test(plan, rounds_have_different_orders)
{
    size_t cards = COUNT(kinds) - 1, differ = 0;

    make(3, SITE_CONTAINERS, plan, MANY);
    for (size_t i = cards; i < MANY; i++)
        differ += plan[i].kind != plan[i - cards].kind;
    cr_assert_gt(differ, MANY / 2);
}

Test(plan, nothing_is_out_of_bounds)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        make(UINT64_MAX - seed, SITE_CONTAINERS, plan, MANY);
        for (size_t i = 0; i < MANY; i++) {
            const struct fault *fault = &plan[i];
            const struct fault_kind *kind = fault->kind;
            cr_assert_eq(fault->victims & ~kind->victims, 0, "%s", kind->name);
            cr_assert_eq((unsigned)__builtin_popcount(fault->victims), kind->count);
            cr_assert(fault->hold_ms >= kind->hold_ms[0] && fault->hold_ms <= kind->hold_ms[1]);
            cr_assert(fault->gap_ms >= 0 && fault->gap_ms <= PLAN_GAP_MS_MAX);
            if (kind->others == 0) {
                cr_assert_eq(fault->other, PARTS);
                continue;
            }
            cr_assert_lt(fault->other, PARTS);
            cr_assert(kind->others & PART(fault->other), "%s", kind->name);
            cr_assert_not(fault->victims & PART(fault->other), "%s", kind->name);
        }
    }
}

Test(plan, what_happens_is_not_in_it)
{
    make(5, SITE_CONTAINERS, plan, MANY);
    for (size_t i = 0; i < MANY; i++) {
        cr_assert(plan[i].fired_us == 0 && plan[i].lifted_us == 0 && plan[i].recovered_us == 0);
        cr_assert(!plan[i].proved && plan[i].evidence[0] == '\0');
        for (size_t part = 0; part < PARTS; part++)
            cr_assert_eq(plan[i].before[part], 0);
    }
}

/* Of 700 faults, 100 are of a kind: each part is met by one, and each length is near. */
Test(plan, everybody_s_turn_comes)
{
    unsigned victims = 0, others = 0;
    int shortest = 9000, longest = 0;

    make(11, SITE_CONTAINERS, plan, MANY);
    for (size_t i = 0; i < MANY; i++) {
        if (strcmp(plan[i].kind->name, "between") != 0)
            continue;
        victims |= plan[i].victims;
        others |= PART(plan[i].other);
        shortest = plan[i].hold_ms < shortest ? plan[i].hold_ms : shortest;
        longest = plan[i].hold_ms > longest ? plan[i].hold_ms : longest;
    }
    cr_assert_eq(victims, PARTS_ALL);
    cr_assert_eq(others, PARTS_ALL);
    cr_assert(shortest < 1000 && longest > 8000, "from %d to %d ms", shortest, longest);
}
