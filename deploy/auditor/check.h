/*
 * check.h: what must hold for one order, whatever is going on. Pure: no I/O.
 *
 * The databases cannot be looked at in the same moment. What an order's rows say is only ever added
 * to, so each check asks: what one look shows, was its cause there in a later look? The looks come
 * in this order, and each is the one moment of its database:
 *
 *     offsets -> ends of the topics -> Redis -> order_first -> payment_first -> inventory_first
 *     -> shipping -> inventory_last -> payment_last -> order_last -> the topics, to their ends then
 *
 * A cancelled order's causes go from payment to inventory to shipping; a completed one's from
 * shipping to inventory to payment to order: that is why shipping stands in the middle. What never
 * changes once it is there (an order's total, currency and items, a charge, a parcel) may be
 * compared as soon as a look shows it and a later one should.
 *
 * Outbox, cursors and dead letters are of the last look at their database, in the moment of its
 * rows: a letter and what became of its record agree in it.
 */
#ifndef AUDITOR_CHECK_H
#define AUDITOR_CHECK_H

#include "spill.h"

#define INVARIANTS 9 /* I1 to I9 of libsaga/DESIGN.md; index 0 is I1 */

/* Each row as its query (sql/) has it, after the order id; absent: all zero. */
struct end_row { /* ends.sql */
    int64_t facts, refunded, tracking;
};
struct order_row { /* orders.sql */
    int64_t exists, facts, placement, completion, total, refunded, tracked, currency, open, units,
        items, keys, shared, key_hash;
};
struct payment_row { /* payments.sql */
    int64_t state, amount, charges, charged, refunds, refunded, currency, foreign;
};
struct barrier_row { /* barriers.sql */
    int64_t state;
};
struct reservation_row { /* reservations.sql */
    int64_t state, issue_state, held, released, issued, doubles, wrong, held_items, released_items,
        issued_items;
};
struct parcel_row { /* parcels.sql */
    int64_t state, tracked, others, tracking;
};

/* All that is known of one order. */
struct audited {
    struct audit_id id;
    struct end_row order_first;
    struct order_row order_last;
    struct payment_row payment_first, payment_last;
    struct barrier_row reservation_first;
    struct reservation_row reservation_last;
    struct parcel_row parcel;
    const struct entry *entries; /* sorted as spill.h says */
    size_t entries_count;
};

struct check {
    bool settled; /* nothing may be in flight */
    /* Since when (Unix time) all records are left where those of this order go; 0: always. */
    int64_t (*kept_since_ms)(void *opaque, enum audit_topic topic, const struct audit_id *id);
    /* The place of this letter is behind the end of its partition, and no earlier topic of that
     * name can have had it. */
    bool (*never_was)(void *opaque, const struct entry *letter);
    /* invariant: 1 to 9. Called for each contradiction; the text says which rows contradict.
     * unfinished: it is one because of `settled` only, and time may mend it. */
    void (*broken)(void *opaque, int invariant, const struct audit_id *id, const char *text,
                   bool unfinished);
    void *opaque;
};

void check_order(const struct check *check, const struct audited *audited);
/* Entries of one record's place that name no order: the record, and the dead letters about it. */
void check_nameless(const struct check *check, const struct entry *entries, size_t count);

#endif
