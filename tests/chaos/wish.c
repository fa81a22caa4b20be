/* wish.c: what a customer wants; see wish.h. */
#include "wish.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUSTOMERS 1000
#define SKUS 50

/* Of a hundred orders. */
static const struct {
    unsigned share;
    const char *payment_method, *sku, *country, *reason;
} paths[WISH_PATHS] = {
    [WISH_CARD] = {70, "pm_card", NULL, "DE", NULL},
    [WISH_DECLINED] = {6, "pm_card_declined", NULL, "DE", "card_declined"},
    [WISH_FUNDS] = {5, "pm_insufficient_funds", NULL, "FR", "insufficient_funds"},
    [WISH_METHOD] = {3, "pm_unheard_of", NULL, "DE", "unknown_payment_method"},
    [WISH_SKU] = {5, "pm_card", "SKU-UNKNOWN", "DE", "unknown_sku"},
    [WISH_SOLD_OUT] = {5, "pm_card", "SKU-SOLD-OUT", "DE", "out_of_stock"},
    [WISH_ADDRESS] = {6, "pm_card", NULL, "AQ", "address_undeliverable"},
};

/* splitmix64: every bit of the number has a say in every bit of the result. */
static uint64_t mixed(uint64_t number)
{
    number += 0x9e3779b97f4a7c15;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
    number = (number ^ number >> 27) * 0x94d049bb133111eb;
    return number ^ number >> 31;
}

uint64_t wish_run(uint64_t seed)
{
    return mixed(seed) >> WISH_NUMBER_BITS;
}

/* A number below `sides`, another for each number of the die. */
static unsigned roll(uint64_t mark, unsigned die, unsigned sides)
{
    return (unsigned)(mixed(mark ^ (uint64_t)die << 56) % sides);
}

/* At once, while it travels, and when it has most likely shipped. */
static int cancel_ms(uint64_t mark)
{
    unsigned share = roll(mark, 4, 100);
    if (share < 5)
        return 0;
    if (share < 12)
        return (int)roll(mark, 5, 40);
    if (share < 17)
        return 1000 + (int)roll(mark, 5, 1000);
    return -1;
}

struct wish wish_of(uint64_t mark)
{
    struct wish wish = {.path = WISH_CARD};
    unsigned share = roll(mark, 0, 100);

    while (share >= paths[wish.path].share)
        share -= paths[wish.path++].share;
    wish.keyed = roll(mark, 1, 100) < 80;
    wish.waits = roll(mark, 2, 100) < 25;
    wish.replays = wish.keyed && roll(mark, 3, 10) == 0;
    wish.cancel_ms = cancel_ms(mark);
    return wish;
}

const char *wish_reason(enum wish_path path)
{
    return paths[path].reason;
}

void wish_write_key(uint64_t mark, char buffer[WISH_KEY_SIZE])
{
    snprintf(buffer, WISH_KEY_SIZE, "%016" PRIx64, mark);
}

bool wish_read_key(const char *text, uint64_t *ret_mark)
{
    if (text == NULL || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return false;
    *ret_mark = strtoull(text, NULL, 16);
    return true;
}

int64_t wish_write_order(uint64_t mark, char buffer[WISH_ORDER_SIZE])
{
    enum wish_path path = wish_of(mark).path;
    char key[WISH_KEY_SIZE], sku[24], second[96] = "";
    int64_t quantity = 1 + roll(mark, 6, 3), amount = roll(mark, 7, 5000);
    int64_t total = quantity * amount;

    wish_write_key(mark, key);
    snprintf(sku, sizeof sku, "SKU-%u", 11 + roll(mark, 8, SKUS));
    if (paths[path].sku != NULL)
        snprintf(sku, sizeof sku, "%s", paths[path].sku);
    /* One that many want: rows that two batches need at once. */
    if (roll(mark, 9, 2) == 0) {
        snprintf(second, sizeof second, ",{\"sku\":\"SKU-7\",\"quantity\":1,\"unit_amount\":100}");
        total += 100;
    }
    snprintf(
        buffer, WISH_ORDER_SIZE,
        "{\"customer_id\":\"cus_%u\",\"currency\":\"EUR\",\"items\":[{\"sku\":\"%s\","
        "\"quantity\":%" PRId64 ",\"unit_amount\":%" PRId64 "}%s],\"payment_method\":\"%s\","
        "\"shipping_address\":{\"name\":\"Customer %s\",\"city\":\"Zürich\",\"country\":\"%s\"},"
        "\"metadata\":{\"mark\":\"%s\"}}",
        roll(mark, 10, CUSTOMERS), sku, quantity, amount, second, paths[path].payment_method, key,
        paths[path].country, key);
    return total;
}
