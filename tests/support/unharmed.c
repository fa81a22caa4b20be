/* unharmed.c: counts what orders leave in the order database, and looks at the service. */
#include "unharmed.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "http.h"
#include "stack.h"

#define TIMEOUT_MS 10000
#define RSS_MAX_KB (192 * 1024)

static struct rows {
    int64_t orders, keys, orphans;
} before;
static char *begun_at; /* by the database's clock */

static struct rows count_rows(void)
{
    return (struct rows){db_int(DB_ORDER, "SELECT count(*) FROM orders", NULL),
                         db_int(DB_ORDER, "SELECT count(*) FROM idempotency", NULL),
                         db_int(DB_ORDER,
                                "SELECT count(*) FROM (SELECT order_id FROM outbox UNION"
                                " SELECT order_id FROM timer UNION"
                                " SELECT order_id FROM idempotency) AS theirs"
                                " WHERE order_id NOT IN (SELECT order_id FROM orders)",
                                NULL)};
}

void unharmed_begin(void)
{
    cr_assert(stack_attach());
    before = count_rows();
    begun_at = db_text(DB_ORDER, "SELECT clock_timestamp()", NULL);
}

static int64_t rss_kb(void)
{
    struct stack_part part;
    char path[40], line[200];
    long long kb = 0;
    cr_assert(stack_part("order-svc", &part));
    snprintf(path, sizeof path, "/proc/%d/status", (int)part.pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtoll(line + 6, NULL, 10);
    if (file != NULL)
        fclose(file);
    return kb;
}

/*
 * As many orders, keys and events more as were answered 201, and nothing of an order that is none.
 * The ring of outbox rows is kept for longer than a test takes, so all of this test's are there.
 */
static void check_rows(int accepted, int keyed)
{
    struct rows now = count_rows();
    cr_assert_eq(now.orders, before.orders + accepted, "%d accepted", accepted);
    cr_assert_eq(now.keys, before.keys + keyed, "%d accepted with a key", keyed);
    cr_assert_eq(db_int(DB_ORDER,
                        "SELECT count(*) FROM outbox"
                        " WHERE type = 'order.created' AND created_at >= $1::timestamptz"
                        " AND created_at < now() + interval '1 min'" /* a clock has jumped */,
                        begun_at),
                 accepted);
    cr_assert_leq(now.orphans, before.orphans); /* other tests may have planted some */
    free(begun_at);
}

void unharmed_end(int accepted, int keyed)
{
    check_rows(accepted, keyed);
    struct http_answer *ready =
        http_call(stack_address("ORDER_API"), "GET", "/readyz", NULL, NULL, TIMEOUT_MS);
    cr_assert_eq(ready->status, 200);
    http_answer_free(ready);
    cr_assert_lt(rss_kb(), RSS_MAX_KB);
}
