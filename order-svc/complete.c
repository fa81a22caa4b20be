/* complete.c: the completion step: the order has shipped, and that is its end. */
#include "events.h"
#include "facts.h"
#include "steps.h"
#include "tables.h"
#include "timeline.h"

enum saga_verdict order_complete(struct saga_tx *tx, const struct saga_message *in)
{
    struct order *order = saga_step_row(tx);

    order->facts |= FACT_COMPLETED;
    order->updated_at = in->now_us;
    order->timeline =
        timeline_said(tx, order->timeline, &order_completed, in->now_us, (struct saga_text){0});
    saga_emit(tx, &order_completed, &(struct order_completed){in->order_id});
    order_end(tx, "completed", order);
    return SAGA_OK;
}
