/* promised.c: the check of what customers were told says so when it is not so. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support/clock.h"
#include "support/db.h"
#include "support/orders.h"
#include "support/stack.h"
#include "support/promised.h"

#define NOBODY "00000000-0000-7000-8000-000000000001"

static struct promised promised[3];

static void attach(void)
{
    cr_assert(stack_attach());
    for (size_t i = 0; i < 3; i++) {
        char key[40], headers[80];
        snprintf(key, sizeof key, "told-%lld-%zu", (long long)clock_us(), i);
        snprintf(headers, sizeof headers, "Idempotency-Key: %s\r\n", key);
        struct order_answer answer = order_send(order_body(NULL, NULL, NULL), headers);
        cr_assert_eq(answer.status, 201);
        snprintf(promised[i].key, sizeof promised[i].key, "cus_42 %s", key);
        snprintf(promised[i].id, sizeof promised[i].id, "%s", answer.id);
        order_answer_free(&answer);
    }
}

TestSuite(promised, .init = attach, .timeout = 60);

/* Of three, the second is wrong. */
static void says(const char *what)
{
    const char *wrong = promised_wrong(promised, 3);
    cr_assert(wrong != NULL && strstr(wrong, what) != NULL &&
                  strstr(wrong, promised[1].key) != NULL,
              "%s", wrong ? wrong : "nothing");
}

Test(promised, all_is_well)
{
    const char *wrong = promised_wrong(promised, 3);
    cr_assert_null(wrong, "%s", wrong);
    promised[1].id[0] = '\0'; /* no answer yet */
    promised[1].key[7] = 'x';
    cr_assert_null(promised_wrong(promised, 3));
}

Test(promised, another_id_was_answered)
{
    snprintf(promised[1].id, sizeof promised[1].id, "%s", promised[0].id);
    says("its key has another order");
}

Test(promised, key_that_is_not_there)
{
    promised[1].key[7] = 'x';
    says("its key is not there");
}

Test(promised, order_that_is_nowhere)
{
    snprintf(promised[1].key, sizeof promised[1].key, "cus_42 nowhere-%lld", (long long)clock_us());
    snprintf(promised[1].id, sizeof promised[1].id, "%s", NOBODY);
    char sql[300];
    snprintf(sql, sizeof sql,
             "INSERT INTO idempotency (key, order_id, fingerprint, created_at, deadline_at)"
             " VALUES ('%s', '%s', '', now(), now())",
             promised[1].key, NOBODY);
    db_run(DB_ORDER, sql);
    const char *wrong = promised_wrong(promised, 3);
    char said[256];
    snprintf(said, sizeof said, "%s", wrong ? wrong : "nothing");
    db_run(DB_ORDER, "DELETE FROM idempotency WHERE order_id = '" NOBODY "'");
    cr_assert_not_null(strstr(said, "there is no such order"), "%s", said);
}

Test(promised, order_of_another_customer)
{
    char key[64];
    snprintf(key, sizeof key, "cus_4 told-other-%lld", (long long)clock_us());
    char sql[300];
    snprintf(sql, sizeof sql, "UPDATE idempotency SET key = '%s' WHERE key = '%s'", key,
             promised[1].key);
    db_run(DB_ORDER, sql);
    snprintf(sql, sizeof sql, "UPDATE idempotency SET key = '%s' WHERE key = '%s'", promised[1].key,
             key);
    snprintf(promised[1].key, sizeof promised[1].key, "%s", key);
    const char *wrong = promised_wrong(promised, 3);
    char said[256];
    snprintf(said, sizeof said, "%s", wrong ? wrong : "nothing");
    db_run(DB_ORDER, sql);
    cr_assert_not_null(strstr(said, "another customer's"), "%s", said);
}
