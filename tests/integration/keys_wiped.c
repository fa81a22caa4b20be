/*
 * keys_wiped.c: Redis outlives the order database, and speaks of orders that are no more. The stack
 * is its own.
 */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/harm.h"
#include "support/orders.h"
#include "support/outlived.h"
#include "support/program.h"
#include "support/promised.h"
#include "support/stack.h"
#include "support/traffic.h"

#define KEYS 20
#define RATE 100
#define SETTLE_S 90
static void begin(void)
{
    cr_assert(stack_begin());
}

static void end(void)
{
    stack_end(false);
}

TestSuite(keys_wiped, .init = begin, .fini = end, .timeout = 400);

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

/* From now on a key is that of the order of after. */
static void check_keys(const struct order_answer second[KEYS])
{
    struct promised promised[KEYS];
    for (int i = 0; i < KEYS; i++) {
        snprintf(promised[i].key, sizeof promised[i].key, "cus_42 wiped-%d", i);
        snprintf(promised[i].id, sizeof promised[i].id, "%s", second[i].id);
    }
    const char *wrong = promised_wrong(promised, KEYS);
    cr_assert_null(wrong, "%s", wrong);
}

/* ---- what the auditor says ---- */

static void check_broken(const char *said, int invariant, int64_t expected)
{
    char first[40] = "-";
    cr_assert_eq(outlived_breaks(said, invariant, first), expected, "I%d of %lld orders:\n%s",
                 invariant, (long long)expected, said);
    cr_assert_eq(db_int(DB_ORDER, "SELECT count(*) FROM orders WHERE order_id::text = $1", first),
                 0, "I%d names an order that is there:\n%s", invariant, said);
}

/* The others know orders of the database before: no such order (I8), of each of them and no other;
 * and the stored offset is behind events that were heard before, of which no row is left (I5). */
static void check_verdict(void)
{
    char *said = NULL;
    cr_assert(CLOCK_UNTIL(SETTLE_S, outlived_at_rest()));
    const int64_t lost = outlived_orders(false), heard = outlived_orders(true);
    int status = command_run(stack_root(), (const char *const[]){"deploy/audit", NULL}, &said);
    fprintf(stderr, "%lld orders of before are known to the others, %lld were heard of\n%s",
            (long long)lost, (long long)heard, said);
    cr_assert_eq(status, 1, "%d:\n%s", status, said);
    cr_assert(lost > 0 && heard > 0);
    for (int i = 1; i <= 9; i++)
        check_broken(said, i, i == 8 ? lost : i == 5 ? heard : 0);
    free(said);
    outlived_check_parked();
}

/* ---- the tests ---- */

/* second: of after, one a key; freed. */
static void end_well(struct traffic *after, struct order_answer second[KEYS])
{
    harm_wait_accepted(after);
    outlived_settle(after);
    check_keys(second);
    check_verdict();
    for (int i = 0; i < KEYS; i++)
        order_answer_free(&second[i]);
}

/* I4: a key that only Redis knows has made no order. */
Test(keys_wiped, a_key_of_an_earlier_database_makes_a_new_order)
{
    struct order_answer first[KEYS], second[KEYS];
    struct traffic *before = traffic_begin(RATE);
    harm_wait_accepted(before);
    for (int i = 0; i < KEYS; i++)
        first[i] = send_keyed(i);
    struct order_answer again = send_keyed(0);
    cr_assert_str_eq(again.replayed, "true");
    order_answer_free(&again);
    cr_assert(stack_kill("order-svc"));
    drop_order_database();
    struct traffic *after = traffic_begin(RATE);
    outlived_give_up(before);
    cr_assert(stack_up("postgres", NULL));
    cr_assert(stack_up("order-svc", NULL));
    for (int i = 0; i < KEYS; i++) {
        second[i] = send_keyed(i);
        cr_assert_str_eq(second[i].replayed, "", "%d is told of an order that is no more", i);
        cr_assert_str_neq(second[i].id, first[i].id);
        order_answer_free(&first[i]);
    }
    end_well(after, second);
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
    struct order_answer first[KEYS], second[KEYS];
    struct traffic *before = traffic_begin(RATE);
    harm_wait_accepted(before);
    for (int i = 0; i < KEYS; i++)
        first[i] = send_keyed(i);
    struct order_answer again = ask(0);
    cr_assert_str_eq(again.replayed, "true");
    order_answer_free(&again);
    drop_order_database();
    for (int i = 0; i < 2; i++) /* each waits its time for the database */
        cr_assert_not(makes_a_new_order(i, &first[i]));
    outlived_give_up(before);
    cr_assert(stack_up("postgres", NULL));
    setenv("SAGA_OWNER_DATABASE_URL", stack_address("ORDER_DB"), 1);
    char *output = program_run("order-svc", "migrate");
    cr_assert_not_null(output);
    free(output);
    cr_assert(CLOCK_UNTIL(30, makes_a_new_order(0, &first[0])));
    struct traffic *after = traffic_begin(RATE);
    for (int i = 1; i < KEYS; i++)
        cr_assert(CLOCK_UNTIL(10, makes_a_new_order(i, &first[i])));
    for (int i = 0; i < KEYS; i++) {
        second[i] = ask(i);
        cr_assert_eq(second[i].status, 201);
        cr_assert_str_eq(second[i].replayed, "true");
        cr_assert_str_neq(second[i].id, first[i].id);
        order_answer_free(&first[i]);
    }
    end_well(after, second);
}
