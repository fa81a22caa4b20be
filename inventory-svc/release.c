/* release.c: the inventory step's undo: what was held may be sold again. */
#include "events.h"
#include "steps.h"
#include "stock.h"
#include "tables.h"

enum saga_verdict inventory_release(struct saga_tx *tx, const struct saga_message *in)
{
    enum saga_verdict verdict = stock_move_held(tx, in, SAGA_TEXT("released"));
    if (verdict != SAGA_OK)
        return verdict;
    struct reservation *reservation = saga_step_row(tx);
    reservation->released_at = in->now_us;
    saga_emit(tx, &inventory_released,
              &(struct inventory_released){in->order_id, saga_body(in, shipping_decided)->reason});
    return SAGA_OK;
}
