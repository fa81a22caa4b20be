/*
 * hang.c: servers that hang or refuse for good: the end comes within its 25 s all the same, and
 * readyz does not say ready for a service that can write nothing.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/orders.h"
#include "support/stack.h"

#define SOON_S 20
#define END_S 25 /* SIGTERM to exit, as is promised */
#define TIMEOUT_MS 10000

static struct stack_part postgres, kafka, inventory;

static void attach(void)
{
    cr_assert(stack_attach());
    cr_assert(stack_part("postgres", &postgres) && stack_part("kafka", &kafka) &&
              stack_part("inventory-svc", &inventory));
}

TestSuite(hang, .init = attach, .timeout = 120);

static int run(const char *command)
{
    return command_run("/", (const char *const[]){"sh", "-c", command, NULL}, NULL);
}

/* The postmaster, and then all its children, of which it has no more by then; one may have ended
 * meanwhile. A hung machine answers on no connection. */
static void signal_postgres(const char *signal)
{
    char command[160];
    snprintf(command, sizeof command,
             "kill -%s %d && { kill -%s $(cat /proc/%d/task/*/children); :; }", signal,
             (int)postgres.pid, signal, (int)postgres.pid);
    cr_assert_eq(run(command), 0);
}

/* SIGTERM while something hangs: it ends by itself, in time. */
static void ends_in_time(const char *service, void (*resume)(void))
{
    struct stack_part part;
    cr_assert(stack_part(service, &part)); /* asks the servers too: it takes a while */
    int64_t began_us = clock_us();
    cr_assert_eq(kill(part.pid, SIGTERM), 0);
    bool ended = CLOCK_UNTIL(END_S, stack_gone(part.pid));
    double took_s = (double)(clock_us() - began_us) / 1e6;
    resume();
    cr_assert(CLOCK_UNTIL(SOON_S, stack_gone(part.pid)));
    cr_assert(stack_up(service, NULL));
    cr_assert(ended, "%s has not ended after %.1f s", service, took_s);
}

static void resume_postgres(void)
{
    signal_postgres("CONT");
}

static void resume_kafka(void)
{
    kill(kafka.pid, SIGCONT);
}

static int ready(const char *base)
{
    struct http_answer *answer =
        http_call(stack_address(base), "GET", "/readyz", NULL, NULL, TIMEOUT_MS);
    int status = answer->status;
    http_answer_free(answer);
    return status;
}

Test(hang, an_end_while_postgres_hangs, .fini = resume_postgres)
{
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), NULL);
    signal_postgres("STOP");
    ends_in_time("order-svc", resume_postgres);
    cr_assert(order_reaches(answer.id, "completed", SOON_S));
    order_answer_free(&answer);
}

/* One is with the engine, which waits for an answer; those behind it are told in their 10 s. */
Test(hang, who_waits_behind_a_hanging_postgres_is_told, .fini = resume_postgres)
{
    signal_postgres("STOP");
    cr_assert_eq(run("curl -s -m 60 -o /dev/null -X PUT -H 'Content-Type: application/json' "
                     "-d '{\"on_hand\":1000}' $INVENTORY_API/v1/stock/SKU-HANG &"),
                 0);
    clock_pause_ms(300); /* or it is the other one */
    int64_t began_us = clock_us();
    struct http_answer *answer =
        http_call(stack_address("INVENTORY_API"), "PUT", "/v1/stock/SKU-HANG",
                  "Content-Type: application/json\r\n", "{\"on_hand\":1000}", 30000);
    double took_s = (double)(clock_us() - began_us) / 1e6;
    resume_postgres();
    cr_assert_eq(answer->status, 503, "%d", answer->status);
    cr_assert_lt(took_s, 12);
    http_answer_free(answer);
    cr_assert(CLOCK_UNTIL(SOON_S, ready("INVENTORY_API") == 200));
}

/* Prometheus gives up after 10 s by itself, and would have nothing when it matters. */
Test(hang, metrics_do_not_wait_for_a_hanging_postgres, .fini = resume_postgres)
{
    static const char *const bases[] = {"ORDER_API", "PAYMENT_OPS"};
    signal_postgres("STOP");
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        int64_t began_us = clock_us();
        struct http_answer *answer =
            http_call(stack_address(bases[i]), "GET", "/metrics", NULL, NULL, 30000);
        double took_s = (double)(clock_us() - began_us) / 1e6;
        cr_expect(answer->status == 200 && strstr(answer->body, "\nsaga_outbox_pending "));
        cr_expect_lt(took_s, 7, "%s: %.1f s", bases[i], took_s);
        http_answer_free(answer);
    }
    resume_postgres();
    cr_assert(CLOCK_UNTIL(SOON_S, ready("ORDER_API") == 200));
}

Test(hang, an_end_while_kafka_hangs, .fini = resume_kafka)
{
    kill(kafka.pid, SIGSTOP);
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert_eq(answer.status, 201);
    ends_in_time("order-svc", resume_kafka);
    cr_assert(order_reaches(answer.id, "completed", 60));
    order_answer_free(&answer);
}

static void take_writes(void)
{
    db_run(DB_PAYMENT,
           "DROP TRIGGER IF EXISTS no_space ON payment; DROP FUNCTION IF EXISTS no_space()");
}

/* The disk is full, says PostgreSQL to every write: payment-svc tries again for ever, and says so.
 */
Test(hang, what_can_write_nothing_is_not_ready, .fini = take_writes)
{
    cr_assert_eq(ready("PAYMENT_OPS"), 200);
    db_run(DB_PAYMENT,
           "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS"
           " $$ BEGIN RAISE 'no space left' USING ERRCODE = '53100'; END $$;"
           "CREATE TRIGGER no_space BEFORE INSERT ON payment EXECUTE FUNCTION no_space()");
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert_eq(answer.status, 201);
    bool told = CLOCK_UNTIL(10, ready("PAYMENT_OPS") == 503);
    take_writes();
    cr_assert(told, "readyz says ready, though every write is refused");
    cr_assert(CLOCK_UNTIL(SOON_S, ready("PAYMENT_OPS") == 200));
    cr_assert(order_reaches(answer.id, "completed", SOON_S));
    order_answer_free(&answer);
}
