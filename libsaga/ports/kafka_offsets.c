/*
 * kafka_offsets.c: where each partition is read, from its assignment to its commit.
 *
 * A reading of a partition begins when it is assigned, and anew when its offset turns out to be of
 * a topic that is no more. What was taken in one reading is never stored in another (I5).
 */
#include <stdio.h>
#include <stdlib.h>

#include "ports/failpoint.h"
#include "ports/kafka_inside.h"

#define PARTITIONS_MAX 1024
#define LOOK_UP_MS 1000     /* the engine stands still meanwhile, so once */
#define LAST_COMMIT_MS 3000 /* when partitions go: then they come again, which is harmless */

struct kafka_topic *kafka_find_topic(struct kafka_consumer *consumer, struct saga_text name)
{
    for (size_t i = 0; i < consumer->topics_count; i++)
        if (saga_text_equal(saga_text(consumer->topics[i].name), name))
            return &consumer->topics[i];
    return NULL;
}

struct kafka_position *kafka_find_position(struct kafka_consumer *consumer, struct saga_text name,
                                           int32_t partition)
{
    struct kafka_topic *topic = kafka_find_topic(consumer, name);
    if (topic == NULL || partition < 0 || partition >= PARTITIONS_MAX)
        return NULL;
    size_t needed = (size_t)partition + 1;
    if (needed > topic->count) {
        topic->positions = realloc(topic->positions, needed * sizeof *topic->positions);
        if (topic->positions == NULL)
            abort();
        for (size_t i = topic->count; i < needed; i++)
            topic->positions[i] = (struct kafka_position){.stored = -1, .committed = -1};
        topic->count = needed;
    }
    return &topic->positions[partition];
}

static void begin_reading(struct kafka_position *position, int64_t start)
{
    *position = (struct kafka_position){.assigned = true,
                                        .readings = position->readings + 1,
                                        .start = start,
                                        .next = start,
                                        .stored = -1,
                                        .committed = -1};
}

/* ---- commits ---- */

/* NULL for a record of another reading: the partition's owner commits, or the topic is no more. */
static struct kafka_position *position_of(struct kafka_consumer *consumer,
                                          const struct kafka_record *record)
{
    struct kafka_position *position =
        kafka_find_position(consumer, record->topic, record->partition);
    bool same = position != NULL && position->assigned && record->reading == position->readings;
    return same ? position : NULL;
}

bool kafka_consumer_reads(struct kafka_consumer *consumer, const struct kafka_record *record)
{
    pthread_mutex_lock(&consumer->lock);
    bool reads = position_of(consumer, record) != NULL;
    pthread_mutex_unlock(&consumer->lock);
    return reads;
}

void kafka_consumer_store(struct kafka_consumer *consumer, const struct kafka_record *record)
{
    pthread_mutex_lock(&consumer->lock);
    struct kafka_position *position = position_of(consumer, record);
    if (position != NULL && record->offset + 1 > position->stored)
        position->stored = record->offset + 1;
    pthread_mutex_unlock(&consumer->lock);
}

/* What is stored and not yet committed; NULL if there is nothing. */
static rd_kafka_topic_partition_list_t *pending_offsets(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    pthread_mutex_lock(&consumer->lock);
    for (size_t i = 0; i < consumer->topics_count; i++) {
        struct kafka_topic *topic = &consumer->topics[i];
        for (size_t n = 0; n < topic->count; n++) {
            struct kafka_position *position = &topic->positions[n];
            if (!position->assigned || position->stored <= position->committed)
                continue;
            if (list == NULL)
                list = rd_kafka_topic_partition_list_new(16);
            rd_kafka_topic_partition_list_add(list, topic->name, (int32_t)n)->offset =
                position->stored;
            position->committed = position->stored;
        }
    }
    pthread_mutex_unlock(&consumer->lock);
    return list;
}

/* A commit that failed is owed again. */
void kafka_on_commit(rd_kafka_t *client, rd_kafka_resp_err_t err,
                     rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
    (void)client;
    struct kafka_consumer *consumer = opaque;
    pthread_mutex_lock(&consumer->lock);
    for (int i = 0; offsets != NULL && i < offsets->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &offsets->elems[i];
        struct kafka_position *position =
            kafka_find_position(consumer, saga_text(one->topic), one->partition);
        if ((err != 0 || one->err != 0) && position != NULL && position->committed == one->offset)
            position->committed = -1;
    }
    pthread_mutex_unlock(&consumer->lock);
}

void kafka_consumer_commit(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = pending_offsets(consumer);
    if (list == NULL)
        return;
    if (rd_kafka_commit(consumer->client, list, 1) != 0)
        kafka_on_commit(consumer->client, RD_KAFKA_RESP_ERR__FAIL, list, consumer);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Waits for the answer, but not for a broker that is away. */
static void commit_and_wait(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = pending_offsets(consumer);
    if (list == NULL)
        return;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->client);
    if (rd_kafka_commit_queue(consumer->client, list, queue, NULL, NULL) == 0)
        rd_kafka_event_destroy(rd_kafka_queue_poll(queue, LAST_COMMIT_MS));
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_partition_list_destroy(list);
}

/* ---- rebalances: served within take and leave, so on the engine's thread ---- */

/* I7: retention took what nobody here has read. */
static void tell_lost(struct kafka_consumer *consumer, const char *topic, int32_t partition,
                      int64_t from, int64_t low)
{
    char what[200];
    snprintf(what, sizeof what, "%.60s/%d: records %lld to %lld are gone and were never read",
             topic, (int)partition, (long long)from, (long long)low - 1);
    if (consumer->lost[0] == '\0')
        snprintf(consumer->lost, sizeof consumer->lost, "%s", what);
    consumer->told(consumer->opaque, what);
}

static bool find_low(struct kafka_consumer *consumer, const char *topic, int32_t partition,
                     int64_t *ret_low)
{
    int64_t high;
    rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(consumer->client, topic, partition,
                                                               ret_low, &high, LOOK_UP_MS);
    if (err != 0)
        snprintf(consumer->error, sizeof consumer->error, "offsets of %.60s/%d: %s", topic,
                 (int)partition, rd_kafka_err2str(err));
    return err == 0;
}

/* Where to begin: at the committed offset; a group that has none begins at the first there ever
 * was. Where that is gone the broker says so when it is fetched, for each partition when it can. */
static bool find_starts(struct kafka_consumer *consumer, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t err = rd_kafka_committed(consumer->client, list, LOOK_UP_MS);
    for (int i = 0; err == 0 && i < list->cnt; i++)
        err = list->elems[i].err;
    if (err != 0) {
        snprintf(consumer->error, sizeof consumer->error, "committed offsets: %s",
                 rd_kafka_err2str(err));
        return false;
    }
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].offset < 0)
            list->elems[i].offset = 0;
    return true;
}

static bool find_bounds(struct kafka_consumer *consumer,
                        const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        if (list->elems[i].partition < PARTITIONS_MAX)
            continue;
        snprintf(consumer->error, sizeof consumer->error,
                 "topic %.100s has more than %d partitions", list->elems[i].topic, PARTITIONS_MAX);
        return false;
    }
    return true;
}

static bool is_there(const struct rd_kafka_metadata *metadata, const char *topic)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, topic) == 0)
            return metadata->topics[i].partition_cnt > 0;
    return false;
}

/* Without partitions: because the other members have them all, or because a topic is not there. */
static bool all_are_there(struct kafka_consumer *consumer)
{
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(consumer->client, 1, NULL, &metadata, LOOK_UP_MS) != 0)
        return false;
    bool all = true;
    for (size_t i = 0; i < consumer->topics_count; i++)
        all = all && is_there(metadata, consumer->topics[i].name);
    rd_kafka_metadata_destroy(metadata);
    return all;
}

/* After an error nothing is assigned: this consumer will be dropped. */
static void on_assign(struct kafka_consumer *consumer, rd_kafka_topic_partition_list_t *list)
{
    if (!find_bounds(consumer, list) || !find_starts(consumer, list))
        return;
    bool joined = list->cnt > 0 || all_are_there(consumer);
    pthread_mutex_lock(&consumer->lock);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &list->elems[i];
        struct kafka_position *position =
            kafka_find_position(consumer, saga_text(one->topic), one->partition);
        if (position != NULL)
            begin_reading(position, one->offset);
    }
    consumer->assigned = (size_t)list->cnt;
    consumer->joined = joined;
    pthread_mutex_unlock(&consumer->lock);
    rd_kafka_assign(consumer->client, list);
}

void kafka_forget_positions(struct kafka_consumer *consumer)
{
    pthread_mutex_lock(&consumer->lock);
    for (size_t i = 0; i < consumer->topics_count; i++)
        for (size_t n = 0; n < consumer->topics[i].count; n++)
            consumer->topics[i].positions[n].assigned = false;
    consumer->assigned = 0;
    consumer->joined = false;
    consumer->lost[0] = '\0'; /* whoever gets the partition finds out */
    pthread_mutex_unlock(&consumer->lock);
}

static void on_revoke(struct kafka_consumer *consumer)
{
    if (!FAILPOINT(partitions_revoked) && !rd_kafka_assignment_lost(consumer->client))
        commit_and_wait(consumer);
    kafka_forget_positions(consumer);
    rd_kafka_assign(consumer->client, NULL);
}

void kafka_on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t err,
                        rd_kafka_topic_partition_list_t *list, void *opaque)
{
    (void)client;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        struct kafka_consumer *consumer = opaque;
        if (FAILPOINT(partitions_unread))
            snprintf(consumer->error, sizeof consumer->error, "a failpoint");
        else
            on_assign(consumer, list);
    } else {
        on_revoke(opaque);
    }
}

/* ---- an offset that the partition does not have ---- */

/*
 * librdkafka has stopped to read the partition, and a seek or an incremental assignment would be
 * refused now (2.0.2: not in this fetch state, not with an eager assignor). So all is assigned
 * anew, each where it is; what was fetched and not taken is fetched again.
 */
static void assign_again(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    pthread_mutex_lock(&consumer->lock);
    for (size_t i = 0; i < consumer->topics_count; i++) {
        const struct kafka_topic *topic = &consumer->topics[i];
        for (size_t n = 0; n < topic->count; n++) {
            const struct kafka_position *position = &topic->positions[n];
            if (position->assigned && !position->lost)
                rd_kafka_topic_partition_list_add(list, topic->name, (int32_t)n)->offset =
                    position->next;
        }
    }
    pthread_mutex_unlock(&consumer->lock);
    rd_kafka_assign(consumer->client, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* True if the partition is to be read from its beginning. */
static bool find_one_again(struct kafka_consumer *consumer, const rd_kafka_message_t *message)
{
    char what[200];
    int64_t low, offset = message->offset;
    const char *topic = rd_kafka_topic_name(message->rkt);
    if (!find_low(consumer, topic, message->partition, &low))
        return false;
    pthread_mutex_lock(&consumer->lock);
    struct kafka_position *position =
        kafka_find_position(consumer, saga_text(topic), message->partition);
    bool ours = position != NULL && position->assigned;
    /* The beginning only moves on. So what is not before it was beyond the end, even if the new
     * topic has grown over it since. */
    bool lost = offset < low;
    if (ours && lost)
        position->lost = true;
    else if (ours)
        begin_reading(position, low);
    pthread_mutex_unlock(&consumer->lock);
    if (!ours)
        return false;
    if (lost) {
        tell_lost(consumer, topic, message->partition, offset, low);
        return false;
    }
    snprintf(what, sizeof what,
             "%.60s/%d: offset %lld is beyond the end: a new topic, read from its beginning", topic,
             (int)message->partition, (long long)offset);
    consumer->told(consumer->opaque, what);
    return true;
}

void kafka_find_again(struct kafka_consumer *consumer, rd_kafka_message_t *const *messages,
                      size_t count)
{
    bool again = false;
    for (size_t i = 0; i < count && consumer->error[0] == '\0'; i++)
        if (messages[i]->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && messages[i]->rkt != NULL)
            again = find_one_again(consumer, messages[i]) || again;
    if (again)
        assign_again(consumer);
}

/* ---- what others want to know ---- */

const char *kafka_consumer_lost(const struct kafka_consumer *consumer)
{
    return consumer->lost[0] != '\0' ? consumer->lost : NULL;
}

void kafka_consumer_lags(struct kafka_consumer *consumer,
                         void (*each)(void *opaque, const char *topic, int32_t partition,
                                      int64_t lag),
                         void *opaque)
{
    pthread_mutex_lock(&consumer->lock);
    for (size_t i = 0; i < consumer->topics_count && consumer->client != NULL; i++) {
        for (size_t n = 0; n < consumer->topics[i].count; n++) {
            const struct kafka_topic *topic = &consumer->topics[i];
            const struct kafka_position *position = &topic->positions[n];
            if (!position->assigned)
                continue;
            int64_t low = -1, high = -1;
            int64_t next = position->stored < 0 ? position->start : position->stored;
            rd_kafka_get_watermark_offsets(consumer->client, topic->name, (int32_t)n, &low, &high);
            each(opaque, topic->name, (int32_t)n, high < 0 ? -1 : high > next ? high - next : 0);
        }
    }
    pthread_mutex_unlock(&consumer->lock);
}
