/*
 * chaos.c: does harm to a running stack, fault after fault from a seed, while customers order and
 * an auditor looks; then compares what they were answered with what is there.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "chaos/course.h"
#include "chaos/plan.h"
#include "support/stack.h"

#define KINDS_MAX 64
#define SEED_MAX ((UINT64_C(1) << 48) - 1)
/* What orders need, with some reserve: it should not take long to fill. */
#define DISK_MIB 700
#define DISK_MIB_A_SECOND 3
#define PLAN_SHOWN 60

static const char usage[] =
    "Usage: chaos [--processes | --three-brokers] [--seed N] [--seconds N] [--rate N] [--kind "
    "NAME]... "
    "[--report FOLDER]\n"
    "             [--list | --plan]\n"
    "\n"
    "  --processes   parts are processes with a network of their own each, not containers\n"
    "  --three-brokers\n"
    "                containers, and Kafka is three: whichever leads a partition is killed\n"
    "  --seed N      the same faults in the same order, and customers, as another run with it\n"
    "                (default: a new one)\n"
    "  --seconds N   of load and faults (120)\n"
    "  --rate N      orders a second (200)\n"
    "  --kind NAME   only faults of this kind; may be repeated\n"
    "  --report FOLDER\n"
    "                for chaos.html and timeline.svg (build/chaos)\n"
    "  --list        the kinds of faults as a table\n"
    "  --plan        what the seed plans; does nothing\n";

struct options {
    const struct site *site;
    uint64_t seed;
    int seconds;
    double rate;
    struct fault_kind kinds[KINDS_MAX];
    size_t kinds_count;
    bool limited;       /* to these kinds; else they are all */
    const char *report; /* folder; NULL: build/chaos */
    bool list, plan;
};

static _Noreturn void refuse(const char *what, const char *value)
{
    fprintf(stderr, "chaos: %s %s; try --help\n", what, value);
    exit(2);
}

static uint64_t number(const char *text, uint64_t least, uint64_t most)
{
    char *end;

    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < least || value > most)
        refuse("wrong number", text);
    return value;
}

static void check_load(double rate, int seconds)
{
    char what[160];

    snprintf(what, sizeof what,
             "%.0f orders a second for %d s: rate x (seconds + %d) is %d at most", rate, seconds,
             COURSE_WARM_UP_S, CUSTOMERS_MAX);
    if (!course_has_customers(rate, seconds))
        refuse("too many:", what);
}

static void take_kind(struct options *options, const char *name)
{
    for (size_t i = 0; i < fault_kinds_count; i++) {
        if (strcmp(fault_kinds[i].name, name) != 0)
            continue;
        if (options->kinds_count < KINDS_MAX)
            options->kinds[options->kinds_count++] = fault_kinds[i];
        return;
    }
    refuse("there is no kind", name);
}

/* Small enough to be typed, and exact wherever numbers are kept as doubles. */
static uint64_t fresh_seed(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        refuse("no random number:", strerror(errno));
    return seed & SEED_MAX;
}

static void read_options(int argc, char **argv, struct options *ret)
{
    static const struct option names[] = {{"processes", no_argument, NULL, 'p'},
                                          {"three-brokers", no_argument, NULL, 'b'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {"rate", required_argument, NULL, 'r'},
                                          {"kind", required_argument, NULL, 'k'},
                                          {"report", required_argument, NULL, 'f'},
                                          {"list", no_argument, NULL, 'l'},
                                          {"plan", no_argument, NULL, 'n'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    bool seeded = false;

    *ret = (struct options){.site = &site_containers, .seconds = 120, .rate = 200};
    for (int name; (name = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
        switch (name) {
        case 'p':
            ret->site = &site_processes;
            break;
        case 'b':
            ret->site = &site_brokers;
            break;
        case 's':
            ret->seed = number(optarg, 0, SEED_MAX);
            seeded = true;
            break;
        case 't':
            ret->seconds = (int)number(optarg, 1, COURSE_SECONDS_MAX);
            break;
        case 'r':
            ret->rate = (double)number(optarg, 1, 10000);
            break;
        case 'k':
            take_kind(ret, optarg);
            break;
        case 'f':
            ret->report = optarg;
            break;
        case 'l':
            ret->list = true;
            break;
        case 'n':
            ret->plan = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            exit(2);
        }
    }
    if (optind < argc)
        refuse("unknown argument", argv[optind]);
    check_load(ret->rate, ret->seconds);
    if (!seeded)
        ret->seed = fresh_seed();
    ret->limited = ret->kinds_count > 0;
    for (size_t i = 0; !ret->limited && i < fault_kinds_count; i++)
        take_kind(ret, fault_kinds[i].name);
}

/* Markdown, as tests/README.md has it. */
static void print_kinds(const struct options *options)
{
    printf("| kind | what |\n|---|---|\n");
    for (size_t i = 0; i < options->kinds_count; i++) {
        const struct fault_kind *kind = &options->kinds[i];
        const char *only = kind->forms == 1u << SITE_BROKERS ? " (`--three-brokers`)" : "";
        printf("| `%s` | %s%s |\n", kind->name, kind->what, only);
    }
}

static void print_plan(const struct fault *faults, size_t count)
{
    char victims[120];

    for (size_t i = 0; i < count; i++) {
        const struct fault *fault = &faults[i];
        printf("%3zu  after %4d ms, for %5d ms: %s: %s%s%s\n", i + 1, fault->gap_ms, fault->hold_ms,
               fault->kind->name, fault_victims(fault, victims, sizeof victims),
               fault->other == PARTS ? "" : " and ",
               fault->other == PARTS ? "" : part_names[fault->other]);
    }
}

/* No fault takes less than a second: so many are enough. */
static struct fault *plan(const struct options *options, size_t *ret_count)
{
    *ret_count = options->plan ? PLAN_SHOWN : (size_t)options->seconds + 1;
    bool any = false;
    for (size_t i = 0; i < options->kinds_count; i++)
        any |= (options->kinds[i].forms & 1u << options->site->form) != 0;
    if (!any)
        refuse("none of these kinds can be done to", options->site->name);
    struct fault *faults = calloc(*ret_count, sizeof *faults);
    if (faults == NULL)
        refuse("no memory for a plan:", strerror(errno));
    plan_make(options->seed, options->kinds, options->kinds_count, options->site->form, faults,
              *ret_count);
    return faults;
}

static void interrupt(int signal)
{
    (void)signal;
    course_interrupt();
}

/* Until the stack is up a signal just ends this process: the keeper takes away what there is. */
static void heed_signals(void)
{
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

static bool report(const struct options *options, const struct run *run)
{
    char folder[4096];

    snprintf(folder, sizeof folder, "%s/build/chaos", stack_root());
    if (options->report != NULL)
        snprintf(folder, sizeof folder, "%s", options->report);
    report_print(run);
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
        fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        return false;
    }
    return report_write(run, folder);
}

/* The last line is for tests/run. */
static int run(const struct options *options)
{
    size_t good, bad;
    struct course course = {
        .run = {.site = options->site,
                .seed = options->seed,
                .rate = options->rate,
                .seconds = options->seconds,
                .kinds = options->kinds,
                .kinds_count = options->limited ? options->kinds_count : 0},
    };

    course.run.faults = plan(options, &course.planned);
    if (!options->site->begin(DISK_MIB + options->seconds * DISK_MIB_A_SECOND)) {
        options->site->end(true);
        free(course.run.faults);
        printf("chaos: 0 passed, 1 failed\n");
        return 1;
    }
    heed_signals();
    course_run(&course);
    bool written = report(options, &course.run);
    course_count(&course, &good, &bad);
    bad += !written;
    options->site->end(bad > 0);
    course_free(&course);
    free(course.run.faults);
    printf("chaos: %zu passed, %zu failed\n", good, bad);
    return bad > 0;
}

int main(int argc, char **argv)
{
    static struct options options;

    read_options(argc, argv, &options);
    if (options.list) {
        print_kinds(&options);
        return 0;
    }
    printf("chaos: seed %" PRIu64 ", %s, %.0f orders a second for %d s\n", options.seed,
           options.site->name, options.rate, options.seconds);
    fflush(stdout);
    if (!options.plan)
        return run(&options);
    size_t count;
    struct fault *faults = plan(&options, &count);
    print_plan(faults, count);
    free(faults);
    return 0;
}
