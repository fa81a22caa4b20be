/*
 * hostile_records.c: what strangers put on a topic: each record that cannot be read is parked with
 * its reason, counted, and overtaken by the others. What is done here stays on the topics, so this
 * stack is its own.
 */
#include "integration/hostile_records.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
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

#define HEADERS 8
#define SOON_S 20

/* ---- what is wrong with a record ---- */

/* values: NULL: the topic's own. */
static const char *const names[HEADERS] = {"ce_specversion",   "ce_id",       "ce_source",
                                           "ce_type",          "ce_subject",  "ce_time",
                                           "ce_schemaversion", "content-type"};
static const char *const values[HEADERS] = {
    "1.0", "by-a-stranger", NULL, NULL, ID, "2026-01-01T00:00:00.000Z", "1", "application/json"};

/* A good record, but for one thing. */
struct hostile {
    const char *reason;
    const char *header, *instead; /* instead NULL: left out */
    const char *key, *value;      /* NULL: the good one; "-": none at all */
    int more_headers;
    const char *at_order; /* as in struct wrong */
};

/* On every topic. */
static const struct hostile cases[] = {
    {"unreadable_value", NULL, NULL, NULL, "", 0, NULL},
    {"no_value", NULL, NULL, NULL, "-", 0, NULL}, /* a tombstone */
    {"unreadable_value", NULL, NULL, NULL, "nonsense", 0, NULL},
    {"unreadable_value", NULL, NULL, NULL, "{\"order_id\":\"" ID "\"", 0, NULL},
    {"unreadable_value", NULL, NULL, NULL, "[]", 0, NULL},
    {"unreadable_value", NULL, NULL, NULL, "{}", 0, NULL},
    {"unreadable_value", NULL, NULL, NULL, "{\"order_id\":7}", 0, NULL},
    {"order_id_is_not_subject", NULL, NULL, NULL, "!", 0, NULL}, /* a good one, of another order */
    {"missing_ce_specversion", "ce_specversion", NULL, NULL, NULL, 0, NULL},
    {"unknown_specversion", "ce_specversion", "2.0", NULL, NULL, 0, NULL},
    {"missing_ce_schemaversion", "ce_schemaversion", NULL, NULL, NULL, 0, NULL},
    {"unknown_schemaversion", "ce_schemaversion", "2", NULL, NULL, 0, NULL},
    {"wrong_content_type", "content-type", "text/plain", NULL, NULL, 0, NULL},
    {"wrong_content_type", "content-type", NULL, NULL, NULL, 0, NULL},
    {"missing_ce_id", "ce_id", NULL, NULL, NULL, 0, NULL},
    {"invalid_ce_id", "ce_id", "", NULL, NULL, 0, NULL},
    {"invalid_ce_id", "ce_id", "a b", NULL, NULL, 0, NULL},
    {"missing_ce_source", "ce_source", NULL, NULL, NULL, 0, NULL},
    {"missing_ce_type", "ce_type", NULL, NULL, NULL, 0, NULL},
    {"type_is_not_topic", "ce_type", "order.completed", NULL, NULL, 0, NULL},
    {"missing_ce_subject", "ce_subject", NULL, NULL, NULL, 0, NULL},
    {"invalid_ce_subject", "ce_subject", "nobody", NULL, NULL, 0, NULL},
    {"key_is_not_subject", NULL, NULL, OTHER, NULL, 0, NULL},
    {"key_is_not_subject", NULL, NULL, "-", NULL, 0, NULL},
    {"key_is_not_subject", NULL, NULL, "", NULL, 0, NULL},
    {"missing_ce_time", "ce_time", NULL, NULL, NULL, 0, NULL},
    {"invalid_ce_time", "ce_time", "yesterday", NULL, NULL, 0, NULL},
    {"too_many_headers", NULL, NULL, NULL, NULL, 60, NULL},
    {"too_many_headers", NULL, NULL, NULL, NULL, 1000, NULL},
};
#define CASES (sizeof cases / sizeof *cases)

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

/* A good one on this topic, about this order. */
static const char *header_of(size_t i, const struct topic *topic, const char *id)
{
    if (values[i] != NULL)
        return strcmp(values[i], ID) == 0 ? id : values[i];
    return strcmp(names[i], "ce_type") == 0 ? topic->name : topic->source;
}

static rd_kafka_headers_t *headers_of(const struct topic *topic, const struct hostile *hostile)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADERS);
    for (size_t i = 0; i < HEADERS; i++) {
        bool other = hostile->header != NULL && strcmp(hostile->header, names[i]) == 0;
        const char *value = other ? hostile->instead : header_of(i, topic, ID);
        if (value != NULL)
            rd_kafka_header_add(headers, names[i], -1, value, -1);
    }
    for (int i = 0; i < hostile->more_headers; i++)
        rd_kafka_header_add(headers, "x-more", -1, "and more", -1);
    return headers;
}

static const char *or_none(const char *given, const char *good)
{
    if (given == NULL)
        return good;
    return strcmp(given, "-") == 0 ? NULL : given;
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

static const char *reason_at(const struct reader *reader, const struct hostile *hostile)
{
    bool other = reader->db == DB_ORDER && hostile->at_order != NULL;
    return other ? hostile->at_order : hostile->reason;
}

/* All that is put on a topic: what is wrong on every one, and its own. */
static size_t cases_of(const struct topic *topic, struct hostile ret_cases[CASES + WRONG_MAX])
{
    size_t count = CASES;
    memcpy(ret_cases, cases, sizeof cases);
    for (size_t i = 0; i < WRONG_MAX && topic->wrong[i].value != NULL; i++)
        ret_cases[count++] = (struct hostile){.reason = "unreadable_value",
                                              .value = topic->wrong[i].value,
                                              .at_order = topic->wrong[i].at_order};
    return count;
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

static void put(const struct topic *topic, const struct hostile *hostile)
{
    static char about_other[512];
    const char *value = or_none(hostile->value, topic->good);
    if (value != NULL && strcmp(value, "!") == 0) {
        snprintf(about_other, sizeof about_other, "%s", topic->good);
        memcpy(strstr(about_other, ID), OTHER, strlen(OTHER));
        value = about_other;
    }
    produce(topic->name, or_none(hostile->key, ID), value, value ? strlen(value) : 0,
            headers_of(topic, hostile));
}

static void each_kind_is_parked_and_overtaken(void)
{
    struct hostile all[CASES + WRONG_MAX];
    struct order_answer other;
    size_t total = 0;
    for (size_t t = 0; t < TOPICS; t++) {
        size_t count = cases_of(&topics[t], all);
        for (size_t i = 0; i < count; i++)
            put(&topics[t], &all[i]);
        cr_assert_eq(rd_kafka_flush(kafka, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
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

/* 1 MiB of nothing but its beginning, and a header of 512 KiB beside a value that is none. */
static void large_ones_are_parked(const struct topic *topic)
{
    size_t size = 1048576 - 1024; /* with its headers the most that the broker takes */
    struct hostile good = {0};
    char *large = malloc(size);
    cr_assert_not_null(large);
    memset(large, '[', size);
    produce(topic->name, ID, large, size, headers_of(topic, &good));
    rd_kafka_headers_t *headers = headers_of(topic, &good);
    rd_kafka_header_add(headers, "x-large", -1, large, 524288);
    produce(topic->name, ID, "nonsense", 8, headers);
    free(large);
    cr_assert_eq(rd_kafka_flush(kafka, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    wait_parked(topic->heard_by, 2);
    for (size_t i = 0; i < READERS; i++)
        cr_assert_eq(db_int(readers[i].db,
                            "SELECT count(*) FROM dead_letter WHERE state = 0"
                            " AND reason = 'unreadable_value' AND (length(record_value) > 1000000"
                            " OR record_headers LIKE '%x-large' || chr(9) || '[[%'"
                            " AND length(record_headers) > 524288)",
                            NULL),
                     topic->heard_by & 1u << i ? 2 : 0, "%s: %s", readers[i].service, topic->name);
    discard_all();
}

static rd_kafka_headers_t *headers_about(const struct topic *topic, const char *id)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADERS);
    for (size_t i = 0; i < HEADERS; i++)
        rd_kafka_header_add(headers, names[i], -1, header_of(i, topic, id), -1);
    return headers;
}

/* Each of these has one dead letter: it gets this value, and is heard again. */
static void redrive_mended(unsigned who, const char *value)
{
    for (size_t i = 0; i < READERS; i++) {
        if ((who & 1u << i) == 0)
            continue;
        char *id = db_text(readers[i].db, "SELECT id::text FROM dead_letter WHERE state = 0", NULL);
        db_int(readers[i].db,
               "UPDATE dead_letter SET record_value = $1 WHERE state = 0 RETURNING id", value);
        free(letters_command(readers[i].service, "redrive", id));
        free(id);
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

static const char *paid(const char *id)
{
    static char value[300];
    snprintf(value, sizeof value,
             "{\"order_id\":\"%s\",\"items\":[{\"sku\":\"SKU-1\",\"quantity\":2}],"
             "\"shipping_address\":{\"country\":\"DE\"}}",
             id);
    return value;
}

/* A good record is taken wherever it stands: the partition says who reads it, and the rows whether
 * it is known. Here it is, twice, once with a header of 512 KiB that means nothing to us. */
static void good_ones_anywhere_are_duplicates(void)
{
    static const char duplicate[] =
        "saga_steps_total{step=\"inventory\",op=\"action\",result=\"duplicate\"}";
    static char large[524288];
    struct order_answer order;
    complete_one(&order);
    memset(large, 'x', sizeof large);
    for (int32_t partition = 0; partition < 2; partition++) {
        rd_kafka_headers_t *headers = headers_about(paid_topic, order.id);
        rd_kafka_header_add(headers, "x-large", -1, large, sizeof large);
        produce_to(paid_topic->name, partition, order.id, paid(order.id), strlen(paid(order.id)),
                   headers);
    }
    cr_assert_eq(rd_kafka_flush(kafka, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert(CLOCK_UNTIL(SOON_S, metric_of(stack_address("INVENTORY_API"), duplicate) == 2));
    cr_assert(CLOCK_UNTIL(SOON_S, groups_behind(stack_address("KAFKA_BOOTSTRAP"), "order-svc",
                                                paid_topic->name) == 0));
    wait_parked(EVERYBODY, 0);
    order_answer_free(&order);
}

/* What somebody could not spell on a topic: mended and redriven it is what has been said before. */
static void mended_ones_are_duplicates(void)
{
    struct order_answer order;
    complete_one(&order);
    for (size_t t = 0; t < TOPICS; t++) {
        char sql[160];
        snprintf(sql, sizeof sql,
                 "SELECT payload FROM outbox WHERE type = '%s' AND order_id = $1::uuid",
                 topics[t].name);
        char *said = db_text(said_by(&topics[t]), sql, order.id);
        if (said == NULL) /* not on the way of a completed order */
            continue;
        produce(topics[t].name, order.id, "nonsense", 8, headers_about(&topics[t], order.id));
        cr_assert_eq(rd_kafka_flush(kafka, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
        wait_parked(topics[t].heard_by, 1);
        redrive_mended(topics[t].heard_by, said);
        wait_parked(topics[t].heard_by, 0);
        free(said);
    }
    order_answer_free(&order);
}

/* In the place of payment-svc somebody says that an order is paid, and cannot spell. Mended and
 * redriven it is what it should have been. */
static void goes_on_when_mended(void)
{
    cr_assert(stack_kill("payment-svc"));
    struct order_answer order = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert_eq(order.status, 201);
    produce(paid_topic->name, order.id, "nonsense", 8, headers_about(paid_topic, order.id));
    cr_assert_eq(rd_kafka_flush(kafka, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    wait_parked(paid_topic->heard_by, 1);
    redrive_mended(paid_topic->heard_by, paid(order.id));
    cr_assert(order_reaches(order.id, "completed", SOON_S));
    wait_parked(EVERYBODY, 0);
    cr_assert(stack_up("payment-svc", NULL)); /* now it is paid indeed, and said so once more */
    cr_assert(CLOCK_UNTIL(SOON_S, db_int(DB_PAYMENT,
                                         "SELECT sum(amount) FROM payment_ledger"
                                         " WHERE order_id = $1::uuid",
                                         order.id) == 3998));
    cr_assert_eq(db_int(DB_INVENTORY,
                        "SELECT sum((item ->> 'quantity')::int) FROM stock_ledger,"
                        " json_array_elements(items::json -> 'items') item"
                        " WHERE kind = 'held' AND order_id = $1::uuid",
                        order.id),
                 2);
    order_answer_free(&order);
}

/* ---- readable, and larger than what may be said of it ---- */

static const struct {
    enum db db;
    const char *service;
    const struct topic *topic;
    const char *before, *after;
} too_large[] = {
    {DB_PAYMENT, "payment-svc", &topics[0],
     ",\"customer_id\":\"c\",\"currency\":\"EUR\",\"amount\":1,\"payment_method\":\"pm_card\","
     "\"items\":\"",
     "\",\"shipping_address\":{}}"},
    {DB_INVENTORY, "inventory-svc", &topics[2], ",\"items\":[{\"sku\":\"",
     "\",\"quantity\":1}],\"shipping_address\":{}}"},
    {DB_SHIPPING, "shipping-svc", &topics[1], ",\"reason\":\"", "\"}"},
};
#define TOO_LARGE (sizeof too_large / sizeof *too_large)
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
    cr_assert_eq(rd_kafka_flush(kafka, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
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

Test(hostile_records, are_parked_overtaken_and_redriven)
{
    each_kind_is_parked_and_overtaken();
    for (size_t t = 0; t < TOPICS; t++)
        large_ones_are_parked(&topics[t]);
    good_ones_anywhere_are_duplicates();
    auditor_holds(SOON_S); /* a value that was mended is not the record's any more */
    mended_ones_are_duplicates();
    goes_on_when_mended();
    readable_ones_are_parked_too();
}
