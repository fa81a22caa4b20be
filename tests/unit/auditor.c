/* auditor.c: what the auditor says about one order, at its limits. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/auditor/check.h"
#include "deploy/auditor/spill.h"

#define BORN_MS 1000000000000 /* of the order below, by its id */
#define NEVER_WAS 999999999

static int found[INVARIANTS];
static int64_t since_ms;

static void on_broken(void *opaque, int invariant, const struct audit_id *id, const char *text,
                      bool unfinished)
{
    (void)opaque, (void)id, (void)text, (void)unfinished;
    found[invariant - 1]++;
}

static int64_t kept_since_ms(void *opaque, enum audit_topic topic, const struct audit_id *id)
{
    (void)opaque, (void)topic, (void)id;
    return since_ms;
}

static bool never_was(void *opaque, const struct entry *letter)
{
    (void)opaque;
    return letter->offset == NEVER_WAS;
}

static const struct check check = {
    .broken = on_broken, .kept_since_ms = kept_since_ms, .never_was = never_was};

static struct audit_id made_by(int version)
{
    struct audit_id id = {.bytes = {[6] = (unsigned char)(version << 4)}};
    for (size_t i = 0; i < 6; i++)
        id.bytes[i] = (unsigned char)(BORN_MS >> (40 - 8 * i));
    return id;
}

/* An order that was placed, and nothing else yet. */
static void look_at(int version, const struct entry *entries, size_t count)
{
    const struct order_row row = {.exists = 1, .placement = DONE, .open = 1, .units = 1};
    const struct audited audited = {
        .id = made_by(version), .order_last = row, .entries = entries, .entries_count = count};
    memset(found, 0, sizeof found);
    check_order(&check, &audited);
}

/* How often this one is broken, be others what they may. */
static int found_by(int invariant, const struct entry *entries, size_t count)
{
    look_at(7, entries, count);
    return found[invariant - 1];
}

/* The same, and no other is broken. */
static int says(int invariant, int version, const struct entry *entries, size_t count)
{
    int all = 0;
    look_at(version, entries, count);
    for (size_t i = 0; i < INVARIANTS; i++)
        all += found[i];
    cr_assert_eq(all, found[invariant - 1], "another invariant is broken");
    return all;
}

/* order.created is nowhere: retention may have taken it, unless it is surely younger than what is
 * left. */
Test(auditor, what_retention_may_have_taken_is_not_missed)
{
    since_ms = 0; /* the partition is whole */
    cr_assert_eq(says(3, 7, NULL, 0), 1);
    cr_assert_eq(says(3, 4, NULL, 0), 1);
    since_ms = INT64_MAX; /* it is empty */
    cr_assert_eq(says(3, 7, NULL, 0), 0);
    since_ms = BORN_MS - 60000; /* the slack for clocks */
    cr_assert_eq(says(3, 7, NULL, 0), 0);
    since_ms = BORN_MS - 60001;
    cr_assert_eq(says(3, 7, NULL, 0), 1);
    cr_assert_eq(says(3, 4, NULL, 0), 0, "nobody knows when it was made");
}

Test(auditor, an_acknowledged_row_may_have_lost_its_record_to_retention)
{
    const struct entry row = {.topic = CREATED, .kind = ENTRY_OUTBOX, .state = 1, .seq = 1};
    since_ms = 0;
    cr_assert_eq(says(6, 7, &row, 1), 1);
    since_ms = BORN_MS;
    cr_assert_eq(says(6, 7, &row, 1), 0);
}

/* A letter that is held up waits for one that is parked or tried again, of the same service. */
Test(auditor, a_letter_that_is_held_up_has_one_to_wait_for)
{
    struct entry entries[] = {
        {.topic = CREATED, .kind = ENTRY_RECORD, .readable = true, .seq = -1},
        {.topic = PAID, .kind = ENTRY_LETTER, .offset = 1},
        {.topic = PAID, .kind = ENTRY_LETTER, .offset = 2, .state = LETTER_HELD},
    };
    for (uint8_t state = LETTER_PARKED; state <= LETTER_REDRIVEN; state++) {
        entries[1].state = state;
        bool waits = state == LETTER_PARKED || state == LETTER_REDRIVE;
        int held = state == LETTER_HELD ? 2 : 1; /* two that wait for each other wait for nothing */
        cr_assert_eq(says(7, 7, entries, 3), waits ? 0 : held, "state %d", state);
    }
    entries[1].state = LETTER_PARKED;
    entries[1].db = PAYMENT;
    cr_assert_eq(says(7, 7, entries, 3), 1, "another service's");
}

/* A record behind a parked one of its order has gone by, unless that one was discarded meanwhile,
 * is of another partition or service, or comes behind it. */
Test(auditor, a_record_waits_behind_one_that_is_parked)
{
    struct entry entries[] = {
        {.topic = CREATED, .kind = ENTRY_RECORD, .readable = true, .seq = -1, .offset = 5},
        {.topic = CREATED, .kind = ENTRY_RECORD, .readable = true, .seq = -1, .offset = 6},
        {.topic = CREATED, .kind = ENTRY_LETTER, .db = PAYMENT, .offset = 5, .lane = 1},
        {.topic = CREATED, .kind = ENTRY_LETTER, .db = PAYMENT, .offset = 6, .opaque = true},
    };
    entries[0].taken = entries[1].taken = 1u << PAYMENT;
    entries[2].opaque = true;
    cr_assert_eq(says(7, 7, entries, 4), 0, "it is parked too");
    /* its rows know nothing of it either: I5 */
    cr_assert_eq(found_by(7, entries, 3), 1);
    entries[2].lane = 2; /* it was discarded, others went by, it was tried again */
    cr_assert_eq(found_by(7, entries, 3), 0);
    entries[2].lane = 1;
    entries[2].state = LETTER_DISCARDED;
    cr_assert_eq(found_by(7, entries, 3), 0);
    entries[2].state = LETTER_PARKED;
    entries[2].partition = entries[0].partition = 1;
    cr_assert_eq(found_by(7, entries, 3), 0);
}

/* What is redriven was taken; what a person mended may be another event. */
Test(auditor, a_redriven_letter_has_left_its_trace)
{
    struct entry entries[] = {
        {.topic = CREATED, .kind = ENTRY_RECORD, .readable = true, .seq = -1},
        {.topic = CREATED, .kind = ENTRY_LETTER, .db = PAYMENT, .state = LETTER_REDRIVEN},
    };
    cr_assert_eq(says(7, 7, entries, 2), 0, "its offset may not be stored yet");
    entries[0].taken = 1u << PAYMENT;
    cr_assert_eq(says(7, 7, entries, 2), 1);
    entries[1].opaque = true;
    cr_assert_eq(says(7, 7, entries, 2), 0);
    entries[1].opaque = false;
    entries[0].readable = false;
    cr_assert_eq(found_by(7, entries, 2), 0);
}

Test(auditor, a_letter_is_about_a_record_that_was)
{
    struct entry entries[] = {
        {.topic = CREATED, .kind = ENTRY_RECORD, .readable = true, .seq = -1},
        {.topic = PAID, .kind = ENTRY_LETTER, .offset = NEVER_WAS - 1, .state = LETTER_DISCARDED},
    };
    cr_assert_eq(says(7, 7, entries, 2), 0);
    entries[1].offset = NEVER_WAS;
    cr_assert_eq(says(7, 7, entries, 2), 1);
}

/* More than is kept in memory comes back all, and sorted. */
Test(auditor, what_was_spilled_comes_back_sorted)
{
    struct spill *spill = spill_new("/tmp", 1024);
    const struct entry *entry;
    const int count = 10 * 1024 + 1;
    srandom(1);
    for (int i = 0; i < count; i++) {
        struct entry one = {.offset = i, .topic = (uint8_t)(random() % TOPICS)};
        one.id.bytes[15] = (unsigned char)(random() % 3);
        cr_assert(spill_add(spill, &one));
    }
    cr_assert(spill_sort(spill));
    struct entry before = {0};
    int64_t sum = 0;
    for (int i = 0; i < count; i++) {
        cr_assert_not_null(entry = spill_next(spill));
        int order = memcmp(&before.id, &entry->id, sizeof before.id);
        cr_assert(order < 0 || (order == 0 && before.topic <= entry->topic), "%d", i);
        sum += entry->offset;
        before = *entry;
    }
    cr_assert_null(spill_next(spill));
    cr_assert_eq(sum, (int64_t)count * (count - 1) / 2);
    cr_assert_not(spill_failed(spill));
    spill_free(spill);
}
