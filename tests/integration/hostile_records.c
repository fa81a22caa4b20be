/*
 * hostile_records.c: what strangers put on a topic: each record that cannot be read is parked with
 * its reason, counted, and overtaken by the others. What is done here stays on the topics, so this
 * stack is its own.
 */
#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/auditor.h"
#include "support/clock.h"
#include "support/db.h"
#include "support/http.h"
#include "support/orders.h"
#include "support/stack.h"

#define TOPIC "payment.done"
#define ID "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa"
#define OTHER "0190bbbb-bbbb-7bbb-8bbb-bbbbbbbbbbbb"
#define GOOD                                                                                       \
    "{\"order_id\":\"" ID "\",\"items\":[{\"sku\":\"SKU-1\",\"quantity\":1}],"                     \
    "\"shipping_address\":{\"country\":\"DE\"}}"
#define HEADERS 8
#define SOON_S 20

static const char *const names[HEADERS] = {"ce_specversion",   "ce_id",       "ce_source",
                                           "ce_type",          "ce_subject",  "ce_time",
                                           "ce_schemaversion", "content-type"};
static const char *const values[HEADERS] = {
    "1.0", "by-a-stranger",   "/payment-svc", TOPIC, ID, "2026-01-01T00:00:00.000Z",
    "1",   "application/json"};

/* A good record, but for one thing. */
static const struct hostile {
    const char *reason;
    const char *header, *instead; /* instead NULL: left out */
    const char *key, *value;      /* NULL: the good one; "-": none at all */
    int more_headers;
} cases[] = {
    {"unreadable_value", NULL, NULL, NULL, "", 0},
    {"no_value", NULL, NULL, NULL, "-", 0}, /* a tombstone */
    {"unreadable_value", NULL, NULL, NULL, "nonsense", 0},
    {"unreadable_value", NULL, NULL, NULL, "{\"order_id\":\"" ID "\"", 0},
    {"unreadable_value", NULL, NULL, NULL, "[]", 0},
    {"unreadable_value", NULL, NULL, NULL, "{}", 0},
    {"unreadable_value", NULL, NULL, NULL, "{\"order_id\":7}", 0},
    {"unreadable_value", NULL, NULL, NULL, "{\"order_id\":\"" ID "\",\"items\":7}", 0},
    {"unreadable_value", NULL, NULL, NULL,
     "{\"order_id\":\"" ID "\",\"items\":[{\"sku\":1,\"quantity\":1}],\"shipping_address\":{}}", 0},
    {"unreadable_value", NULL, NULL, NULL,
     "{\"order_id\":\"" ID
     "\",\"items\":[{\"sku\":\"S\",\"quantity\":1.5}],\"shipping_address\":{}}",
     0},
    {"order_id_is_not_subject", NULL, NULL, NULL,
     "{\"order_id\":\"" OTHER "\",\"items\":[],\"shipping_address\":{}}", 0},
    {"missing_ce_specversion", "ce_specversion", NULL, NULL, NULL, 0},
    {"unknown_specversion", "ce_specversion", "2.0", NULL, NULL, 0},
    {"missing_ce_schemaversion", "ce_schemaversion", NULL, NULL, NULL, 0},
    {"unknown_schemaversion", "ce_schemaversion", "2", NULL, NULL, 0},
    {"wrong_content_type", "content-type", "text/plain", NULL, NULL, 0},
    {"wrong_content_type", "content-type", NULL, NULL, NULL, 0},
    {"missing_ce_id", "ce_id", NULL, NULL, NULL, 0},
    {"invalid_ce_id", "ce_id", "", NULL, NULL, 0},
    {"invalid_ce_id", "ce_id", "a b", NULL, NULL, 0},
    {"missing_ce_source", "ce_source", NULL, NULL, NULL, 0},
    {"missing_ce_type", "ce_type", NULL, NULL, NULL, 0},
    {"type_is_not_topic", "ce_type", "payment.failed", NULL, NULL, 0},
    {"missing_ce_subject", "ce_subject", NULL, NULL, NULL, 0},
    {"invalid_ce_subject", "ce_subject", "nobody", NULL, NULL, 0},
    {"key_is_not_subject", NULL, NULL, OTHER, NULL, 0},
    {"key_is_not_subject", NULL, NULL, "-", NULL, 0},
    {"key_is_not_subject", NULL, NULL, "", NULL, 0},
    {"missing_ce_time", "ce_time", NULL, NULL, NULL, 0},
    {"invalid_ce_time", "ce_time", "yesterday", NULL, NULL, 0},
    {"too_many_headers", NULL, NULL, NULL, NULL, 60},
    {"too_many_headers", NULL, NULL, NULL, NULL, 1000},
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

TestSuite(hostile_records, .init = begin, .fini = end, .timeout = 200);

static void produce(const char *topic, const char *key, const void *value, size_t len,
                    rd_kafka_headers_t *headers)
{
    rd_kafka_resp_err_t error = rd_kafka_producev(
        kafka, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
        RD_KAFKA_V_KEY(key, key ? strlen(key) : 0), RD_KAFKA_V_VALUE((void *)(uintptr_t)value, len),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    cr_assert_eq(error, RD_KAFKA_RESP_ERR_NO_ERROR, "%s", rd_kafka_err2str(error));
}

static rd_kafka_headers_t *headers_of(const struct hostile *hostile)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADERS);
    for (size_t i = 0; i < HEADERS; i++) {
        bool other = hostile->header != NULL && strcmp(hostile->header, names[i]) == 0;
        const char *value = other ? hostile->instead : values[i];
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

static int64_t parked(enum db db)
{
    return db_int(db, "SELECT count(*) FROM dead_letter WHERE state = 0", NULL);
}

/* Both services that hear the topic have parked each one with its reason, in its order. */
static void check_reasons(enum db db)
{
    struct db_rows *rows =
        db_rows(db, "SELECT reason, order_id FROM dead_letter ORDER BY record_offset", NULL);
    cr_assert_eq(db_rows_count(rows), CASES);
    for (size_t i = 0; i < CASES; i++) {
        /* order-svc reads less of the event than inventory-svc does */
        if (db == DB_INVENTORY || strcmp(cases[i].reason, "unreadable_value") != 0)
            cr_expect_str_eq(db_value(rows, i, 0), cases[i].reason, "%zu: %s, not %s", i,
                             db_value(rows, i, 0), cases[i].reason);
    }
    db_rows_free(rows);
}

Test(hostile_records, are_parked_and_overtaken)
{
    for (size_t i = 0; i < CASES; i++) {
        const char *value = or_none(cases[i].value, GOOD);
        produce(TOPIC, or_none(cases[i].key, ID), value, value ? strlen(value) : 0,
                headers_of(&cases[i]));
    }
    cr_assert_eq(rd_kafka_flush(kafka, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    cr_assert_str_eq(order_text(&answer, "status"), "completed");
    order_answer_free(&answer);
    cr_assert(CLOCK_UNTIL(SOON_S, parked(DB_INVENTORY) == CASES), "%lld of %zu are parked",
              (long long)parked(DB_INVENTORY), CASES);
    check_reasons(DB_INVENTORY);
    struct http_answer *metrics =
        http_call(stack_address("INVENTORY_API"), "GET", "/metrics", NULL, NULL, 5000);
    cr_assert_not_null(strstr(metrics->body, "saga_dead_letters_total{reason=\"no_value\"} 1"));
    http_answer_free(metrics);
    db_run(DB_INVENTORY, "UPDATE dead_letter SET state = 3");
    db_run(DB_ORDER, "UPDATE dead_letter SET state = 3");
    auditor_holds(SOON_S);
}

/* 1 MiB, of nothing but its beginning; and an event of a real order in the wrong partition. */
Test(hostile_records, large_and_misplaced_ones)
{
    size_t size = 1048576 - 1024; /* with its headers the most that the broker takes */
    char *large = malloc(size);
    struct hostile good = {0};
    cr_assert_not_null(large);
    memset(large, '[', size);
    produce(TOPIC, ID, large, size, headers_of(&good));
    free(large);
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    cr_assert_str_eq(order_text(&answer, "status"), "completed");
    char value[300];
    snprintf(value, sizeof value,
             "{\"order_id\":\"%s\",\"items\":[{\"sku\":\"SKU-1\",\"quantity\":2}],"
             "\"shipping_address\":{\"country\":\"DE\"}}",
             answer.id);
    for (int32_t partition = 0; partition < 2; partition++) {
        rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADERS);
        for (size_t i = 0; i < HEADERS; i++)
            rd_kafka_header_add(headers, names[i], -1,
                                strcmp(values[i], ID) == 0 ? answer.id : values[i], -1);
        cr_assert_eq(
            rd_kafka_producev(kafka, RD_KAFKA_V_TOPIC(TOPIC), RD_KAFKA_V_PARTITION(partition),
                              RD_KAFKA_V_KEY(answer.id, strlen(answer.id)),
                              RD_KAFKA_V_VALUE(value, strlen(value)), RD_KAFKA_V_HEADERS(headers),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
            RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    cr_assert_eq(rd_kafka_flush(kafka, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert(CLOCK_UNTIL(SOON_S, parked(DB_INVENTORY) == 1 && parked(DB_ORDER) == 1));
    db_run(DB_INVENTORY, "UPDATE dead_letter SET state = 3");
    db_run(DB_ORDER, "UPDATE dead_letter SET state = 3");
    auditor_holds(SOON_S);
    order_answer_free(&answer);
}
