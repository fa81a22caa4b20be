/* stock.c: every change of stock is a change of two numbers and a row of the ledger. */
#include "stock.h"

#include "steps.h"
#include "tables.h"

void stock_want(struct saga_tx *tx, const struct saga_list *items)
{
    const struct item *item = items->at;
    for (size_t i = 0; i < items->count; i++)
        saga_want(tx, &stock_table, item[i].sku);
}

void stock_move(struct saga_tx *tx, const struct saga_message *in, const struct item *item,
                struct saga_text kind)
{
    struct stock *stock = saga_edit(tx, &stock_table, item->sku);
    bool held = saga_text_equal(kind, SAGA_TEXT("held"));

    stock->held += held ? item->quantity : -item->quantity;
    if (saga_text_equal(kind, SAGA_TEXT("issued")))
        stock->on_hand -= item->quantity;
    saga_append(tx, &stock_ledger_table,
                &(struct stock_entry){item->sku, kind, in->order_id, item->quantity, in->now_us});
}

static bool read_holding(struct saga_tx *tx, const struct saga_message *in,
                         struct holding *ret_holding)
{
    const struct reservation *reservation =
        saga_row(tx, &reservation_table, saga_uuid_key(&in->order_id));
    return reservation != NULL && reservation->state == SAGA_DONE &&
           saga_parse(tx, reservation->holding, &holding_shape, ret_holding);
}

void inventory_held_wants(struct saga_tx *tx, const struct saga_message *in)
{
    struct holding holding;
    if (read_holding(tx, in, &holding))
        stock_want(tx, &holding.items);
}

enum saga_verdict stock_move_held(struct saga_tx *tx, const struct saga_message *in,
                                  struct saga_text kind)
{
    struct holding holding;
    if (!read_holding(tx, in, &holding))
        return saga_poison(tx, "nothing_is_held");
    const struct item *item = holding.items.at;
    for (size_t i = 0; i < holding.items.count; i++) {
        if (saga_row(tx, &stock_table, item[i].sku) == NULL)
            return saga_poison(tx, "stock_row_is_gone");
        stock_move(tx, in, &item[i], kind);
    }
    return SAGA_OK;
}
