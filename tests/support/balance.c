/* balance.c: money, stock and parcels of every order, across the four databases. */
#include "balance.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "db.h"

#define COMPLETED 16 /* facts */
#define CANCELLED 1024
#define DONE 1

static char text[400];

static const char *wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

static int64_t unsent(enum db db)
{
    return db_int(
        db, "SELECT count(*) FROM outbox o JOIN lane l USING (lane) WHERE o.seq > l.acked", NULL);
}

/* The orders first: once none is open nothing more is said, so outboxes that are empty then stay
 * so. Asked the other way round, the last order's event slips in between the two questions. */
static bool settled(void)
{
    if (db_int(DB_ORDER, "SELECT count(*) FROM timer", NULL) != 0 ||
        db_int(DB_INVENTORY, "SELECT sum(held) FROM stock", NULL) != 0)
        return false;
    for (enum db db = 0; db < DB_COUNT; db++)
        if (unsent(db) != 0)
            return false;
    return true;
}

bool balance_settle(int seconds)
{
    return CLOCK_UNTIL(seconds, settled());
}

/* The row of this order among rows sorted by it; count if there is none. */
static size_t find(const struct db_rows *rows, const char *order_id)
{
    size_t low = 0, high = db_rows_count(rows);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(db_value(rows, middle, 0), order_id);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return db_rows_count(rows);
}

static int64_t number_of(const struct db_rows *rows, const char *order_id, int column)
{
    size_t row = find(rows, order_id);
    return row == db_rows_count(rows) ? 0 : db_number(rows, row, column);
}

struct books {
    struct db_rows *orders, *payments, *reservations, *parcels;
};

static const char *check_order(const struct books *books, size_t row)
{
    const char *id = db_value(books->orders, row, 0);
    int64_t facts = db_number(books->orders, row, 1), total = db_number(books->orders, row, 2);
    int64_t told_refunded = db_number(books->orders, row, 3);
    int64_t charged = number_of(books->payments, id, 1);
    int64_t refunded = number_of(books->payments, id, 2);
    int64_t held = number_of(books->reservations, id, 1);
    int64_t issued = number_of(books->reservations, id, 2);
    int64_t shipped = number_of(books->parcels, id, 1);
    bool completed = facts & COMPLETED, cancelled = facts & CANCELLED;

    if (completed == cancelled)
        return wrong("%s is %s", id, completed ? "completed and cancelled" : "neither");
    if (completed && (charged != total || refunded != 0))
        return wrong("%s is completed: charged %lld of %lld, refunded %lld", id, (long long)charged,
                     (long long)total, (long long)refunded);
    if (completed && (held != DONE || issued != DONE || shipped != DONE))
        return wrong("%s is completed: held %lld issued %lld shipped %lld", id, (long long)held,
                     (long long)issued, (long long)shipped);
    if (cancelled && charged != refunded)
        return wrong("%s is cancelled: charged %lld, refunded %lld", id, (long long)charged,
                     (long long)refunded);
    if (cancelled && (held == DONE || issued == DONE || shipped == DONE))
        return wrong("%s is cancelled: held %lld issued %lld shipped %lld", id, (long long)held,
                     (long long)issued, (long long)shipped);
    if (told_refunded != refunded)
        return wrong("%s tells of %lld refunded, the ledger of %lld", id, (long long)told_refunded,
                     (long long)refunded);
    return NULL;
}

/* Nobody may have rows of an order that is not there. */
static const char *check_known(const struct books *books, const struct db_rows *rows)
{
    for (size_t i = 0; i < db_rows_count(rows); i++)
        if (find(books->orders, db_value(rows, i, 0)) == db_rows_count(books->orders))
            return wrong("%s is no order", db_value(rows, i, 0));
    return NULL;
}

static const char *check_orders(const struct books *books)
{
    const struct db_rows *others[] = {books->payments, books->reservations, books->parcels};
    for (size_t i = 0; i < db_rows_count(books->orders); i++) {
        const char *why = check_order(books, i);
        if (why != NULL)
            return why;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const char *why = check_known(books, others[i]);
        if (why != NULL)
            return why;
    }
    return NULL;
}

static const char *check_stock(void)
{
    static const char off[] =
        "SELECT s.sku FROM stock s JOIN (SELECT sku,"
        " coalesce(sum(quantity) FILTER (WHERE kind = 'put'), 0) AS put,"
        " coalesce(sum(quantity) FILTER (WHERE kind = 'held'), 0) AS held,"
        " coalesce(sum(quantity) FILTER (WHERE kind = 'released'), 0) AS released,"
        " coalesce(sum(quantity) FILTER (WHERE kind = 'issued'), 0) AS issued"
        " FROM stock_ledger GROUP BY sku) l USING (sku)"
        " WHERE s.on_hand <> l.put - l.issued OR s.held <> l.held - l.released - l.issued";
    struct db_rows *rows = db_rows(DB_INVENTORY, off, NULL);
    const char *why = db_rows_count(rows) == 0
                          ? NULL
                          : wrong("stock of %s is not what its ledger says", db_value(rows, 0, 0));
    db_rows_free(rows);
    return why;
}

const char *balance_check(void)
{
    for (enum db db = 0; db < DB_COUNT; db++) {
        int64_t parked = db_int(db, "SELECT count(*) FROM dead_letter", NULL);
        if (parked != 0)
            return wrong("%lld messages are parked in %s, the first: %s", (long long)parked,
                         db_name(db),
                         db_text(db, "SELECT reason FROM dead_letter ORDER BY id LIMIT 1", NULL));
        if (unsent(db) != 0)
            return wrong("%s has outbox rows that are not acknowledged", db_name(db));
    }
    struct books books = {
        db_rows(DB_ORDER,
                "SELECT order_id::text, facts, total, refunded FROM orders"
                " ORDER BY order_id::text COLLATE \"C\"",
                NULL),
        db_rows(DB_PAYMENT,
                "SELECT order_id::text, coalesce(sum(amount) FILTER (WHERE kind = 'charged'), 0),"
                " coalesce(sum(amount) FILTER (WHERE kind = 'refunded'), 0)"
                " FROM payment_ledger GROUP BY order_id ORDER BY order_id::text COLLATE \"C\"",
                NULL),
        db_rows(DB_INVENTORY,
                "SELECT order_id::text, state, issue_state FROM reservation"
                " ORDER BY order_id::text COLLATE \"C\"",
                NULL),
        db_rows(DB_SHIPPING,
                "SELECT order_id::text, state FROM parcel ORDER BY order_id::text COLLATE \"C\"",
                NULL),
    };
    const char *why = check_orders(&books);
    db_rows_free(books.orders);
    db_rows_free(books.payments);
    db_rows_free(books.reservations);
    db_rows_free(books.parcels);
    return why != NULL ? why : check_stock();
}
