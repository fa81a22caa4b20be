/* mix.c: which way each order of a load goes; see mix.h. */
#include "mix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARE_MAX 1000000

static const struct {
    const char *payment_method, *sku, *country; /* sku NULL: one that is in stock */
    const char *status, *reason;
} paths[] = {
    [PATH_COMPLETED] = {"pm_card", NULL, "DE", "\"status\":\"completed\"", ""},
    [PATH_PAYMENT_REFUSES] = {"pm_card_declined", NULL, "DE", "\"status\":\"cancelled\"",
                              "\"status_reason\":\"card_declined\""},
    [PATH_INVENTORY_REFUSES] = {"pm_card", "SKU-SOLD-OUT", "DE", "\"status\":\"cancelled\"",
                                "\"status_reason\":\"out_of_stock\""},
    [PATH_SHIPPING_REFUSES] = {"pm_card", NULL, "AQ", "\"status\":\"cancelled\"",
                               "\"status_reason\":\"address_undeliverable\""},
};

bool mix_read(const char *text, struct mix *ret_mix)
{
    struct mix mix;
    int used = 0;

    if (sscanf(text, "%7u/%7u%n", &mix.completed, &mix.refused, &used) != 2 || text[used] != '\0' ||
        mix.completed > SHARE_MAX || mix.refused > SHARE_MAX || mix.completed + mix.refused == 0)
        return false;
    *ret_mix = mix;
    return true;
}

enum path mix_path(const struct mix *mix, uint64_t n)
{
    uint64_t whole = mix->completed + mix->refused;
    uint64_t before = n * mix->refused / whole, after = (n + 1) * mix->refused / whole;

    return before == after ? PATH_COMPLETED : PATH_PAYMENT_REFUSES + before % 3;
}

void mix_write_order(enum path path, char *buffer, size_t size)
{
    long number = random() % 100;
    char sku[16];

    snprintf(sku, sizeof sku, "SKU-%ld", number + 1);
    snprintf(buffer, size,
             "{\"customer_id\":\"cus_%ld\",\"currency\":\"EUR\",\"items\":["
             "{\"sku\":\"%s\",\"quantity\":1,\"unit_amount\":1999},"
             "{\"sku\":\"SKU-%ld\",\"quantity\":2,\"unit_amount\":550}],"
             "\"payment_method\":\"%s\",\"shipping_address\":{\"name\":\"A. Buyer\","
             "\"line1\":\"1 Main St\",\"city\":\"Berlin\",\"postal_code\":\"10115\","
             "\"country\":\"%s\"}}",
             random() % 100000, paths[path].sku ? paths[path].sku : sku, (number + 37) % 100 + 1,
             paths[path].payment_method, paths[path].country);
}

bool mix_expected(enum path path, int status, const char *body)
{
    return status == 201 && strstr(body, paths[path].status) != NULL &&
           strstr(body, paths[path].reason) != NULL;
}
