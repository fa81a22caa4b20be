/* client.c: a client of Kafka that only asks. */
#include "client.h"

#include <stdio.h>

rd_kafka_t *client_new(const char *bootstrap, const char *group)
{
    char why[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof why);
    rd_kafka_conf_set(conf, "log_level", "2", why, sizeof why);
    if (group != NULL)
        rd_kafka_conf_set(conf, "group.id", group, why, sizeof why);
    rd_kafka_t *kafka =
        rd_kafka_new(group != NULL ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (kafka == NULL) {
        fprintf(stderr, "%s\n", why);
        rd_kafka_conf_destroy(conf);
    }
    return kafka;
}
