/*
 * charge.c: the payment step's action: takes the order's amount, or says why not.
 *
 * The payment provider is played by the method's name: pm_card pays, the others say no.
 */
#include "events.h"
#include "steps.h"
#include "tables.h"

static struct saga_text refusal(struct saga_text method)
{
    if (saga_text_equal(method, SAGA_TEXT("pm_card")))
        return (struct saga_text){0};
    if (saga_text_equal(method, SAGA_TEXT("pm_card_declined")))
        return SAGA_TEXT("card_declined");
    if (saga_text_equal(method, SAGA_TEXT("pm_insufficient_funds")))
        return SAGA_TEXT("insufficient_funds");
    return SAGA_TEXT("unknown_payment_method");
}

enum saga_verdict payment_charge(struct saga_tx *tx, const struct saga_message *in)
{
    const struct order_created *order = saga_body(in, order_created);
    struct payment *payment = saga_step_row(tx);

    payment->customer_id = order->customer_id;
    payment->currency = order->currency;
    payment->amount = order->amount;
    payment->payment_method = order->payment_method;
    payment->reason = refusal(order->payment_method);
    if (payment->reason.at != NULL) {
        saga_refuse(tx, &payment_failed,
                    &(struct payment_failed){order->order_id, payment->reason});
        return SAGA_OK;
    }
    payment->charged_at = in->now_us;
    saga_append(tx, &ledger_table,
                &(struct ledger_entry){order->order_id, SAGA_TEXT("charged"), order->amount,
                                       order->currency, in->now_us});
    saga_emit(tx, &payment_done,
              &(struct payment_done){order->order_id, order->currency, order->amount, order->items,
                                     order->shipping_address});
    return SAGA_OK;
}
