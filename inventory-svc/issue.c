/* issue.c: the issue step: the goods have shipped, and leave on_hand and held. */
#include "steps.h"
#include "stock.h"
#include "tables.h"

enum saga_verdict inventory_issue(struct saga_tx *tx, const struct saga_message *in)
{
    enum saga_verdict verdict = stock_move_held(tx, in, SAGA_TEXT("issued"));
    if (verdict != SAGA_OK)
        return verdict;
    struct reservation *reservation = saga_step_row(tx);
    reservation->issued_at = in->now_us;
    return SAGA_OK;
}
