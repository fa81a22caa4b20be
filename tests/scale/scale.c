/*
 * scale.c: the auditor over many orders: 100 000 settled ones take it 10 s at most, and its memory
 * does not grow with their number.
 *
 * Runs on a stack of its own (`tests/run audit-scale` makes it). The services are ended; then what
 * they would have written is: rows by set-based SQL (sql/), records from the same statements, keys
 * in Redis, stored offsets. Usage: scale ORDERS, more than 100 000.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "audit_sql.h"
#include "scale_sql.h"
#include "support/broker.h"
#include "support/clock.h"
#include "support/groups.h"
#include "support/stack.h"
#include "support/topics.h"

#define FEW 100000L
#define SECONDS_MAX 10.0
#define GROWS_MAX 1.2 /* of the memory for FEW: what the allocators do by chance */
#define ORDERS_MAX 10000000L
#define FETCH "FETCH 5000 FROM rows"

static const struct {
    const char *address, *service, *rows;
} databases[] = {{"ORDER_DB", "order-svc", sql_order_rows},
                 {"PAYMENT_DB", "payment-svc", sql_payment_rows},
                 {"INVENTORY_DB", "inventory-svc", sql_inventory_rows},
                 {"SHIPPING_DB", "shipping-svc", sql_shipping_rows}};
#define DATABASES (sizeof databases / sizeof *databases)

static int64_t base_ms; /* when order 0 would have been placed */
static long undelivered;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "scale: %s: %s\n", what, why);
    exit(2);
}

static PGresult *ask(PGconn *connection, const char *sql)
{
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail(sql, PQerrorMessage(connection));
    return result;
}

static void run(PGconn *connection, const char *sql)
{
    PQclear(ask(connection, sql));
}

/* ---- records ---- */

static void on_delivered(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *opaque)
{
    (void)kafka, (void)opaque;
    undelivered += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_t *make_producer(void)
{
    static const char *const settings[][2] = {{"partitioner", "murmur2"},
                                              {"queue.buffering.max.messages", "200000"},
                                              {"linger.ms", "50"},
                                              {"compression.type", "lz4"},
                                              {"batch.num.messages", "50000"}};
    char why[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", stack_address("KAFKA_BOOTSTRAP"), why, sizeof why);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (kafka == NULL)
        fail("producer", why);
    return kafka;
}

static void produce(rd_kafka_t *kafka, const char *service, const char *epoch, PGresult *rows,
                    int row)
{
    const char *order_id = PQgetvalue(rows, row, 1), *type = PQgetvalue(rows, row, 2);
    const char *payload = PQgetvalue(rows, row, 3);
    char id[64], source[32];
    snprintf(id, sizeof id, "%s-0-%s", epoch, PQgetvalue(rows, row, 0));
    snprintf(source, sizeof source, "/%s", service);
    rd_kafka_resp_err_t error;
    do {
        error = rd_kafka_producev(
            kafka, RD_KAFKA_V_TOPIC(type), RD_KAFKA_V_KEY(order_id, strlen(order_id)),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)payload, strlen(payload)),
            RD_KAFKA_V_HEADER("ce_specversion", "1.0", -1), RD_KAFKA_V_HEADER("ce_id", id, -1),
            RD_KAFKA_V_HEADER("ce_source", source, -1), RD_KAFKA_V_HEADER("ce_type", type, -1),
            RD_KAFKA_V_HEADER("ce_subject", order_id, -1),
            RD_KAFKA_V_HEADER("ce_time", "2026-01-01T00:00:00.000Z", -1),
            RD_KAFKA_V_HEADER("ce_schemaversion", "1", -1),
            RD_KAFKA_V_HEADER("content-type", "application/json", -1),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        rd_kafka_poll(kafka, error == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 100 : 0);
    } while (error == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail(type, rd_kafka_err2str(error));
}

static void say(PGconn *connection, const char *service)
{
    rd_kafka_t *kafka = make_producer();
    PGresult *epoch = ask(connection, "SELECT left(id::text, 8) FROM epoch"), *rows = NULL;
    run(connection, "BEGIN; DECLARE rows CURSOR FOR SELECT seq, order_id, type, payload FROM said");
    do {
        PQclear(rows);
        rows = ask(connection, FETCH);
        for (int i = 0; i < PQntuples(rows); i++)
            produce(kafka, service, PQgetvalue(epoch, 0, 0), rows, i);
    } while (PQntuples(rows) > 0);
    PQclear(rows);
    PQclear(epoch);
    run(connection, "COMMIT");
    if (rd_kafka_flush(kafka, 60000) != RD_KAFKA_RESP_ERR_NO_ERROR || undelivered > 0)
        fail(service, "records were not delivered");
    rd_kafka_destroy(kafka);
}

/* ---- keys ---- */

static void remember(PGconn *connection)
{
    const char *at = strrchr(stack_address("REDIS_URL"), ':');
    redisContext *redis = redisConnect("127.0.0.1", (int)strtol(at + 1, NULL, 10));
    PGresult *prefix = ask(connection, sql_epoch);
    PGresult *rows = ask(connection, "SELECT i.key, concat_ws(' ', 1, i.order_id, fingerprint,"
                                     " (extract(epoch FROM at) * 1000000)::bigint,"
                                     " (extract(epoch FROM deadline_at) * 1000000)::bigint)"
                                     " FROM made m"
                                     " JOIN idempotency i ON i.order_id = m.order_id WHERE m.i >"
                                     " current_setting('scale.last')::bigint - 100000");
    for (int i = 0; i < PQntuples(rows); i++) {
        redisAppendCommand(redis, "SET %s%s %s", PQgetvalue(prefix, 0, 1), PQgetvalue(rows, i, 0),
                           PQgetvalue(rows, i, 1));
        void *reply = NULL;
        if (i % 1000 == 999 || i == PQntuples(rows) - 1)
            for (int answers = i % 1000 + 1; answers > 0; answers--) {
                if (redisGetReply(redis, &reply) != REDIS_OK)
                    fail("redis", redis->errstr);
                freeReplyObject(reply);
            }
    }
    PQclear(rows);
    PQclear(prefix);
    redisFree(redis);
}

/* ---- all of it ---- */

static void end_services(void)
{
    struct stack_part part;
    for (size_t i = 0; i < DATABASES; i++)
        if (!stack_part(databases[i].service, &part) || kill(part.pid, SIGTERM) != 0 ||
            !CLOCK_UNTIL(30, stack_gone(part.pid)))
            fail(databases[i].service, "does not end");
}

static void store_offsets(void)
{
    static const char *const heard[][2] = {
        {"payment-svc", "order.created"},       {"order-svc", "payment.done"},
        {"inventory-svc", "payment.done"},      {"order-svc", "inventory.reserved"},
        {"shipping-svc", "inventory.reserved"}, {"order-svc", "order.shipped"},
        {"inventory-svc", "order.shipped"}};
    for (size_t i = 0; i < sizeof heard / sizeof *heard; i++)
        if (!groups_store_ends(stack_address("KAFKA_BOOTSTRAP"), heard[i][0], heard[i][1]))
            fail(heard[i][0], "its offsets could not be stored");
}

static void settle(long first, long last)
{
    char range[200];
    snprintf(range, sizeof range,
             "SET scale.base = '%lld'; SET scale.first = '%ld'; SET scale.last = '%ld'",
             (long long)base_ms, first, last);
    for (size_t i = 0; i < DATABASES; i++) {
        PGconn *connection = PQconnectdb(stack_address(databases[i].address));
        run(connection, range);
        run(connection, "SET client_min_messages = error");
        run(connection, sql_made);
        run(connection, databases[i].rows);
        run(connection, sql_outbox_rows);
        run(connection, "VACUUM ANALYZE"); /* as the server would have done meanwhile */
        say(connection, databases[i].service);
        if (i == 0)
            remember(connection);
        PQfinish(connection);
    }
    store_offsets();
}

struct cost {
    double seconds;
    long megabytes;
};

static struct cost audit(long orders)
{
    struct rusage usage;
    int status;
    int64_t begin_us = clock_us();
    pid_t pid = fork();
    if (pid == 0) {
        if (chdir(stack_root()) == 0)
            execl("deploy/audit", "deploy/audit", "--settled", (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0)
        fail("audit", "it does not hold");
    struct cost cost = {(double)(clock_us() - begin_us) / 1e6, usage.ru_maxrss / 1024};
    printf("%ld orders: %.1f s, %ld MB\n", orders, cost.seconds, cost.megabytes);
    fflush(stdout);
    return cost;
}

static int passed, failed;

static void check(bool good, const char *what)
{
    printf("%s %s\n", good ? "ok     " : "FAILED ", what);
    *(good ? &passed : &failed) += 1;
}

int main(int argc, char **argv)
{
    long many = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    if (many <= FEW || many > ORDERS_MAX || !stack_attach()) {
        fprintf(stderr, "usage: scale ORDERS, from %ld to %ld, on a stack of its own\n", FEW + 1,
                ORDERS_MAX);
        return 2;
    }
    base_ms = (int64_t)time(NULL) * 1000 - many;
    end_services();
    for (size_t i = 0; topics_all[i] != NULL; i++)
        if (!broker_set_topic(stack_address("KAFKA_BOOTSTRAP"), topics_all[i], "retention.bytes",
                              "-1"))
            fail(topics_all[i], "its retention could not be set");
    settle(1, FEW);
    struct cost few = audit(FEW);
    check(few.seconds <= SECONDS_MAX, "100 000 settled orders take the auditor 10 s at most");
    settle(FEW + 1, many);
    struct cost all = audit(many);
    check((double)all.megabytes <= (double)few.megabytes * GROWS_MAX,
          "its memory does not grow with their number");
    printf("scale: %d passed, %d failed\n", passed, failed);
    return failed > 0;
}
