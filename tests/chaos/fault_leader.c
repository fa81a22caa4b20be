/* fault_leader.c: of three brokers the one that leads a partition is killed. */
#include <stdio.h>

#include "fault_acts.h"
#include "support/broker.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/stack.h"

#define TOPIC "order.created"
#define ASK_MS 2000
#define IN_SYNC_S 60

/* noted: */
enum { BROKER, PARTITION };

/* What Kafka tells of this topic, NULL: of all; false: nothing now. */
static bool ask(const char *name, const struct rd_kafka_metadata **ret)
{
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__FAIL;
    rd_kafka_t *kafka = client_new(stack_address("KAFKA_BOOTSTRAP"), NULL);

    if (kafka == NULL)
        return false;
    rd_kafka_topic_t *topic = name != NULL ? rd_kafka_topic_new(kafka, name, NULL) : NULL;
    if (topic != NULL || name == NULL)
        error = rd_kafka_metadata(kafka, name == NULL, topic, ret, ASK_MS);
    if (topic != NULL)
        rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(kafka);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* -1: nobody leads it, as far as can be seen. */
static int leader(long long partition)
{
    const struct rd_kafka_metadata *metadata;
    int number = -1;

    if (!ask(TOPIC, &metadata))
        return -1;
    if (metadata->topic_cnt == 1 && partition < metadata->topics[0].partition_cnt)
        number = metadata->topics[0].partitions[partition].leader;
    rd_kafka_metadata_destroy(metadata);
    return number;
}

/* Of every topic, Kafka's own too, each broker has all records. */
static bool all_in_sync(void)
{
    const struct rd_kafka_metadata *metadata;

    if (!ask(NULL, &metadata))
        return false;
    bool all = metadata->topic_cnt > 0;
    for (int t = 0; t < metadata->topic_cnt; t++)
        for (int i = 0; i < metadata->topics[t].partition_cnt; i++)
            all = all && metadata->topics[t].partitions[i].isr_cnt == SITE_BROKERS_COUNT;
    rd_kafka_metadata_destroy(metadata);
    return all;
}

/* One replica would be the leader alone: who is killed then takes what was acknowledged along. */
static bool two_have_what_is_acknowledged(void)
{
    long long number =
        broker_topic_number(stack_address("KAFKA_BOOTSTRAP"), TOPIC, "min.insync.replicas");
    if (number < 2)
        fprintf(stderr, "%s has min.insync.replicas %lld\n", TOPIC, number);
    return number >= 2;
}

bool fault_kill_leader(const struct site *site, struct fault *fault)
{
    if (!two_have_what_is_acknowledged())
        return false;
    fault->noted[PARTITION] = fault->chance % 2;
    fault->noted[BROKER] = leader(fault->noted[PARTITION]);
    return fault->noted[BROKER] > 0 && site->kill_broker((int)fault->noted[BROKER]);
}

bool fault_another_leads(const struct site *site, struct fault *fault)
{
    (void)site;
    int now = fault->noted[BROKER] > 0 ? leader(fault->noted[PARTITION]) : -1;

    if (fault->lifted_us != 0 || now <= 0 || now == fault->noted[BROKER])
        return false;
    return fault_saw(fault, "broker %lld led " TOPIC "/%lld, now %d does, %.1f s after the kill",
                     fault->noted[BROKER], fault->noted[PARTITION], now,
                     (double)(clock_us() - fault->fired_us) / 1e6);
}

/* Not before it has all records again: the next kill would leave too few who have the last ones. */
bool fault_start_leader(const struct site *site, struct fault *fault)
{
    if (fault->noted[BROKER] > 0 && !site->start_broker((int)fault->noted[BROKER]))
        return false;
    return CLOCK_UNTIL(IN_SYNC_S, all_in_sync());
}
