/*
 * kafka.h: consumer, producer and topic admin. The only place that knows librdkafka.
 *
 * Consumer and producer each belong to one thread (the engine's). The consumer has a descriptor
 * that is readable when there may be something to take; the producer's reports can wait, so it
 * wakes nobody. Nothing here blocks unless it says so.
 */
#ifndef PORTS_KAFKA_H
#define PORTS_KAFKA_H

#include "core/envelope.h"

/* ---- consumer ---- */
struct kafka_consumer;

struct kafka_record {
    struct saga_text topic; /* lives as long as the consumer */
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
    uint32_t reading;            /* the consumer's */
    struct saga_text key, value; /* absent if null */
    void *message;               /* the consumer's; NULL once it was released */
    /* after kafka_record_read */
    const struct envelope_header *headers;
    size_t headers_count;  /* ENVELOPE_HEADERS_MAX at most */
    bool headers_too_many; /* there were more, which are not here */
};

/*
 * Range assignor, manual offsets, read_uncommitted as we use no transactions. A group's first start
 * reads from offset 0. An offset may be one that the partition does not have: beyond its end the
 * topic was lost and made anew, and is read from its beginning; before its beginning records are
 * gone that were never read, and kafka_consumer_lost tells. Both are told to `told`, within take;
 * so is whatever else librdkafka says that keeps a partition from being read, the same once in
 * 10 s. Of one that has no leader it says nothing: it is read when it has one, and its lag is -1
 * until then. Texts must live as long as the consumer; at most 64 topics. NULL with the reason in
 * errbuf.
 */
struct kafka_consumer *kafka_consumer_new(const char *bootstrap, const char *group,
                                          const char *client_id, const char *const *topics,
                                          void (*told)(void *opaque, const char *what),
                                          void *opaque, char *errbuf, size_t errbuf_size);
/* After kafka_consumer_error: goes without a word, the group finds out by its session timeout.
 * Nothing may be in hand. Then nothing comes until kafka_consumer_join. */
void kafka_consumer_drop(struct kafka_consumer *consumer);
/* A member anew; false with the reason in errbuf: it is still none. */
bool kafka_consumer_join(struct kafka_consumer *consumer, char *errbuf, size_t errbuf_size);
/* Commits what is stored and leaves the group, for good; waits at most 8 s for brokers that are
 * away. Nothing may be in hand. */
void kafka_consumer_leave(struct kafka_consumer *consumer);
/* Leaves and frees; nothing may be in hand. NULL is fine. */
void kafka_consumer_free(struct kafka_consumer *consumer);
int kafka_consumer_fd(const struct kafka_consumer *consumer);
/* Takes up to max records that have arrived. Each lives until it is released. Rebalances
 * are served in here: on revocation what is stored is committed first (unless the assignment was
 * lost), on assignment the committed offsets are asked for, once and for at most 1 s. */
size_t kafka_consumer_take(struct kafka_consumer *consumer, struct kafka_record *records,
                           size_t max);
/* Reads the headers of a record that was taken. They live as long as it does, and the arena. */
void kafka_record_read(struct arena *arena, struct kafka_record *record);
/* False: its partition went since it was taken, or began anew: who reads it now gets it too. */
bool kafka_consumer_reads(struct kafka_consumer *consumer, const struct kafka_record *record);
/* Who takes no records now: the descriptor is quiet until more have come. */
void kafka_consumer_ignore(struct kafka_consumer *consumer);
/* These records are done with; their memory goes. */
void kafka_consumer_release(struct kafka_consumer *consumer, struct kafka_record *records,
                            size_t count);
/* I5: everything up to and with this record has been committed to the database: remember
 * offset + 1 to be committed to Kafka by the next kafka_consumer_commit. Not if its partition went
 * meanwhile, or began anew. */
void kafka_consumer_store(struct kafka_consumer *consumer, const struct kafka_record *record);
/* Asynchronous commit of what is stored, if anything new is. */
void kafka_consumer_commit(struct kafka_consumer *consumer);
/* Number of partitions now assigned; 0 until the first assignment. */
size_t kafka_consumer_assigned(const struct kafka_consumer *consumer);
/* It has its share of the partitions: none, if there are enough other members. */
bool kafka_consumer_joined(const struct kafka_consumer *consumer);
/* For metrics, any thread, until it is freed: calls back with topic, partition and lag (-1
 * unknown). */
void kafka_consumer_lags(struct kafka_consumer *consumer,
                         void (*each)(void *opaque, const char *topic, int32_t partition,
                                      int64_t lag),
                         void *opaque);
/* NULL, or why it cannot go on: it must be dropped, and may join again. */
const char *kafka_consumer_error(const struct kafka_consumer *consumer);
/* NULL, or which records are gone that were never read: of that partition nothing is read, until it
 * is assigned anew. */
const char *kafka_consumer_lost(const struct kafka_consumer *consumer);

/* ---- producer ---- */
struct kafka_producer;

/* acks=all, idempotent. Sends are known by (lane, seq); what is not delivered within delivery_ms is
 * reported as SAGA_RETRY. A refused batch is sent again record by record: then records of a key may
 * overtake each other. Texts must live as long as the producer. */
struct kafka_producer *
kafka_producer_new(const char *bootstrap, const char *client_id, int64_t delivery_ms,
                   void (*delivered)(void *opaque, int32_t lane, int64_t seq,
                                     enum saga_verdict verdict, const char *error),
                   void *opaque, char *errbuf, size_t errbuf_size);
/* Forgets what is in flight (no delivery is reported any more), frees. NULL is fine. */
void kafka_producer_free(struct kafka_producer *producer);
/* SAGA_OK: handed over (copied). SAGA_RETRY: the queue is full. SAGA_POISON: this record can never
 * be sent (too large, ...). SAGA_FATAL: the producer is dead: free it and make a new one. */
enum saga_verdict kafka_producer_send(struct kafka_producer *producer, struct saga_text topic,
                                      struct saga_text key, struct saga_text value,
                                      const struct envelope_header *headers, size_t headers_count,
                                      int32_t lane, int64_t seq);
/* Calls `delivered` for each report that is there: SAGA_OK, SAGA_RETRY (not delivered, perhaps
 * later), SAGA_POISON (refused for good), SAGA_FATAL (new producer). */
void kafka_producer_serve(struct kafka_producer *producer);
/* Blocks until all is delivered or timeout_ms passed, serving reports. True if all is. */
bool kafka_producer_flush(struct kafka_producer *producer, int timeout_ms);
/* True while a broker connection is up, as far as known. */
bool kafka_producer_connected(const struct kafka_producer *producer);

/* ---- admin (blocking) ---- */
/* Creates the topics that are not there; SAGA_OK if all exist afterwards with that many partitions.
 * Waits for as many brokers as there are to be replicas, timeout_ms at most. A topic that exists
 * with another number of partitions is an error (SAGA_FATAL). */
enum saga_verdict kafka_topics_create(const char *bootstrap, const char *const *topics,
                                      int partitions, int replication, int timeout_ms, char *errbuf,
                                      size_t errbuf_size);
/* Where the group's stored offset is before the first record that there is, stores that one, and
 * says so. Only of a group without members: else the broker refuses it (SAGA_RETRY, as when nobody
 * answers). */
enum saga_verdict kafka_offsets_reset(const char *bootstrap, const char *group,
                                      const char *const *topics, int timeout_ms,
                                      void (*told)(void *opaque, const char *what), void *opaque,
                                      char *errbuf, size_t errbuf_size);

#endif
