/* check.c: I1 to I9, of one order at a time: its rows. */
#include "check_inside.h"

#include <stdarg.h>
#include <stdio.h>

void check_tell(const struct looking *on, int invariant, bool unfinished, const char *format, ...)
{
    char text[300];
    va_list arguments;
    if (unfinished && !on->check->settled)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (*on->check->broken)(on->check->opaque, invariant, &on->at->id, text, unfinished);
}

static const char *const states[] = {"none", "done", "refused", "undone", "void"};

static const char *state(int64_t value)
{
    return value >= NONE && value <= VOID ? states[value] : "unknown";
}

/* ---- I1, I2, I3: each step by itself, in one look at its database ---- */

static void check_payment(const struct looking *on, const struct payment_row *row)
{
    if (row->charges > 1 || row->refunds > 1)
        broken(on, 1, "payment_ledger: charged %lld times, refunded %lld times", LL(row->charges),
               LL(row->refunds));
    if (row->refunds > 0 && row->charges == 0)
        broken(on, 2, "payment_ledger: refunded %lld, and never charged", LL(row->refunded));
    if (row->refunded > row->charged)
        broken(on, 2, "payment_ledger: refunded %lld of %lld", LL(row->refunded), LL(row->charged));
    if ((row->charges > 0) != is_one_of(row->state, DONE, UNDONE))
        broken(on, 3, "payment is %s, payment_ledger has %lld charges", state(row->state),
               LL(row->charges));
    if ((row->refunds > 0) != (row->state == UNDONE))
        broken(on, 3, "payment is %s, payment_ledger has %lld refunds", state(row->state),
               LL(row->refunds));
    if (row->charges == 1 && row->charged != row->amount)
        broken(on, 3, "payment is of %lld, payment_ledger charged %lld", LL(row->amount),
               LL(row->charged));
    if (row->foreign)
        broken(on, 3, "payment_ledger: in another currency than the payment");
    if (row->refunds == 1 && row->charges == 1 && row->refunded < row->charged)
        broken(on, 3, "payment is undone, payment_ledger charged %lld and refunded %lld",
               LL(row->charged), LL(row->refunded));
}

static void check_reservation(const struct looking *on, const struct reservation_row *row)
{
    if (row->wrong > 0)
        broken(on, 3, "stock_ledger: the items of %lld rows cannot be read", LL(row->wrong));
    if (row->doubles > 0)
        broken(on, 1, "stock_ledger: %lld times a SKU is moved again", LL(row->doubles));
    if (row->released > row->held || row->issued > row->held)
        broken(on, 2, "stock_ledger: held %lld, released %lld, issued %lld", LL(row->held),
               LL(row->released), LL(row->issued));
    else if (row->released > 0 && row->issued > 0)
        broken(on, 2, "stock_ledger: released %lld and issued %lld of %lld", LL(row->released),
               LL(row->issued), LL(row->held));
    else if ((row->released > 0 && row->released_items != row->held_items) ||
             (row->issued > 0 && row->issued_items != row->held_items))
        broken(on, 2, "stock_ledger: other SKUs or quantities are %s than are held",
               row->issued > 0 ? "issued" : "released");
    if ((row->held > 0) != is_one_of(row->state, DONE, UNDONE))
        broken(on, 3, "reservation is %s, stock_ledger held %lld", state(row->state),
               LL(row->held));
    if (row->released != (row->state == UNDONE ? row->held : 0))
        broken(on, 3, "reservation is %s, stock_ledger held %lld and released %lld",
               state(row->state), LL(row->held), LL(row->released));
    if (row->issued != (row->issue_state == DONE ? row->held : 0))
        broken(on, 3, "reservation is %sissued, stock_ledger held %lld and issued %lld",
               row->issue_state == DONE ? "" : "not ", LL(row->held), LL(row->issued));
}

static void check_parcel(const struct looking *on, const struct parcel_row *row)
{
    if (row->others > 0)
        broken(on, 1, "parcel: %lld other orders have its tracking number", LL(row->others));
    if ((row->tracked != 0) != (row->state == DONE))
        broken(on, 3, "parcel is %s and has %s tracking number", state(row->state),
               row->tracked ? "a" : "no");
}

static void check_order_row(const struct looking *on, const struct order_row *row)
{
    if (!row->exists) {
        if (row->open)
            broken(on, 3, "timer: of an order that is not there");
        if (row->keys > 0)
            broken(on, 9, "idempotency: of an order that is not there");
        return;
    }
    bool completed = row->facts & FACT_COMPLETED, cancelled = row->facts & FACT_CANCELLED;
    if (row->units == 0)
        broken(on, 8, "orders: its items cannot be read");
    if (row->shared > 0)
        broken(on, 9, "idempotency: its key has made another order, or it twice");
    if (row->keys > 1)
        broken(on, 9, "idempotency: %lld keys have made it", LL(row->keys));
    if (completed && cancelled)
        broken(on, 8, "orders: completed and cancelled");
    if (completed != (row->completion == DONE) || cancelled != (row->placement == UNDONE))
        broken(on, 3, "orders: facts %lld, placement %s, completion %s", LL(row->facts),
               state(row->placement), state(row->completion));
    if ((completed || cancelled) == (row->open != 0))
        broken(on, 8, "orders: facts %lld, and %s timer", LL(row->facts), row->open ? "a" : "no");
    if (row->refunded != 0 && !(row->facts & FACT_REFUNDED))
        broken(on, 8, "orders: refunded %lld, facts %lld know of no refund", LL(row->refunded),
               LL(row->facts));
    if (row->tracked && !(row->facts & FACT_SHIPPED))
        broken(on, 8, "orders: a tracking number, facts %lld know of no parcel", LL(row->facts));
    if (!completed && !cancelled)
        unfinished(on, 8, "orders: neither completed nor cancelled, facts %lld", LL(row->facts));
}

/* ---- I8: the steps against each other ---- */

/* What order_first shows of the end, and its causes in later looks. */
static void check_end(const struct looking *on)
{
    const struct audited *at = on->at;
    const struct end_row *order = &at->order_first;
    const struct order_row *placed = &at->order_last;
    const struct payment_row *payment = &at->payment_first;
    if (order->facts & FACT_COMPLETED) {
        if (at->payment_last.charged != placed->total || at->payment_last.refunds > 0)
            broken(on, 8, "completed, total %lld; payment_ledger: charged %lld, refunded %lld",
                   LL(placed->total), LL(at->payment_last.charged), LL(at->payment_last.refunded));
        if (at->reservation_last.state != DONE || at->reservation_last.held != placed->units)
            broken(on, 8, "completed, %lld units; reservation is %s, held %lld", LL(placed->units),
                   state(at->reservation_last.state), LL(at->reservation_last.held));
        if (at->parcel.state != DONE)
            broken(on, 8, "completed; parcel is %s", state(at->parcel.state));
        if (at->reservation_last.issue_state != DONE)
            unfinished(on, 8, "completed; the goods were not issued");
    }
    if (order->facts & FACT_CANCELLED) {
        if (payment->charged != payment->refunded)
            broken(on, 8, "cancelled; payment_ledger: charged %lld, refunded %lld",
                   LL(payment->charged), LL(payment->refunded));
        if (at->reservation_first.state == DONE)
            broken(on, 8, "cancelled; reservation is done");
        if (at->parcel.state == DONE)
            broken(on, 8, "cancelled; parcel is done");
        if (order->refunded != payment->refunded)
            broken(on, 8, "orders: refunded %lld; payment_ledger: %lld", LL(order->refunded),
                   LL(payment->refunded));
    }
}

/* A fact was heard: who said it knows it too. */
static void check_facts(const struct looking *on)
{
    const struct audited *at = on->at;
    const int64_t payment = at->payment_first.state, reservation = at->reservation_first.state;
    const struct {
        int64_t fact;
        bool known;
        const char *text;
        int64_t state;
    } known[] = {
        {FACT_PAID, is_one_of(payment, DONE, UNDONE), "paid; payment", payment},
        {FACT_PAYMENT_FAILED, payment == REFUSED, "payment failed; payment", payment},
        {FACT_REFUNDED, is_one_of(payment, UNDONE, VOID), "refunded; payment", payment},
        {FACT_RESERVED, is_one_of(reservation, DONE, UNDONE), "reserved; reservation", reservation},
        {FACT_INVENTORY_FAILED, reservation == REFUSED, "inventory failed; reservation",
         reservation},
        {FACT_RELEASED, is_one_of(reservation, UNDONE, VOID), "released; reservation", reservation},
        {FACT_SHIPPED, at->parcel.state == DONE, "shipped; parcel", at->parcel.state},
        {FACT_SHIPPING_FAILED, is_one_of(at->parcel.state, REFUSED, VOID),
         "shipping failed; parcel", at->parcel.state},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if ((at->order_first.facts & known[i].fact) && !known[i].known)
            broken(on, 8, "orders: %s is %s", known[i].text, state(known[i].state));
    if ((at->order_first.facts & FACT_SHIPPED) && at->order_first.tracking != at->parcel.tracking)
        broken(on, 8, "orders: its tracking number is not the parcel's");
}

/* Forward: shipping, inventory_last, payment_last, order_last. Back: payment_first,
 * inventory_first, shipping, order_last. */
static void check_causes(const struct looking *on)
{
    const struct audited *at = on->at;
    const struct order_row *order = &at->order_last;
    bool any = at->payment_last.state || at->payment_last.charges || at->reservation_last.state ||
               at->reservation_last.held || at->parcel.state;
    if (any && !order->exists) {
        broken(on, 8, "there is no such order; payment is %s, reservation %s, parcel %s",
               state(at->payment_last.state), state(at->reservation_last.state),
               state(at->parcel.state));
        return;
    }
    if (at->parcel.state == DONE && at->reservation_last.state != DONE)
        broken(on, 8, "parcel is done; reservation is %s", state(at->reservation_last.state));
    if (at->reservation_last.state == DONE && !is_one_of(at->payment_last.state, DONE, UNDONE))
        broken(on, 8, "reservation is done; payment is %s", state(at->payment_last.state));
    if (at->payment_last.charges > 0 && at->payment_last.charged != order->total)
        broken(on, 8, "orders: total %lld; payment_ledger: charged %lld", LL(order->total),
               LL(at->payment_last.charged));
    if (at->payment_last.currency != 0 && at->payment_last.currency != order->currency)
        broken(on, 8, "orders: in another currency than the payment");
    if (at->reservation_last.held > 0 && at->reservation_last.held != order->units)
        broken(on, 8, "orders: %lld units; stock_ledger: held %lld", LL(order->units),
               LL(at->reservation_last.held));
    else if (at->reservation_last.held > 0 && at->reservation_last.held_items != order->items)
        broken(on, 8, "orders: other SKUs or quantities than stock_ledger held");
    if (is_one_of(at->payment_first.state, UNDONE, VOID) &&
        !(at->reservation_first.state >= REFUSED))
        broken(on, 8, "payment is %s; reservation is %s", state(at->payment_first.state),
               state(at->reservation_first.state));
    if (is_one_of(at->reservation_first.state, UNDONE, VOID) &&
        !is_one_of(at->parcel.state, REFUSED, VOID))
        broken(on, 8, "reservation is %s; parcel is %s", state(at->reservation_first.state),
               state(at->parcel.state));
    if (at->parcel.state == VOID && !(order->facts & FACT_CANCEL_WANTED))
        broken(on, 8, "parcel is void; nobody wanted to cancel, facts %lld", LL(order->facts));
}

void check_order(const struct check *check, const struct audited *audited)
{
    const struct looking on = {check, audited};
    check_order_row(&on, &audited->order_last);
    check_payment(&on, &audited->payment_last);
    check_reservation(&on, &audited->reservation_last);
    check_parcel(&on, &audited->parcel);
    check_end(&on);
    check_facts(&on);
    check_causes(&on);
    check_events(&on);
}
