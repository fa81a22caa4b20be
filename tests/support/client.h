/* client.h: a client of Kafka that only asks: it logs nothing, and joins no group. */
#ifndef SUPPORT_CLIENT_H
#define SUPPORT_CLIENT_H

#include <librdkafka/rdkafka.h>

/* group: in whose name it asks for offsets; NULL: in nobody's. To be destroyed; NULL: it has said
 * why. */
rd_kafka_t *client_new(const char *bootstrap, const char *group);

#endif
