/*
 * keys_wiped.c: Redis outlives the order database, and speaks of orders that are no more. The stack
 * is its own.
 */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/clock.h"
#include "support/orders.h"
#include "support/program.h"
#include "support/stack.h"

#define KEYS 20

static void begin(void)
{
    cr_assert(stack_begin());
}

static void end(void)
{
    stack_end(false);
}

TestSuite(keys_wiped, .init = begin, .fini = end, .timeout = 200);

static struct order_answer send_keyed(int number)
{
    char key[80];
    snprintf(key, sizeof key, "Idempotency-Key: wiped-%d\r\nPrefer: wait=20\r\n", number);
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), key);
    cr_assert_eq(answer.status, 201, "%d", answer.status);
    cr_assert_str_eq(order_text(&answer, "status"), "completed");
    return answer;
}

static void drop_order_database(void)
{
    PGconn *admin = PQconnectdb(stack_address("ADMIN_DB"));
    PGresult *result = PQexec(admin, "DROP DATABASE order_db WITH (FORCE)");
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQerrorMessage(admin));
    PQclear(result);
    PQfinish(admin);
}

/* I4: a key that only Redis knows has made no order. */
Test(keys_wiped, a_key_of_an_earlier_database_makes_a_new_order)
{
    struct order_answer first[KEYS];
    for (int i = 0; i < KEYS; i++)
        first[i] = send_keyed(i);
    struct order_answer again = send_keyed(0);
    cr_assert_str_eq(again.replayed, "true");
    order_answer_free(&again);
    cr_assert(stack_kill("order-svc"));
    drop_order_database();
    cr_assert(stack_up("postgres", NULL));
    cr_assert(stack_up("order-svc", NULL));
    for (int i = 0; i < KEYS; i++) {
        struct order_answer second = send_keyed(i);
        cr_assert_str_eq(second.replayed, "", "%d is told of an order that is no more", i);
        cr_assert_str_neq(second.id, first[i].id);
        order_answer_free(&second);
        order_answer_free(&first[i]);
    }
}

static struct order_answer ask(int number)
{
    char key[40];
    snprintf(key, sizeof key, "Idempotency-Key: wiped-%d\r\n", number);
    return order_send(order_body(NULL, NULL, NULL), key);
}

/* True if it is an order now; it is never one of before. */
static bool makes_a_new_order(int number, const struct order_answer *first)
{
    struct order_answer answer = ask(number);
    bool made = answer.status == 201;
    cr_assert(made || answer.status == 503, "%d", answer.status);
    cr_assert(!made || (strcmp(answer.replayed, "") == 0 && strcmp(answer.id, first->id) != 0),
              "%d is told of an order that is no more", number);
    order_answer_free(&answer);
    return made;
}

/* I4: the same under an order-svc that runs on, from the first moment. Nor is anything remembered
 * under the new database that was of the one before: each key is asked for once more. */
Test(keys_wiped, nor_while_the_service_runs)
{
    struct order_answer first[KEYS];
    for (int i = 0; i < KEYS; i++)
        first[i] = send_keyed(i);
    struct order_answer again = ask(0);
    cr_assert_str_eq(again.replayed, "true");
    order_answer_free(&again);
    drop_order_database();
    for (int i = 0; i < 2; i++) /* each waits its time for the database */
        cr_assert_not(makes_a_new_order(i, &first[i]));
    cr_assert(stack_up("postgres", NULL));
    setenv("SAGA_OWNER_DATABASE_URL", stack_address("ORDER_DB"), 1);
    char *output = program_run("order-svc", "migrate");
    cr_assert_not_null(output);
    free(output);
    cr_assert(CLOCK_UNTIL(30, makes_a_new_order(0, &first[0])));
    for (int i = 1; i < KEYS; i++)
        cr_assert(CLOCK_UNTIL(10, makes_a_new_order(i, &first[i])));
    for (int i = 0; i < KEYS; i++) {
        struct order_answer second = ask(i);
        cr_assert_eq(second.status, 201);
        cr_assert_str_eq(second.replayed, "true");
        cr_assert_str_neq(second.id, first[i].id);
        order_answer_free(&second);
        order_answer_free(&first[i]);
    }
}
