/* restored.c: PostgreSQL's files are put back to what they were: Redis remembers a key whose order
 * is gone, and nobody is told of that order; events get ids that are on the topics already, unless
 * the database has a new epoch. This stack is its own: what Kafka knows of the lost order stays a
 * contradiction.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/harm.h"
#include "support/orders.h"
#include "support/outlived.h"
#include "support/promised.h"
#include "support/stack.h"
#include "support/topics.h"
#include "support/traffic.h"

#define RATE 100
#define SETTLE_S 90
static const char *const stopped[] = {"order-svc", "payment-svc", "inventory-svc", "shipping-svc",
                                      "postgres"};
#define STOPPED (sizeof stopped / sizeof *stopped)

static void begin(void)
{
    cr_assert(stack_begin());
}

static void end(void)
{
    stack_end(false);
}

TestSuite(restored, .init = begin, .fini = end, .timeout = 400);

static void sh(const char *command)
{
    cr_assert_eq(command_run(stack_root(), (const char *const[]){"sh", "-c", command, NULL}, NULL),
                 0, "%s", command);
}

/* Redis and Kafka go on. SIGINT: PostgreSQL writes all it has and does not wait for anybody. */
static void stop(void)
{
    struct stack_part part;
    for (size_t i = 0; i < STOPPED; i++) {
        cr_assert(stack_part(stopped[i], &part) && part.pid > 1);
        cr_assert_eq(kill(part.pid, i == STOPPED - 1 ? SIGINT : SIGTERM), 0);
        cr_assert(CLOCK_UNTIL(30, stack_gone(part.pid)), "%s", stopped[i]);
    }
}

static void start(void)
{
    for (size_t i = STOPPED; i-- > 0;)
        cr_assert(stack_up(stopped[i], NULL), "%s", stopped[i]);
}

/* The ids of a topic's events, of which there are two. */
struct ids {
    size_t count;
    char id[2][65];
};

static void note_id(void *opaque, const struct topics_record *record)
{
    struct ids *ids = opaque;
    cr_assert_lt(ids->count, 2);
    snprintf(ids->id[ids->count++], sizeof ids->id[0], "%s", topics_header(record, "ce_id"));
}

static bool same_ids(const char *topic)
{
    struct ids ids = {0};
    struct topics *topics = topics_open(stack_address("KAFKA_BOOTSTRAP"),
                                        (const char *const[]){topic, NULL}, true, note_id, &ids);
    cr_assert_not_null(topics);
    cr_assert(topics_catch_up(topics, 20));
    topics_close(topics);
    cr_assert_eq(ids.count, 2);
    return strcmp(ids.id[0], ids.id[1]) == 0;
}

static struct order_answer ask(const char *key)
{
    char header[64];
    snprintf(header, sizeof header, "Idempotency-Key: %s\r\n", key);
    return order_send(order_body(NULL, NULL, NULL), header);
}

/* ---- what the auditor says ---- */

/* What is said of lost orders after the restore is all that the auditor sees of them, since what
 * was said before bears another epoch: no such order, says I8, of each that is known to one of the
 * others and of no other. If none is, everything holds. */
static void check_verdict(void)
{
    char *said = NULL, first[40] = "-";
    cr_assert(CLOCK_UNTIL(SETTLE_S, outlived_at_rest()));
    const int64_t lost = outlived_orders(false);
    int status = command_run(stack_root(), (const char *const[]){"deploy/audit", NULL}, &said);
    fprintf(stderr, "%lld orders of before are known to the others\n%s", (long long)lost, said);
    cr_assert_eq(status, lost > 0 ? 1 : 0, "%d:\n%s", status, said);
    for (int i = 1; i <= 9; i++)
        cr_assert_eq(outlived_breaks(said, i, first), i == 8 ? lost : 0, "I%d:\n%s", i, said);
    cr_assert(lost == 0 || db_int(DB_ORDER, "SELECT count(*) FROM orders WHERE order_id::text = $1",
                                  first) == 0,
              "%s", said);
    free(said);
    outlived_check_parked();
}

/* Before anything is said anew: what was sent before the backup, up to where the cursors are. */
static void check_sent(void)
{
    char *said = NULL, first[40];
    command_run(stack_root(), (const char *const[]){"deploy/audit", NULL}, &said);
    cr_assert_eq(outlived_breaks(said, 6, first), 0, "%s", said);
    cr_assert_not_null(strstr(said, "of an earlier epoch"), "%s", said);
    free(said);
}

/* ---- the tests ---- */

static void give_new_epochs(void)
{
    for (enum db db = 0; db < DB_COUNT; db++)
        db_run(db, "UPDATE epoch SET id = gen_random_uuid()");
}

static void back_up(void)
{
    stop();
    sh("cp -a \"$SAGA_STATE_DIR/postgres\" \"$SAGA_STATE_DIR/copy\"");
    start();
}

/* PostgreSQL alone is up again. */
static void restore(void)
{
    sh("cd \"$SAGA_STATE_DIR\" && rm -r postgres && mv copy postgres");
    cr_assert(stack_up("postgres", NULL));
}

/* An order with the key, and the answer when it is asked for once more. */
static struct order_answer ask_twice(const char *key)
{
    struct order_answer answer = ask(key), again = ask(key);
    cr_assert_eq(answer.status, 201);
    cr_assert_str_eq(answer.replayed, "");
    cr_assert_str_eq(again.id, answer.id);
    cr_assert_str_eq(again.replayed, "true");
    cr_assert(order_reaches(answer.id, "completed", SETTLE_S));
    order_answer_free(&again);
    return answer;
}

/* As deploy/README.md tells to do it, while customers go on. */
Test(restored, a_key_is_forgotten_with_its_order)
{
    struct order_answer kept = ask_twice("before");
    back_up();
    struct traffic *before = traffic_begin(RATE);
    harm_wait_accepted(before);
    struct order_answer lost = ask_twice("k");
    stop();
    struct traffic *after = traffic_begin(RATE);
    outlived_give_up(before);
    restore();
    give_new_epochs();
    check_sent();
    start();
    struct order_answer fresh = ask_twice("k");
    cr_assert_str_neq(fresh.id, lost.id);
    harm_wait_accepted(after);
    outlived_settle(after);
    struct promised promised = {.key = "cus_42 k"};
    snprintf(promised.id, sizeof promised.id, "%s", fresh.id);
    const char *wrong = promised_wrong(&promised, 1);
    cr_assert_null(wrong, "%s", wrong);
    check_verdict();
    order_answer_free(&kept);
    order_answer_free(&lost);
    order_answer_free(&fresh);
}

/* Without a new epoch the lost order's events are of this database: its rows do not know of what it
 * said (I3) and heard (I5), and it is the only one. */
Test(restored, ids_come_again_without_a_new_epoch)
{
    char *said = NULL, first[40] = "-";
    back_up();
    struct order_answer lost = ask_twice("k");
    stop();
    restore();
    db_run(DB_PAYMENT, "UPDATE epoch SET id = gen_random_uuid()");
    start();
    struct order_answer fresh = ask_twice("k");
    cr_assert_str_neq(fresh.id, lost.id);
    cr_assert(CLOCK_UNTIL(SETTLE_S, outlived_at_rest()));
    int status = command_run(stack_root(), (const char *const[]){"deploy/audit", NULL}, &said);
    cr_assert_eq(status, 1, "%d:\n%s", status, said);
    for (int i = 1; i <= 9; i++) {
        const bool of_lost = i == 3 || i == 5;
        cr_assert_eq(outlived_breaks(said, i, first), of_lost, "I%d:\n%s", i, said);
        cr_assert(!of_lost || strcmp(first, lost.id) == 0, "I%d:\n%s", i, said);
    }
    free(said);
    cr_assert(same_ids("order.created"));
    cr_assert_not(same_ids("payment.done"));
    order_answer_free(&lost);
    order_answer_free(&fresh);
}
