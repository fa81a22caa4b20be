/* waits.c: Prefer: wait; what a key remembers of a refusal and of a 503; and which 503 says that a
 * repeat helps. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/db.h"
#include "support/orders.h"
#include "support/stack.h"

#define SOON_S 20

static struct stack_part inventory;

static void attach(void)
{
    cr_assert(stack_attach());
    cr_assert(stack_part("inventory-svc", &inventory));
}

static void detach(void)
{
    kill(inventory.pid, SIGCONT);
    db_run(DB_ORDER, "SET client_min_messages = error;"
                     "ALTER TABLE orders DROP CONSTRAINT IF EXISTS refuses;"
                     "DROP TRIGGER IF EXISTS refuses ON orders;"
                     "DROP FUNCTION IF EXISTS refuses()");
}

TestSuite(waits, .init = attach, .fini = detach, .timeout = 120);

static const char *key_header(const char *more)
{
    static char header[160];
    snprintf(header, sizeof header, "Idempotency-Key: waits-%lld\r\n%s", (long long)clock_us(),
             more);
    return header;
}

/* More than 30 counts as 30, however many digits it has; what is no number is no preference. */
Test(waits, the_preference_is_applied_or_ignored)
{
    static const char *const cases[][2] = {
        {"wait=0", "wait=0"},
        {"wait=1", "wait=1"},
        {"wait=30", "wait=30"},
        {"wait=31", "wait=30"},
        {"wait=3600", "wait=30"},
        {"wait=99999999999999999999", "wait=30"},
        {"WAIT=5", "wait=5"},
        {"respond-async, wait=5", "wait=5"},
        {"respond-async,wait=5;x=y", "wait=5"},
        {"wait", ""},
        {"wait=", ""},
        {"wait=soon", ""},
        {"wait=-1", ""},
        {"wait=1.5", ""},
        {"wait=5s", ""},
        {"await=5", ""},
        {"x-wait=5", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[80];
        snprintf(header, sizeof header, "Prefer: %s\r\n", cases[i][0]);
        struct order_answer answer = order_send(order_body(NULL, NULL, NULL), header);
        cr_expect_str_eq(answer.applied, cases[i][1], "%s: %s", cases[i][0], answer.applied);
        cr_expect(answer.status == 201 || strcmp(answer.applied, "wait=0") == 0, "%s: %d",
                  cases[i][0], answer.status);
        order_answer_free(&answer);
    }
}

struct sent {
    const char *header;
    struct order_answer answer;
};

static void *send_one(void *opaque)
{
    struct sent *sent = opaque;
    sent->answer = order_send(order_body(NULL, NULL, NULL), sent->header);
    return NULL;
}

/* A replay that prefers to wait does wait, and answers with the order as it then is; one that does
 * not is answered as the first was. */
Test(waits, a_replay_waits_again)
{
    char header[160], waiting[200];
    snprintf(header, sizeof header, "%s", key_header(""));
    snprintf(waiting, sizeof waiting, "%sPrefer: wait=20\r\n", header);
    kill(inventory.pid, SIGSTOP);
    struct order_answer first = order_send(order_body(NULL, NULL, NULL), header);
    cr_assert_eq(first.status, 201);
    cr_assert(order_reaches(first.id, "paid", SOON_S));

    struct sent sent = {.header = waiting};
    pthread_t thread;
    int64_t sent_us = clock_us();
    cr_assert_eq(pthread_create(&thread, NULL, send_one, &sent), 0);
    /* A shorter wait ends meanwhile, with the order as it is. */
    char shorter[200];
    snprintf(shorter, sizeof shorter, "%sPrefer: wait=1\r\n", header);
    struct order_answer early = order_send(order_body(NULL, NULL, NULL), shorter);
    cr_assert_eq(early.status, 202);
    cr_assert_str_eq(early.replayed, "true");
    cr_assert_str_eq(order_text(&early, "status"), "paid");
    kill(inventory.pid, SIGCONT);
    pthread_join(thread, NULL);
    cr_assert_geq(clock_us() - sent_us, 900000);
    cr_assert_eq(sent.answer.status, 201, "%d", sent.answer.status);
    cr_assert_str_eq(sent.answer.replayed, "true");
    cr_assert_str_eq(sent.answer.id, first.id);
    cr_assert_str_eq(order_text(&sent.answer, "status"), "completed");

    struct order_answer plain = order_send(order_body(NULL, NULL, NULL), header);
    cr_assert_eq(plain.status, 201);
    cr_assert_str_eq(order_text(&plain, "status"), "pending");
    cr_assert(json_equal(plain.body, first.body), "a replay has the body of the first answer");
    order_answer_free(&first);
    order_answer_free(&early);
    order_answer_free(&sent.answer);
    order_answer_free(&plain);
}

/* The key of a request that was refused is free. */
Test(waits, a_refusal_is_not_remembered)
{
    char header[160];
    snprintf(header, sizeof header, "%s", key_header(""));
    for (int i = 0; i < 2; i++) {
        struct order_answer refused = order_send(order_body(NULL, "no sku", NULL), header);
        cr_assert_eq(refused.status, 422);
        cr_assert_str_eq(refused.replayed, "");
        order_answer_free(&refused);
    }
    struct order_answer good = order_send(order_body(NULL, NULL, NULL), header);
    cr_assert_eq(good.status, 201);
    cr_assert_str_eq(good.replayed, "");
    order_answer_free(&good);
}

/* So is that of one that was told 503: the key makes one order all the same. */
Test(waits, a_busy_answer_is_not_remembered)
{
    char header[160];
    snprintf(header, sizeof header, "%s", key_header(""));
    int64_t before = db_int(DB_ORDER, "SELECT count(*) FROM orders", NULL);
    db_run(DB_ORDER, "CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS"
                     " $$ BEGIN RAISE 'full' USING ERRCODE = '53100'; END $$;"
                     "CREATE TRIGGER refuses BEFORE INSERT ON orders EXECUTE FUNCTION refuses()");
    struct order_answer busy = order_send(order_body(NULL, NULL, NULL), header);
    db_run(DB_ORDER, "DROP TRIGGER refuses ON orders; DROP FUNCTION refuses()");
    cr_assert_eq(busy.status, 503, "%d", busy.status);
    cr_assert_str_neq(busy.retry_after, "");
    cr_assert_eq(db_int(DB_ORDER, "SELECT count(*) FROM orders", NULL), before);
    struct order_answer good = {0};
    cr_assert(CLOCK_UNTIL(SOON_S, ({
                              order_answer_free(&good);
                              good = order_send(order_body(NULL, NULL, NULL), header);
                              good.status == 201;
                          })));
    cr_assert_str_eq(good.replayed, "");
    struct order_answer again = order_send(order_body(NULL, NULL, NULL), header);
    cr_assert_eq(again.status, 201);
    cr_assert_str_eq(again.replayed, "true");
    cr_assert_str_eq(again.id, good.id);
    order_answer_free(&busy);
    order_answer_free(&good);
    order_answer_free(&again);
}

/* The database refuses the very order: a repeat does not help, and none is promised to. */
Test(waits, a_failure_promises_nothing)
{
    char header[160];
    snprintf(header, sizeof header, "%s", key_header(""));
    db_run(DB_ORDER, "ALTER TABLE orders ADD CONSTRAINT refuses CHECK (total <> 3998) NOT VALID");
    for (int i = 0; i < 2; i++) {
        struct order_answer failed = order_send(order_body(NULL, NULL, NULL), header);
        cr_assert_eq(failed.status, 503);
        cr_assert_str_eq(order_text(&failed, "code"), "failed");
        cr_assert_str_eq(failed.retry_after, "");
        order_answer_free(&failed);
    }
    db_run(DB_ORDER, "ALTER TABLE orders DROP CONSTRAINT refuses");
    struct order_answer good = order_send(order_body(NULL, NULL, NULL), header);
    cr_assert_eq(good.status, 201);
    cr_assert_str_eq(good.replayed, "");
    order_answer_free(&good);
}

/* The same of a cancel; when the database takes it again, so does the door. */
Test(waits, a_failed_cancel_promises_nothing)
{
    char sql[200];
    kill(inventory.pid, SIGSTOP);
    struct order_answer placed = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert(order_reaches(placed.id, "paid", SOON_S));
    snprintf(sql, sizeof sql,
             "ALTER TABLE orders ADD CONSTRAINT refuses CHECK (order_id <> '%s') NOT VALID",
             placed.id);
    db_run(DB_ORDER, sql);
    struct order_answer failed = order_cancel(placed.id);
    cr_assert_eq(failed.status, 503);
    cr_assert_str_eq(order_text(&failed, "code"), "failed");
    cr_assert_str_eq(failed.retry_after, "");
    db_run(DB_ORDER, "ALTER TABLE orders DROP CONSTRAINT refuses");
    struct order_answer taken = order_cancel(placed.id);
    cr_assert_eq(taken.status, 202);
    /* Its event has overtaken what inventory-svc will say. */
    cr_assert(CLOCK_UNTIL(SOON_S, db_int(DB_SHIPPING,
                                         "SELECT count(*) FROM parcel WHERE order_id = $1::uuid",
                                         placed.id) == 1));
    kill(inventory.pid, SIGCONT);
    cr_assert(order_reaches(placed.id, "cancelled", SOON_S));
    order_answer_free(&placed);
    order_answer_free(&failed);
    order_answer_free(&taken);
}
