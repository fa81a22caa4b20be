/*
 * call_off.c: the shipping step's undo, where customer cancel and deadline enter the saga. Only an
 * order that has not shipped can be called off; then it never ships, and the way back begins.
 */
#include "events.h"
#include "steps.h"
#include "tables.h"

enum saga_verdict shipping_call_off(struct saga_tx *tx, const struct saga_message *in)
{
    const struct called_off *cancel = saga_body(in, called_off);
    struct parcel *parcel = saga_step_row(tx);

    parcel->reason = cancel->reason;
    saga_emit(tx, &shipping_failed, &(struct called_off){cancel->order_id, cancel->reason});
    return SAGA_OK;
}
