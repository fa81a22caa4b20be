/* metric.c: what a service says of itself at /metrics. */
#include "metric.h"

#include <stdlib.h>
#include <string.h>

#include "http.h"

#define TIMEOUT_MS 5000

double metric_of(const char *base, const char *series)
{
    struct http_answer *answer = http_call(base, "GET", "/metrics", NULL, NULL, TIMEOUT_MS);
    size_t len = strlen(series);
    double value = -1;
    const char *line = answer->status == 200 ? answer->body : NULL;
    for (; line != NULL; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, series, len) == 0 && line[len] == ' ')
            value = strtod(line + len, NULL);
    }
    http_answer_free(answer);
    return value;
}

int metric_ready(const char *base)
{
    struct http_answer *answer = http_call(base, "GET", "/readyz", NULL, NULL, TIMEOUT_MS);
    int status = answer->status;
    http_answer_free(answer);
    return status;
}
