/* check_events.c: I3 to I7, of one order at a time: what was said, sent, taken and parked. */
#include "check_inside.h"
#include "text.h"

#define SLACK_MS 60000 /* clocks and producers do not agree to the second */

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

/* A letter about an earlier record of the partition, which has stood there since it was parked:
 * what was discarded and is tried again has been tried before, and let others by meanwhile. */
static const struct entry *parked_before(const struct audited *at, const struct entry *record,
                                         enum audit_db db)
{
    for (size_t i = 0; i < at->entries_count; i++) {
        const struct entry *letter = &at->entries[i];
        if (letter->kind == ENTRY_LETTER && letter->db == db && letter->topic == record->topic &&
            letter->partition == record->partition && letter->offset < record->offset &&
            letter->state == LETTER_PARKED && letter->lane == 1)
            return letter;
    }
    return NULL;
}

/* The rows of before a redrive show nothing of the record, those of after it do: they are of one
 * transaction. A person who mends it may make another event of it. */
static void check_redriven(const struct looking *on, const struct entry *record,
                           const struct entry *letter)
{
    if (letter->state == LETTER_REDRIVEN && record->readable && !letter->opaque &&
        !taken_by_rows(on->at, record->topic, letter->db))
        broken(on, 7, "dead letter of %s about %s %d/%lld is redriven, its rows know nothing of it",
               saga_services[letter->db], saga_topics[record->topic].name, record->partition,
               LL(record->offset));
}

/* I5, I7: who has stored an offset behind this record has taken it, or parked it. Across topics
 * nothing tells which of an order's records came first: they have no common order, and clocks jump.
 */
static void check_taken(const struct looking *on, const struct entry *record)
{
    const struct audit_topic_of *topic = &saga_topics[record->topic];
    for (enum audit_db db = 0; db < DBS; db++) {
        if (!(topic->hears & record->taken & 1u << db))
            continue;
        const struct entry *letter = letter_of(on->at, record, db), *before;
        if (letter != NULL) {
            check_redriven(on, record, letter);
            continue;
        }
        before = record->readable ? parked_before(on->at, record, db) : NULL;
        if (before != NULL)
            broken(on, 7, "%s %d/%lld: %s has gone on, and not parked it behind that of %lld",
                   topic->name, record->partition, LL(record->offset), saga_services[db],
                   LL(before->offset));
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

/* What a restored database has said before the backup is there under the epoch of before. */
static bool is_on_topic(const struct audited *at, const struct entry *of, bool its_id)
{
    return find(at, ENTRY_RECORD, of, its_id) != NULL || find(at, ENTRY_FORMER, of, its_id) != NULL;
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
    if (row->state == 2) {
        broken(on, 6, "outbox row %d/%lld, %s: its lane has no cursor", row->lane, LL(row->seq),
               name);
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
    if (!is_on_topic(on->at, row, true) && letter_of(on->at, &parked, row->db) == NULL &&
        !may_be_trimmed(on, row->topic))
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
    else if (on->check->never_was(on->check->opaque, letter))
        broken(on, 7, "dead letter of %s about %s %d/%lld: there was no such record",
               saga_services[letter->db], name, letter->partition, LL(letter->offset));
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
        if (said_by_rows(on->at, topic) && !is_on_topic(on->at, &of, false) &&
            find(on->at, ENTRY_OUTBOX, &of, false) == NULL && !may_be_trimmed(on, topic))
            broken(on, 3, "the rows of %s say that %s was said: outbox and topic do not have it",
                   saga_services[saga_topics[topic].says], saga_topics[topic].name);
    }
}

/* I4: Redis may forget; what it remembers is what the database has. Which of several keys made the
 * order nobody can tell (I9). */
static void check_key(const struct looking *on, const struct entry *key)
{
    const struct order_row *order = &on->at->order_last;
    if (!order->exists)
        broken(on, 4, "Redis remembers an order that is not there");
    else if (order->keys == 0 ? key->state == 0 : order->keys == 1 && order->key_hash != key->hash)
        broken(on, 4, "Redis remembers another key, order or time than idempotency has");
}

static void check_entries(const struct looking *on)
{
    for (size_t i = 0; i < on->at->entries_count; i++) {
        const struct entry *entry = &on->at->entries[i];
        switch ((enum entry_kind)entry->kind) {
        case ENTRY_RECORD:
            check_record(on, entry);
            break;
        case ENTRY_FORMER:
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

void check_events(const struct looking *on)
{
    check_entries(on);
    check_said(on);
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
