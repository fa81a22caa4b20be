/* log.c: a line is put together in one buffer and written at once, so that lines never mix. */
#include "ports/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "ports/system.h"
#include "saga/json.h"

#define MESSAGE_MAX 1024

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static struct {
    const char *service;
    bool json;
    enum log_level level;
} opened = {"", true, LOG_INFO};

void log_open(const char *service, bool json, enum log_level level)
{
    opened.service = service;
    opened.json = json;
    opened.level = level;
}

bool log_enabled(enum log_level level)
{
    return level >= opened.level;
}

/* What stdout does not take is lost: a full disk must not stop the service. */
static void write_line(const char *line, size_t len)
{
    while (len > 0) {
        ssize_t written = write(STDOUT_FILENO, line, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        line += written;
        len -= (size_t)written;
    }
}

/* 00-<trace id>-<span id>-<flags>: the trace id ties the lines of one saga together. */
static struct saga_text trace_id(struct saga_text traceparent)
{
    return traceparent.len == 55 ? (struct saga_text){traceparent.at + 3, 32}
                                 : (struct saga_text){0};
}

static void put_about(struct saga_json *json, const struct log_about *about)
{
    static const struct saga_uuid none = {{0}};
    struct saga_text trace = trace_id(about->traceparent);
    if (trace.at != NULL)
        saga_json_text(json, "trace_id", trace);
    if (about->order_id != NULL && memcmp(about->order_id, &none, sizeof none) != 0)
        saga_json_uuid(json, "order_id", about->order_id);
    if (about->topic.at != NULL) {
        saga_json_text(json, "topic", about->topic);
        saga_json_int(json, "partition", about->partition);
        saga_json_int(json, "offset", about->offset);
    }
}

static void write_json(enum log_level level, const struct log_about *about, const char *message)
{
    struct saga_json json = {.max = 16 * 1024};
    saga_json_open(&json, NULL, '{');
    saga_json_time(&json, "time", system_now_us());
    saga_json_text(&json, "level", saga_text(level_names[level]));
    saga_json_text(&json, "service", saga_text(opened.service));
    saga_json_text(&json, "message", saga_text(message));
    if (about != NULL)
        put_about(&json, about);
    saga_json_close(&json, '}');
    struct saga_text line = saga_json_done(&json);
    if (line.at != NULL && json.len < json.size) {
        json.at[json.len++] = '\n';
        write_line(json.at, json.len);
    } else if (line.at != NULL) {
        write_line(line.at, line.len);
        write_line("\n", 1);
    }
    saga_json_clear(&json);
}

static void write_text(enum log_level level, const struct log_about *about, const char *message)
{
    char line[MESSAGE_MAX + 256], time[SAGA_TIME_TEXT_SIZE], id[SAGA_UUID_TEXT_SIZE] = "";
    saga_time_format(system_now_us(), time);
    if (about != NULL && about->order_id != NULL)
        saga_uuid_format(about->order_id, id);
    struct saga_text trace = about != NULL ? trace_id(about->traceparent) : (struct saga_text){0};
    int len = snprintf(line, sizeof line, "%s %-5s %s: %s%s%s%s%.*s\n", time, level_names[level],
                       opened.service, message, *id ? " order=" : "", id, trace.at ? " trace=" : "",
                       (int)trace.len, trace.at ? trace.at : "");
    if (len > 0)
        write_line(line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
}

void log_line(enum log_level level, const struct log_about *about, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list arguments;
    if (!log_enabled(level))
        return;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (opened.json)
        write_json(level, about, message);
    else
        write_text(level, about, message);
}
