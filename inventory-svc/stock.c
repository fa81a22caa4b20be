/* stock.c: every change of stock is a change of two numbers an item and a row of the ledger. */
#include "stock.h"

#include "steps.h"
#include "tables.h"

void stock_want(struct saga_tx *tx, const struct saga_list *items)
{
    const struct item *item = items->at;
    for (size_t i = 0; i < items->count; i++)
        saga_want(tx, &stock_table, item[i].sku);
}

void stock_move(struct saga_tx *tx, const struct saga_message *in, const struct saga_list *items,
                struct saga_text kind, struct saga_text written)
{
    bool holds = saga_text_equal(kind, SAGA_TEXT("held"));
    bool issues = saga_text_equal(kind, SAGA_TEXT("issued"));
    const struct item *item = items->at;

    for (size_t i = 0; i < items->count; i++) {
        struct stock *stock = saga_edit(tx, &stock_table, item[i].sku);
        stock->held += holds ? item[i].quantity : -item[i].quantity;
        stock->on_hand -= issues ? item[i].quantity : 0;
    }
    saga_append(tx, &stock_ledger_table,
                &(struct stock_entry){in->order_id, kind, written, in->now_us});
}

/* The reservation with what it holds; NULL: it holds nothing. */
static const struct reservation *read_holding(struct saga_tx *tx, const struct saga_message *in,
                                              struct holding *ret_holding)
{
    const struct reservation *reservation =
        saga_row(tx, &reservation_table, saga_uuid_key(&in->order_id));
    bool holds = reservation != NULL && reservation->state == SAGA_DONE &&
                 saga_parse(tx, reservation->holding, &holding_shape, ret_holding);
    return holds ? reservation : NULL;
}

void inventory_held_wants(struct saga_tx *tx, const struct saga_message *in)
{
    struct holding holding;
    if (read_holding(tx, in, &holding) != NULL)
        stock_want(tx, &holding.items);
}

enum saga_verdict stock_move_held(struct saga_tx *tx, const struct saga_message *in,
                                  struct saga_text kind)
{
    struct holding holding;
    const struct reservation *reservation = read_holding(tx, in, &holding);
    if (reservation == NULL)
        return saga_poison(tx, "nothing_is_held");
    const struct item *item = holding.items.at;
    for (size_t i = 0; i < holding.items.count; i++)
        if (saga_row(tx, &stock_table, item[i].sku) == NULL)
            return saga_poison(tx, "stock_row_is_gone");
    stock_move(tx, in, &holding.items, kind, reservation->holding);
    return SAGA_OK;
}
