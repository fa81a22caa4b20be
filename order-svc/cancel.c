/* cancel.c: a customer's wish to cancel goes to the pivot, which decides whether it is in time. */
#include "events.h"
#include "facts.h"
#include "steps.h"
#include "tables.h"
#include "timeline.h"

void order_request_cancel(struct saga_tx *tx, const struct saga_message *in, struct order *order,
                          int32_t fact)
{
    order->facts |= fact;
    order->updated_at = in->now_us;
    struct saga_text reason = fact == FACT_CUSTOMER_REQUEST ? SAGA_TEXT("customer_request")
                                                            : SAGA_TEXT("deadline_exceeded");
    order->timeline =
        timeline_said(tx, order->timeline, &order_cancel_requested, in->now_us, reason);
    saga_emit(tx, &order_cancel_requested, &(struct order_reason){in->order_id, reason});
}

static void cancel_wants(struct saga_tx *tx, const struct saga_message *in)
{
    saga_want(tx, &order_table, saga_uuid_key(&in->order_id));
}

static enum saga_verdict cancel(struct saga_tx *tx, const struct saga_message *in)
{
    const struct order *order = saga_row(tx, &order_table, saga_uuid_key(&in->order_id));
    enum cancel_reply *reply = in->reply;

    *reply = CANCEL_ACCEPTED;
    if (order == NULL)
        *reply = CANCEL_UNKNOWN_ORDER;
    else if (order->facts & (FACT_SHIPPED | FACT_COMPLETED))
        *reply = CANCEL_TOO_LATE;
    else if (!order_is_going_back(order->facts)) {
        order_request_cancel(tx, in, saga_edit(tx, &order_table, saga_uuid_key(&in->order_id)),
                             FACT_CUSTOMER_REQUEST);
        return SAGA_OK;
    }
    saga_duplicate(tx);
    return SAGA_OK;
}

const struct saga_command order_cancel = {
    .name = "cancel",
    .run = cancel,
    .wants = cancel_wants,
};
