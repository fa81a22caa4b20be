/* chaos_judge.c: what customers want, what they are told, and the verdict on what is there. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "chaos/told.h"
#include "chaos/verdict.h"
#include "chaos/wish.h"

#define RUN UINT64_C(0x123456789ab)
#define ID "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa"
#define MANY 20000

/* The first mark whose wish is like this; -1: whatever. */
static uint64_t mark_of(enum wish_path path, int keyed, bool cancels)
{
    for (size_t n = 0; n < MANY; n++) {
        uint64_t mark = wish_mark(RUN, n);
        struct wish wish = wish_of(mark);
        if (wish.path == path && (keyed < 0 || wish.keyed == keyed) &&
            (wish.cancel_ms >= 0) == cancels)
            return mark;
    }
    cr_assert_fail("no customer wants that");
    return 0;
}

/* ---- wishes ---- */

Test(chaos_wish, every_path_is_walked_and_every_manner_is_there)
{
    size_t paths[WISH_PATHS] = {0}, keyed = 0, waits = 0, replays = 0, cancels = 0;
    for (size_t n = 0; n < MANY; n++) {
        struct wish wish = wish_of(wish_mark(RUN, n));
        paths[wish.path]++;
        keyed += wish.keyed;
        waits += wish.waits;
        replays += wish.replays;
        cancels += wish.cancel_ms >= 0;
        cr_assert(wish.keyed || !wish.replays);
    }
    for (size_t path = 0; path < WISH_PATHS; path++)
        cr_assert_gt(paths[path], MANY / 50, "path %zu: %zu", path, paths[path]);
    cr_assert_gt(paths[WISH_CARD], MANY / 2);
    cr_assert(keyed > MANY * 7 / 10 && keyed < MANY * 9 / 10);
    cr_assert(waits > MANY / 5 && waits < MANY * 3 / 10);
    cr_assert(replays > MANY / 20 && cancels > MANY / 10 && cancels < MANY / 4);
}

Test(chaos_wish, a_mark_is_found_again)
{
    char key[WISH_KEY_SIZE];
    uint64_t mark = wish_mark(RUN, 999999), read = 0;
    cr_assert_eq(wish_number(mark), 999999);
    wish_write_key(mark, key);
    cr_assert(wish_read_key(key, &read));
    cr_assert_eq(read, mark);
    cr_assert_not(wish_read_key(NULL, &read));
    cr_assert_not(wish_read_key("", &read));
    cr_assert_not(wish_read_key("12345678901234567", &read));
    cr_assert_not(wish_read_key("123456789012345G", &read));
}

/* ---- what is told ---- */

/* The order of this mark as an answer tells it. */
static void write_told(uint64_t mark, const char *status, const char *reason, char *buffer,
                       size_t size)
{
    char order[WISH_ORDER_SIZE];
    int64_t total = wish_write_order(mark, order);
    snprintf(
        buffer, size,
        "{\"object\":\"order\",\"id\":\"" ID "\",\"status\":\"%s\",\"status_reason\":%s,"
        "\"amount\":{\"total\":%lld,\"refunded\":0},\"created_at\":\"2026-11-27T09:02:51.062Z\","
        "\"deadline_at\":\"2026-11-27T09:12:51.062Z\",%s",
        status, reason, (long long)total, order + 1);
}

Test(chaos_told, an_answer_is_the_order_that_was_sent)
{
    for (size_t n = 0; n < 200; n++) {
        char order[WISH_ORDER_SIZE], answer[1200];
        struct told told;
        uint64_t mark = wish_mark(RUN, n);
        int64_t total = wish_write_order(mark, order);
        write_told(mark, "pending", "null", answer, sizeof answer);
        cr_assert(told_read(answer, strlen(answer), &told));
        cr_assert_str_eq(told.id, ID);
        cr_assert(told.marked);
        cr_assert_eq(told.mark, mark);
        cr_assert_eq(told.sent, told_hash_sent(order, total));
        cr_assert_neq(told.sent, told_hash_sent(order, total + 1));
        cr_assert_not(told_is_final(&told));
    }
}

static void read_end(const char *status, const char *reason, int refunded, const char *tracking,
                     const char *updated_at, struct told *ret)
{
    char text[400];
    snprintf(text, sizeof text,
             "{\"object\":\"order\",\"id\":\"" ID "\",\"status\":\"%s\",\"status_reason\":%s,"
             "\"amount\":{\"total\":7,\"refunded\":%d},\"tracking_number\":%s,"
             "\"updated_at\":\"%s\"}",
             status, reason, refunded, tracking, updated_at);
    cr_assert(told_read(text, strlen(text), ret));
}

Test(chaos_told, an_end_is_why_and_what_it_has_left_and_not_when)
{
    struct told end, other;
    read_end("cancelling", "\"out_of_stock\"", 7, "null", "2026-11-27T09:02:51.062Z", &end);
    cr_assert_eq(end.end, 0);
    read_end("cancelled", "\"out_of_stock\"", 7, "null", "2026-11-27T09:02:51.062Z", &end);
    cr_assert_neq(end.end, 0);
    /* Something that was on its way was heard later. */
    read_end("cancelled", "\"out_of_stock\"", 7, "null", "2026-11-27T09:02:51.063Z", &other);
    cr_assert_eq(other.end, end.end);
    read_end("cancelled", "\"unknown_sku\"", 7, "null", "2026-11-27T09:02:51.062Z", &other);
    cr_assert_neq(other.end, end.end);
    read_end("cancelled", "\"out_of_stock\"", 0, "null", "2026-11-27T09:02:51.062Z", &other);
    cr_assert_neq(other.end, end.end);
    read_end("completed", "null", 0, "\"PKG1\"", "2026-11-27T09:02:51.062Z", &end);
    read_end("completed", "null", 0, "\"PKG2\"", "2026-11-27T09:02:51.062Z", &other);
    cr_assert_neq(other.end, end.end);
    cr_assert_eq(other.body, end.body);
}

Test(chaos_told, a_row_is_what_was_answered)
{
    char answer[1200];
    struct told told, row;
    uint64_t mark = wish_mark(RUN, 7);
    write_told(mark, "completed", "null", answer, sizeof answer);
    cr_assert(told_read(answer, strlen(answer), &told));
    cr_assert(told_is_final(&told));
    /* As the database has it: members in another order, spaces. */
    char order[WISH_ORDER_SIZE], total[24], customer[24], items[200], address[200], metadata[80];
    char method[40];
    snprintf(total, sizeof total, "%lld", (long long)wish_write_order(mark, order));
    cr_assert_eq(sscanf(order, "{\"customer_id\":\"%23[^\"]", customer), 1);
    cr_assert_eq(sscanf(strstr(order, "\"items\":"), "\"items\":%199[^]]", items), 1);
    strncat(items, " ]", sizeof items - strlen(items) - 1);
    cr_assert_eq(sscanf(strstr(order, "_method\":"), "_method\":\"%39[^\"]", method), 1);
    cr_assert_eq(sscanf(strstr(order, "_address\":"), "_address\":%199[^}]", address), 1);
    strncat(address, ", \"line1\": null}", sizeof address - strlen(address) - 1);
    cr_assert_eq(sscanf(strstr(order, "metadata\":"), "metadata\":%79[^}]", metadata), 1);
    strncat(metadata, "}", sizeof metadata - strlen(metadata) - 1);
    struct told_row columns = {ID,
                               customer,
                               "EUR",
                               total,
                               items,
                               method,
                               address,
                               metadata,
                               "2026-11-27T09:02:51.062Z",
                               "2026-11-27T09:12:51.062Z",
                               "1795770771062000",
                               ""};
    cr_assert(told_read_row(&columns, &row));
    cr_assert_eq(row.sent, told.sent, "%s %s %s", items, address, metadata);
    cr_assert_eq(row.body, told.body);
    columns.created_at = "2026-11-27T09:02:51.063Z";
    cr_assert(told_read_row(&columns, &row));
    cr_assert_eq(row.sent, told.sent);
    cr_assert_neq(row.body, told.body);
    columns.currency = "USD";
    cr_assert(told_read_row(&columns, &row));
    cr_assert_neq(row.sent, told.sent);
    columns.items = "[";
    cr_assert_not(told_read_row(&columns, &row));
}

/* As order-svc keeps it: what it hears has the clock of another. */
#define CREATED "1795770171062000 order.created -1 -1 -\n"
#define FAILED "1795770871062000 shipping.failed 3 17 deadline_exceeded\n"

Test(chaos_told, a_row_is_overdue_if_it_was_called_off_no_sooner_than_its_deadline)
{
    static const struct {
        const char *timeline;
        bool overdue;
    } rows[] = {
        {"", false},
        {CREATED FAILED, false},
        {CREATED "1795770771061999 order.cancel_requested -1 -1 deadline_exceeded\n" FAILED, false},
        {CREATED "1795770771062000 order.cancel_requested -1 -1 deadline_exceeded\n", true},
        {"1795774371062000 order.cancel_requested -1 -1 deadline_exceeded\n" FAILED, true},
        {CREATED "1795774371062000 order.cancel_requested -1 -1 customer_request\n" FAILED, false},
        {"1795774371062000 order.cancel_requested -1 -1 deadline_exceeded_by_far\n", false},
    };
    struct told_row row = {ID,   "cus_1", "EUR",  "100",  "[]", "pm_card",
                           "{}", "{}",    "2026", "2026", NULL, NULL};
    struct told told;
    row.deadline_us = "1795770771062000";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        row.timeline = rows[i].timeline;
        cr_assert(told_read_row(&row, &told));
        cr_assert_eq(told.overdue, rows[i].overdue, "%s", rows[i].timeline);
    }
}

Test(chaos_told, what_is_no_order)
{
    static const char *const none[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"object\":\"order\"}",
        "{\"object\":\"order\",\"id\":\"1\",\"amount\":{\"total\":1}}"};
    struct told told;
    char code[40];
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        cr_assert_not(told_read(none[i], strlen(none[i]), &told), "%s", none[i]);
    told_read_code("<html>", 6, code);
    cr_assert_str_eq(code, "");
    told_read_code("{\"code\":\"not_found\"}", 20, code);
    cr_assert_str_eq(code, "not_found");
}

/* ---- verdicts ---- */

/* All is well: accepted, there once, completed. */
static void make_good(uint64_t mark, struct customer *customer, struct found *found)
{
    char order[WISH_ORDER_SIZE];
    int64_t total = wish_write_order(mark, order);
    *customer = (struct customer){.mark = mark,
                                  .keyed = wish_of(mark).keyed,
                                  .asked = 1,
                                  .status = 201,
                                  .id = ID,
                                  .body = 17,
                                  .accepted_us = 1};
    *found = (struct found){.rows = 1,
                            .id = ID,
                            .answered = true,
                            .sent = told_hash_sent(order, total),
                            .body = 17,
                            .end = VERDICT_COMPLETED};
    if (wish_reason(wish_of(mark).path) != NULL)
        found->end = VERDICT_CANCELLED;
}

static void expect(const struct customer *customer, const struct found *found, const char *wrong)
{
    char said[200] = "";
    bool good = verdict(customer, found, said, sizeof said);
    if (wrong == NULL)
        cr_assert(good, "%s", said);
    else
        cr_assert(!good && strstr(said, wrong) != NULL, "not \"%s\": \"%s\"", wrong, said);
}

Test(chaos_verdict, every_path_that_ends_as_it_should)
{
    struct customer customer;
    struct found found;
    for (size_t n = 0; n < 500; n++) {
        make_good(wish_mark(RUN, n), &customer, &found);
        expect(&customer, &found, NULL);
    }
}

Test(chaos_verdict, accepted_is_there_once_with_that_body)
{
    struct customer customer;
    struct found found;
    make_good(mark_of(WISH_CARD, 1, false), &customer, &found);
    const struct found good = found;
    expect(&customer, &(struct found){0}, "not there");
    found.answered = false; /* there is another instead */
    expect(&customer, &found, "not there");
    found = good;
    found.rows = 2;
    expect(&customer, &found, "2 orders are there for one key");
    found = good;
    found.sent++;
    expect(&customer, &found, "not the one that was sent");
    found = good;
    found.body++;
    expect(&customer, &found, "other times");
    found = good;
    found.end = VERDICT_OPEN;
    expect(&customer, &found, "not come to its end");
    make_good(mark_of(WISH_CARD, 0, false), &customer, &found);
    found.rows = 2;
    expect(&customer, &found, "2 orders are there, asked 1 times");
}

Test(chaos_verdict, a_no_leaves_nothing_and_an_unknown_answer_one_at_most)
{
    struct customer customer;
    struct found found;
    make_good(mark_of(WISH_CARD, 0, false), &customer, &found);
    customer = (struct customer){.mark = customer.mark, .asked = 1, .status = 422};
    found.answered = false;
    cr_assert(verdict_is_refused(&customer));
    expect(&customer, &found, "refused with 422");
    expect(&customer, &(struct found){0}, NULL);
    customer.status = 503; /* may be a COMMIT in doubt */
    cr_assert_not(verdict_is_refused(&customer));
    expect(&customer, &found, NULL);
    customer.status = 0;
    customer.unknown = 1;
    cr_assert_not(verdict_is_refused(&customer));
    expect(&customer, &found, NULL);
    expect(&customer, &(struct found){0}, NULL);
    found.rows = 2;
    expect(&customer, &found, "2 orders");
    customer.keyed = true;
    customer.asked = customer.unknown = 5;
    expect(&customer, &found, "2 orders are there for one key");
    found.rows = 1;
    expect(&customer, &found, NULL);
    found.sent++;
    expect(&customer, &found, "not the one that was sent");
}

Test(chaos_verdict, it_ends_as_its_path_and_its_customer_would_have_it)
{
    struct customer customer;
    struct found found;
    make_good(mark_of(WISH_ADDRESS, 1, false), &customer, &found);
    found.end = VERDICT_COMPLETED;
    expect(&customer, &found, "should have been refused: address_undeliverable");
    make_good(mark_of(WISH_CARD, 1, false), &customer, &found);
    found.end = VERDICT_CANCELLED;
    cr_assert(verdict_needs_reason(&customer, &found));
    expect(&customer, &found, "nobody had asked for it");
    snprintf(found.reason, sizeof found.reason, "customer_request");
    expect(&customer, &found, "nobody had asked for it");
    snprintf(found.reason, sizeof found.reason, "out_of_stock");
    expect(&customer, &found, "nobody had asked for it");
    snprintf(found.reason, sizeof found.reason, "deadline_exceeded");
    expect(&customer, &found, "nobody had asked for it"); /* nor was it time */
    found.overdue = true;
    expect(&customer, &found, NULL);
    customer.ended = customer.completed = true;
    expect(&customer, &found, "was seen completed, and is cancelled");
    customer.completed = false;
    expect(&customer, &found, NULL);
    found.end = VERDICT_COMPLETED;
    expect(&customer, &found, "was seen cancelled, and is completed");
}

static void expect_answer(const struct customer *customer, const struct found *found,
                          const struct told *told, const char *wrong)
{
    char said[200] = "";
    bool good = verdict_answer(customer, found, told, said, sizeof said);
    if (wrong == NULL)
        cr_assert(good, "%s", said);
    else
        cr_assert(!good && strstr(said, wrong) != NULL, "not \"%s\": \"%s\"", wrong, said);
}

Test(chaos_verdict, what_the_api_tells_is_what_is_there_and_what_its_customer_was_told)
{
    struct customer customer;
    struct found found;
    make_good(mark_of(WISH_CARD, 1, false), &customer, &found);
    const struct told good = {.id = ID, .status = "completed", .body = 17, .end = 5};
    struct told told = good;
    expect_answer(&customer, &found, &told, NULL); /* it was told of no end */
    customer.ended = customer.completed = true;
    customer.end = 5;
    expect_answer(&customer, &found, &told, NULL);
    told.end = 6;
    expect_answer(&customer, &found, &told, "another end than its customer was told");
    found.duplicate = true;
    expect_answer(&customer, &found, &told, NULL);
    found.duplicate = false;
    told = good;
    told.body++;
    expect_answer(&customer, &found, &told, "another order than the database has");
    told = good;
    snprintf(told.status, sizeof told.status, "cancelled");
    expect_answer(&customer, &found, &told, "GET says cancelled, the database completed");
    found.end = VERDICT_CANCELLED;
    expect_answer(&customer, &found, &told, "for no reason that fits");
}

Test(chaos_verdict, a_cancel_that_was_taken_may_lose_its_race_and_one_refused_did_nothing)
{
    static const int either[] = {202, -1};
    struct customer customer;
    struct found found;
    make_good(mark_of(WISH_CARD, 1, true), &customer, &found);
    for (size_t i = 0; i < 2; i++) {
        customer.cancel_status = either[i];
        found.end = VERDICT_COMPLETED;
        expect(&customer, &found, NULL);
        found.end = VERDICT_CANCELLED;
        expect(&customer, &found, NULL);
    }
    customer.cancel_status = 409;
    expect(&customer, &found, "could not be cancelled any more");
    found.end = VERDICT_COMPLETED;
    expect(&customer, &found, NULL);
}

/* The database was away, its key was taken all the same: two orders, of which one is none. */
Test(chaos_verdict, an_order_that_was_cancelled_for_its_keys_sake_is_none)
{
    struct customer customer;
    struct found found;
    make_good(mark_of(WISH_CARD, 1, false), &customer, &found);
    customer.status = 202;
    found.rows = 2;
    cr_assert(verdict_needs_duplicates(&customer, &found));
    found.duplicates = 1;
    expect(&customer, &found, NULL);
    found.duplicate = true; /* the one that it was told of */
    found.end = VERDICT_CANCELLED;
    expect(&customer, &found, NULL);
    found.rows = 1;
    expect(&customer, &found, "it has none");
    found.rows = 1;
    found.duplicates = 0;
    found.answered = false;
    cr_assert(verdict_needs_duplicates(&customer, &found));
    expect(&customer, &found, NULL);
    found.duplicate = false;
    expect(&customer, &found, "not there");
}

Test(chaos_verdict, reasons_that_fit)
{
    struct customer customer = {.mark = mark_of(WISH_SOLD_OUT, -1, false)};
    struct found found = {.rows = 1};
    cr_assert(verdict_reason_fits(&customer, &found, "out_of_stock"));
    cr_assert_not(verdict_reason_fits(&customer, &found, "deadline_exceeded"));
    cr_assert_not(verdict_reason_fits(&customer, &found, "unknown_sku"));
    cr_assert_not(verdict_reason_fits(&customer, &found, "customer_request"));
    customer.cancel_status = -1;
    cr_assert(verdict_reason_fits(&customer, &found, "customer_request"));
    found.overdue = true;
    cr_assert(verdict_reason_fits(&customer, &found, "deadline_exceeded"));
}
