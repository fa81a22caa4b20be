/* ports_kafka.h: what both tests of the Kafka port do: send numbered records, and take them. */
#include "ports/kafka.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/clock.h"

#define SOON_S 30
#define SENDS_MAX 4096
#define TAKEN_MAX 4096
#define DELIVERY_MS 60000

static char topic[48], group[48];
static const char *bootstrap;
static const char *told;

/* ---- the producer, and what it reports ---- */

static struct {
    int reports;
    enum saga_verdict verdict;
} sends[SENDS_MAX];

static void delivered(void *opaque, int32_t lane, int64_t seq, enum saga_verdict verdict,
                      const char *error)
{
    cr_assert_eq(opaque, sends);
    cr_assert_eq(lane, 63);
    cr_assert(seq >= 0 && seq < SENDS_MAX);
    cr_assert_not_null(error);
    sends[seq].reports++;
    sends[seq].verdict = verdict;
}

static struct kafka_producer *new_producer(int64_t delivery_ms)
{
    char why[256];
    struct kafka_producer *producer =
        kafka_producer_new(bootstrap, "test", delivery_ms, delivered, sends, why, sizeof why);
    cr_assert_not_null(producer, "%s", why);
    return producer;
}

/* Keys "0" to "9" by turns; the value is the number, and then `size` bytes of nothing. */
static enum saga_verdict send_one(struct kafka_producer *producer, int64_t seq, size_t size)
{
    char key[2] = {(char)('0' + seq % 10), 0}, *value = calloc(1, size + 24);
    struct envelope_header headers[] = {{"ce_id", SAGA_TEXT("e-1")}, {"empty", {"", 0}}};
    int len = snprintf(value, 24, "%lld", (long long)seq);
    enum saga_verdict verdict =
        kafka_producer_send(producer, saga_text(topic), saga_text(key),
                            (struct saga_text){value, (size_t)len + size}, headers, 2, 63, seq);
    free(value);
    return verdict;
}

static void send_all(struct kafka_producer *producer, int64_t from, int64_t to, size_t size)
{
    for (int64_t seq = from; seq < to; seq++)
        cr_assert_eq(send_one(producer, seq, size), SAGA_OK);
}

/* All of them reported once, with this verdict. */
static void check_reports(int64_t from, int64_t to, enum saga_verdict verdict, const char *what)
{
    for (int64_t seq = from; seq < to; seq++) {
        cr_assert_eq(sends[seq].reports, 1, "%s: %lld: %d reports", what, (long long)seq,
                     sends[seq].reports);
        cr_assert_eq(sends[seq].verdict, verdict, "%s: %lld: verdict %d", what, (long long)seq,
                     (int)sends[seq].verdict);
    }
}

static void produce(int64_t from, int64_t to)
{
    struct kafka_producer *producer = new_producer(DELIVERY_MS);
    send_all(producer, from, to, 0);
    cr_assert(kafka_producer_flush(producer, SOON_S * 1000));
    check_reports(from, to, SAGA_OK, "produce");
    kafka_producer_free(producer);
}

/* ---- the consumer, and what it takes ---- */

static void note_told(void *opaque, const char *what)
{
    (void)opaque;
    free((char *)(uintptr_t)told);
    told = strdup(what);
}

static struct kafka_consumer *new_consumer(void)
{
    char why[256];
    const char *topics[] = {topic, NULL};
    struct kafka_consumer *consumer =
        kafka_consumer_new(bootstrap, group, "test", topics, note_told, NULL, why, sizeof why);
    cr_assert_not_null(consumer, "%s", why);
    return consumer;
}

static struct kafka_record taken[TAKEN_MAX];
static struct kafka_consumer *takers[TAKEN_MAX]; /* of each */
static size_t taken_count;

static void take(struct kafka_consumer *consumer)
{
    struct pollfd fd = {kafka_consumer_fd(consumer), POLLIN, 0};
    poll(&fd, 1, 20);
    size_t from = taken_count;
    taken_count += kafka_consumer_take(consumer, taken + taken_count, TAKEN_MAX - taken_count);
    for (size_t i = from; i < taken_count; i++)
        takers[i] = consumer;
}

static void release_all(void)
{
    for (size_t i = 0; i < taken_count; i++)
        kafka_consumer_release(takers[i], &taken[i], 1);
    taken_count = 0;
}

static void end_consumer(struct kafka_consumer *consumer)
{
    release_all();
    kafka_consumer_free(consumer);
}

static bool takes(struct kafka_consumer *consumer, size_t count)
{
    return CLOCK_UNTIL(SOON_S, (take(consumer), taken_count >= count));
}
