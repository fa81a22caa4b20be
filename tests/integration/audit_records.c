/* audit_records.c: the auditor says no to what is wrong outside of the databases: a record, a
 * stored offset, a key in Redis. What is done here cannot be taken back, so this stack is its own.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/broker.h"
#include "support/auditor.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/groups.h"
#include "support/orders.h"
#include "support/stack.h"

#define STRANGER "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa"
#define INVARIANTS 9
#define ANOTHER "0190bbbb-bbbb-7bbb-8bbb-bbbbbbbbbbbb"

static char done[40], undone[40];

static void sh(const char *command)
{
    cr_assert_eq(command_run(stack_root(), (const char *const[]){"sh", "-c", command, NULL}, NULL),
                 0, "%s", command);
}

/* To partition 0, with this ce_id. */
static void produce_as(const char *topic, const char *service, const char *order, const char *id)
{
    char command[1200];
    snprintf(command, sizeof command,
             "printf '{\"order_id\":\"%s\"}' | kcat -P -b %s -t %s -p 0 -k %s -H ce_specversion=1.0"
             " -H ce_id=%s -H ce_source=/%s -H ce_type=%s -H ce_subject=%s"
             " -H ce_time=2026-01-01T00:00:00Z -H ce_schemaversion=1"
             " -H content-type=application/json",
             order, stack_address("KAFKA_BOOTSTRAP"), topic, order, id, service, topic, order);
    sh(command);
}

/* seq 0: with an id that is none of ours. */
static void produce(const char *topic, const char *service, const char *order, int seq)
{
    char id[64] = "made-by-hand";
    char *epoch = db_text(DB_ORDER, "SELECT left(id::text, 8) FROM epoch", NULL);
    if (seq > 0)
        snprintf(id, sizeof id, "%s-63-%d", epoch, seq);
    free(epoch);
    produce_as(topic, service, order, id);
}

static int64_t end_of(const char *topic)
{
    char command[400], *output;
    snprintf(command, sizeof command, "kcat -Q -b %s -t %s:0:-1 | sed 's/.*offset //'",
             stack_address("KAFKA_BOOTSTRAP"), topic);
    cr_assert_eq(
        command_run(stack_root(), (const char *const[]){"sh", "-c", command, NULL}, &output), 0);
    int64_t end = strtoll(output, NULL, 10);
    free(output);
    return end;
}

static void store(const char *topic, int64_t offset)
{
    cr_assert(groups_store(stack_address("KAFKA_BOOTSTRAP"), "payment-svc", topic, 0, offset));
}

static char broken[INVARIANTS + 1][40]; /* the order that each invariant is to name; "": it holds */

/* Each invariant names the order that it should, and no other does. */
static void names_them(const char *output)
{
    for (int i = 1; i <= INVARIANTS; i++) {
        char wanted[80];
        snprintf(wanted, sizeof wanted, broken[i][0] ? "I%d BROKEN order=%s " : "I%d ok ", i,
                 broken[i]);
        const char *line = strstr(output, wanted);
        cr_assert_not_null(line, "\"%s\" is missing:\n%s", wanted, output);
        if (broken[i][0])
            cr_assert(memmem(line, strcspn(line, "\n"), "(1 in all)", 10) != NULL, "%s", output);
    }
}

/* It says so about that order and why, and nothing else is broken but what was before. */
__attribute__((format(printf, 3, 4))) static void says(int invariant, const char *order,
                                                       const char *why, ...)
{
    char *output = NULL, words[200], begin[80];
    va_list arguments;
    va_start(arguments, why);
    vsnprintf(words, sizeof words, why, arguments);
    va_end(arguments);
    snprintf(broken[invariant], sizeof broken[invariant], "%s", order);
    snprintf(begin, sizeof begin, "I%d BROKEN ", invariant);
    int status = command_run(stack_root(), (const char *const[]){"deploy/audit", NULL}, &output);
    cr_assert_eq(status, 1, "%s", output);
    names_them(output);
    const char *line = strstr(output, begin);
    cr_assert(memmem(line, strcspn(line, "\n"), words, strlen(words)) != NULL,
              "\"%s\" is missing:\n%s", words, output);
    free(output);
}

static void holds(void)
{
    char *output = NULL;
    int status = command_run(stack_root(), (const char *const[]){"deploy/audit", NULL}, &output);
    cr_assert_eq(status, 0, "%s", output);
    memset(broken, 0, sizeof broken);
    free(output);
}

static void begin(void)
{
    cr_assert(stack_begin());
    struct order_answer first =
        order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\nIdempotency-Key: k\r\n");
    struct order_answer second = order_send(order_body(NULL, NULL, "AQ"), "Prefer: wait=20\r\n");
    snprintf(done, sizeof done, "%s", first.id);
    snprintf(undone, sizeof undone, "%s", second.id);
    order_answer_free(&first);
    order_answer_free(&second);
    auditor_holds(20);
}

static void end(void)
{
    stack_end(false);
}

TestSuite(audit_records, .init = begin, .fini = end, .timeout = 200);

/* A group is free to be written to once its last member has left. */
static void stop_payment(void)
{
    struct stack_part part;
    cr_assert(stack_part("payment-svc", &part));
    cr_assert_eq(kill(part.pid, SIGTERM), 0);
    cr_assert(CLOCK_UNTIL(25, stack_gone(part.pid)));
}

/* What retention took is no contradiction, and hides none about the other partitions. */
Test(audit_records, a_trimmed_partition_hides_itself_only)
{
    produce("order.completed", "order-svc", done, 1); /* said twice, in partition 0 at least once */
    says(1, done, "order.completed was said twice: ");
    cr_assert(broker_delete_records(stack_address("KAFKA_BOOTSTRAP"), "order.completed", 0, -1));
    holds();
    db_run(DB_ORDER, "UPDATE orders SET facts = facts | 131072"); /* all wanted to cancel */
    char *first = db_text(DB_ORDER, "SELECT min(order_id::text) FROM orders", NULL), *output;
    char wanted[200];
    snprintf(wanted, sizeof wanted,
             "I3 BROKEN order=%s the rows of order-svc say that order.cancel_requested was said",
             first);
    command_run(stack_root(), (const char *const[]){"deploy/audit", NULL}, &output);
    const char *line = strstr(output, wanted);
    cr_assert_not_null(line, "\"%s\" is missing:\n%s", wanted, output);
    cr_assert_not_null(memmem(line, strcspn(line, "\n"), "(2 in all)", 10), "%s", output);
    cr_assert_null(strstr(strchr(line, '\n'), " BROKEN "), "%s", output);
    free(first);
    free(output);
}

static void keep_keys(int seconds)
{
    char command[400];
    snprintf(command, sizeof command,
             "key=$(redis-cli -u %s --scan --pattern 'saga:order-svc:*') && redis-cli -u %s EXPIRE"
             " \"$key\" %d >/dev/null",
             stack_address("REDIS_URL"), stack_address("REDIS_URL"), seconds);
    sh(command);
}

/* The services' SAGA_KEY_KEEP_S is not the auditor's: Redis tells how long a key is kept. */
Test(audit_records, a_key_that_was_let_go_is_not_missed)
{
    db_run(DB_ORDER, "DELETE FROM idempotency");
    keep_keys(60); /* of a minute or so */
    holds();
    keep_keys(80000); /* of a day: the row is younger than what is left */
    says(4, done, "Redis remembers another key");
}

/* Redis takes keys of any length. */
Test(audit_records, a_key_of_a_megabyte)
{
    char command[600];
    snprintf(command, sizeof command,
             "key=$(redis-cli -u %s --scan --pattern 'saga:order-svc:*') && redis-cli -u %s EVAL"
             " \"redis.call('SET', KEYS[1] .. string.rep('x', 10000000), ARGV[1])\" 1 \"$key\""
             " '1 %s 0 9999999999999999 0' >/dev/null",
             stack_address("REDIS_URL"), stack_address("REDIS_URL"), done);
    sh(command);
    says(4, done, "Redis remembers another key");
}

Test(audit_records, names_each_damage)
{
    char command[600];
    produce("order.completed", "order-svc", done, 1); /* said twice */
    says(1, done, "order.completed was said twice: ");
    produce("order.cancelled", "order-svc", STRANGER, 2); /* said by nobody */
    says(3, STRANGER, "order.cancelled 0/%lld was said, and the rows of order-svc",
         (long long)end_of("order.cancelled") - 1);
    snprintf(command, sizeof command,
             "key=$(redis-cli -u %s --scan --pattern 'saga:order-svc:*') && redis-cli -u %s SET"
             " \"$key\" '1 %s 0 9999999999999999 0' >/dev/null",
             stack_address("REDIS_URL"), stack_address("REDIS_URL"), undone);
    sh(command);
    says(4, undone, "Redis remembers another key");
    stop_payment();
    char *id =
        db_text(DB_ORDER,
                "SELECT left(e.id::text, 8) || '-' || lane || '-' || seq FROM outbox, epoch e"
                " WHERE type = 'order.created' AND order_id = $1::uuid",
                done);
    produce_as("order.created", "order-svc", done, id); /* another value than its row has */
    says(6, done, "says something else than order.created 0/%lld",
         (long long)end_of("order.created") - 1);
    free(id);
    int64_t at = end_of("order.created");
    store("order.created", at + 5); /* behind the end */
    says(5, "-", "the offset of payment-svc on order.created 0 is %lld, and it ends at %lld",
         (long long)at + 5, (long long)at);
    produce("order.created", "order-svc", ANOTHER, 0); /* never taken, but behind the offset */
    store("order.created", at + 1);
    says(5, ANOTHER, "order.created 0/%lld: the offset of payment-svc is behind it", (long long)at);
    at = end_of("inventory.failed");
    snprintf(command, sizeof command,
             "echo garbage | kcat -P -b %s -t inventory.failed -p 0 -k garbage",
             stack_address("KAFKA_BOOTSTRAP"));
    sh(command);
    /* order-svc, which hears it too, has parked it; payment-svc has neither taken nor parked it */
    store("inventory.failed", at + 1);
    says(7, "-", "inventory.failed 0/%lld cannot be read: payment-svc has gone on", (long long)at);
    at = end_of("order.created");
    snprintf(command, sizeof command,
             "INSERT INTO dead_letter (order_id, reason, topic, record_partition, record_offset,"
             " record_value, record_time, record_headers, parked_at) VALUES ('" ANOTHER "', 'test',"
             " 'order.created', 0, %lld, 'base64:', now(), '', now())",
             (long long)at - 1);
    db_run(DB_PAYMENT, command);
    produce("order.created", "order-svc", ANOTHER, 0); /* behind a parked one, and not parked */
    store("order.created", at + 1);
    says(7, ANOTHER,
         "order.created 0/%lld: payment-svc has gone on, and not parked it behind that of %lld",
         (long long)at, (long long)at - 1);
}

/* 2: it could not look. That is neither yes nor no. */
Test(audit_records, a_server_away_is_no_answer)
{
    cr_assert(stack_kill("redis"));
    cr_assert_eq(command_run(stack_root(), (const char *const[]){"deploy/audit", NULL}, NULL), 2);
    cr_assert(stack_up("redis", NULL));
    cr_assert(stack_kill("postgres"));
    cr_assert_eq(command_run(stack_root(), (const char *const[]){"deploy/audit", NULL}, NULL), 2);
    cr_assert(stack_up("postgres", NULL));
    cr_assert(stack_kill("payment-svc")); /* a service that is down is no reason */
    auditor_holds(20);
}
