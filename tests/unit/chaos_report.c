/* chaos_report.c: a run is good only if nothing at all is wrong; what its page and picture say. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "support/markup.h"
#include "chaos/course.h"
#include "chaos/page.h"
#include "chaos/picture.h"
#include "chaos/summary.h"

#define SECONDS 90

static const struct fault_kind kill_kind = {.name = "kill"}, cut_kind = {.name = "cut"};
static struct fault faults[3];
static struct judgement judgement;
static struct summary_second seconds[CUSTOMERS_SECONDS_MAX];

/* A run in which all is well. */
static struct summary make_good(void)
{
    static const enum part others[] = {PARTS, PART_KAFKA, PARTS};
    for (size_t i = 0; i < 3; i++) {
        faults[i] = (struct fault){.kind = i == 1 ? &cut_kind : &kill_kind,
                                   .victims = PART(PART_PAYMENT),
                                   .other = others[i],
                                   .fired_us = (int64_t)(10 + 20 * i) * 1000000,
                                   .lifted_us = (int64_t)(15 + 20 * i) * 1000000,
                                   .recovered_us = (int64_t)(17 + 21 * i) * 1000000,
                                   .proved = true,
                                   .evidence = "pid 812 is gone"};
    }
    for (size_t i = 0; i < SECONDS; i++)
        seconds[i] = (struct summary_second){
            .customers = {200, 200, 0, 0, 50, 3, 20, 40, 300},
            .watch = {.in_flight = 20, .backlog = {-1, -1, -1, 1, 2, 3, 4}}};
    judgement = (struct judgement){.accepted = 18000, .completed = 11000, .cancelled = 7000};
    return (struct summary){.form = "containers",
                            .form_number = SITE_CONTAINERS,
                            .seed = 7,
                            .rate = 200,
                            .seconds = SECONDS,
                            .asked = 200 * SECONDS,
                            .end_us = SECONDS * 1000000,
                            .faults = faults,
                            .faults_count = 3,
                            .judgement = &judgement,
                            .settled = true,
                            .why = "",
                            .complaint = "",
                            .audits_held = 4,
                            .audits_live = 3,
                            .audits_blind = 2,
                            .at = seconds,
                            .count = SECONDS};
}

static void expect_wrong(const struct summary *summary, const char *what)
{
    cr_assert_not(summary_good(summary), "%s", what);
    cr_assert(strstr(summary_wrong(summary), what) != NULL, "not \"%s\": \"%s\"", what,
              summary_wrong(summary));
}

Test(chaos_summary, all_is_well)
{
    struct summary summary = make_good();
    cr_assert(summary_good(&summary), "%s", summary_wrong(&summary));
}

Test(chaos_summary, each_single_thing_that_is_wrong_makes_it_bad)
{
    struct summary summary = make_good();
    summary.why = "interrupted";
    expect_wrong(&summary, "broken off");
    summary = make_good();
    judgement.wrong = 1;
    expect_wrong(&summary, "not as their customers were told");
    summary = make_good();
    summary.audits_broken = 1;
    expect_wrong(&summary, "an invariant was broken");
    summary = make_good();
    summary.complaint = "500";
    expect_wrong(&summary, "answer that nobody should get");
    summary = make_good();
    summary.settled = false;
    expect_wrong(&summary, "not every order came to its end");
    summary = make_good();
    summary.faults_count = 0;
    expect_wrong(&summary, "no fault was done");
    summary = make_good();
    summary.audits_live = 0; /* one that held, when all was over */
    expect_wrong(&summary, "the auditor could never look while it was harmed");
    summary = make_good();
    summary.asked = 200 * SECONDS / 2;
    expect_wrong(&summary, "fewer orders were asked for");
    summary = make_good();
    judgement.accepted = 200 * SECONDS / 2;
    expect_wrong(&summary, "too few of the orders were accepted");
    summary = make_good();
    summary.rate = 0;
    summary.asked = 0;
    judgement.accepted = 0;
    expect_wrong(&summary, "too few of the orders were accepted");
}

Test(chaos_summary, one_fault_that_was_not_seen_or_not_recovered_from_makes_it_bad)
{
    for (size_t i = 0; i < 3; i++) {
        struct summary summary = make_good();
        faults[i].proved = false;
        expect_wrong(&summary, "no effect of it was seen");
        summary = make_good();
        faults[i].recovered_us = 0;
        expect_wrong(&summary, "did not recover");
        summary = make_good();
        faults[i].ended = PART(PART_PAYMENT);
        expect_wrong(&summary, "a part ended that should not");
    }
}

Test(chaos_summary, sums_by_kind)
{
    struct summary summary = make_good();
    size_t count;
    faults[2].proved = false;
    struct summary_kind *kinds = summary_kinds(&summary, &count);
    cr_assert_eq(count, 2);
    cr_assert_str_eq(kinds[0].name, "kill");
    cr_assert_eq(kinds[0].fired, 2);
    cr_assert_eq(kinds[0].proved, 1);
    cr_assert_eq(kinds[0].recovered, 2);
    cr_assert_float_eq(kinds[0].slowest_s, 4, 1e-9);
    cr_assert_float_eq(kinds[1].slowest_s, 3, 1e-9);
    free(kinds);
    faults[1].recovered_us = 0;
    kinds = summary_kinds(&summary, &count);
    cr_assert_eq(kinds[1].recovered, 0);
    cr_assert_float_eq(kinds[1].slowest_s, -1, 1e-9);
    free(kinds);
}

Test(chaos_summary, how_to_run_it_again)
{
    struct summary summary = make_good();
    summary.seconds = 0;
    char again[SUMMARY_AGAIN_SIZE];
    cr_assert_str_eq(summary_again(&summary, again, sizeof again),
                     "SAGA_TEST_CHAOS_SEED=7 SAGA_TEST_CHAOS_RATE=200 ./tests/run chaos");
    summary.seconds = 300;
    summary.form_number = SITE_PROCESSES;
    cr_assert_str_eq(summary_again(&summary, again, sizeof again),
                     "SAGA_TEST_CHAOS_SEED=7 SAGA_TEST_CHAOS_SECONDS=300 SAGA_TEST_CHAOS_RATE=200 "
                     "./tests/run --processes chaos");
}

/* It has others without them. */
Test(chaos_summary, how_to_run_it_again_with_the_kinds_that_it_was_limited_to)
{
    struct summary summary = make_good();
    const struct fault_kind kinds[] = {kill_kind, cut_kind};
    char again[SUMMARY_AGAIN_SIZE];
    summary.seconds = 60;
    summary.kinds = kinds;
    summary.kinds_count = 1;
    cr_assert_str_eq(summary_again(&summary, again, sizeof again),
                     "build/tests/bin/chaos --seed 7 --seconds 60 --rate 200 --kind kill");
    summary.form_number = SITE_PROCESSES;
    summary.kinds_count = 2;
    cr_assert_str_eq(summary_again(&summary, again, sizeof again),
                     "build/tests/bin/chaos --processes --seed 7 --seconds 60 --rate 200 "
                     "--kind kill --kind cut");
}

Test(chaos_course, a_run_has_customers_to_its_end)
{
    cr_assert(course_has_customers(200, 3600));
    cr_assert(course_has_customers(200, 4820));
    cr_assert_not(course_has_customers(200, 4821));
    cr_assert_not(course_has_customers(10000, 1));
    cr_assert(course_has_customers(139, COURSE_SECONDS_MAX));
    cr_assert_leq(COURSE_SECONDS_MAX + COURSE_WARM_UP_S, CUSTOMERS_SECONDS_MAX);
}

/* ---- points ---- */

Test(chaos_picture, however_long_a_run_is_it_has_so_many_points)
{
    for (size_t count = 1; count <= CUSTOMERS_SECONDS_MAX; count++) {
        size_t step = picture_step(count);
        cr_assert((count + step - 1) / step <= PICTURE_POINTS_MAX);
        cr_assert(step == 1 || (count + step - 2) / (step - 1) > PICTURE_POINTS_MAX);
    }
}

Test(chaos_picture, a_point_has_the_mean_of_rates_and_the_greatest_of_the_rest)
{
    const struct summary_second at[3] = {
        {.customers = {100, 90, 0, 10, 5, 3, 20, -1, -1},
         .watch = {.in_flight = -1, .backlog = {-1, -1, -1, -1, -1, 7, 1}}},
        {.customers = {200, 0, 3, 0, 0, -1, -1, -1, -1},
         .watch = {.in_flight = 5, .backlog = {-1, -1, -1, 2, -1, 3, 4}, .silent = 8}},
        {.customers = {300, 0, 0, 2, 1, 4, 10, -1, -1},
         .watch = {.in_flight = 3, .backlog = {-1, -1, -1, 1, -1, 5, 2}}}};
    struct summary_second point = picture_point(at, 3);
    cr_assert_eq(point.customers.asked, 200);
    cr_assert_eq(point.customers.accepted, 30);
    cr_assert_eq(point.customers.refused, 1);
    cr_assert_eq(point.customers.unknown, 4);
    cr_assert_eq(point.customers.finished, 2);
    cr_assert_eq(point.customers.answer_ms_p50, 4);
    cr_assert_eq(point.customers.answer_ms_p99, 20);
    cr_assert_eq(point.customers.finish_ms_p50, -1);
    cr_assert_float_eq(point.watch.in_flight, 5, 1e-9);
    cr_assert_float_eq(point.watch.backlog[PART_ORDER], 2, 1e-9);
    cr_assert_float_eq(point.watch.backlog[PART_PAYMENT], -1, 1e-9);
    cr_assert_float_eq(point.watch.backlog[PART_INVENTORY], 7, 1e-9);
    cr_assert_eq(point.watch.silent, 8);
}

/* ---- markup ---- */

static char *escaped(const char *text)
{
    char *out;
    size_t size;
    FILE *file = open_memstream(&out, &size);
    markup_escape(file, text);
    fclose(file);
    return out;
}

Test(chaos_markup, what_means_something_is_escaped_and_what_is_no_text_replaced)
{
    static const char *const pairs[][2] = {{"a<b>&\"c\"", "a&lt;b&gt;&amp;&quot;c&quot;"},
                                           {"Zürich €", "Zürich €"},
                                           {"\x01\x1b\n", "??\n"},
                                           {"\xff\xc3", "??"},
                                           {"\xed\xa0\x80", "???"},
                                           {"\xc0\xaf", "??"},
                                           {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char *out = escaped(pairs[i][0]);
        cr_assert_str_eq(out, pairs[i][1]);
        free(out);
    }
}

/* ---- page ---- */

static char *written(const struct summary *summary, void (*write)(FILE *, const struct summary *))
{
    char *out;
    size_t size;
    FILE *file = open_memstream(&out, &size);
    write(file, summary);
    fclose(file);
    return out;
}

static void write_picture(FILE *file, const struct summary *summary)
{
    picture_write(file, summary, false);
}

/* Every element ends, in order; no bare & or <. */
static void expect_well_formed(const char *text)
{
    char open[32][16];
    size_t depth = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '&') {
            size_t len = strcspn(at, ";");
            cr_assert(len > 2 && len < 7, "%.40s", at);
        }
        if (*at != '<' || at[1] == '!')
            continue;
        const char *end = strchr(at, '>');
        cr_assert_not_null(end);
        bool closes = at[1] == '/';
        char name[16] = "";
        for (size_t i = 0; i < 15 && isalnum((unsigned char)at[1 + closes + i]); i++)
            name[i] = at[1 + closes + i];
        cr_assert_neq(name[0], '\0', "%.40s", at);
        if (closes) {
            cr_assert(depth > 0 && strcmp(open[--depth], name) == 0, "%.40s", at);
        } else if (end[-1] != '/') {
            cr_assert_lt(depth, 32);
            memcpy(open[depth++], name, sizeof name);
        }
        at = end;
    }
    cr_assert_eq(depth, 0);
}

static bool has(const char *text, const char *words)
{
    return strstr(text, words) != NULL;
}

static void expect_page(const struct summary *summary, const char *words)
{
    char *page = written(summary, page_write);
    expect_well_formed(page);
    cr_assert(has(page, words), "%s is not in\n%s", words, page);
    cr_assert_not(has(page, "src="));
    cr_assert_not(has(page, "href="));
    free(page);
}

Test(chaos_page, of_a_good_run)
{
    struct summary summary = make_good();
    summary.asked = 18000;
    expect_page(&summary, "<span class=\"good\">holds</span>");
    expect_page(&summary, "SAGA_TEST_CHAOS_SEED=7 ");
    expect_page(&summary, "payment-svc and kafka");
    expect_page(&summary, "pid 812 is gone");
    expect_page(&summary, "2 kinds of faults");
    summary.kinds = &cut_kind;
    summary.kinds_count = 1;
    expect_page(&summary, "--kind cut");
    char *picture = written(&summary, write_picture);
    expect_well_formed(picture);
    cr_assert(has(picture, ">cut<") && has(picture, ">kill<"));
    cr_assert_eq(strncmp(picture, "<svg xmlns=", 11), 0);
    free(picture);
}

Test(chaos_page, of_a_bad_one)
{
    struct summary summary = make_good();
    judgement.wrong = 25;
    for (size_t i = 0; i < JUDGE_COUNTEREXAMPLES_MAX; i++)
        snprintf(judgement.counterexamples[i].what, sizeof judgement.counterexamples[i].what,
                 "<script>alert(%zu)</script> & more", i);
    judgement.counterexamples[1].timeline = "2026 order-svc order.created\n";
    summary.complaint = "500 <html>";
    summary.said[0] = "I1 BROKEN order=<x>\n";
    summary.why = "no recovery from kill & cut";
    faults[0].recovered_us = faults[0].lifted_us = 0;
    faults[1].proved = false;
    faults[1].evidence[0] = '\0';
    expect_page(&summary, "&lt;script&gt;alert(19)&lt;/script&gt; &amp; more");
    expect_page(&summary, "and 5 more");
    expect_page(&summary, "2026 order-svc order.created");
    expect_page(&summary, "500 &lt;html&gt;");
    expect_page(&summary, "I1 BROKEN order=&lt;x&gt;");
    expect_page(&summary, "no recovery from kill &amp; cut");
    expect_page(&summary, "NOT SEEN: ");
    expect_page(&summary, "no timeline");
}

Test(chaos_page, of_runs_without_anything_and_of_the_longest)
{
    struct summary summary = make_good();
    summary.count = 0;
    summary.faults_count = 0;
    expect_page(&summary, "no fault was done");
    summary = make_good();
    for (size_t i = 0; i < CUSTOMERS_SECONDS_MAX; i++)
        seconds[i] = seconds[0];
    summary.count = CUSTOMERS_SECONDS_MAX;
    summary.end_us = (int64_t)CUSTOMERS_SECONDS_MAX * 1000000;
    expect_page(&summary, "A point is 6 s");
    char *picture = written(&summary, write_picture);
    cr_assert_lt(strlen(picture), 400000);
    free(picture);
}
