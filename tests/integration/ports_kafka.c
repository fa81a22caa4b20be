/* ports_kafka.c: the Kafka port alone, against a real broker (KAFKA_BOOTSTRAP). */
#include "integration/ports_kafka.h"

#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include "support/broker.h"
#include "support/groups.h"

static char topic2[64];

static bool is_told(struct kafka_consumer *consumer)
{
    return CLOCK_UNTIL(SOON_S, (take(consumer), told != NULL));
}

static void done_with(struct kafka_consumer *consumer, size_t stored)
{
    for (size_t i = 0; i < stored; i++)
        kafka_consumer_store(consumer, &taken[i]);
    release_all();
}

static void on_real_broker(void)
{
    bootstrap = getenv("KAFKA_BOOTSTRAP");
    cr_assert_not_null(bootstrap, "KAFKA_BOOTSTRAP is not set; deploy/env prints it");
    cr_assert_eq(strncmp(bootstrap, "127.", 4), 0);
    snprintf(topic, sizeof topic, "test-%d-%lld", (int)getpid(), (long long)clock_us());
    snprintf(topic2, sizeof topic2, "%s-2", topic);
    snprintf(group, sizeof group, "%s", topic);
    const char *const topics[] = {topic, NULL};
    char why[256];
    cr_assert_eq(kafka_topics_create(bootstrap, topics, 2, 1, 20000, why, sizeof why), SAGA_OK,
                 "%s", why);
}

static void gone(void)
{
    if (topic[0] != '\0')
        broker_delete_topic(bootstrap, topic);
}

TestSuite(kafka, .init = on_real_broker, .fini = gone, .timeout = 120);

Test(kafka, records_come_as_they_went)
{
    struct arena arena = {0};
    int64_t last[10] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    struct kafka_consumer *consumer = new_consumer();
    produce(0, 4000);
    cr_assert(takes(consumer, 4000), "%zu came", taken_count);
    cr_assert_eq(taken_count, 4000);
    for (size_t i = 0; i < taken_count; i++) {
        struct kafka_record *record = &taken[i];
        kafka_record_read(&arena, record);
        int64_t seq = strtoll(record->value.at, NULL, 10);
        size_t key = (size_t)(record->key.at[0] - '0');
        cr_assert(saga_text_equal(record->topic, saga_text(topic)));
        cr_assert_gt(seq, last[key], "key %zu: %lld after %lld", key, (long long)seq,
                     (long long)last[key]);
        last[key] = seq;
        cr_assert_eq(record->headers_count, 2);
        cr_assert_str_eq(record->headers[0].name, "ce_id");
        cr_assert(saga_text_equal(record->headers[0].value, SAGA_TEXT("e-1")));
        cr_assert_eq(record->headers[1].value.len, 0);
        cr_assert_gt(record->timestamp_ms, 1700000000000);
    }
    end_consumer(consumer);
    arena_free(&arena);
}

Test(kafka, topics_are_there_as_asked_for)
{
    static const struct {
        int partitions, replication;
        enum saga_verdict verdict;
        const char *why;
    } cases[] = {
        {2, 1, SAGA_OK, ""}, /* it is there already */
        {3, 1, SAGA_FATAL, "has 2 partitions, not 3"},
        {1, 1, SAGA_FATAL, "has 2 partitions, not 1"},
    };
    const char *const topics[] = {topic, NULL}, *const more[] = {topic2, NULL};
    char why[256] = "";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(kafka_topics_create(bootstrap, topics, cases[i].partitions,
                                         cases[i].replication, 10000, why, sizeof why),
                     cases[i].verdict, "%s", why);
        cr_assert_not_null(strstr(why, cases[i].why), "%s", why);
    }
    /* Another broker may be about to come: it is given the time. */
    int64_t begin_us = clock_us();
    cr_assert_eq(kafka_topics_create(bootstrap, more, 2, 2, 1000, why, sizeof why), SAGA_RETRY);
    cr_assert_geq(clock_us() - begin_us, 1000000);
    cr_assert_not_null(strstr(why, topic2), "%s", why);
    cr_assert_eq(kafka_topics_create("127.0.0.1:1", topics, 2, 1, 500, why, sizeof why),
                 SAGA_RETRY);
}

Test(kafka, too_large_is_poison_and_the_others_go_on)
{
    cr_assert(broker_set_topic(bootstrap, topic, "max.message.bytes", "3000"));
    struct kafka_producer *producer = new_producer(DELIVERY_MS);
    for (int64_t round = 0; round < 10; round++) {
        send_all(producer, round * 100, round * 100 + 50, 100);
        send_all(producer, round * 100 + 50, round * 100 + 51, 5000);
        send_all(producer, round * 100 + 51, round * 100 + 100, 100);
    }
    cr_assert(kafka_producer_flush(producer, SOON_S * 1000));
    for (int64_t round = 0; round < 10; round++) {
        check_reports(round * 100, round * 100 + 50, SAGA_OK, "before it");
        check_reports(round * 100 + 50, round * 100 + 51, SAGA_POISON, "too large");
        check_reports(round * 100 + 51, round * 100 + 100, SAGA_OK, "after it");
    }
    /* Larger than any broker takes: not even handed over. */
    cr_assert_eq(send_one(producer, 2000, 2000000), SAGA_POISON);
    kafka_producer_free(producer);
}

Test(kafka, what_is_no_topic_is_not_delivered)
{
    char name[200];
    struct kafka_producer *producer = new_producer(1500);
    memset(name, 'n', sizeof name);
    cr_assert_eq(kafka_producer_send(producer, (struct saga_text){name, sizeof name},
                                     SAGA_TEXT("k"), SAGA_TEXT("v"), NULL, 0, 63, 0),
                 SAGA_POISON);
    snprintf(topic2, sizeof topic2, "%s", topic);
    snprintf(topic, sizeof topic, "test-%d-none", (int)getpid());
    send_all(producer, 1, 2, 0);
    cr_assert(CLOCK_UNTIL(SOON_S, (kafka_producer_serve(producer), sends[1].reports == 1)));
    check_reports(1, 2, SAGA_RETRY, "unknown topic"); /* it may come */
    kafka_producer_free(producer);
    snprintf(topic, sizeof topic, "%.47s", topic2);
}

/* ---- offsets ---- */

Test(kafka, only_what_was_stored_is_behind_the_offset)
{
    produce(0, 100);
    struct kafka_consumer *consumer = new_consumer();
    cr_assert(takes(consumer, 100));
    done_with(consumer, 0);
    end_consumer(consumer); /* nothing was stored */
    consumer = new_consumer();
    cr_assert(takes(consumer, 100), "they come again");
    done_with(consumer, 60);
    kafka_consumer_commit(consumer);
    end_consumer(consumer);
    consumer = new_consumer();
    cr_assert(takes(consumer, 40));
    done_with(consumer, 40);
    end_consumer(consumer); /* leaving commits too */
    cr_assert_eq(groups_behind(bootstrap, group, topic), 0);
    consumer = new_consumer();
    produce(100, 101);
    cr_assert(takes(consumer, 1));
    cr_assert_eq(strtoll(taken[0].value.at, NULL, 10), 100, "what was stored does not come again");
    end_consumer(consumer);
}

Test(kafka, two_share_and_take_over)
{
    struct kafka_consumer *one = new_consumer(), *two = new_consumer();
    cr_assert(CLOCK_UNTIL(
        SOON_S, (take(one), take(two),
                 kafka_consumer_assigned(one) == 1 && kafka_consumer_assigned(two) == 1)));
    produce(0, 100);
    cr_assert(CLOCK_UNTIL(SOON_S, (take(one), take(two), taken_count == 100)));
    cr_assert_neq(taken[0].partition, taken[99].partition);
    /* Each stores what is its own; of the other's, nothing. */
    for (size_t i = 0; i < 100; i++) {
        struct kafka_record stranger = taken[i];
        stranger.reading += 100;
        stranger.offset += 1000000;
        kafka_consumer_store(one, &taken[i]);
        kafka_consumer_store(one, &stranger);
        kafka_consumer_store(two, &stranger);
    }
    release_all();
    end_consumer(one);
    cr_assert(CLOCK_UNTIL(SOON_S, (take(two), kafka_consumer_assigned(two) == 2)));
    cr_assert_eq(taken_count, 0, "%zu came again", taken_count);
    end_consumer(two);
    int64_t behind = groups_behind(bootstrap, group, topic);
    cr_assert(behind > 0 && behind < 100, "%lld", (long long)behind);
}

/* What it has fetched and not taken does not keep it from telling the group: else the group waits
 * for its session to be over. */
Test(kafka, who_leaves_with_much_unread_has_left)
{
    produce(0, SENDS_MAX);
    for (int i = 0; i < 5; i++) {
        struct kafka_consumer *consumer = new_consumer();
        cr_assert(CLOCK_UNTIL(SOON_S, (take(consumer), kafka_consumer_assigned(consumer) == 2)));
        struct pollfd fd = {kafka_consumer_fd(consumer), POLLIN, 0};
        cr_assert_eq(poll(&fd, 1, SOON_S * 1000), 1);
        cr_assert_eq(groups_members(bootstrap, group), 1);
        release_all();
        kafka_consumer_leave(consumer);
        cr_assert_eq(groups_members(bootstrap, group), 0, "%d", i);
        end_consumer(consumer);
    }
}

/* One more member than partitions: it stands by, and that is no fault. */
Test(kafka, a_member_may_have_no_partitions)
{
    struct kafka_consumer *three[3];
    for (int i = 0; i < 3; i++)
        three[i] = new_consumer();
    size_t assigned = 0;
    bool all = false;
    cr_assert(CLOCK_UNTIL(SOON_S, ({
                              all = true;
                              assigned = 0;
                              for (int i = 0; i < 3; i++) {
                                  take(three[i]);
                                  all = all && kafka_consumer_joined(three[i]) &&
                                        kafka_consumer_assigned(three[i]) < 2;
                                  assigned += kafka_consumer_assigned(three[i]);
                              }
                              all &&assigned == 2;
                          })));
    for (int i = 0; i < 3; i++)
        end_consumer(three[i]);
}

/* A topic that is not there yet is another thing. */
Test(kafka, a_member_whose_topic_is_missing_has_not_joined)
{
    snprintf(topic, sizeof topic, "missing-%lld", (long long)clock_us());
    struct kafka_consumer *consumer = new_consumer();
    cr_assert_not(CLOCK_UNTIL(3, (take(consumer), kafka_consumer_joined(consumer))));
    end_consumer(consumer);
}

/* I5: what was taken before the partition went is not stored after it came back. */
Test(kafka, a_record_of_an_earlier_reading_is_not_stored)
{
    struct kafka_consumer *consumer = new_consumer();
    produce(0, 10);
    cr_assert(takes(consumer, 10));
    struct kafka_record kept = taken[0];
    done_with(consumer, 0);
    char why[256];
    kafka_consumer_drop(consumer);
    cr_assert_eq(kafka_consumer_assigned(consumer), 0);
    kafka_consumer_store(consumer, &kept);
    take(consumer);
    cr_assert_eq(taken_count, 0);
    cr_assert(kafka_consumer_join(consumer, why, sizeof why), "%s", why);
    cr_assert(takes(consumer, 10), "they come again");
    kafka_consumer_store(consumer, &kept);
    done_with(consumer, 0);
    end_consumer(consumer);
    cr_assert_eq(groups_behind(bootstrap, group, topic), 10);
}

static int64_t lag_sum;

static void add_lag(void *opaque, const char *name, int32_t partition, int64_t lag)
{
    (void)opaque;
    (void)partition;
    cr_assert_str_eq(name, topic);
    lag_sum += lag;
}

static int64_t lags(struct kafka_consumer *consumer)
{
    lag_sum = 0;
    kafka_consumer_lags(consumer, add_lag, NULL);
    return lag_sum;
}

/* ---- offsets that the partition does not have ---- */

Test(kafka, beyond_the_end_begins_at_the_beginning)
{
    produce(0, 100);
    for (int32_t i = 0; i < 2; i++)
        cr_assert(groups_store(bootstrap, group, topic, i, 1000));
    struct kafka_consumer *consumer = new_consumer();
    cr_assert(takes(consumer, 100));
    cr_assert_eq(taken_count, 100);
    cr_assert_not_null(strstr(told, "offset 1000 is beyond the end"), "%s", told);
    cr_assert_null(kafka_consumer_error(consumer));
    cr_assert_null(kafka_consumer_lost(consumer));
    cr_assert_eq(lags(consumer), 100);
    done_with(consumer, 100);
    end_consumer(consumer);
    cr_assert_eq(groups_behind(bootstrap, group, topic), 0, "the smaller offset is committed");
}

/* The others go on from where they are; nothing is skipped, nothing is taken twice. */
Test(kafka, one_begins_again_and_the_others_go_on)
{
    produce(0, 100);
    cr_assert(groups_store(bootstrap, group, topic, 0, 1000));
    struct kafka_consumer *consumer = new_consumer();
    cr_assert(is_told(consumer));
    cr_assert(takes(consumer, 100));
    produce(100, 200);
    cr_assert(takes(consumer, 200));
    cr_assert(!CLOCK_UNTIL(1, (take(consumer), taken_count > 200)), "%zu came", taken_count);
    end_consumer(consumer);
}

/* Partition 1 is, and 0 is not. */
static void only_the_other_is_read(struct kafka_consumer *consumer)
{
    cr_assert(takes(consumer, 1), "the other partition is read");
    cr_assert(!CLOCK_UNTIL(1, (take(consumer), false)));
    for (size_t i = 0; i < taken_count; i++)
        cr_assert_eq(taken[i].partition, 1);
    done_with(consumer, taken_count);
}

Test(kafka, before_the_beginning_is_told_and_not_skipped)
{
    produce(0, 100);
    int64_t behind = groups_behind(bootstrap, group, topic);
    for (int32_t i = 0; i < 2; i++)
        cr_assert(groups_store(bootstrap, group, topic, i, 0));
    cr_assert(broker_delete_records(bootstrap, topic, 0, 7));
    struct kafka_consumer *consumer = new_consumer();
    char expected[128];
    snprintf(expected, sizeof expected, "%s/0: records 0 to 6 are gone and were never read", topic);
    cr_assert(CLOCK_UNTIL(SOON_S, (take(consumer), kafka_consumer_lost(consumer) != NULL)));
    cr_assert_str_eq(kafka_consumer_lost(consumer), expected);
    cr_assert_str_eq(told, expected);
    cr_assert_null(kafka_consumer_error(consumer));
    cr_assert_eq(behind, 100);
    only_the_other_is_read(consumer);
    end_consumer(consumer);
    /* A person decides, and it goes on. */
    cr_assert(groups_store(bootstrap, group, topic, 0, 7));
    consumer = new_consumer();
    cr_assert(takes(consumer, 1));
    cr_assert_eq(taken[0].partition, 0);
    cr_assert_eq(taken[0].offset, 7);
    end_consumer(consumer);
}

static char moved[300];

static void note_moved(void *opaque, const char *what)
{
    (void)opaque;
    cr_assert_str_empty(moved, "%s, and %s", moved, what);
    snprintf(moved, sizeof moved, "%s", what);
}

/* A group that never read the partition has no offset there: it was to read it from the first. */
Test(kafka, gone_before_the_first_offset_is_told_too)
{
    const char *const topics[] = {topic, NULL};
    char expected[128], why[256];
    produce(0, 100);
    cr_assert(broker_delete_records(bootstrap, topic, 0, 7));
    struct kafka_consumer *consumer = new_consumer();
    snprintf(expected, sizeof expected, "%s/0: records 0 to 6 are gone and were never read", topic);
    cr_assert(is_told(consumer));
    cr_assert_str_eq(told, expected);
    cr_assert_str_eq(kafka_consumer_lost(consumer), expected);
    cr_assert_null(kafka_consumer_error(consumer));
    only_the_other_is_read(consumer);
    end_consumer(consumer);
    /* A person decides, and it goes on. */
    cr_assert(CLOCK_UNTIL(SOON_S, kafka_offsets_reset(bootstrap, group, topics, 5000, note_moved,
                                                      NULL, why, sizeof why) == SAGA_OK),
              "%s", why);
    snprintf(expected, sizeof expected, "%s/0: from 0 to 7", topic);
    cr_assert_str_eq(moved, expected);
    consumer = new_consumer();
    cr_assert(takes(consumer, 1));
    cr_assert_eq(taken[0].partition, 0);
    cr_assert_eq(taken[0].offset, 7);
    cr_assert_null(kafka_consumer_lost(consumer));
    end_consumer(consumer);
}

/* Under a consumer that reads it, the topic is lost and made anew. */
Test(kafka, topic_made_anew_is_read_from_its_beginning)
{
    const char *const topics[] = {topic, NULL};
    char why[256];
    produce(0, 500);
    struct kafka_consumer *consumer = new_consumer();
    cr_assert(takes(consumer, 500));
    done_with(consumer, 500);
    kafka_consumer_commit(consumer);
    cr_assert(broker_delete_topic(bootstrap, topic));
    cr_assert(CLOCK_UNTIL(SOON_S, kafka_topics_create(bootstrap, topics, 2, 1, 10000, why,
                                                      sizeof why) == SAGA_OK),
              "%s", why);
    produce(1000, 1100);
    cr_assert(CLOCK_UNTIL(60, (take(consumer), taken_count >= 100)), "%zu came: %s", taken_count,
              kafka_consumer_error(consumer));
    cr_assert_eq(taken_count, 100);
    done_with(consumer, 100);
    end_consumer(consumer);
    cr_assert_eq(groups_behind(bootstrap, group, topic), 0);
}

/* Under a producer that sends to it the topic is lost: it says so, and a new one finds the topic
 * that was made anew. */
Test(kafka, topic_made_anew_is_sent_to)
{
    const char *const topics[] = {topic, NULL};
    char why[256];
    struct kafka_producer *producer = new_producer(DELIVERY_MS);
    send_all(producer, 0, 100, 0);
    cr_assert(kafka_producer_flush(producer, SOON_S * 1000));
    cr_assert(broker_delete_topic(bootstrap, topic));
    int64_t seq = 100;
    cr_assert(CLOCK_UNTIL(
        SOON_S, (kafka_producer_serve(producer), send_one(producer, seq++, 0) == SAGA_FATAL)));
    cr_assert(kafka_producer_flush(producer, SOON_S * 1000));
    int64_t lost = 100; /* the broker takes a moment to forget it */
    while (lost < seq - 1 && sends[lost].verdict == SAGA_OK)
        lost++;
    cr_assert_lt(lost, seq - 1);
    check_reports(100, lost, SAGA_OK, "while the topic goes");
    check_reports(lost, seq - 1, SAGA_RETRY, "to a topic that is no more");
    kafka_producer_free(producer);
    cr_assert_eq(kafka_topics_create(bootstrap, topics, 2, 1, 10000, why, sizeof why), SAGA_OK);
    produce(3000, 3100);
}

/* Headers at the limit and over it, and what is null or empty. */
Test(kafka, headers_and_nulls)
{
    struct arena arena = {0};
    static const struct {
        size_t headers;
        const char *key, *value;
    } cases[] = {{0, NULL, NULL}, {0, "", ""},    {1, "k", "v"},   {63, "k", "v"},
                 {64, "k", "v"},  {65, "k", "v"}, {1000, "k", "v"}};
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof why);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    cr_assert_not_null(client, "%s", why);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rd_kafka_headers_t *headers = rd_kafka_headers_new(cases[i].headers + 1);
        char name[8];
        snprintf(name, sizeof name, "h%zu", i);
        for (size_t n = 0; n < cases[i].headers; n++)
            rd_kafka_header_add(headers, name, -1, n % 2 ? "v" : NULL, n % 2 ? 1 : 0);
        cr_assert_eq(
            rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                              RD_KAFKA_V_KEY(cases[i].key, cases[i].key ? strlen(cases[i].key) : 0),
                              RD_KAFKA_V_VALUE((void *)(uintptr_t)cases[i].value,
                                               cases[i].value ? strlen(cases[i].value) : 0),
                              RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END),
            RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    cr_assert_eq(rd_kafka_flush(client, SOON_S * 1000), RD_KAFKA_RESP_ERR_NO_ERROR);
    struct kafka_consumer *consumer = new_consumer();
    cr_assert(takes(consumer, sizeof cases / sizeof *cases), "%zu came", taken_count);
    /* The last one is done with early: the others keep what they have, and are read on. */
    kafka_record_read(&arena, &taken[2]);
    kafka_record_read(&arena, &taken[3]);
    kafka_consumer_release(consumer, &taken[--taken_count], 1);
    for (size_t i = 0; i < taken_count; i++) {
        if (i != 2 && i != 3)
            kafka_record_read(&arena, &taken[i]);
        bool many = cases[i].headers > ENVELOPE_HEADERS_MAX;
        cr_assert_eq(taken[i].headers_too_many, many, "%zu", i);
        cr_assert_eq(taken[i].headers_count, many ? ENVELOPE_HEADERS_MAX : cases[i].headers);
        cr_assert_eq(taken[i].key.at == NULL, cases[i].key == NULL, "%zu", i);
        cr_assert_eq(taken[i].value.at == NULL, cases[i].value == NULL, "%zu", i);
    }
    cr_assert_str_eq(taken[2].headers[0].name, "h2");
    cr_assert_str_eq(taken[3].headers[0].name, "h3");
    end_consumer(consumer);
    arena_free(&arena);
    rd_kafka_destroy(client);
}
