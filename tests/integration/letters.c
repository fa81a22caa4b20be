/*
 * letters.c: dead letters on the real stack: what cannot be handled is parked with its reason,
 * holds up its order and nobody else, and goes on when it was redriven or discarded.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/auditor.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/groups.h"
#include "support/http.h"
#include "support/letters.h"
#include "support/orders.h"
#include "support/stack.h"

#define SOON_S 20

static void attach(void)
{
    cr_assert(stack_attach());
}

/* Whatever a test did, the next one finds all parts running. */
static void detach(void)
{
    db_release();
    stack_signal("inventory-svc", SIGCONT);
    db_int(DB_PAYMENT, "ALTER TABLE payment_ledger DROP CONSTRAINT IF EXISTS no_3998", NULL);
}

TestSuite(letters, .init = attach, .fini = detach, .timeout = 120);

#define PARKED                                                                                     \
    "SELECT count(*) FROM dead_letter WHERE state < 3" /* nor discarded, nor redriven              \
                                                        */

#define IS(db, expected, sql, id)                                                                  \
    do {                                                                                           \
        int64_t is_ = db_int(db, sql, id);                                                         \
        cr_assert_eq(is_, expected, "%s: %lld", sql, (long long)is_);                              \
    } while (0)

static int64_t parked_in(enum db db)
{
    return db_int(db, PARKED, NULL);
}

/* An order whose order.created payment-svc has parked, for a reason that is there no more. Another
 * order, which came behind it, is through. */
static struct order_answer parked_at_payment(void)
{
    db_int(DB_PAYMENT,
           "ALTER TABLE payment_ledger ADD CONSTRAINT no_3998 CHECK (amount <> 3998) NOT VALID",
           NULL);
    struct order_answer parked = order_send(order_body(NULL, NULL, NULL), NULL);
    struct order_answer other = order_send(
        "{\"customer_id\":\"c\",\"currency\":\"EUR\",\"payment_method\":\"pm_card\",\"items\":"
        "[{\"sku\":\"SKU-1\",\"quantity\":1,\"unit_amount\":1}],\"shipping_address\":"
        "{\"country\":\"DE\"}}",
        "Prefer: wait=20\r\n");
    cr_assert_str_eq(order_text(&other, "status"), "completed");
    order_answer_free(&other);
    cr_assert(CLOCK_UNTIL(SOON_S, db_int(DB_PAYMENT,
                                         "SELECT count(*) FROM dead_letter"
                                         " WHERE reason = 'rejected_by_database'"
                                         " AND order_id = $1::uuid",
                                         parked.id) == 1));
    db_int(DB_PAYMENT, "ALTER TABLE payment_ledger DROP CONSTRAINT no_3998", NULL);
    return parked;
}

/* The database rejects one message of a batch: it is parked alone, and can be redriven. */
Test(letters, a_rejected_message_is_parked_alone_and_redriven)
{
    struct order_answer parked = parked_at_payment();
    char *list = letters_command("payment-svc", "list", NULL);
    cr_assert_not_null(strstr(list, parked.id), "%s", list);
    free(list);
    free(letters_command("payment-svc", "redrive", "--all"));
    cr_assert(order_reaches(parked.id, "completed", SOON_S));
    cr_assert(CLOCK_UNTIL(SOON_S, parked_in(DB_PAYMENT) == 0));
    order_answer_free(&parked);
}

/* An event as a service would say it, but said by a stranger. */
static void say_with_key(const char *service, const char *topic, const char *key,
                         const char *order_id, const char *value)
{
    char headers[600];
    snprintf(headers, sizeof headers,
             "-H ce_specversion=1.0 -H ce_id=test-%lld -H ce_source=/%s -H ce_type=%s "
             "-H ce_subject=%s -H ce_time=2026-01-01T00:00:00Z -H ce_schemaversion=1 "
             "-H content-type=application/json",
             (long long)clock_us(), service, topic, order_id);
    letters_produce(topic, key, value, headers);
}

static void say(const char *service, const char *topic, const char *order_id, const char *value)
{
    say_with_key(service, topic, order_id, order_id, value);
}

/* What cannot be read is parked with its reason, and holds nobody up. */
Test(letters, unreadable_records_are_parked)
{
    letters_produce("payment.done", "garbage", "this is no JSON", "-H ce_id=1");
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    cr_assert_str_eq(order_text(&answer, "status"), "completed");
    cr_assert(CLOCK_UNTIL(SOON_S, parked_in(DB_INVENTORY) == 1));
    IS(DB_INVENTORY, 0, "SELECT count(*) FROM dead_letter WHERE order_id IS NOT NULL", NULL);
    char *id = db_text(DB_INVENTORY, "SELECT max(id)::text FROM dead_letter", NULL);
    char *shown = letters_command("inventory-svc", "show", id);
    cr_assert_not_null(strstr(shown, "this is no JSON"), "%s", shown);
    free(shown);
    free(letters_command("inventory-svc", "discard", id));
    free(id);
    IS(DB_INVENTORY, 0, PARKED, NULL);
    /* order-svc heard it too */
    cr_assert(CLOCK_UNTIL(SOON_S, parked_in(DB_ORDER) == 1));
    id = db_text(DB_ORDER, "SELECT max(id)::text FROM dead_letter", NULL);
    free(letters_command("order-svc", "discard", id));
    free(id);
    order_answer_free(&answer);
}

static int64_t redriven_in(enum db db)
{
    return db_int(db, "SELECT count(*) FROM dead_letter WHERE state = 4 AND mended_at IS NOT NULL",
                  NULL);
}

/* Mended by a person and tried again, it is handled; its row stays, and the auditor never objects.
 */
Test(letters, a_mended_record_is_redriven)
{
    char mend[500], *output;
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    cr_assert_str_eq(order_text(&answer, "status"), "completed");
    say("payment-svc", "payment.done", answer.id, "nonsense");
    cr_assert(CLOCK_UNTIL(SOON_S, parked_in(DB_INVENTORY) == 1 && parked_in(DB_ORDER) == 1));
    snprintf(mend, sizeof mend,
             "UPDATE dead_letter SET mended_at = now(), record_value = '{\"order_id\":\"%s\","
             "\"items\":[{\"sku\":\"SKU-1\",\"quantity\":2}],"
             "\"shipping_address\":{\"country\":\"DE\"}}' WHERE state = 0",
             answer.id);
    db_run(DB_INVENTORY, mend);
    db_run(DB_ORDER, mend);
    int status = command_run(stack_root(), (const char *const[]){"deploy/audit", NULL}, &output);
    cr_assert_eq(status, 0, "%s", output);
    free(output);
    int64_t before = redriven_in(DB_INVENTORY), before_order = redriven_in(DB_ORDER);
    free(letters_command("inventory-svc", "redrive", "--all"));
    free(letters_command("order-svc", "redrive", "--all"));
    cr_assert(CLOCK_UNTIL(SOON_S, redriven_in(DB_INVENTORY) == before + 1 &&
                                      redriven_in(DB_ORDER) == before_order + 1));
    IS(DB_INVENTORY, 0, PARKED, NULL);
    char *list = letters_command("order-svc", "list", NULL);
    cr_assert_not_null(strstr(list, "\tredriven\tunreadable_value\t"), "%s", list);
    free(list);
    auditor_holds(SOON_S);
    order_answer_free(&answer);
}

static void say_payment_failed(const char *order_id, const char *reason)
{
    char value[128];
    snprintf(value, sizeof value, "{\"order_id\":\"%s\",\"reason\":\"%s\"}", order_id, reason);
    say("payment-svc", "payment.failed", order_id, value);
}

/* A readable one that can never be handled holds up the later ones of its order, and only those. */
Test(letters, a_parked_message_holds_up_its_order_only)
{
    cr_assert(stack_signal("inventory-svc", SIGSTOP));
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert(order_reaches(answer.id, "paid", SOON_S));
    say_payment_failed(answer.id, "bad_karma");
    const char *parked = "SELECT count(*) FROM dead_letter WHERE order_id = $1::uuid AND state = 0"
                         " AND reason = 'unknown_reason'";
    const char *waiting =
        "SELECT count(*) FROM dead_letter WHERE order_id = $1::uuid AND state = 1";
    cr_assert(CLOCK_UNTIL(SOON_S, db_int(DB_ORDER, parked, answer.id) == 1));
    cr_assert(stack_signal("inventory-svc", SIGCONT));
    cr_assert(
        CLOCK_UNTIL(SOON_S, db_int(DB_ORDER, waiting, answer.id) == 2)); /* reserved, shipped */
    struct order_answer other = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    cr_assert_str_eq(order_text(&other, "status"), "completed");
    /* The false one is taken out by a person; what waited behind it goes on. */
    char *letter = db_text(
        DB_ORDER, "SELECT id::text FROM dead_letter WHERE state = 0 AND order_id = $1::uuid",
        answer.id);
    free(letters_command("order-svc", "discard", letter));
    free(letter);
    cr_assert(order_reaches(answer.id, "completed", SOON_S));
    cr_assert(CLOCK_UNTIL(SOON_S, parked_in(DB_ORDER) == 0));
    order_answer_free(&answer);
    order_answer_free(&other);
}

/* The number of the order's dead letter in order_db that is parked and was tried so often; waits
 * for it. To be freed. */
static char *letter_of(const char *order_id, int attempts)
{
    char sql[160];
    snprintf(sql, sizeof sql,
             "SELECT id::text FROM dead_letter WHERE order_id = $1::uuid AND state = 0"
             " AND attempts = %d",
             attempts);
    char *id = NULL;
    cr_assert(CLOCK_UNTIL(SOON_S, (id = db_text(DB_ORDER, sql, order_id)) != NULL));
    return id;
}

/* A record that was parked and discarded is read again, as after a crash, and there is one of its
 * order behind it now: nobody will ever redrive or discard what that one would wait for. It is
 * tried; that a completed order was not paid is then not believed either. */
Test(letters, what_comes_behind_a_discarded_one_is_not_left_behind)
{
    const char *bootstrap = stack_address("KAFKA_BOOTSTRAP");
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    cr_assert_str_eq(order_text(&answer, "status"), "completed");
    say_payment_failed(answer.id, "bad_karma");
    char *letter = letter_of(answer.id, 1);
    free(letters_command("order-svc", "discard", letter));
    int32_t partition = (int32_t)db_int(
        DB_ORDER, "SELECT record_partition FROM dead_letter WHERE order_id = $1::uuid", answer.id);
    int64_t offset = db_int(
        DB_ORDER, "SELECT record_offset FROM dead_letter WHERE order_id = $1::uuid", answer.id);
    free(letter);
    cr_assert(stack_kill("order-svc"));
    cr_assert(groups_forget(bootstrap, "order-svc"));
    cr_assert(groups_store(bootstrap, "order-svc", "payment.failed", partition, offset));
    say_payment_failed(answer.id, "card_declined");
    cr_assert(stack_up("order-svc", NULL));
    letter = letter_of(answer.id, 2);
    free(letters_command("order-svc", "discard", letter));
    free(letter);
    IS(DB_ORDER, 2, "SELECT count(*) FROM dead_letter WHERE order_id = $1::uuid AND state = 3",
       answer.id);
    order_answer_free(&answer);
}

/* A record without a readable key is of no order. Mended, and redriven before what was parked
 * before it, it must not overtake that; nor may it be left waiting, since who frees what waits goes
 * by the order. It is parked still. */
Test(letters, a_letter_of_no_order_is_not_left_waiting)
{
    struct order_answer parked = parked_at_payment();
    char *first = db_text(DB_PAYMENT,
                          "SELECT id::text FROM dead_letter WHERE state = 0"
                          " AND order_id = $1::uuid",
                          parked.id);
    char *value = db_text(DB_ORDER,
                          "SELECT payload FROM outbox WHERE type = 'order.created'"
                          " AND order_id = $1::uuid",
                          parked.id);
    char *second = NULL;
    say_with_key("order-svc", "order.created", "nobody", parked.id, value);
    cr_assert(CLOCK_UNTIL(SOON_S, (second = db_text(DB_PAYMENT,
                                                    "SELECT id::text FROM dead_letter"
                                                    " WHERE order_id IS NULL AND state < 3",
                                                    NULL)) != NULL));
    IS(DB_PAYMENT, 1,
       "WITH mended AS (UPDATE dead_letter SET record_key = $1, mended_at = now()"
       " WHERE order_id IS NULL AND state < 3 RETURNING 1) SELECT count(*) FROM mended",
       parked.id);
    free(letters_command("payment-svc", "redrive", second));
    cr_assert(CLOCK_UNTIL(SOON_S, db_int(DB_PAYMENT,
                                         "SELECT count(*) FROM dead_letter WHERE state = 0"
                                         " AND reason = 'held_up' AND attempts = 2"
                                         " AND id = $1::bigint",
                                         second) == 1));
    free(letters_command("payment-svc", "redrive", first));
    cr_assert(order_reaches(parked.id, "completed", SOON_S));
    IS(DB_PAYMENT, 1, PARKED, NULL);
    free(letters_command("payment-svc", "redrive", second));
    cr_assert(CLOCK_UNTIL(SOON_S, parked_in(DB_PAYMENT) == 0));
    free(first);
    free(second);
    free(value);
    order_answer_free(&parked);
}

static int64_t lag_of(const char *address, const char *topic)
{
    char series[80];
    int64_t lag = 0;
    struct http_answer *metrics =
        http_call(stack_address(address), "GET", "/metrics", NULL, NULL, 5000);
    snprintf(series, sizeof series, "saga_consumer_lag{topic=\"%s\"", topic);
    for (const char *at = metrics->body; (at = strstr(at, series)) != NULL; at++)
        lag += atoll(strchr(at, '}') + 1);
    http_answer_free(metrics);
    return lag;
}

/* An event of the order is there before its redriven letters are through: it waits behind them, and
 * not longer. */
Test(letters, what_comes_during_a_redrive_is_not_left_behind)
{
    struct order_answer parked = parked_at_payment();
    char *payload = db_text(DB_ORDER,
                            "SELECT payload FROM outbox WHERE type = 'order.created'"
                            " AND order_id = $1::uuid",
                            parked.id);
    /* The engine stands in the batch of another order, while the client goes on fetching. */
    db_hold(DB_PAYMENT, "LOCK TABLE payment_ledger");
    struct order_answer other = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert(CLOCK_UNTIL(SOON_S, lag_of("PAYMENT_OPS", "order.created") == 1));
    say("order-svc", "order.created", parked.id, payload);
    cr_assert(CLOCK_UNTIL(SOON_S, lag_of("PAYMENT_OPS", "order.created") == 2));
    free(letters_command("payment-svc", "redrive", "--all"));
    db_release();
    cr_assert(order_reaches(parked.id, "completed", SOON_S));
    cr_assert(order_reaches(other.id, "completed", SOON_S));
    cr_assert(CLOCK_UNTIL(SOON_S, parked_in(DB_PAYMENT) == 0));
    IS(DB_PAYMENT, 1, "SELECT count(*) FROM payment_ledger WHERE order_id = $1::uuid", parked.id);
    free(payload);
    order_answer_free(&parked);
    order_answer_free(&other);
}

Test(letters, zzz_the_auditor_agrees)
{
    auditor_holds(SOON_S);
}
