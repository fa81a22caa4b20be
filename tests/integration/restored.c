/* restored.c: PostgreSQL's files are put back to what they were: Redis remembers a key whose order
 * is gone, and nobody is told of that order. This stack is its own: what Kafka knows of the lost
 * order stays a contradiction.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/command.h"
#include "support/orders.h"
#include "support/stack.h"

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
    order_answer_free(&lost);
    order_answer_free(&again);
    order_answer_free(&fresh);
}
