/*
 * hostile_records.c: what strangers put on a topic: each record that cannot be read is parked with
 * its reason, counted, and overtaken by the others. What is done here stays on the topics, so this
 * stack is its own.
 */
#include "integration/hostile_records.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/auditor.h"
#include "support/clock.h"
#include "support/db.h"
#include "support/groups.h"
#include "support/letters.h"
#include "support/metric.h"
#include "support/orders.h"
#include "support/stack.h"

#define SOON_S 20

static rd_kafka_t *kafka;

static void begin(void)
{
    char why[256];
    cr_assert(stack_begin());
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", stack_address("KAFKA_BOOTSTRAP"), why, sizeof why);
    rd_kafka_conf_set(conf, "message.max.bytes", "2000000", why, sizeof why);
    kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    cr_assert_not_null(kafka, "%s", why);
}

static void end(void)
{
    rd_kafka_destroy(kafka);
    stack_end(false);
}

TestSuite(hostile_records, .init = begin, .fini = end, .timeout = 400);

static void produce_to(const char *topic, int32_t partition, const char *key, const void *value,
                       size_t len, rd_kafka_headers_t *headers)
{
    rd_kafka_resp_err_t error = rd_kafka_producev(
        kafka, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_KEY(key, key ? strlen(key) : 0), RD_KAFKA_V_VALUE((void *)(uintptr_t)value, len),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    cr_assert_eq(error, RD_KAFKA_RESP_ERR_NO_ERROR, "%s", rd_kafka_err2str(error));
}

static void produce(const char *topic, const char *key, const void *value, size_t len,
                    rd_kafka_headers_t *headers)
{
    produce_to(topic, 0, key, value, len, headers);
}

static rd_kafka_headers_t *headers_of(const struct topic *topic, const struct hostile *hostile,
                                      const char *id)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADERS);
    for (size_t i = 0; i < HEADERS; i++) {
        bool other = hostile->header != NULL && strcmp(hostile->header, names[i]) == 0;
        const char *value = other ? hostile->instead : header_of(i, topic, id);
        if (value != NULL)
            rd_kafka_header_add(headers, names[i], -1, value, -1);
    }
    for (int i = 0; i < hostile->more_headers; i++)
        rd_kafka_header_add(headers, "x-more", -1, "and more", -1);
    return headers;
}

static rd_kafka_headers_t *headers_about(const struct topic *topic, const char *id)
{
    return headers_of(topic, &(struct hostile){0}, id);
}

static void flush(void)
{
    cr_assert_eq(rd_kafka_flush(kafka, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static int64_t parked(const struct reader *reader)
{
    return db_int(reader->db, "SELECT count(*) FROM dead_letter WHERE state < 3", NULL);
}

static void wait_parked(unsigned who, int64_t count)
{
    for (size_t i = 0; i < READERS; i++)
        cr_assert((who & 1u << i) == 0 || CLOCK_UNTIL(SOON_S, parked(&readers[i]) == count),
                  "%s: %lld, not %lld", readers[i].service, (long long)parked(&readers[i]),
                  (long long)count);
}

static void discard_all(void)
{
    for (size_t i = 0; i < READERS; i++)
        db_run(readers[i].db, "UPDATE dead_letter SET state = 3");
}

/* Each is parked with its reason, in its order. */
static void check_reasons(const struct reader *reader, const struct topic *topic)
{
    struct hostile all[CASES + WRONG_MAX];
    size_t count = cases_of(topic, all);
    struct db_rows *rows = db_rows(reader->db,
                                   "SELECT reason, topic FROM dead_letter WHERE state < 3"
                                   " ORDER BY record_offset",
                                   NULL);
    cr_assert_eq(db_rows_count(rows), count);
    for (size_t i = 0; i < count; i++) {
        const char *reason = reason_at(reader, &all[i]);
        cr_expect_str_eq(db_value(rows, i, 0), reason, "%s: %s %zu: %s, not %s", reader->service,
                         topic->name, i, db_value(rows, i, 0), reason);
        cr_expect_str_eq(db_value(rows, i, 1), topic->name);
    }
    db_rows_free(rows);
}

/* Of all topics that the service hears: how many there should be with this reason. */
static int count_reason(size_t number, const char *reason)
{
    struct hostile all[CASES + WRONG_MAX];
    int count = 0;
    for (size_t t = 0; t < TOPICS; t++) {
        size_t list = topics[t].heard_by & 1u << number ? cases_of(&topics[t], all) : 0;
        for (size_t i = 0; i < list; i++)
            count += strcmp(reason_at(&readers[number], &all[i]), reason) == 0;
    }
    return count;
}

/* And all of them are counted. */
static void check_counted(size_t number)
{
    for (size_t i = 0; i < CASES; i++) {
        char series[128];
        snprintf(series, sizeof series, "saga_dead_letters_total{reason=\"%s\"}", cases[i].reason);
        int count = count_reason(number, cases[i].reason);
        cr_expect_eq(metric_of(stack_address(readers[number].address), series), count, "%s: %s",
                     readers[number].service, series);
    }
}

static void complete_one(struct order_answer *ret)
{
    *ret = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    cr_assert_str_eq(order_text(ret, "status"), "completed");
}

static void put(const struct topic *topic, const struct hostile *hostile, const char *id)
{
    const char *value = or_none(hostile->value, topic->good);
    if (value != NULL)
        value = strcmp(value, "!") == 0 ? about(topic->good, OTHER) : about(value, id);
    produce(topic->name, or_none(hostile->key, id), value, value ? strlen(value) : 0,
            headers_of(topic, hostile, id));
}

/* ---- what others say on the same partition ---- */

/* An order for each way: whatever is said on a topic has been said of one of them. */
static char ended[5][40];
#define ENDED (sizeof ended / sizeof *ended)
#define CANCELLED (ENDED - 1)

/* Called off before shipping-svc could hear that it is reserved. */
static void cancel_one(const char *id)
{
    struct order_answer cancel = order_cancel(id);
    cr_assert_eq(cancel.status, 202);
    order_answer_free(&cancel);
    cr_assert(CLOCK_UNTIL(
        SOON_S,
        db_int(DB_SHIPPING, "SELECT count(*) FROM parcel WHERE order_id = $1::uuid", id) == 1));
    cr_assert(stack_signal("inventory-svc", SIGCONT));
}

static void end_orders(void)
{
    const char *const bodies[ENDED][3] = {
        {NULL}, {"pm_card_declined"}, {NULL, "SKU-SOLD-OUT"}, {NULL, NULL, "AQ"}, {NULL}};
    for (size_t i = 0; i < ENDED; i++) {
        cr_assert(i != CANCELLED || stack_signal("inventory-svc", SIGSTOP));
        struct order_answer order =
            order_send(order_body(bodies[i][0], bodies[i][1], bodies[i][2]), NULL);
        snprintf(ended[i], sizeof ended[i], "%s", order.id);
        order_answer_free(&order);
        if (i == CANCELLED)
            cancel_one(ended[i]);
        cr_assert(order_reaches(ended[i], i == 0 ? "completed" : "cancelled", SOON_S), "%zu", i);
    }
}

static enum db said_by(const struct topic *topic)
{
    for (size_t i = 0; i < READERS; i++)
        if (strcmp(topic->source + 1, readers[i].service) == 0)
            return readers[i].db;
    cr_assert_fail("%s", topic->source);
    abort();
}

/* What its service has said on this topic, and of which order; to be freed. */
static char *said_on(const struct topic *topic, const char **ret_id)
{
    char sql[160], *said = NULL;
    snprintf(sql, sizeof sql,
             "SELECT payload FROM outbox WHERE type = '%s' AND order_id = $1::uuid", topic->name);
    for (size_t i = 0; said == NULL && i < ENDED; i++) {
        *ret_id = ended[i];
        said = db_text(said_by(topic), sql, ended[i]);
    }
    cr_assert_not_null(said, "%s", topic->name);
    return said;
}

/* What has been said is said again, behind all that is in the partition: everybody gets past it. */
static void overtake(const struct topic *topic)
{
    const char *bootstrap = stack_address("KAFKA_BOOTSTRAP"), *id;
    char *said = said_on(topic, &id);
    produce(topic->name, id, said, strlen(said), headers_about(topic, id));
    free(said);
    flush();
    int64_t end = groups_end(bootstrap, topic->name, 0);
    for (size_t i = 0; i < READERS; i++)
        cr_assert((topic->heard_by & 1u << i) == 0 ||
                      CLOCK_UNTIL(SOON_S, groups_stored(bootstrap, readers[i].service, topic->name,
                                                        0) >= end),
                  "%s stands still in %s", readers[i].service, topic->name);
}

static void each_kind_is_parked_and_overtaken(void)
{
    struct hostile all[CASES + WRONG_MAX];
    struct order_answer other;
    size_t total = 0;
    for (size_t t = 0; t < TOPICS; t++) {
        size_t count = cases_of(&topics[t], all);
        for (size_t i = 0; i < count; i++)
            put(&topics[t], &all[i], ID);
        overtake(&topics[t]);
        complete_one(&other);
        order_answer_free(&other);
        wait_parked(topics[t].heard_by, (int64_t)count);
        for (size_t i = 0; i < READERS; i++)
            if (topics[t].heard_by & 1u << i) {
                check_reasons(&readers[i], &topics[t]);
                total += count;
            }
        discard_all();
    }
    for (size_t i = 0; i < READERS; i++)
        check_counted(i);
    fprintf(stderr, "hostile_records: %zu readings of bad records on %zu topics parked\n", total,
            TOPICS);
}

#define LARGE 2

/* 1 MiB of nothing but its beginning, and a header of 512 KiB beside a value that is none. */
static void put_large(const struct topic *topic, const char *first, const char *second)
{
    size_t size = 1048576 - 1024; /* with its headers the most that the broker takes */
    char *large = malloc(size);
    cr_assert_not_null(large);
    memset(large, '[', size);
    produce(topic->name, first, large, size, headers_about(topic, first));
    rd_kafka_headers_t *headers = headers_about(topic, second);
    rd_kafka_header_add(headers, "x-large", -1, large, 524288);
    produce(topic->name, second, "nonsense", 8, headers);
    free(large);
}

static void large_ones_are_parked_and_overtaken(const struct topic *topic)
{
    put_large(topic, ID, ID);
    overtake(topic);
    wait_parked(topic->heard_by, LARGE);
    for (size_t i = 0; i < READERS; i++)
        cr_assert_eq(db_int(readers[i].db,
                            "SELECT count(*) FROM dead_letter WHERE state = 0"
                            " AND reason = 'unreadable_value' AND (length(record_value) > 1000000"
                            " OR record_headers LIKE '%x-large' || chr(9) || '[[%'"
                            " AND length(record_headers) > 524288)",
                            NULL),
                     topic->heard_by & 1u << i ? LARGE : 0, "%s: %s", readers[i].service,
                     topic->name);
    discard_all();
}

/* Each of these has one dead letter: it gets this value, and is heard again. */
static void redrive_mended(unsigned who, const char *value)
{
    for (size_t i = 0; i < READERS; i++) {
        if ((who & 1u << i) == 0)
            continue;
        char *id = db_text(readers[i].db, "SELECT id::text FROM dead_letter WHERE state = 0", NULL);
        db_int(readers[i].db,
               "UPDATE dead_letter SET record_value = $1, mended_at = now() WHERE state = 0"
               " RETURNING id",
               value);
        free(letters_command(readers[i].service, "redrive", id));
        free(id);
    }
}

static double duplicates(void)
{
    static const char series[] =
        "saga_steps_total{step=\"inventory\",op=\"action\",result=\"duplicate\"}";
    return metric_of(stack_address("INVENTORY_API"), series);
}

/* A good record is taken wherever it stands: the partition says who reads it, and the rows whether
 * it is known. Here it is, twice, once with a header of 512 KiB that means nothing to us. */
static void good_ones_anywhere_are_duplicates(void)
{
    static char large[524288];
    struct order_answer order;
    complete_one(&order);
    double before = duplicates();
    memset(large, 'x', sizeof large);
    for (int32_t partition = 0; partition < 2; partition++) {
        rd_kafka_headers_t *headers = headers_about(paid_topic, order.id);
        rd_kafka_header_add(headers, "x-large", -1, large, sizeof large);
        const char *paid = about(paid_topic->good, order.id);
        produce_to(paid_topic->name, partition, order.id, paid, strlen(paid), headers);
    }
    flush();
    cr_assert(CLOCK_UNTIL(SOON_S, duplicates() == before + 2));
    cr_assert(CLOCK_UNTIL(SOON_S, groups_behind(stack_address("KAFKA_BOOTSTRAP"), "order-svc",
                                                paid_topic->name) == 0));
    wait_parked(EVERYBODY, 0);
    order_answer_free(&order);
}

/* What somebody could not spell on a topic: mended and redriven it is what has been said before. */
static void mended_ones_are_duplicates(void)
{
    const char *id;
    for (size_t t = 0; t < TOPICS; t++) {
        char *said = said_on(&topics[t], &id);
        produce(topics[t].name, id, "nonsense", 8, headers_about(&topics[t], id));
        flush();
        wait_parked(topics[t].heard_by, 1);
        redrive_mended(topics[t].heard_by, said);
        wait_parked(topics[t].heard_by, 0);
        free(said);
    }
}

/* ---- every kind, mended ---- */

/* In the place of payment-svc somebody says that orders are paid, each in another wrong way. */
#define SPOILT_MAX (CASES + WRONG_MAX + LARGE)
static struct {
    struct hostile all[SPOILT_MAX];
    char ids[SPOILT_MAX][40];
    size_t count;
    int64_t first; /* the offset of the first of them */
} spoilt;

static void spoil(void)
{
    static const struct hostile large = {.reason = "unreadable_value", .value = "nonsense"};
    size_t small = cases_of(paid_topic, spoilt.all);
    spoilt.count = small + LARGE;
    spoilt.first = groups_end(stack_address("KAFKA_BOOTSTRAP"), paid_topic->name, 0);
    for (size_t i = 0; i < spoilt.count; i++) {
        struct order_answer order = order_send(order_body(NULL, NULL, NULL), NULL);
        cr_assert_eq(order.status, 201);
        snprintf(spoilt.ids[i], sizeof spoilt.ids[i], "%s", order.id);
        order_answer_free(&order);
        if (i < small)
            put(paid_topic, &spoilt.all[i], spoilt.ids[i]);
        else
            spoilt.all[i] = large;
    }
    put_large(paid_topic, spoilt.ids[small], spoilt.ids[small + 1]);
    flush();
}

/* order-svc reads less of it, and its orders are known here. */
static bool is_spoilt_for(const struct reader *reader, size_t i)
{
    return reader->db != DB_ORDER || spoilt.all[i].at_order == NULL;
}

static int64_t count_spoilt(const struct reader *reader)
{
    int64_t count = 0;
    for (size_t i = 0; i < spoilt.count; i++)
        count += is_spoilt_for(reader, i);
    return count;
}

static int64_t letters_in(const struct reader *reader, int state, int attempts)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM dead_letter WHERE topic = '%s' AND record_partition = 0"
             " AND record_offset >= %lld AND state = %d AND attempts = %d",
             paid_topic->name, (long long)spoilt.first, state, attempts);
    return db_int(reader->db, sql, NULL);
}

/* Parked, tried so often, and for its own reason. */
static void check_spoilt(const struct reader *reader, int attempts)
{
    int64_t count = count_spoilt(reader);
    cr_assert(CLOCK_UNTIL(SOON_S, letters_in(reader, 0, attempts) == count), "%s: %lld, not %lld",
              reader->service, (long long)letters_in(reader, 0, attempts), (long long)count);
    for (size_t i = 0; i < spoilt.count; i++) {
        char offset[24];
        snprintf(offset, sizeof offset, "%lld", (long long)spoilt.first + (long long)i);
        char *reason = db_text(reader->db,
                               "SELECT reason FROM dead_letter WHERE topic = 'payment.done'"
                               " AND record_partition = 0 AND record_offset = $1::bigint",
                               offset);
        cr_expect_str_eq(reason ? reason : "none",
                         is_spoilt_for(reader, i) ? spoilt.all[i].reason : "none", "%s: %zu: %s",
                         reader->service, i, reason);
        free(reason);
    }
}

static void redrive_all(const struct reader *reader)
{
    char *output = letters_command(reader->service, "redrive", "--all");
    cr_assert_eq(strtoll(output, NULL, 10), count_spoilt(reader), "%s: %s", reader->service,
                 output);
    free(output);
}

/* Only what is wrong with it: the rest is as it was kept. */
static void mend(const struct reader *reader, size_t number)
{
    const struct hostile *hostile = &spoilt.all[number];
    const char *id = spoilt.ids[number];
    char sql[2048];
    int len = snprintf(sql, sizeof sql, "UPDATE dead_letter SET mended_at = now()");
#define ADD(...) len += snprintf(sql + len, sizeof sql - (size_t)len, __VA_ARGS__)
    if (hostile->key != NULL)
        ADD(", record_key = '%s'", id);
    if (hostile->value != NULL)
        ADD(", record_value = '%s'", about(paid_topic->good, id));
    if (hostile->header != NULL || hostile->more_headers > 0) {
        ADD(", record_headers = '");
        for (size_t i = 0; i < HEADERS; i++)
            ADD("%s\t%s\n", names[i], header_of(i, paid_topic, id));
        ADD("'");
    }
    ADD(" WHERE state = 0 AND topic = '%s' AND record_partition = 0 AND record_offset = %lld"
        " RETURNING id",
        paid_topic->name, (long long)spoilt.first + (long long)number);
#undef ADD
    cr_assert_neq(db_int(reader->db, sql, NULL), DB_NOTHING, "%s: %zu", reader->service, number);
}

/* Tried as they are they stay parked; then all are mended, and each is what it should have been. */
static void redrive_spoilt(const struct reader *reader)
{
    check_spoilt(reader, 1);
    redrive_all(reader);
    check_spoilt(reader, 2);
    for (size_t i = 0; i < spoilt.count; i++)
        if (is_spoilt_for(reader, i))
            mend(reader, i);
    redrive_all(reader);
    cr_assert(CLOCK_UNTIL(SOON_S, letters_in(reader, 4, 2) == count_spoilt(reader)), "%s",
              reader->service);
}

/* How many of the orders the query, which has them as $1, finds. */
static int64_t spoilt_with(enum db db, const char *sql)
{
    char ids[SPOILT_MAX * 40] = "";
    for (size_t i = 0, len = 0; i < spoilt.count; i++)
        len += (size_t)snprintf(ids + len, sizeof ids - len, "%c%s%s", i == 0 ? '{' : ',',
                                spoilt.ids[i], i == spoilt.count - 1 ? "}" : "");
    return db_int(db, sql, ids);
}

static void each_kind_goes_on_when_mended(void)
{
    cr_assert(stack_kill("payment-svc"));
    spoil();
    for (size_t i = 0; i < READERS; i++)
        if (paid_topic->heard_by & 1u << i)
            redrive_spoilt(&readers[i]);
    for (size_t i = 0; i < spoilt.count; i++)
        cr_assert(order_reaches(spoilt.ids[i], "completed", SOON_S), "%s", spoilt.all[i].reason);
    wait_parked(EVERYBODY, 0);
    double before = duplicates();
    cr_assert(stack_up("payment-svc", NULL)); /* now they are paid indeed, and said so once more */
    cr_assert(CLOCK_UNTIL(SOON_S, duplicates() >= before + (double)spoilt.count));
    cr_assert_eq(spoilt_with(DB_PAYMENT, "SELECT count(*) FROM (SELECT FROM payment_ledger"
                                         " WHERE order_id = ANY ($1::uuid[]) GROUP BY order_id"
                                         " HAVING sum(amount) = 3998) paid"),
                 (int64_t)spoilt.count);
    cr_assert_eq(spoilt_with(DB_INVENTORY, "SELECT count(*) FROM (SELECT FROM stock_ledger,"
                                           " json_array_elements(items::json -> 'items') item"
                                           " WHERE kind = 'held' AND order_id = ANY ($1::uuid[])"
                                           " GROUP BY order_id"
                                           " HAVING sum((item ->> 'quantity')::int) = 2) held"),
                 (int64_t)spoilt.count);
    fprintf(stderr, "hostile_records: %zu kinds of bad records mended and redriven\n",
            spoilt.count);
}

/* ---- readable, and larger than what may be said of it ---- */

#define PARTITIONS 2

/* Of an order for each case and partition. */
static void produce_too_large(size_t number, int32_t partition)
{
    static char text[600 * 1024], value[sizeof text + 400];
    char id[40];
    memset(text, 'x', sizeof text);
    snprintf(id, sizeof id, "0190cccc-cccc-7ccc-8ccc-cccccccccc%c%c", (char)('0' + number),
             (char)('0' + partition));
    int len = snprintf(value, sizeof value, "{\"order_id\":\"%s\"%s%.*s%s", id,
                       too_large[number].before, (int)sizeof text, text, too_large[number].after);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADERS);
    for (size_t i = 0; i < HEADERS; i++)
        rd_kafka_header_add(headers, names[i], -1, header_of(i, too_large[number].topic, id), -1);
    produce_to(too_large[number].topic->name, partition, id, value, (size_t)len, headers);
}

static bool too_large_parked(size_t number, int attempts)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM dead_letter WHERE state = 0 AND reason = 'event_too_large'"
             " AND attempts = %d AND length(record_value) > 600000",
             attempts);
    return db_int(too_large[number].db, sql, NULL) == PARTITIONS;
}

/* Each would make its reader say something that is too large for an event: it is parked, and so it
 * is when it is tried again; in each partition others go on. */
static void readable_ones_are_parked_too(void)
{
    struct order_answer other;
    for (size_t i = 0; i < TOO_LARGE; i++)
        for (int32_t partition = 0; partition < PARTITIONS; partition++)
            produce_too_large(i, partition);
    flush();
    complete_one(&other);
    order_answer_free(&other);
    for (size_t i = 0; i < TOO_LARGE; i++)
        cr_assert(CLOCK_UNTIL(SOON_S, too_large_parked(i, 1)), "%s", too_large[i].service);
    for (size_t i = 0; i < TOO_LARGE; i++) {
        free(letters_command(too_large[i].service, "redrive", "--all"));
        cr_assert(CLOCK_UNTIL(SOON_S, too_large_parked(i, 2)), "%s", too_large[i].service);
    }
    complete_one(&other);
    order_answer_free(&other);
}

/* No one can mend those; order-svc has parked what was paid, of no order that it knows. */
static void discard_too_large(void)
{
    for (size_t i = 0; i < READERS; i++) {
        struct db_rows *rows =
            db_rows(readers[i].db, "SELECT id FROM dead_letter WHERE state = 0", NULL);
        cr_assert_eq(db_rows_count(rows), PARTITIONS, "%s", readers[i].service);
        for (size_t k = 0; k < PARTITIONS; k++)
            free(letters_command(readers[i].service, "discard", db_value(rows, k, 0)));
        db_rows_free(rows);
    }
    wait_parked(EVERYBODY, 0);
}

Test(hostile_records, are_parked_overtaken_and_redriven)
{
    end_orders();
    each_kind_is_parked_and_overtaken();
    for (size_t t = 0; t < TOPICS; t++)
        large_ones_are_parked_and_overtaken(&topics[t]);
    good_ones_anywhere_are_duplicates();
    auditor_holds(SOON_S);
    mended_ones_are_duplicates();
    each_kind_goes_on_when_mended();
    readable_ones_are_parked_too();
    discard_too_large();
    auditor_holds(SOON_S);
}
