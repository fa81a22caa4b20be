/* exposition.c: a strict reader of Prometheus text 0.0.4. */
#include "exposition.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

#define FAMILIES_MAX 64
#define SAMPLES_MAX 20000
#define NAME_SIZE 96
#define TIMEOUT_MS 10000

struct family {
    char name[NAME_SIZE], type[16];
};

struct sample {
    size_t family;
    char name[NAME_SIZE]; /* with _bucket, _sum, _count */
    char *series;         /* the line without its value */
    char names[NAME_SIZE];
    double le, value;
};

struct exposition {
    char wrong[256];
    struct family families[FAMILIES_MAX];
    size_t families_count;
    struct sample *samples;
    size_t samples_count;
};

static void complain(struct exposition *exposition, const char *why, const char *line)
{
    if (exposition->wrong[0] == '\0')
        snprintf(exposition->wrong, sizeof exposition->wrong, "%s: %.160s", why, line);
}

static size_t name_len(const char *at, bool colons)
{
    size_t len = 0;
    while ((at[len] >= 'a' && at[len] <= 'z') || (at[len] >= 'A' && at[len] <= 'Z') ||
           at[len] == '_' || (colons && at[len] == ':') ||
           (len > 0 && at[len] >= '0' && at[len] <= '9'))
        len++;
    return len;
}

/* "# HELP name text" and then "# TYPE name type". */
static void read_head(struct exposition *exposition, const char *help, const char *type)
{
    struct family family = {{0}, {0}};
    size_t len = strncmp(help, "# HELP ", 7) == 0 ? name_len(help + 7, true) : 0;
    if (len == 0 || len >= NAME_SIZE || help[7 + len] != ' ' || help[8 + len] == '\0')
        complain(exposition, "no HELP", help);
    else
        memcpy(family.name, help + 7, len);
    if (type == NULL || strncmp(type, "# TYPE ", 7) != 0 ||
        strncmp(type + 7, family.name, len) != 0 || type[7 + len] != ' ') {
        complain(exposition, "no TYPE after it", help);
        return;
    }
    snprintf(family.type, sizeof family.type, "%s", type + 8 + len);
    if (strcmp(family.type, "counter") != 0 && strcmp(family.type, "gauge") != 0 &&
        strcmp(family.type, "histogram") != 0)
        complain(exposition, "an unknown type", type);
    for (size_t i = 0; i < exposition->families_count; i++)
        if (strcmp(exposition->families[i].name, family.name) == 0)
            complain(exposition, "a name stands in two places", help);
    if (exposition->families_count == FAMILIES_MAX)
        complain(exposition, "too many names", help);
    else
        exposition->families[exposition->families_count++] = family;
}

/* {name="value",...}: where it ends, NULL if it is wrong. le goes to *ret_le. */
static const char *read_labels(const char *at, char names[NAME_SIZE], double *ret_le)
{
    for (at++; *at != '}';) {
        size_t len = name_len(at, false), used = strlen(names);
        if (len == 0 || at[len] != '=' || at[len + 1] != '"')
            return NULL;
        if (len == 2 && strncmp(at, "le", 2) == 0)
            *ret_le = strtod(at + 4, NULL);
        else
            snprintf(names + used, NAME_SIZE - used, "%s%.*s", used ? "," : "", (int)len, at);
        for (at += len + 2; *at != '"'; at++) {
            if (*at == '\\' && strchr("\\\"n", *++at) == NULL)
                return NULL;
            if (*at == '\0')
                return NULL;
        }
        at++;
        if (*at == ',' && at[1] != '}')
            at++;
        else if (*at != '}')
            return NULL;
    }
    return at + 1;
}

static bool belongs(const struct family *family, const char *name)
{
    size_t len = strlen(family->name);
    if (strcmp(family->type, "histogram") != 0)
        return strcmp(name, family->name) == 0;
    return strncmp(name, family->name, len) == 0 &&
           (strcmp(name + len, "_bucket") == 0 || strcmp(name + len, "_sum") == 0 ||
            strcmp(name + len, "_count") == 0);
}

static void read_sample(struct exposition *exposition, const char *line)
{
    struct sample sample = {.family = exposition->families_count - 1, .le = NAN};
    size_t len = name_len(line, true);
    if (len == 0 || len >= NAME_SIZE || exposition->samples_count == SAMPLES_MAX ||
        exposition->families_count == 0) {
        complain(exposition, "no series", line);
        return;
    }
    memcpy(sample.name, line, len);
    if (!belongs(&exposition->families[sample.family], sample.name))
        complain(exposition, "a series away from its HELP and TYPE", line);
    const char *at = line + len;
    if (*at == '{')
        at = read_labels(at, sample.names, &sample.le);
    char *end = NULL;
    if (at == NULL || *at != ' ' || at[1] == '\0' || at[1] == ' ') {
        complain(exposition, "wrong labels, or no value", line);
        return;
    }
    sample.value = strtod(at + 1, &end);
    if (*end != '\0' || isnan(sample.value))
        complain(exposition, "the value is no number", line);
    if (strcmp(exposition->families[sample.family].type, "gauge") != 0 && sample.value < 0)
        complain(exposition, "a count below 0", line);
    sample.series = strndup(line, (size_t)(at - line));
    exposition->samples[exposition->samples_count++] = sample;
}

static int compare_series(const void *left, const void *right)
{
    return strcmp(((const struct sample *)left)->series, ((const struct sample *)right)->series);
}

static void check_twice(struct exposition *exposition)
{
    size_t count = exposition->samples_count;
    struct sample *sorted = malloc((count + 1) * sizeof *sorted);
    memcpy(sorted, exposition->samples, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_series);
    for (size_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1].series, sorted[i].series) == 0)
            complain(exposition, "a series stands there twice", sorted[i].series);
    free(sorted);
}

/* Buckets of rising bounds and counts, then +Inf, the sum, and a count that is that of +Inf. */
static void check_histograms(struct exposition *exposition)
{
    const struct sample *samples = exposition->samples;
    for (size_t i = 0; i < exposition->samples_count; i++) {
        const struct family *family = &exposition->families[samples[i].family];
        if (strcmp(family->type, "histogram") != 0 || isnan(samples[i].le))
            continue;
        if (i > 0 && strcmp(samples[i - 1].name, samples[i].name) == 0 &&
            (samples[i].le <= samples[i - 1].le || samples[i].value < samples[i - 1].value))
            complain(exposition, "a bucket below the one before", samples[i].series);
        if (!isinf(samples[i].le))
            continue;
        bool whole = i + 2 < exposition->samples_count &&
                     strcmp(samples[i + 1].name + strlen(family->name), "_sum") == 0 &&
                     strcmp(samples[i + 2].name + strlen(family->name), "_count") == 0 &&
                     samples[i + 2].value == samples[i].value;
        if (!whole)
            complain(exposition, "no sum, or a count that is not that of +Inf", samples[i].series);
    }
}

struct exposition *exposition_read(const char *text)
{
    struct exposition *exposition = calloc(1, sizeof *exposition);
    char *copy = strdup(text), *rest = copy, *line;
    exposition->samples = calloc(SAMPLES_MAX, sizeof *exposition->samples);
    size_t len = strlen(text);
    if (len == 0 || text[len - 1] != '\n')
        complain(exposition, "the last line does not end", "");
    else
        copy[len - 1] = '\0';
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (*line == '#')
            read_head(exposition, line, strsep(&rest, "\n"));
        else
            read_sample(exposition, line);
    }
    free(copy);
    check_twice(exposition);
    check_histograms(exposition);
    return exposition;
}

struct exposition *exposition_ask(const char *base)
{
    struct http_answer *answer = http_call(base, "GET", "/metrics", NULL, NULL, TIMEOUT_MS);
    struct exposition *exposition = exposition_read(answer->body_len > 0 ? answer->body : "");
    char type[80] = "";
    http_header(answer, "Content-Type", type, sizeof type);
    if (answer->status != 200 || strcmp(type, "text/plain; version=0.0.4; charset=utf-8") != 0)
        complain(exposition, "another status or Content-Type", type);
    http_answer_free(answer);
    return exposition;
}

void exposition_free(struct exposition *exposition)
{
    for (size_t i = 0; i < exposition->samples_count; i++)
        free(exposition->samples[i].series);
    free(exposition->samples);
    free(exposition);
}

const char *exposition_wrong(const struct exposition *exposition)
{
    return exposition->wrong[0] == '\0' ? NULL : exposition->wrong;
}

bool exposition_has(const struct exposition *exposition, const char *name, const char *type,
                    const char *labels)
{
    bool has = false;
    for (size_t i = 0; i < exposition->families_count; i++)
        has = has || (strcmp(exposition->families[i].name, name) == 0 &&
                      strcmp(exposition->families[i].type, type) == 0);
    for (size_t i = 0; i < exposition->samples_count; i++)
        if (strcmp(exposition->families[exposition->samples[i].family].name, name) == 0)
            has = has && strcmp(exposition->samples[i].names, labels) == 0;
    return has;
}

size_t exposition_count(const struct exposition *exposition, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < exposition->samples_count; i++)
        count += strcmp(exposition->samples[i].name, name) == 0;
    return count;
}

double exposition_value(const struct exposition *exposition, const char *series, double otherwise)
{
    for (size_t i = 0; i < exposition->samples_count; i++)
        if (strcmp(exposition->samples[i].series, series) == 0)
            return exposition->samples[i].value;
    return otherwise;
}
