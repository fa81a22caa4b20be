/*
 * report.c: many loads become one result: a table, build/bench/result.json, a picture, and the
 * table of figures as README.md has it.
 *
 * Usage: report FOLDER COMMIT FLOOR.json BACKLOG.json LOAD.json...; "-": there is none.
 */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "chart.h"

/* More than this, in cores, was busy with neither the stack nor the load: so much is the kernel's
 * own upkeep; above, somebody else was at work and took caches, disk and cores. */
#define STRANGERS_MAX 0.15

static struct {
    const char *folder, *commit;
    json_t *loads[CHART_POINTS_MAX], *floor, *backlog;
    size_t count;
} input;

/* "latency_ms/p50"; 0: it is not there. */
static double number(const json_t *object, const char *path)
{
    char key[64];

    while (object != NULL && *path != '\0') {
        size_t len = strcspn(path, "/");
        snprintf(key, sizeof key, "%.*s", (int)len, path);
        object = json_object_get(object, key);
        path += len + (path[len] == '/');
    }
    return json_number_value(object);
}

static const char *name_of(const json_t *load)
{
    const char *name = json_string_value(json_object_get(json_object_get(load, "load"), "name"));
    return name == NULL ? "?" : name;
}

static bool is_open(const json_t *load)
{
    return number(load, "load/rate") > 0;
}

static bool is_mixed(const json_t *load)
{
    const json_t *mix = json_object_get(json_object_get(load, "load"), "mix");
    return json_integer_value(json_array_get(mix, 1)) > 0;
}

/* The closed load that got furthest; NULL: there was none. */
static const json_t *saturation(void)
{
    const json_t *best = NULL;
    for (size_t i = 0; i < input.count; i++) {
        const json_t *load = input.loads[i];
        if (!is_open(load) && !is_mixed(load) &&
            (best == NULL || number(load, "sagas_per_s") > number(best, "sagas_per_s")))
            best = load;
    }
    return best;
}

/* Of the floor; 0: one of the two is not there. */
static double share_of_floor(void)
{
    double floor = number(input.floor, "sagas_per_s");
    return floor > 0 ? number(saturation(), "sagas_per_s") / floor : 0;
}

static double strangers(void)
{
    double most = 0;
    for (size_t i = 0; i < input.count; i++)
        if (number(input.loads[i], "cores_busy_elsewhere") > most)
            most = number(input.loads[i], "cores_busy_elsewhere");
    return most;
}

/* ---- the machine ---- */

/* The text behind the first "name<spaces>: " of the file; "" if there is none. */
static void find_line(const char *path, const char *name, char *ret_value, size_t size)
{
    char line[512];
    FILE *file = fopen(path, "re");

    ret_value[0] = '\0';
    while (file != NULL && ret_value[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (colon == NULL || strncmp(line, name, strlen(name)) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(ret_value, size, "%s", colon + 1 + strspn(colon + 1, " \t"));
    }
    if (file != NULL)
        fclose(file);
}

static json_t *machine_json(void)
{
    char model[200], memory[64];
    struct utsname kernel;

    find_line("/proc/cpuinfo", "model name", model, sizeof model);
    find_line("/proc/meminfo", "MemTotal", memory, sizeof memory);
    if (uname(&kernel) != 0)
        memset(&kernel, 0, sizeof kernel);
    return json_pack("{s:s, s:I, s:I, s:s}", "cpu", model, "cores",
                     (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "memory_mb",
                     (json_int_t)strtol(memory, NULL, 10) / 1024, "kernel", kernel.release);
}

static void print_date(char *buffer, size_t size)
{
    time_t now = time(NULL);
    struct tm utc;
    strftime(buffer, size, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
}

static FILE *open_file(const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", input.folder, name);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        fprintf(stderr, "report: %s: %s\n", path, strerror(errno));
    return file;
}

/* A full disk is told at the end at the latest. */
static bool close_file(FILE *file, const char *name)
{
    bool good = file != NULL && !ferror(file);
    good = file != NULL && fclose(file) == 0 && good;
    if (file != NULL && !good)
        fprintf(stderr, "report: %s could not be written\n", name);
    return good;
}

/* ---- the three files ---- */

static bool write_json(json_t *machine, const char *date)
{
    json_t *loads = json_array();
    for (size_t i = 0; i < input.count; i++)
        json_array_append(loads, input.loads[i]);
    json_t *result = json_pack("{s:s, s:s, s:O, s:b, s:o, s:O?, s:f, s:O?}", "date", date, "commit",
                               input.commit, "machine", machine, "machine_was_ours",
                               strangers() <= STRANGERS_MAX, "loads", loads, "floor", input.floor,
                               "saturation_of_floor", share_of_floor(), "backlog", input.backlog);
    FILE *file = open_file("result.json");
    bool good = file != NULL && result != NULL &&
                json_dumpf(result, file, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) == 0 &&
                fputc('\n', file) != EOF;
    json_decref(result);
    return close_file(file, "result.json") && good;
}

static int by_throughput(const void *left, const void *right)
{
    double a = number(*(json_t *const *)left, "sagas_per_s");
    double b = number(*(json_t *const *)right, "sagas_per_s");
    return (a > b) - (a < b);
}

static void add_curve(struct chart *chart, const char *name, const char *path, json_t *const *loads)
{
    struct chart_curve *curve = &chart->curve[chart->curves++];
    curve->name = name;
    for (size_t i = 0; i < chart->points; i++)
        curve->y[i] = number(loads[i], path);
}

static bool write_picture(const json_t *machine, const char *date)
{
    json_t *loads[CHART_POINTS_MAX];
    char mark[48], where[400], what[200];
    const char *const notes[] = {what, where, NULL};
    struct chart charts[2] = {
        {.title = "Latency of a whole saga", .unit_y = "ms, from the intended time of the request"},
        {.title = "CPU of one order", .unit_y = "us, user and system, by the kernel's counters"}};

    for (size_t i = 0; i < input.count; i++)
        if (!is_mixed(input.loads[i]))
            loads[charts[0].points++] = input.loads[i];
    charts[1].points = charts[0].points;
    qsort(loads, charts[0].points, sizeof *loads, by_throughput);
    for (size_t c = 0; c < 2; c++) {
        charts[c].unit_x = "whole sagas a second";
        for (size_t i = 0; i < charts[c].points; i++)
            charts[c].x[i] = number(loads[i], "sagas_per_s");
        charts[c].mark = mark;
        charts[c].mark_x = number(input.floor, "sagas_per_s");
    }
    add_curve(&charts[0], "p50", "latency_ms/p50", loads);
    add_curve(&charts[0], "p99", "latency_ms/p99", loads);
    add_curve(&charts[1], "PostgreSQL", "parts/postgres/cpu_us_per_order", loads);
    add_curve(&charts[1], "Kafka", "parts/kafka/cpu_us_per_order", loads);
    add_curve(&charts[1], "the four services", "services_cpu_us_per_order", loads);
    add_curve(&charts[1], "all of the stack", "stack_cpu_us_per_order", loads);
    add_curve(&charts[1], "load generator", "parts/load/cpu_us_per_order", loads);
    const json_t *full = saturation();
    snprintf(mark, sizeof mark, "the rows alone: %.0f/s", charts[0].mark_x);
    snprintf(what, sizeof what, "%s%s%s", full ? "Saturation: " : "", full ? name_of(full) : "",
             strangers() <= STRANGERS_MAX ? "." : ". THE MACHINE WAS NOT OURS ALONE: noisy.");
    snprintf(where, sizeof where, "%.0f cores, %s, Linux %s; commit %.12s, %s",
             number(machine, "cores"), json_string_value(json_object_get(machine, "cpu")),
             json_string_value(json_object_get(machine, "kernel")), input.commit, date);
    FILE *file = open_file("result.svg");
    if (file != NULL)
        chart_write(file, charts, 2, notes);
    return close_file(file, "result.svg");
}

/* The block of README.md, as it stands there. */
static bool write_figures(void)
{
    static const char *const parts[] = {"postgres",    "redis",         "kafka",       "order-svc",
                                        "payment-svc", "inventory-svc", "shipping-svc"};
    const json_t *last = input.loads[input.count - 1];
    char path[64];
    FILE *file = open_file("figures.md");

    if (file == NULL)
        return false;
    fprintf(file, "<!-- figures -->\n"
                  "| load | whole sagas/s | p50 / p99 ms | cores busy | CPU us an order: "
                  "PostgreSQL + Kafka + the four services |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < input.count; i++) {
        const json_t *load = input.loads[i];
        fprintf(file, "| %s | %.0f | %.1f / %.1f | %.2f | %.0f + %.0f + %.0f |\n", name_of(load),
                number(load, "sagas_per_s"), number(load, "latency_ms/p50"),
                number(load, "latency_ms/p99"), number(load, "cores_busy"),
                number(load, "parts/postgres/cpu_us_per_order"),
                number(load, "parts/kafka/cpu_us_per_order"),
                number(load, "services_cpu_us_per_order"));
    }
    fprintf(file, "\nMemory after it, MB:");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(path, sizeof path, "parts/%s/rss_mb", parts[i]);
        fprintf(file, "%s %s %.0f", i == 0 ? "" : ",", parts[i], number(last, path));
    }
    fprintf(file, ".\n<!-- /figures -->\n");
    return close_file(file, "figures.md");
}

/* ---- the table ---- */

static void print_loads(void)
{
    printf("latency in ms; CPU in us, WAL and topics in bytes, syncs: of one order\n"
           "%-30s %7s %7s %7s %7s %7s %7s %6s %6s %5s %6s %5s %7s %5s %7s\n",
           "load", "sagas/s", "p50", "p90", "p99", "p99.9", "max", "PG", "Kafka", "Redis", "serv.",
           "load", "WAL", "syncs", "topics");
    for (size_t i = 0; i < input.count; i++) {
        const json_t *load = input.loads[i];
        printf("%-30s %7.0f %7.1f %7.1f %7.1f %7.1f %7.1f %6.0f %6.0f %5.0f %6.0f %5.0f %7.0f "
               "%5.2f %7.0f%s%s\n",
               name_of(load), number(load, "sagas_per_s"), number(load, "latency_ms/p50"),
               number(load, "latency_ms/p90"), number(load, "latency_ms/p99"),
               number(load, "latency_ms/p99_9"), number(load, "latency_ms/max"),
               number(load, "parts/postgres/cpu_us_per_order"),
               number(load, "parts/kafka/cpu_us_per_order"),
               number(load, "parts/redis/cpu_us_per_order"),
               number(load, "services_cpu_us_per_order"),
               number(load, "parts/load/cpu_us_per_order"), number(load, "per_order/wal_bytes"),
               number(load, "per_order/wal_syncs"), number(load, "per_order/record_bytes"),
               json_is_true(json_object_get(load, "in_time")) ? "" : "  sent late",
               json_is_true(json_object_get(load, "kept_up")) ? "" : "  behind");
    }
}

static void print_rest(void)
{
    if (share_of_floor() > 0)
        printf("saturation / floor: %.0f / %.0f sagas/s = %.2f; PostgreSQL's CPU %.0f / %.0f us\n",
               number(saturation(), "sagas_per_s"), number(input.floor, "sagas_per_s"),
               share_of_floor(), number(saturation(), "parts/postgres/cpu_us_per_order"),
               number(input.floor, "postgres_cpu_us_per_saga"));
    if (input.backlog != NULL)
        printf("a backlog of %.0f outbox rows: %.0f rows/s; order-svc %.0f MB when half of it was "
               "sent, %.0f MB at its peak\n",
               number(input.backlog, "rows"), number(input.backlog, "rows_per_s"),
               number(input.backlog, "half_mb"), number(input.backlog, "peak_mb"));
    if (strangers() > STRANGERS_MAX)
        printf("THE MACHINE WAS NOT OURS ALONE: up to %.2f cores were busy with something else; "
               "times and throughput are noisy\n",
               strangers());
    printf("in %s: result.json, result.svg, figures.md (the table of README.md)\n", input.folder);
}

/* "-": there is none. False: it has said why. */
static bool load_file(const char *path, json_t **ret)
{
    json_error_t error;
    if (strcmp(path, "-") == 0)
        return true;
    *ret = json_load_file(path, 0, &error);
    if (*ret == NULL)
        fprintf(stderr, "report: %s: %s\n", path, error.text);
    return *ret != NULL;
}

static bool read_input(int argc, char **argv)
{
    if (argc < 6 || argc - 5 > CHART_POINTS_MAX) {
        fprintf(stderr,
                "usage: report FOLDER COMMIT (FLOOR.json|-) (BACKLOG.json|-) LOAD.json... (at most "
                "%d)\n",
                CHART_POINTS_MAX);
        return false;
    }
    input.folder = argv[1];
    input.commit = argv[2];
    bool good = load_file(argv[3], &input.floor) && load_file(argv[4], &input.backlog);
    for (int i = 5; good && i < argc; i++)
        good = load_file(argv[i], &input.loads[input.count++]) && strcmp(argv[i], "-") != 0;
    return good;
}

int main(int argc, char **argv)
{
    char date[32];

    if (!read_input(argc, argv))
        return 2;
    json_t *machine = machine_json();
    print_date(date, sizeof date);
    print_loads();
    bool good = write_json(machine, date) && write_picture(machine, date) && write_figures();
    if (good)
        print_rest();
    json_decref(machine);
    json_decref(input.floor);
    json_decref(input.backlog);
    for (size_t i = 0; i < input.count; i++)
        json_decref(input.loads[i]);
    return good ? 0 : 1;
}
