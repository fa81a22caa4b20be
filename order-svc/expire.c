/* expire.c: an order's deadline has come: it asks the pivot to call it off, once. */
#include "events.h"
#include "facts.h"
#include "steps.h"
#include "tables.h"

static void expire_wants(struct saga_tx *tx, const struct saga_message *in)
{
    saga_want(tx, &order_table, saga_uuid_key(&in->order_id));
    saga_want(tx, &timer_table, saga_uuid_key(&in->order_id));
}

static enum saga_verdict expire(struct saga_tx *tx, const struct saga_message *in)
{
    struct saga_text key = saga_uuid_key(&in->order_id);
    const struct order *order = saga_row(tx, &order_table, key);
    struct timer *timer = saga_edit(tx, &timer_table, key);

    if (timer == NULL || timer->due_at == 0 || order == NULL) { /* its end was faster */
        saga_duplicate(tx);
        return SAGA_OK;
    }
    timer->due_at = 0; /* the row stays until the end: it is how open orders are found */
    if (order_is_going_back(order->facts) || (order->facts & FACT_SHIPPED))
        saga_duplicate(tx);
    else
        order_request_cancel(tx, in, saga_edit(tx, &order_table, key), FACT_DEADLINE_EXCEEDED);
    return SAGA_OK;
}

const struct saga_command order_expire = {
    .name = "expire",
    .run = expire,
    .wants = expire_wants,
};
