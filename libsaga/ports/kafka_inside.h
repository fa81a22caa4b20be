/* kafka_inside.h: the consumer's own state, shared by the two files that make it up. */
#ifndef PORTS_KAFKA_INSIDE_H
#define PORTS_KAFKA_INSIDE_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#include "ports/kafka.h"

#define KAFKA_TOPICS_MAX 64

struct kafka_position {
    bool assigned;
    bool lost; /* what should be read next is gone: nothing is read until somebody decides */
    uint32_t readings; /* begun so far: a record of an earlier one is not stored */
    int64_t start;     /* where this reading began */
    int64_t next;      /* where it would go on: behind the last record taken, or start */
    int64_t stored;    /* next offset to read; -1: nothing was stored in this reading */
    int64_t committed; /* handed to rd_kafka_commit, and not failed since */
};

struct kafka_topic {
    char *name;
    struct kafka_position *positions; /* by partition number */
    size_t count;
};

struct kafka_consumer {
    const char *bootstrap, *group, *client_id;
    void (*told)(void *opaque, const char *what);
    void *opaque;
    int fd;
    pthread_mutex_t lock; /* guards client and topics' positions: lags are read by another thread */
    rd_kafka_t *client;   /* NULL between drop and join, and after leave */
    rd_kafka_queue_t *queue;
    struct kafka_topic topics[KAFKA_TOPICS_MAX];
    size_t topics_count, assigned;
    bool joined;                   /* it knows its share, which may be none */
    rd_kafka_message_t **messages; /* for take */
    size_t messages_size, in_hand; /* in_hand: taken and not released */
    char error[200], lost[200];
    int told_error; /* the last that was told, and when: system_monotonic_us() */
    int64_t told_us;
    bool left;
};

/* kafka_offsets.c */
struct kafka_topic *kafka_find_topic(struct kafka_consumer *consumer, struct saga_text name);
/* NULL if the topic is not ours or the partition number is beyond every bound. Under the lock. */
struct kafka_position *kafka_find_position(struct kafka_consumer *consumer, struct saga_text name,
                                           int32_t partition);
void kafka_on_commit(rd_kafka_t *client, rd_kafka_resp_err_t err,
                     rd_kafka_topic_partition_list_t *offsets, void *opaque);
void kafka_on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t err,
                        rd_kafka_topic_partition_list_t *list, void *opaque);
/* Nothing is assigned any more. */
void kafka_forget_positions(struct kafka_consumer *consumer);
/* The messages among these that say "offset out of range": each partition begins anew or is lost.
 */
void kafka_find_again(struct kafka_consumer *consumer, rd_kafka_message_t *const *messages,
                      size_t count);

#endif
