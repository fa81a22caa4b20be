/* learn.c: each event of the others adds a fact to the order, once, and a line to its timeline. */
#include "events.h"
#include "facts.h"
#include "steps.h"
#include "tables.h"
#include "timeline.h"

enum saga_verdict order_learn(struct saga_tx *tx, const struct saga_message *in)
{
    const struct heard *heard = saga_body(in, heard);
    const struct order *known = saga_row(tx, &order_table, saga_uuid_key(&in->order_id));
    int32_t fact = order_fact_of_event(in->event->name);

    if (known == NULL)
        return saga_poison(tx, "unknown_order");
    if (known->facts & fact) {
        saga_duplicate(tx);
        return SAGA_OK;
    }
    if (heard->reason.at != NULL) {
        int32_t reason = order_fact_of_reason(heard->reason);
        if (reason == 0)
            return saga_poison(tx, "unknown_reason");
        fact |= reason;
    }
    struct order *order = saga_edit(tx, &order_table, saga_uuid_key(&in->order_id));
    order->facts |= fact;
    order->updated_at = in->now_us;
    order->timeline = timeline_heard(tx, order->timeline, in, heard->reason);
    if (fact & FACT_REFUNDED)
        order->refunded = heard->amount;
    if (fact & FACT_SHIPPED)
        order->tracking_number = heard->tracking_number;
    return SAGA_OK;
}
