/* load.c: the load generator fails when it must, and two builds are told apart only if they are. */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/mix.h"
#include "bench/tally.h"
#include "support/command.h"
#include "support/stack.h"

#define ORDER "0198f0aa-0000-7000-8000-%012d"

/* ---- answers against topics ---- */

static struct tally *tally;

static void begin(void)
{
    tally = tally_new();
}

static void end(void)
{
    tally_free(tally);
}

TestSuite(tally, .init = begin, .fini = end);

static const char *order(int n)
{
    static char id[40];
    snprintf(id, sizeof id, ORDER, n);
    return id;
}

/* That it disagrees, and says so in these words. */
static void disagrees(const char *words)
{
    char why[300] = "";
    cr_assert_not(tally_agrees(tally, why, sizeof why), "it should say: %s", words);
    cr_assert_not_null(strstr(why, words), "it says: %s", why);
}

Test(tally, agrees_about_many_in_any_order)
{
    char why[300];
    struct tally_counts counts;

    cr_assert(tally_agrees(tally, why, sizeof why));
    for (int n = 0; n < 200000; n++) {
        if (n % 2)
            cr_assert(
                tally_recorded(tally, order(n), n % 10 == 9 ? TALLY_CANCELLED : TALLY_COMPLETED));
        cr_assert(tally_answered(tally, order(n), n % 10 == 9 ? TALLY_CANCELLED : TALLY_COMPLETED));
    }
    disagrees("100000 orders do not agree");
    for (int n = 0; n < 200000; n += 2)
        cr_assert(tally_recorded(tally, order(n), TALLY_COMPLETED));
    cr_assert(tally_agrees(tally, why, sizeof why), "%s", why);
    tally_count(tally, &counts);
    cr_assert_eq(counts.answered[TALLY_COMPLETED], 180000);
    cr_assert_eq(counts.answered[TALLY_CANCELLED], 20000);
    cr_assert_eq(counts.recorded[TALLY_COMPLETED], 180000);
    cr_assert_eq(counts.recorded[TALLY_CANCELLED], 20000);
    cr_assert_eq(counts.again, 0);
}

Test(tally, a_record_that_comes_again_is_told_and_agrees)
{
    char why[300];
    struct tally_counts counts;

    tally_answered(tally, order(1), TALLY_COMPLETED);
    tally_recorded(tally, order(1), TALLY_COMPLETED);
    tally_recorded(tally, order(1), TALLY_COMPLETED);
    cr_assert(tally_agrees(tally, why, sizeof why), "%s", why);
    tally_count(tally, &counts);
    cr_assert_eq(counts.recorded[TALLY_COMPLETED], 1);
    cr_assert_eq(counts.again, 1);
}

Test(tally, an_answer_without_a_record)
{
    tally_answered(tally, order(7), TALLY_COMPLETED);
    disagrees("0198f0aa-0000-7000-8000-000000000007 was answered completed, and has no record");
}

Test(tally, a_record_without_an_answer)
{
    tally_recorded(tally, order(1), TALLY_CANCELLED);
    disagrees("has order.cancelled, and nobody was answered so");
}

Test(tally, the_other_end)
{
    tally_answered(tally, order(1), TALLY_COMPLETED);
    tally_recorded(tally, order(1), TALLY_CANCELLED);
    disagrees("was answered one end, and has a record of the other");
    tally_recorded(tally, order(1), TALLY_COMPLETED); /* and both is no better */
    disagrees("was answered one end, and has a record of the other");
}

/* Equal counts are not enough: one too few and one too many are two that disagree. */
Test(tally, the_same_count_of_other_orders)
{
    tally_answered(tally, order(1), TALLY_COMPLETED);
    tally_recorded(tally, order(2), TALLY_COMPLETED);
    disagrees("2 orders do not agree");
}

Test(tally, what_is_no_order)
{
    char why[300];
    cr_assert_not(tally_answered(tally, "", TALLY_COMPLETED));
    cr_assert_not(tally_recorded(tally, "0198f0aa-0000-7000-8000-00000000000", TALLY_COMPLETED));
    cr_assert_not(tally_recorded(tally, "0198f0aa_0000_7000_8000_000000000000", TALLY_COMPLETED));
    cr_assert(tally_agrees(tally, why, sizeof why));
    cr_assert(tally_answered(tally, order(1), TALLY_COMPLETED));
    cr_assert_not(tally_answered(tally, order(1), TALLY_COMPLETED), "two customers, one order");
}

/* ---- which way they go ---- */

Test(mix, is_read_or_refused)
{
    struct mix mix;
    static const char *const bad[] = {"", "90", "90/", "/10", "0/0", "90/10 ", "x", "2000000/1"};

    cr_assert(mix_read("90/10", &mix));
    cr_assert_eq(mix.completed, 90);
    cr_assert_eq(mix.refused, 10);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(mix_read(bad[i], &mix), "%s", bad[i]);
}

Test(mix, the_refused_are_spread_and_take_turns)
{
    static const struct mix mix = {90, 10};
    size_t counts[4] = {0};

    for (uint64_t n = 0; n < 3000; n++) {
        counts[mix_path(&mix, n)]++;
        if (n % 10 == 9)
            cr_assert_eq(counts[PATH_COMPLETED], (n + 1) * 9 / 10);
    }
    cr_assert_eq(counts[PATH_PAYMENT_REFUSES], 100);
    cr_assert_eq(counts[PATH_INVENTORY_REFUSES], 100);
    cr_assert_eq(counts[PATH_SHIPPING_REFUSES], 100);
}

Test(mix, only_the_expected_end_will_do)
{
    static const char completed[] = "{\"status\":\"completed\"}";
    static const char declined[] = "{\"status\":\"cancelled\",\"status_reason\":\"card_declined\"}";

    cr_assert(mix_expected(PATH_COMPLETED, 201, completed));
    cr_assert_not(mix_expected(PATH_COMPLETED, 200, completed));
    cr_assert_not(mix_expected(PATH_COMPLETED, 201, declined));
    cr_assert_not(mix_expected(PATH_COMPLETED, 201, "{\"status\":\"pending\"}"));
    cr_assert(mix_expected(PATH_PAYMENT_REFUSES, 201, declined));
    cr_assert_not(mix_expected(PATH_SHIPPING_REFUSES, 201, declined), "for another reason");
    cr_assert_not(mix_expected(PATH_PAYMENT_REFUSES, 201, completed));
    cr_assert_not(mix_expected(PATH_COMPLETED, 0, ""));
}

/* ---- the program ---- */

static int load(const char *option, const char *value)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    cr_assert_gt(n, 0);
    path[n] = '\0';
    char *name = strrchr(path, '/') + 1; /* shorter than this program's own */
    snprintf(name, strlen(name) + 1, "load");
    /* With it a program that is linked with Criterion takes itself for one of its tests. */
    unsetenv("BXFI_MAP");
    return command_run("/", (const char *const[]){path, "--rate", "1", option, value, NULL}, NULL);
}

/* 2 comes before anything is sent: these need no stack. */
Test(load, sends_to_this_machine_only)
{
    cr_assert_eq(load("--api", "http://192.0.2.1:8080"), 2);
    cr_assert_eq(load("--api", "http://128.0.0.1:8080"), 2);
    cr_assert_eq(load("--api", "http://localhost:8080"), 2);
    cr_assert_eq(load("--api", "http://127.0.0.1.example.com:8080"), 2);
    cr_assert_eq(load("--api", "https://127.0.0.1:8080"), 2);
}

Test(load, wrong_options)
{
    cr_assert_eq(load("--seconds", "0"), 2);
    cr_assert_eq(load("--seconds", "x"), 2);
    cr_assert_eq(load("--mix", "0/0"), 2);
    cr_assert_eq(load("--at-once", "10"), 2);
    cr_assert_eq(load("--nothing", "1"), 2);
    cr_assert_eq(load("--json", NULL), 2);
}

/* ---- which of two builds is better ---- */

/* What bench_judge says of runs with these figures. */
static char *judge(const char *a, const char *b)
{
    static const char script[] =
        "set -euo pipefail; runs=$(mktemp -d); trap 'rm -rf \"$runs\"' EXIT; n=0\n"
        "for x in $1; do echo \"{\\\"x\\\":$x}\" >\"$runs/a-$((n += 1)).json\"; done\n"
        "for x in $2; do echo \"{\\\"x\\\":$x}\" >\"$runs/b-$((n += 1)).json\"; done\n"
        "source tests/bench/bench.sh; bench_judge \"$runs\" .x";
    char *said = NULL;
    int status = command_run(
        stack_root(), (const char *const[]){"bash", "-c", script, "judge", a, b, NULL}, &said);
    cr_assert_eq(status, 0);
    return said;
}

static void judges(const char *a, const char *b, const char *expected)
{
    char *said = judge(a, b);
    cr_assert_str_eq(said, expected, "%s against %s: %s", a, b, said);
    free(said);
}

Test(judge, medians_spreads_and_ranks)
{
    judges("100 101 99 100", "110 112 111 109", "100 110.5 10.5 2.0 2.7 above\n");
    judges("110 112 111 109", "100 101 99 100", "110.5 100 -9.5 2.7 2.0 below\n");
    judges("100 110 90 105", "102 95 108 99", "102.5 100.5 -2.0 19.5 12.9 overlap\n");
}

/* A busy neighbour of one run makes no regression. It may hide one: then the gate cannot tell, and
 * says so, which is better than an alarm that nobody believes. */
Test(judge, one_bad_run_is_no_regression)
{
    judges("100 101 99 100 102 200", "120 121 119 120 122 121",
           "100.5 120.5 19.9 100.5 2.5 overlap\n");
    judges("100 101 99 100 102 111", "120 110 119 120 122 121", "100.5 120 19.4 11.9 10.0 above\n");
    judges("100 101 99 100 102 101", "100 101 99 100 102 200",
           "100.5 100.5 0.0 3.0 100.5 overlap\n");
}
