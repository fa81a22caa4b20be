/*
 * log.h: one line an event on stdout: JSON, or text for people. Any thread; a line is written
 * whole. Only runtime/ logs; core, ports and handlers return what happened.
 */
#ifndef PORTS_LOG_H
#define PORTS_LOG_H

#include "saga/types.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_open(const char *service, bool json, enum log_level level);
bool log_enabled(enum log_level level);

/* Members of a line; traceparent is logged as trace_id. Absent ones are left out. */
struct log_about {
    const struct saga_uuid *order_id;
    struct saga_text traceparent;
    struct saga_text topic;
    int32_t partition; /* with topic */
    int64_t offset;    /* with topic */
};

/* {"time","level","service","message",...about}. about may be NULL. */
void log_line(enum log_level level, const struct log_about *about, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
