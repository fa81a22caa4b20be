/* timeline.c: one line an entry; see timeline.h. */
#include "timeline.h"

#include <errno.h>
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
    int64_t at_us, offset;
    int32_t partition;
    size_t number;
    struct saga_text event, reason; /* they stay in the row */
};

static int compare(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->at_us != b->at_us)
        return a->at_us < b->at_us ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

/* Up to the next `end`, which goes with it, or to the end of the text. */
static struct saga_text take(struct saga_text *text, char end)
{
    const char *stop = text->len > 0 ? memchr(text->at, end, text->len) : NULL;
    struct saga_text taken = {text->at, stop ? (size_t)(stop - text->at) : text->len};
    size_t used = stop ? taken.len + 1 : taken.len;
    text->at += used;
    text->len -= used;
    return taken;
}

static bool take_number(struct saga_text *line, int64_t min, int64_t max, int64_t *ret_number)
{
    struct saga_text word = take(line, ' ');
    char digits[21]; /* as INT64_MIN has, and the end */
    if (word.len == 0 || word.len >= sizeof digits)
        return false;
    memcpy(digits, word.at, word.len);
    digits[word.len] = '\0';
    char *end;
    errno = 0;
    *ret_number = strtoll(digits, &end, 10);
    return errno == 0 && *end == '\0' && *ret_number >= min && *ret_number <= max;
}

static bool read_entry(struct saga_text line, struct entry *ret_entry)
{
    int64_t partition;
    if (!take_number(&line, 0, INT64_MAX, &ret_entry->at_us))
        return false;
    ret_entry->event = take(&line, ' ');
    if (!take_number(&line, -1, INT32_MAX, &partition) ||
        !take_number(&line, -1, INT64_MAX, &ret_entry->offset))
        return false;
    ret_entry->partition = (int32_t)partition;
    ret_entry->reason = line;
    return ret_entry->event.len > 0 && line.len > 0;
}

static bool read_entries(struct saga_text timeline, struct entry entries[ENTRIES_MAX],
                         size_t *ret_count)
{
    for (*ret_count = 0; timeline.len > 0; (*ret_count)++) {
        if (*ret_count == ENTRIES_MAX || !read_entry(take(&timeline, '\n'), &entries[*ret_count]))
            return false;
        entries[*ret_count].number = *ret_count;
    }
    return true;
}

static bool begins(struct saga_text text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.at, prefix, len) == 0;
}

/* Who says it: the first word of its name, but for the one event of an order that shipping says. */
static const char *service_of(struct saga_text event)
{
    if (saga_text_equal(event, SAGA_TEXT("order.shipped")) || begins(event, "shipping."))
        return "shipping-svc";
    if (begins(event, "payment."))
        return "payment-svc";
    if (begins(event, "inventory."))
        return "inventory-svc";
    return "order-svc";
}

static void write_number(struct saga_json *json, const char *name, int64_t number)
{
    if (number < 0)
        saga_json_text(json, name, (struct saga_text){0});
    else
        saga_json_int(json, name, number);
}

bool timeline_write(struct saga_json *json, const char *name, struct saga_text timeline)
{
    struct entry entries[ENTRIES_MAX];
    size_t count;
    if (!read_entries(timeline, entries, &count))
        return false;
    qsort(entries, count, sizeof *entries, compare); /* two topics may be heard in either order */
    saga_json_open(json, name, '[');
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = &entries[i];
        bool reason = !saga_text_equal(entry->reason, SAGA_TEXT("-"));
        saga_json_open(json, NULL, '{');
        saga_json_time(json, "at", entry->at_us);
        saga_json_text(json, "service", saga_text(service_of(entry->event)));
        saga_json_text(json, "event", entry->event);
        saga_json_text(json, "reason", reason ? entry->reason : (struct saga_text){0});
        saga_json_text(json, "topic", entry->event);
        write_number(json, "partition", entry->partition);
        write_number(json, "offset", entry->offset);
        saga_json_close(json, '}');
    }
    saga_json_close(json, ']');
    return true;
}
