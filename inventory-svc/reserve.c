/* reserve.c: the inventory step's action: holds every item of the order, or none. */
#include "events.h"
#include "steps.h"
#include "stock.h"
#include "tables.h"

void inventory_reserve_wants(struct saga_tx *tx, const struct saga_message *in)
{
    stock_want(tx, &saga_body(in, payment_done)->items);
}

/* Why this item cannot be held; absent: it can. */
static struct saga_text refusal(struct saga_tx *tx, const struct item *item)
{
    const struct stock *stock = saga_row(tx, &stock_table, item->sku);
    if (stock == NULL)
        return SAGA_TEXT("unknown_sku");
    if (stock->on_hand - stock->held < item->quantity)
        return SAGA_TEXT("out_of_stock");
    return (struct saga_text){0};
}

enum saga_verdict inventory_reserve(struct saga_tx *tx, const struct saga_message *in)
{
    const struct payment_done *paid = saga_body(in, payment_done);
    const struct item *items = paid->items.at;
    struct reservation *reservation = saga_step_row(tx);

    for (size_t i = 0; i < paid->items.count; i++) {
        reservation->reason = refusal(tx, &items[i]);
        if (reservation->reason.at == NULL)
            continue;
        reservation->sku = items[i].sku;
        saga_refuse(tx, &inventory_failed,
                    &(struct inventory_failed){paid->order_id, reservation->reason, items[i].sku});
        return SAGA_OK;
    }
    reservation->holding = saga_write(tx, &holding_shape, &(struct holding){paid->items});
    stock_move(tx, in, &paid->items, SAGA_TEXT("held"), reservation->holding);
    reservation->reserved_at = in->now_us;
    saga_emit(tx, &inventory_reserved,
              &(struct inventory_reserved){paid->order_id, paid->items, paid->shipping_address});
    return SAGA_OK;
}
