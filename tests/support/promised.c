/* promised.c: what customers were told of their orders, against the order database. */
#include "promised.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db.h"

#define LOOK                                                                                       \
    "SELECT i.order_id, o.customer_id FROM unnest(string_to_array($1, ',')) WITH ORDINALITY"       \
    " AS asked(key, n) LEFT JOIN idempotency i USING (key)"                                        \
    " LEFT JOIN orders o ON o.order_id = i.order_id ORDER BY n"

static char wrong[256];

static const char *row_wrong(const struct promised *promised, const char *id, const char *customer)
{
    size_t len = strcspn(promised->key, " ");
    const char *what = NULL;
    if (id[0] == '\0')
        what = "its key is not there";
    else if (strcmp(promised->id, id) != 0)
        what = "its key has another order";
    else if (customer[0] == '\0')
        what = "there is no such order";
    else if (strlen(customer) != len || strncmp(promised->key, customer, len) != 0)
        what = "the order is another customer's";
    if (what == NULL)
        return NULL;
    snprintf(wrong, sizeof wrong, "'%s' was told of order %s: %s (%s of '%s')", promised->key,
             promised->id, what, id, customer);
    return wrong;
}

const char *promised_wrong(const struct promised *promised, size_t count)
{
    const struct promised *asked[PROMISED_MAX];
    char *keys = malloc(PROMISED_MAX * PROMISED_KEY_MAX), *end = keys;
    size_t asked_count = 0;
    if (keys == NULL)
        abort();
    *keys = '\0';
    for (size_t i = 0; i < count && asked_count < PROMISED_MAX; i++) {
        if (promised[i].id[0] == '\0')
            continue;
        end += sprintf(end, "%s%s", asked_count > 0 ? "," : "", promised[i].key);
        asked[asked_count++] = &promised[i];
    }
    struct db_rows *rows = db_rows(DB_ORDER, LOOK, keys);
    free(keys);
    const char *ret = NULL;
    if (db_rows_count(rows) != asked_count)
        ret = "the order database does not tell";
    for (size_t i = 0; i < asked_count && ret == NULL; i++)
        ret = row_wrong(asked[i], db_value(rows, i, 0), db_value(rows, i, 1));
    db_rows_free(rows);
    return ret;
}

const char *promised_wrong_traffic(const struct traffic *traffic)
{
    struct promised *promised = calloc(PROMISED_MAX, sizeof *promised);
    const char *ret = NULL;
    size_t sent = traffic_sent(traffic), count = 0;
    if (promised == NULL)
        abort();
    for (size_t n = 0; n < sent && ret == NULL; n++) {
        traffic_key(traffic, n, promised[count].key, sizeof promised[count].key);
        snprintf(promised[count].id, sizeof promised[count].id, "%s", traffic_order(traffic, n));
        if (++count == PROMISED_MAX || n + 1 == sent) {
            ret = promised_wrong(promised, count);
            count = 0;
        }
    }
    free(promised);
    if (ret != NULL)
        return ret;
    int64_t kept = db_int(DB_ORDER,
                          "SELECT count(*) FROM idempotency"
                          " WHERE starts_with(split_part(key, ' ', 2), $1 || '-')",
                          traffic_keys(traffic));
    if (kept == (int64_t)sent)
        return NULL;
    snprintf(wrong, sizeof wrong, "%zu keys were sent, %lld are there", sent, (long long)kept);
    return wrong;
}

int64_t promised_strangers(void)
{
    return db_int(DB_ORDER,
                  "SELECT count(*) FROM orders o WHERE NOT EXISTS"
                  " (SELECT FROM idempotency i WHERE i.order_id = o.order_id)",
                  NULL);
}
