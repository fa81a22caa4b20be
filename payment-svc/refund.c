/* refund.c: the payment step's undo: pays back what was taken. */
#include "events.h"
#include "steps.h"
#include "tables.h"

enum saga_verdict payment_refund(struct saga_tx *tx, const struct saga_message *in)
{
    const struct inventory_undone *undone = saga_body(in, inventory_undone);
    struct payment *payment = saga_step_row(tx);

    payment->refunded_at = in->now_us;
    saga_append(tx, &ledger_table,
                &(struct ledger_entry){in->order_id, SAGA_TEXT("refunded"), payment->amount,
                                       payment->currency, in->now_us});
    saga_emit(tx, &payment_refunded,
              &(struct payment_refunded){in->order_id, payment->currency, payment->amount,
                                         undone->reason});
    return SAGA_OK;
}
