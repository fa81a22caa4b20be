/* timeline.c: one line an entry; see timeline.h. */
#include "timeline.h"

#include <stdio.h>
#include <stdlib.h>

#include "saga/service.h"

#define ENTRIES_MAX 64 /* an order has some ten: each fact is noted once */

static struct saga_text add(struct saga_tx *tx, struct saga_text timeline, const char *event,
                            int64_t at_us, int32_t partition, int64_t offset,
                            struct saga_text reason)
{
    if (reason.at == NULL)
        reason = SAGA_TEXT("-");
    return saga_format(tx, "%.*s%lld %s %d %lld %.*s\n", (int)timeline.len,
                       timeline.at ? timeline.at : "", (long long)at_us, event, (int)partition,
                       (long long)offset, (int)reason.len, reason.at);
}

struct saga_text timeline_heard(struct saga_tx *tx, struct saga_text timeline,
                                const struct saga_message *in, struct saga_text reason)
{
    return add(tx, timeline, in->event->name, in->said_us, in->partition, in->offset, reason);
}

struct saga_text timeline_said(struct saga_tx *tx, struct saga_text timeline,
                               const struct saga_event *event, int64_t at_us,
                               struct saga_text reason)
{
    return add(tx, timeline, event->name, at_us, -1, -1, reason);
}

struct entry {
    long long at_us, offset;
    int partition;
    size_t number;
    char event[40], reason[40];
};

static int compare(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->at_us != b->at_us)
        return a->at_us < b->at_us ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

static size_t read_entries(struct saga_text timeline, struct entry entries[ENTRIES_MAX])
{
    size_t count = 0;
    while (timeline.len > 0 && count < ENTRIES_MAX) {
        const char *end = memchr(timeline.at, '\n', timeline.len);
        size_t len = end ? (size_t)(end - timeline.at) : timeline.len;
        char line[160];
        snprintf(line, sizeof line, "%.*s", (int)len, timeline.at);
        struct entry *entry = &entries[count];
        if (sscanf(line, "%lld %39s %d %lld %39s", &entry->at_us, entry->event, &entry->partition,
                   &entry->offset, entry->reason) == 5)
            entry->number = count++;
        size_t used = end ? len + 1 : len;
        timeline.at += used;
        timeline.len -= used;
    }
    return count;
}

/* Who says it: the first word of its name, but for the one event of an order that shipping says. */
static const char *service_of(const char *event)
{
    if (strcmp(event, "order.shipped") == 0 || strncmp(event, "shipping.", 9) == 0)
        return "shipping-svc";
    if (strncmp(event, "payment.", 8) == 0)
        return "payment-svc";
    if (strncmp(event, "inventory.", 10) == 0)
        return "inventory-svc";
    return "order-svc";
}

static void write_number(struct saga_json *json, const char *name, long long number)
{
    if (number < 0)
        saga_json_text(json, name, (struct saga_text){0});
    else
        saga_json_int(json, name, number);
}

void timeline_write(struct saga_json *json, const char *name, struct saga_text timeline)
{
    struct entry entries[ENTRIES_MAX];
    size_t count = read_entries(timeline, entries);
    qsort(entries, count, sizeof *entries, compare); /* two topics may be heard in either order */
    saga_json_open(json, name, '[');
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = &entries[i];
        bool reason = strcmp(entry->reason, "-") != 0;
        saga_json_open(json, NULL, '{');
        saga_json_time(json, "at", entry->at_us);
        saga_json_text(json, "service", saga_text(service_of(entry->event)));
        saga_json_text(json, "event", saga_text(entry->event));
        saga_json_text(json, "reason", saga_text(reason ? entry->reason : NULL));
        saga_json_text(json, "topic", saga_text(entry->event));
        write_number(json, "partition", entry->partition);
        write_number(json, "offset", entry->offset);
        saga_json_close(json, '}');
    }
    saga_json_close(json, ']');
}
