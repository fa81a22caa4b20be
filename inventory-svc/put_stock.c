/* put_stock.c: the command behind PUT /v1/stock/{sku}: sets what is on hand. */
#include "put_stock.h"

#include "events.h"
#include "steps.h"
#include "tables.h"

static void put_stock_wants(struct saga_tx *tx, const struct saga_message *in)
{
    saga_want(tx, &stock_table, saga_body(in, put_stock)->sku);
}

static enum saga_verdict put_stock(struct saga_tx *tx, const struct saga_message *in)
{
    const struct put_stock *put = saga_body(in, put_stock);
    struct put_stock_reply *reply = in->reply;
    const struct stock *before = saga_row(tx, &stock_table, put->sku);
    int64_t on_hand = before ? before->on_hand : 0, held = before ? before->held : 0;

    *reply = (struct put_stock_reply){.below_held = put->on_hand < held, .held = held};
    if (reply->below_held)
        return SAGA_OK;
    struct stock *stock =
        before ? saga_edit(tx, &stock_table, put->sku) : saga_insert(tx, &stock_table, put->sku);
    stock->on_hand = put->on_hand;
    const struct item item = {.sku = put->sku, .quantity = put->on_hand - on_hand};
    const struct holding moved = {{.at = &item, .count = 1}};
    saga_append(tx, &stock_ledger_table,
                &(struct stock_entry){.kind = SAGA_TEXT("put"),
                                      .items = saga_write(tx, &holding_shape, &moved),
                                      .at = in->now_us});
    return SAGA_OK;
}

const struct saga_command inventory_put_stock = {
    .name = "put_stock",
    .run = put_stock,
    .wants = put_stock_wants,
};
