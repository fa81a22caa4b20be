/*
 * topics.h: an independent reader of the topics, with nothing of the services' own code: it assigns
 * itself all partitions, commits nothing, joins no group.
 */
#ifndef SUPPORT_TOPICS_H
#define SUPPORT_TOPICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOPICS_HEADERS_MAX 16
#define TOPICS_PARTITIONS_MAX 12000 /* twelve topics of SAGA_PARTITIONS, which is 1000 at most */

struct topics_record {
    const char *topic;
    int32_t partition;
    int64_t offset;
    bool before;             /* it was there when topics_open was called */
    int64_t time_ms;         /* when it was produced, as the broker keeps it; -1: it does not */
    int64_t seen_us;         /* clock_us() when it came out of the client library */
    const char *key, *value; /* NUL-terminated; NULL if the record has none */
    size_t key_len, value_len;
    size_t headers_count;
    struct {
        const char *name, *value;
    } headers[TOPICS_HEADERS_MAX];
};

/* NULL if there is none; the last one if there are several. */
const char *topics_header(const struct topics_record *record, const char *name);
/* How many headers have that name. */
size_t topics_header_count(const struct topics_record *record, const char *name);

typedef void (*topics_each)(void *opaque, const struct topics_record *record);

struct topics;

/* All topics of the contract, sorted, NULL-terminated. */
extern const char *const topics_all[];

/* names: NULL-terminated. from_beginning: else only what comes after this call. each is told of
 * every record within topics_poll; the record is gone after it. NULL: it has said why; more
 * partitions than TOPICS_PARTITIONS_MAX are a reason. */
struct topics *topics_open(const char *bootstrap, const char *const *names, bool from_beginning,
                           topics_each each, void *opaque);
/* As topics_open with what comes after this call, but nothing is fetched before the first
 * topics_poll or topics_catch_up: a load is not disturbed by who looks at it afterwards. */
struct topics *topics_mark(const char *bootstrap, const char *const *names, topics_each each,
                           void *opaque);
/* Returns how many records there were; waits at most so long for the first. */
size_t topics_poll(struct topics *topics, int timeout_ms);
/* Polls until all that is in the topics by now has been seen; false: nothing came for so long. */
bool topics_catch_up(struct topics *topics, int seconds);
/* The first offset that the partition had when it was opened, and how far it was read. False if it
 * is none of the topics'. */
bool topics_range(const struct topics *topics, const char *name, int32_t partition,
                  int64_t *ret_low, int64_t *ret_next);
void topics_close(struct topics *topics);

#endif
