/* keys.c: idempotency keys: asked for at the same time, and kept for as long as was promised. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/db.h"
#include "support/orders.h"
#include "support/stack.h"

#define SOON_S 20
#define TOGETHER 64

static void attach(void)
{
    cr_assert(stack_attach());
}

TestSuite(keys, .init = attach, .fini = db_release, .timeout = 120);

static const char *key_header(void)
{
    static char header[80];
    snprintf(header, sizeof header, "Idempotency-Key: keys-%lld\r\n", (long long)clock_us());
    return header;
}

static void *send_one(void *header)
{
    struct order_answer *answer = calloc(1, sizeof *answer);
    *answer = order_send(order_body(NULL, NULL, NULL), header);
    return answer;
}

static void done_with(struct order_answer *answer)
{
    order_answer_free(answer);
    free(answer);
}

static bool order_db_waits(void)
{
    return db_int(DB_ORDER,
                  "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                  " AND datname = current_database()",
                  NULL) > 0;
}

/* The first one hangs in the database: the second waits for it shortly, is told, and gets the first
 * one's answer when it asks again. */
Test(keys, a_key_in_work_is_told)
{
    char header[80];
    snprintf(header, sizeof header, "%s", key_header());
    db_hold(DB_ORDER, "LOCK TABLE idempotency IN ACCESS EXCLUSIVE MODE");
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, send_one, header), 0);
    cr_assert(CLOCK_UNTIL(SOON_S, order_db_waits()));
    struct order_answer second = order_send(order_body(NULL, NULL, NULL), header);
    db_release();
    struct order_answer *first;
    cr_assert_eq(pthread_join(thread, (void **)&first), 0);
    cr_assert_eq(second.status, 409, "%d", second.status);
    cr_assert_str_eq(order_text(&second, "code"), "idempotency_in_progress");
    cr_assert_str_eq(second.retry_after, "1");
    cr_assert_eq(first->status, 201, "%d", first->status);
    cr_assert_str_eq(first->replayed, "");
    struct order_answer third = order_send(order_body(NULL, NULL, NULL), header);
    cr_assert_eq(third.status, 201);
    cr_assert_str_eq(third.replayed, "true");
    cr_assert_str_eq(third.id, first->id);
    order_answer_free(&second);
    order_answer_free(&third);
    done_with(first);
}

/* Many at once: one order, one first answer, and all the others are its replays. */
Test(keys, many_at_once_make_one_order)
{
    pthread_t threads[TOGETHER];
    char header[80], id[40] = "";
    snprintf(header, sizeof header, "%s", key_header());
    int64_t before = db_int(DB_ORDER, "SELECT count(*) FROM orders", NULL);
    int first = 0;
    for (size_t i = 0; i < TOGETHER; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, send_one, header), 0);
    for (size_t i = 0; i < TOGETHER; i++) {
        struct order_answer *answer;
        cr_assert_eq(pthread_join(threads[i], (void **)&answer), 0);
        cr_assert_eq(answer->status, 201, "%d", answer->status);
        if (*id == '\0')
            snprintf(id, sizeof id, "%s", answer->id);
        cr_assert_str_eq(answer->id, id);
        first += *answer->replayed == '\0';
        done_with(answer);
    }
    cr_assert_eq(first, 1);
    cr_assert_eq(db_int(DB_ORDER, "SELECT count(*) FROM orders", NULL), before + 1);
}

/* Rows go when their time is over, more of them than are removed at once, and no younger ones. */
Test(keys, are_removed_when_their_time_is_over)
{
    struct order_answer young = order_send(order_body(NULL, NULL, NULL), key_header());
    cr_assert_eq(young.status, 201);
    db_int(DB_ORDER,
           "INSERT INTO idempotency SELECT 'keys-old ' || i, gen_random_uuid(), '',"
           " now() - interval '93610 s', now() FROM generate_series(1, 2500) i",
           NULL);
    db_int(DB_ORDER,
           "INSERT INTO idempotency VALUES ('keys-old younger', gen_random_uuid(), '',"
           " now() - interval '92600 s', now())",
           NULL);
    cr_assert(CLOCK_UNTIL(SOON_S, db_int(DB_ORDER,
                                         "SELECT count(*) FROM idempotency"
                                         " WHERE created_at < now() - interval '93600 s'",
                                         NULL) == 0));
    cr_assert_eq(
        db_int(DB_ORDER, "SELECT count(*) FROM idempotency WHERE key LIKE 'keys-old %'", NULL), 1);
    cr_assert_eq(db_int(DB_ORDER, "SELECT count(*) FROM idempotency WHERE order_id = $1", young.id),
                 1);
    db_int(DB_ORDER, "DELETE FROM idempotency WHERE key LIKE 'keys-old %'", NULL);
    order_answer_free(&young);
}
