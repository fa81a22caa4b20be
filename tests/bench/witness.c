/* witness.c: the independent consumer of a load; see witness.h. */
#include "witness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/topics.h"

#define POLL_MS 100

struct witness {
    struct topics *topics;
    struct tally *tally;
    uint64_t records, bytes, strange; /* strange: ends that the tally did not take */
};

static void see(void *opaque, const struct topics_record *record)
{
    struct witness *witness = opaque;
    const char *id = record->key == NULL ? "" : record->key;

    witness->records++;
    witness->bytes += record->key_len + record->value_len;
    for (size_t i = 0; i < record->headers_count; i++) {
        const char *value = record->headers[i].value;
        witness->bytes += strlen(record->headers[i].name) + (value == NULL ? 0 : strlen(value));
    }
    if (strcmp(record->topic, "order.completed") == 0)
        witness->strange += !tally_recorded(witness->tally, id, TALLY_COMPLETED);
    else if (strcmp(record->topic, "order.cancelled") == 0)
        witness->strange += !tally_recorded(witness->tally, id, TALLY_CANCELLED);
}

struct witness *witness_begin(const char *bootstrap, struct tally *tally)
{
    struct witness *witness = calloc(1, sizeof *witness);
    if (witness == NULL)
        abort();
    witness->tally = tally;
    witness->topics = topics_mark(bootstrap, topics_all, see, witness);
    if (witness->topics != NULL)
        return witness;
    free(witness);
    return NULL;
}

/* What was answered a moment ago may not be on its topic yet: so the ends are asked for again. */
bool witness_settle(struct witness *witness, int seconds, char *why, size_t size)
{
    int64_t end_us = clock_us() + (int64_t)seconds * 1000000;
    bool agrees;

    do {
        uint64_t before = witness->records;
        if (!topics_catch_up(witness->topics, seconds)) {
            snprintf(why, size, "the topics could not be read to their ends");
            return false;
        }
        agrees = tally_agrees(witness->tally, why, size);
        /* An end that is too much may still come: only a round without news is the end. */
        if (agrees && witness->records == before)
            break;
        agrees = false;
        topics_poll(witness->topics, POLL_MS);
    } while (clock_us() < end_us);
    if (agrees && witness->strange > 0) {
        snprintf(why, size, "%llu records of an order's end have no order as their key",
                 (unsigned long long)witness->strange);
        return false;
    }
    return agrees;
}

uint64_t witness_records(const struct witness *witness)
{
    return witness->records;
}

uint64_t witness_bytes(const struct witness *witness)
{
    return witness->bytes;
}

void witness_free(struct witness *witness)
{
    if (witness == NULL)
        return;
    topics_close(witness->topics);
    free(witness);
}
