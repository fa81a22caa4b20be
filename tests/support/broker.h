/* broker.h: what an operator does to Kafka's topics, by its admin API. */
#ifndef SUPPORT_BROKER_H
#define SUPPORT_BROKER_H

#include <stdbool.h>
#include <stdint.h>

/* Each waits until it is done; false: it has said why. */
bool broker_create_topic(const char *bootstrap, const char *topic, int partitions);
bool broker_delete_topic(const char *bootstrap, const char *topic);
/* Of the partition the records before this offset are gone, as retention does it; -1: all. */
bool broker_delete_records(const char *bootstrap, const char *topic, int32_t partition,
                           int64_t before);
/* The topic's only setting from now on, a number, and the broker goes by it; value NULL: it has
 * none of its own. */
bool broker_set_topic(const char *bootstrap, const char *topic, const char *name,
                      const char *value);
/* A setting of the topic as it holds, by itself or by the broker's. -1: it has said why, or it is
 * no number. */
long long broker_topic_number(const char *bootstrap, const char *topic, const char *name);

#endif
