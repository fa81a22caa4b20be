/* withdraw.c: the placement step's undo: nothing is taken or held any more, the order is cancelled.
 */
#include "events.h"
#include "facts.h"
#include "steps.h"
#include "tables.h"
#include "timeline.h"

enum saga_verdict order_withdraw(struct saga_tx *tx, const struct saga_message *in)
{
    struct order *order = saga_step_row(tx);
    struct saga_text reason = saga_text(order_status_reason(order->facts));

    order->facts |= FACT_CANCELLED;
    order->updated_at = in->now_us;
    order->timeline = timeline_said(tx, order->timeline, &order_cancelled, in->now_us, reason);
    saga_emit(tx, &order_cancelled, &(struct order_reason){in->order_id, reason});
    order_end(tx, "cancelled", order);
    return SAGA_OK;
}
