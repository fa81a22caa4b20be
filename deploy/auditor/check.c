/* check.c: I1 to I9, of one order at a time. */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

#define SLACK_MS 60000 /* clocks and producers do not agree to the second */

struct looking {
    const struct check *check;
    const struct audited *at;
};

static void tell(const struct looking *on, int invariant, bool unfinished, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void tell(const struct looking *on, int invariant, bool unfinished, const char *format, ...)
{
    char text[300];
    va_list arguments;
    if (unfinished && !on->check->settled)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    on->check->broken(on->check->opaque, invariant, &on->at->id, text, unfinished);
}

#define broken(on, invariant, ...) tell(on, invariant, false, __VA_ARGS__)
/* Wrong only when nothing may be in flight any more. */
#define unfinished(on, invariant, ...) tell(on, invariant, true, __VA_ARGS__)
#define LL(value) ((long long)(value))

static const char *const states[] = {"none", "done", "refused", "undone", "void"};

static const char *state(int64_t value)
{
    return value >= NONE && value <= VOID ? states[value] : "unknown";
}

static bool is_one_of(int64_t value, enum audit_state a, enum audit_state b)
{
    return value == (int64_t)a || value == (int64_t)b;
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
    if (row->refunds == 1 && row->charges == 1 && row->refunded < row->charged)
        broken(on, 3, "payment is undone, payment_ledger charged %lld and refunded %lld",
               LL(row->charged), LL(row->refunded));
}

static void check_reservation(const struct looking *on, const struct reservation_row *row)
{
    if (row->doubles > 0)
        broken(on, 1, "stock_ledger: %lld times a SKU is moved again", LL(row->doubles));
    if (row->released > row->held || row->issued > row->held)
        broken(on, 2, "stock_ledger: held %lld, released %lld, issued %lld", LL(row->held),
               LL(row->released), LL(row->issued));
    else if (row->released > 0 && row->issued > 0)
        broken(on, 2, "stock_ledger: released %lld and issued %lld of %lld", LL(row->released),
               LL(row->issued), LL(row->held));
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
    if (row->keys > 1)
        broken(on, 9, "idempotency: %lld keys have made it", LL(row->keys));
    if (completed && cancelled)
        broken(on, 8, "orders: completed and cancelled");
    if (completed != (row->completion == DONE) || cancelled != (row->placement == UNDONE))
        broken(on, 3, "orders: facts %lld, placement %s, completion %s", LL(row->facts),
               state(row->placement), state(row->completion));
    if ((completed || cancelled) == (row->open != 0))
        broken(on, 8, "orders: facts %lld, and %s timer", LL(row->facts), row->open ? "a" : "no");
    if (!completed && !cancelled)
        unfinished(on, 8, "orders: neither completed nor cancelled, facts %lld", LL(row->facts));
}

/* ---- I8: the steps against each other ---- */

/* What order_first shows of the end, and its causes in later looks. */
static void check_end(const struct looking *on)
{
    const struct audited *at = on->at;
    const struct order_row *order = &at->order_first;
    const struct payment_row *payment = &at->payment_first;
    const struct reservation_row *reservation = &at->reservation_first;
    if (order->facts & FACT_COMPLETED) {
        if (at->payment_last.charged != order->total || at->payment_last.refunds > 0)
            broken(on, 8, "completed, total %lld; payment_ledger: charged %lld, refunded %lld",
                   LL(order->total), LL(at->payment_last.charged), LL(at->payment_last.refunded));
        if (at->reservation_last.state != DONE || at->reservation_last.held != order->units)
            broken(on, 8, "completed, %lld units; reservation is %s, held %lld", LL(order->units),
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
        if (reservation->state == DONE)
            broken(on, 8, "cancelled; reservation is done, holds %lld", LL(reservation->held));
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
    if (at->reservation_last.held > 0 && at->reservation_last.held != order->units)
        broken(on, 8, "orders: %lld units; stock_ledger: held %lld", LL(order->units),
               LL(at->reservation_last.held));
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

/* ---- events: what was said, sent and taken ---- */

/* Do the rows of who says it know that this was said? */
static bool said_by_rows(const struct audited *at, enum audit_topic topic)
{
    const int64_t payment = at->payment_last.state, reservation = at->reservation_last.state,
                  facts = at->order_last.facts;
    switch (topic) {
    case CREATED:
        return at->order_last.exists;
    case CANCEL_REQUESTED:
        return facts & FACT_CANCEL_WANTED;
    case CANCELLED:
        return facts & FACT_CANCELLED;
    case COMPLETED:
        return facts & FACT_COMPLETED;
    case PAID:
        return is_one_of(payment, DONE, UNDONE);
    case PAYMENT_FAILED:
        return payment == REFUSED;
    case REFUNDED:
        return is_one_of(payment, UNDONE, VOID);
    case RESERVED:
        return is_one_of(reservation, DONE, UNDONE);
    case INVENTORY_FAILED:
        return reservation == REFUSED;
    case RELEASED:
        return is_one_of(reservation, UNDONE, VOID);
    case SHIPPED:
        return at->parcel.state == DONE;
    case SHIPPING_FAILED:
        return is_one_of(at->parcel.state, REFUSED, VOID);
    case TOPICS:
        break;
    }
    return false;
}

/* Do the rows of who hears it show that it was taken? */
static bool taken_by_rows(const struct audited *at, enum audit_topic topic, enum audit_db db)
{
    static const int64_t facts[TOPICS] = {[PAID] = FACT_PAID,
                                          [PAYMENT_FAILED] = FACT_CANCELLED | FACT_PAYMENT_FAILED,
                                          [REFUNDED] = FACT_CANCELLED | FACT_REFUNDED,
                                          [RESERVED] = FACT_RESERVED,
                                          [INVENTORY_FAILED] = FACT_INVENTORY_FAILED,
                                          [RELEASED] = FACT_RELEASED,
                                          [SHIPPED] = FACT_COMPLETED | FACT_SHIPPED,
                                          [SHIPPING_FAILED] = FACT_SHIPPING_FAILED};
    switch (db) {
    case ORDER:
        return (at->order_last.facts & facts[topic]) == facts[topic];
    case PAYMENT:
        return topic == CREATED ? at->payment_last.state != NONE : at->payment_last.state > DONE;
    case INVENTORY:
        return topic == SHIPPED           ? at->reservation_last.issue_state == DONE
               : topic == SHIPPING_FAILED ? at->reservation_last.state > DONE
                                          : at->reservation_last.state != NONE;
    case SHIPPING:
        return at->parcel.state != NONE;
    case DBS:
        break;
    }
    return false;
}

static const struct entry *letter_of(const struct audited *at, const struct entry *record,
                                     enum audit_db db)
{
    for (size_t i = 0; i < at->entries_count; i++)
        if (at->entries[i].kind == ENTRY_LETTER && at->entries[i].db == db &&
            entry_same_place(&at->entries[i], record))
            return &at->entries[i];
    return NULL;
}

/* I5, I7: who has stored an offset behind this record has taken it, or parked it. */
static void check_taken(const struct looking *on, const struct entry *record)
{
    const struct audit_topic_of *topic = &saga_topics[record->topic];
    for (enum audit_db db = 0; db < DBS; db++) {
        if (!(topic->hears & record->taken & 1u << db) || letter_of(on->at, record, db) != NULL)
            continue;
        if (!record->readable)
            broken(on, 7, "%s %d/%lld cannot be read: %s has gone on and not parked it",
                   topic->name, record->partition, LL(record->offset), saga_services[db]);
        else if (!taken_by_rows(on->at, record->topic, db))
            broken(on, 5, "%s %d/%lld: the offset of %s is behind it, its rows know nothing of it",
                   topic->name, record->partition, LL(record->offset), saga_services[db]);
    }
}

static bool same_event(const struct entry *a, const struct entry *b)
{
    return a->topic == b->topic && a->lane == b->lane && a->seq == b->seq;
}

/* An entry of this kind that is the same event (of: its id counts), or of the same topic. */
static const struct entry *find(const struct audited *at, enum entry_kind kind,
                                const struct entry *of, bool its_id)
{
    for (size_t i = 0; i < at->entries_count; i++)
        if (at->entries[i].kind == kind && at->entries[i].topic == of->topic &&
            (!its_id || same_event(&at->entries[i], of)))
            return &at->entries[i];
    return NULL;
}

/* Retention may have taken it: the order is no younger than the oldest record that is left. */
static bool may_be_trimmed(const struct looking *on, enum audit_topic topic)
{
    const struct check *check = on->check;
    int64_t since_ms = check->kept_since_ms(check->opaque, topic, &on->at->id);
    return since_ms > 0 && text_uuid_ms(&on->at->id) - SLACK_MS <= since_ms;
}

static void check_record(const struct looking *on, const struct entry *record)
{
    const char *name = saga_topics[record->topic].name;
    check_taken(on, record);
    if (!record->readable || record->seq < 0)
        return;
    if (record->before && !said_by_rows(on->at, record->topic))
        broken(on, 3, "%s %d/%lld was said, and the rows of %s know nothing of it", name,
               record->partition, LL(record->offset), saga_services[record->db]);
    const struct entry *first = find(on->at, ENTRY_RECORD, record, false);
    if (first->seq >= 0 && !same_event(first, record) && record->topic != CANCEL_REQUESTED)
        broken(on, 1, "%s was said twice: %d/%lld is row %d/%lld, %d/%lld is row %d/%lld", name,
               first->partition, LL(first->offset), first->lane, LL(first->seq), record->partition,
               LL(record->offset), record->lane, LL(record->seq));
}

/* A record of the same event with another value. Its key is the row's: they are of one order. */
static const struct entry *find_other(const struct audited *at, const struct entry *row)
{
    for (size_t i = 0; i < at->entries_count; i++)
        if (at->entries[i].kind == ENTRY_RECORD && at->entries[i].readable &&
            same_event(&at->entries[i], row) && at->entries[i].hash != row->hash)
            return &at->entries[i];
    return NULL;
}

static void check_outbox(const struct looking *on, const struct entry *row)
{
    const char *name = saga_topics[row->topic].name;
    if (row->topic == TOPICS) {
        broken(on, 6, "outbox row %d/%lld of %s is of no topic of the saga", row->lane,
               LL(row->seq), saga_services[row->db]);
        return;
    }
    const struct entry *said = find_other(on->at, row);
    if (said != NULL)
        broken(on, 6, "outbox row %d/%lld says something else than %s %d/%lld", row->lane,
               LL(row->seq), name, said->partition, LL(said->offset));
    if (row->state == 0) {
        unfinished(on, 6, "outbox row %d/%lld, %s, is not acknowledged", row->lane, LL(row->seq),
                   name);
        return;
    }
    const struct entry parked = {
        .topic = row->topic, .partition = -1 - row->lane, .offset = row->seq};
    if (find(on->at, ENTRY_RECORD, row, true) == NULL &&
        letter_of(on->at, &parked, row->db) == NULL && !may_be_trimmed(on, row->topic))
        broken(on, 6, "outbox row %d/%lld counts as acknowledged, and %s does not have it",
               row->lane, LL(row->seq), name);
}

/* It holds others up: what is parked or tried again, but not what is only held up itself. */
static bool holds_up(const struct entry *letter)
{
    return letter_waits(letter) && letter->state != LETTER_HELD;
}

/* I7: a letter is about a record, and one that waits has one to wait for. */
static void check_letter(const struct looking *on, const struct entry *letter)
{
    const struct audited *at = on->at;
    const char *name = saga_topics[letter->topic].name;
    bool waits = letter->state == LETTER_HELD, has_reason = false;
    if (letter->topic == TOPICS)
        broken(on, 7, "dead letter of %s, offset %lld, is about no topic of the saga",
               saga_services[letter->db], LL(letter->offset));
    for (size_t i = 0; i < at->entries_count; i++) {
        const struct entry *other = &at->entries[i];
        if (other->kind == ENTRY_LETTER && other->db == letter->db && holds_up(other))
            has_reason = true;
        if (other->kind == ENTRY_RECORD && entry_same_place(other, letter) && !letter->opaque &&
            other->hash != letter->hash)
            broken(on, 7, "dead letter of %s about %s %d/%lld: its value is not the record's",
                   saga_services[letter->db], name, letter->partition, LL(letter->offset));
    }
    if (waits && !has_reason)
        broken(on, 7, "dead letter of %s about %s %d/%lld waits behind nothing",
               saga_services[letter->db], name, letter->partition, LL(letter->offset));
    if (letter_waits(letter))
        unfinished(on, 7, "parked: %s %d/%lld, by %s", name, letter->partition, LL(letter->offset),
                   saga_services[letter->db]);
}

/* I3: what the rows say was said is in the outbox or on its topic. */
static void check_said(const struct looking *on)
{
    for (enum audit_topic topic = 0; topic < TOPICS; topic++) {
        const struct entry of = {.topic = (uint8_t)topic};
        if (said_by_rows(on->at, topic) && find(on->at, ENTRY_RECORD, &of, false) == NULL &&
            find(on->at, ENTRY_OUTBOX, &of, false) == NULL && !may_be_trimmed(on, topic))
            broken(on, 3, "the rows of %s say that %s was said: outbox and topic do not have it",
                   saga_services[saga_topics[topic].says], saga_topics[topic].name);
    }
}

/* I4: Redis may forget; what it remembers is what the database has. */
static void check_key(const struct looking *on, const struct entry *key)
{
    const struct order_row *order = &on->at->order_last;
    if (!order->exists)
        broken(on, 4, "Redis remembers an order that is not there");
    else if (order->keys == 0 ? key->state == 0 : order->key_hash != key->hash)
        broken(on, 4, "Redis remembers another key or order than idempotency has");
}

static void check_entries(const struct looking *on)
{
    for (size_t i = 0; i < on->at->entries_count; i++) {
        const struct entry *entry = &on->at->entries[i];
        switch ((enum entry_kind)entry->kind) {
        case ENTRY_RECORD:
            check_record(on, entry);
            break;
        case ENTRY_LETTER:
            check_letter(on, entry);
            break;
        case ENTRY_OUTBOX:
            check_outbox(on, entry);
            break;
        case ENTRY_GAP:
            broken(on, 6, "outbox: the rows of lane %d before %lld are missing, unacknowledged",
                   entry->lane, LL(entry->seq));
            break;
        case ENTRY_KEY:
            check_key(on, entry);
            break;
        }
    }
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
    check_entries(&on);
    check_said(&on);
}

void check_nameless(const struct check *check, const struct entry *entries, size_t count)
{
    const struct audited none = {.entries = entries, .entries_count = count};
    const struct looking on = {check, &none};
    for (size_t i = 0; i < count; i++) {
        if (entries[i].kind == ENTRY_RECORD)
            check_taken(&on, &entries[i]);
        else if (entries[i].kind == ENTRY_LETTER)
            check_letter(&on, &entries[i]);
    }
}
