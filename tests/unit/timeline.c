/* timeline.c: an order's timeline as its row keeps it, and what the API shows of rows that nobody
 * should have written. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "order-svc/timeline.h"

/* In memory of exactly its size, so that a read beyond it is seen. The caller frees the answer;
 * NULL: it is refused. */
static char *shown(const char *row)
{
    size_t len = strlen(row);
    char *copy = malloc(len > 0 ? len : 1);
    cr_assert_not_null(copy);
    memcpy(copy, row, len);
    struct saga_json json = {0};
    bool read = timeline_write(&json, NULL, (struct saga_text){copy, len});
    cr_assert(read || json.len == 0);
    struct saga_text done = read ? saga_json_done(&json) : (struct saga_text){0};
    char *text = read ? strndup(done.at, done.len) : NULL;
    saga_json_clear(&json);
    free(copy);
    return text;
}

static void shows(const char *row, const char *expected)
{
    char *text = shown(row);
    cr_assert_str_eq(text, expected);
    free(text);
}

#define ENTRY(service, event, reason, partition, offset)                                           \
    "{\"at\":\"1970-01-01T00:00:00.000Z\",\"service\":\"" service "\",\"event\":\"" event          \
    "\",\"reason\":" reason ",\"topic\":\"" event "\",\"partition\":" partition                    \
    ",\"offset\":" offset "}"

Test(timeline, who_said_what)
{
    shows("", "[]");
    shows("1 order.created -1 -1 -\n",
          "[" ENTRY("order-svc", "order.created", "null", "null", "null") "]");
    shows("1 payment.failed 3 17 declined\n1 order.shipped 0 0 -",
          "[" ENTRY("payment-svc", "payment.failed", "\"declined\"", "3", "17") "," //
          ENTRY("shipping-svc", "order.shipped", "null", "0", "0") "]");
    shows("1 shipping.failed 0 0 x y\n",
          "[" ENTRY("shipping-svc", "shipping.failed", "\"x y\"", "0", "0") "]");
}

Test(timeline, oldest_first)
{
    char *text = shown("2000000 inventory.reserved 1 1 -\n1000000 order.created -1 -1 -\n");
    cr_assert_lt(strstr(text, "order.created"), strstr(text, "inventory.reserved"));
    free(text);
}

/* Found by fuzz order_http: words longer than 39 bytes were cut in the middle of a character. */
Test(timeline, long_words_are_whole)
{
#define LONG "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9" /* 20 bytes */
    shows("1 x" LONG LONG " -1 -1 y" LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG "\n",
          "[" ENTRY("order-svc", "x" LONG LONG,
                    "\"y" LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG "\"", "null",
                    "null") "]");
}

/* A later version's: left out, it would be a lie. */
Test(timeline, what_is_no_entry_is_refused)
{
    static const char *const rows[] = {
        "\n",
        " ",
        "1",
        "1 order.created",
        "1 order.created -1",
        "1 order.created -1 -1",
        "1 order.created -1 -1 ",
        "1  -1 -1 -",
        "1 order.created  -1 -",
        "x order.created -1 -1 -",
        "1x order.created -1 -1 -",
        "-1 order.created -1 -1 -",
        "1 order.created -2 -1 -",
        "1 order.created 2147483648 -1 -",
        "1 order.created -1 9223372036854775808 -",
        "1 order.created -1 000000000000000000001 -",
        "9223372036854775808 order.created -1 -1 -",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_assert_null(shown(rows[i]), "%s", rows[i]);
    cr_assert_null(shown("1 order.created -1 -1 -\n2 -\n"));
    cr_assert_null(shown("2 -\n1 order.created -1 -1 -\n"));
}

Test(timeline, sixty_four_entries)
{
    char row[66 * 32], *end = row;
    size_t count = 0;
    for (int i = 0; i < 64; i++)
        end = stpcpy(end, "1 order.created -1 -1 -\n");
    char *text = shown(row);
    for (const char *at = text; (at = strstr(at, "\"topic\"")) != NULL; at++)
        count++;
    cr_assert_eq(count, 64);
    free(text);
    stpcpy(end, "1 order.created -1 -1 -\n");
    cr_assert_null(shown(row));
}
