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
#include "support/orders.h"
#include "support/stack.h"
#include "support/topics.h"

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

TestSuite(restored, .init = begin, .fini = end, .timeout = 200);

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

static struct order_answer ask(void)
{
    return order_send(order_body(NULL, NULL, NULL), "Idempotency-Key: k\r\n");
}

Test(restored, a_key_is_forgotten_with_its_order)
{
    char *output = NULL;
    stop();
    sh("cp -a \"$SAGA_STATE_DIR/postgres\" \"$SAGA_STATE_DIR/copy\"");
    start();
    struct order_answer lost = ask(), again = ask();
    cr_assert_eq(lost.status, 201);
    cr_assert_str_eq(again.id, lost.id);
    cr_assert_str_eq(again.replayed, "true");
    cr_assert(order_reaches(lost.id, "completed", 20));
    stop();
    sh("cd \"$SAGA_STATE_DIR\" && rm -r postgres && mv copy postgres");
    cr_assert(stack_up("postgres", NULL));
    db_run(DB_PAYMENT, "UPDATE epoch SET id = gen_random_uuid()");
    start();
    struct order_answer fresh = ask();
    cr_assert_eq(fresh.status, 201);
    cr_assert_str_eq(fresh.replayed, "");
    cr_assert_str_neq(fresh.id, lost.id);
    cr_assert(order_reaches(fresh.id, "completed", 20));
    command_run(stack_root(), (const char *const[]){"deploy/audit", NULL}, &output);
    cr_assert_not_null(strstr(output, "I4 ok "), "%s", output);
    cr_assert_not_null(strstr(output, "I9 ok "), "%s", output);
    free(output);
    cr_assert(same_ids("order.created"));
    cr_assert_not(same_ids("payment.done"));
    order_answer_free(&lost);
    order_answer_free(&again);
    order_answer_free(&fresh);
}
