/* audit_damages.h: the kinds of damage to rows that the auditor must name; audit.c does them. */
#ifndef AUDIT_DAMAGES_H
#define AUDIT_DAMAGES_H

#include "support/db.h"

#define STRANGER "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa"

struct damage {
    /* All that are broken by it, the one it is about first. "I8-": its line names no order. */
    const char *broken;
    const char *name;
    const char *says; /* in the line of the first: which rows contradict each other */
    enum db db;
    const char *order; /* {done}, {undone}, or an id */
    const char *harm, *mend;
    bool settled; /* only wrong when nothing is in flight */
};

#define LETTER(state, topic, place, value)                                                         \
    "INSERT INTO dead_letter (order_id, reason, state, topic, record_partition, record_offset,"    \
    " record_value, record_time, record_headers, parked_at)"                                       \
    " VALUES ('{done}', 'test', " #state ", '" topic "', " place ", '" value                       \
    "', now() + '1 hour', '', now());"
#define LANE_OF(order)                                                                             \
    " WHERE lane = (SELECT lane FROM outbox WHERE order_id = '" order "' LIMIT 1)"
#define NO_LETTERS "DELETE FROM dead_letter WHERE order_id = '{done}'"

/* What the order heard, and who should have said it does not know. */
#define FALSE_FACT(name, order, fact, says)                                                        \
    {                                                                                              \
        "I8", "told that " name, "orders: " says, DB_ORDER, order,                                 \
            "UPDATE orders SET facts = facts | " #fact " WHERE order_id = '" order "'",            \
            "UPDATE orders SET facts = facts & ~" #fact " WHERE order_id = '" order "'", false     \
    }

static const struct damage damages[] = {
    {"I1 I8", "a second charge", "charged 2 times, refunded 0 times", DB_PAYMENT, "{done}",
     "ALTER TABLE payment_ledger DROP CONSTRAINT payment_ledger_pkey;"
     "INSERT INTO payment_ledger SELECT order_id, kind, amount, currency, '2000-01-01'"
     " FROM payment_ledger WHERE order_id = '{done}'",
     "DELETE FROM payment_ledger WHERE order_id = '{done}' AND at = '2000-01-01';"
     "ALTER TABLE payment_ledger ADD PRIMARY KEY (order_id, kind)",
     false},
    {"I1 I2 I3 I8", "goods held twice", "1 times a SKU is moved again", DB_INVENTORY, "{done}",
     "DROP INDEX stock_ledger_once;"
     "INSERT INTO stock_ledger SELECT order_id, kind, items, '2000-01-01'"
     " FROM stock_ledger WHERE order_id = '{done}' AND kind = 'held'",
     "DELETE FROM stock_ledger WHERE order_id = '{done}' AND at = '2000-01-01';"
     "CREATE UNIQUE INDEX stock_ledger_once ON stock_ledger (order_id, kind)"
     " WHERE kind <> 'put'",
     false},
    {"I1 I2 I8", "a second refund", "charged 1 times, refunded 2 times", DB_PAYMENT, "{undone}",
     "ALTER TABLE payment_ledger DROP CONSTRAINT payment_ledger_pkey;"
     "INSERT INTO payment_ledger SELECT order_id, kind, amount, currency, '2000-01-01'"
     " FROM payment_ledger WHERE order_id = '{undone}' AND kind = 'refunded'",
     "DELETE FROM payment_ledger WHERE order_id = '{undone}' AND at = '2000-01-01';"
     "ALTER TABLE payment_ledger ADD PRIMARY KEY (order_id, kind)",
     false},
    {"I1", "a refund in two parts", "charged 1 times, refunded 2 times", DB_PAYMENT, "{undone}",
     "ALTER TABLE payment_ledger DROP CONSTRAINT payment_ledger_pkey;"
     "UPDATE payment_ledger SET amount = amount - 1 WHERE order_id = '{undone}'"
     " AND kind = 'refunded';"
     "INSERT INTO payment_ledger SELECT order_id, kind, 1, currency, '2000-01-01'"
     " FROM payment_ledger WHERE order_id = '{undone}' AND kind = 'refunded'",
     "DELETE FROM payment_ledger WHERE order_id = '{undone}' AND at = '2000-01-01';"
     "UPDATE payment_ledger SET amount = amount + 1 WHERE order_id = '{undone}'"
     " AND kind = 'refunded';"
     "ALTER TABLE payment_ledger ADD PRIMARY KEY (order_id, kind)",
     false},
    {"I1 I2 I3 I8-", "a second release", "1 times a SKU is moved again", DB_INVENTORY, "{undone}",
     "DROP INDEX stock_ledger_once;"
     "INSERT INTO stock_ledger SELECT order_id, kind, items, '2000-01-01'"
     " FROM stock_ledger WHERE order_id = '{undone}' AND kind = 'released'",
     "DELETE FROM stock_ledger WHERE order_id = '{undone}' AND at = '2000-01-01';"
     "CREATE UNIQUE INDEX stock_ledger_once ON stock_ledger (order_id, kind)"
     " WHERE kind <> 'put'",
     false},
    {"I2 I3 I8", "a refund without its charge", "refunded 3998, and never charged", DB_PAYMENT,
     "{undone}",
     "UPDATE payment_ledger SET order_id = '" STRANGER "' WHERE order_id = '{undone}'"
     " AND kind = 'charged';"
     "CREATE TABLE kept AS SELECT * FROM payment_ledger WHERE order_id = '" STRANGER "';"
     "DELETE FROM payment_ledger WHERE order_id = '" STRANGER "'",
     "INSERT INTO payment_ledger SELECT '{undone}', kind, amount, currency, at FROM kept;"
     "DROP TABLE kept",
     false},
    {"I2 I8", "more refunded than charged", "refunded 3999 of 3998", DB_PAYMENT, "{undone}",
     "UPDATE payment_ledger SET amount = amount + 1 WHERE order_id = '{undone}'"
     " AND kind = 'refunded'",
     "UPDATE payment_ledger SET amount = amount - 1 WHERE order_id = '{undone}'"
     " AND kind = 'refunded'",
     false},
    {"I2 I3 I8-", "goods released and issued", "released 2 and issued 2 of 2", DB_INVENTORY,
     "{done}",
     "INSERT INTO stock_ledger SELECT order_id, 'released', items, '2000-01-01'"
     " FROM stock_ledger WHERE order_id = '{done}' AND kind = 'held'",
     "DELETE FROM stock_ledger WHERE order_id = '{done}' AND at = '2000-01-01'", false},
    {"I2 I3 I8-", "more released than held", "held 2, released 3, issued 0", DB_INVENTORY,
     "{undone}",
     "UPDATE stock_ledger SET items = replace(items, ':2}', ':3}') WHERE order_id = '{undone}'"
     " AND kind = 'released'",
     "UPDATE stock_ledger SET items = replace(items, ':3}', ':2}') WHERE order_id = '{undone}'"
     " AND kind = 'released'",
     false},
    {"I3 I8", "a charge that the payment does not know",
     "payment is refused, payment_ledger has 1 charges", DB_PAYMENT, "{done}",
     "UPDATE payment SET state = 2, charged_at = NULL WHERE order_id = '{done}'",
     "UPDATE payment SET state = 1, charged_at = now() WHERE order_id = '{done}'", false},
    {"I2 I8-", "other goods released than held",
     "other SKUs or quantities are released than are held", DB_INVENTORY, "{undone}",
     "UPDATE stock_ledger SET items = replace(items, 'SKU-1\"', 'SKU-2\"')"
     " WHERE order_id = '{undone}' AND kind = 'released'",
     "UPDATE stock_ledger SET items = replace(items, 'SKU-2\"', 'SKU-1\"')"
     " WHERE order_id = '{undone}' AND kind = 'released'",
     false},
    {"I3", "a payment of another amount than its charge",
     "payment is of 3999, payment_ledger charged 3998", DB_PAYMENT, "{done}",
     "UPDATE payment SET amount = amount + 1 WHERE order_id = '{done}'",
     "UPDATE payment SET amount = amount - 1 WHERE order_id = '{done}'", false},
    {"I3", "a refund in another currency than the charge", "in another currency than the payment",
     DB_PAYMENT, "{undone}",
     "UPDATE payment_ledger SET currency = 'USD' WHERE order_id = '{undone}'"
     " AND kind = 'refunded'",
     "UPDATE payment_ledger SET currency = 'EUR' WHERE order_id = '{undone}'", false},
    {"I3 I8-", "goods that are no JSON", "the items of 1 rows cannot be read", DB_INVENTORY,
     "{done}",
     "UPDATE stock_ledger SET items = 'x' || items WHERE order_id = '{done}' AND kind = 'issued'",
     "UPDATE stock_ledger SET items = substr(items, 2) WHERE order_id = '{done}'"
     " AND kind = 'issued'",
     false},
    {"I3 I5", "goods issued, and the barrier does not know",
     "reservation is not issued, stock_ledger held 2 and issued 2", DB_INVENTORY, "{done}",
     "UPDATE reservation SET issue_state = 0, issued_at = NULL WHERE order_id = '{done}'",
     "UPDATE reservation SET issue_state = 1, issued_at = now() WHERE order_id = '{done}'", false},
    {"I3 I8-", "a ledger row that is missing",
     "reservation is issued, stock_ledger held 2 and issued 0", DB_INVENTORY, "{done}",
     "DELETE FROM stock_ledger WHERE order_id = '{done}' AND kind = 'issued'",
     "INSERT INTO stock_ledger SELECT order_id, 'issued', items, now() FROM stock_ledger"
     " WHERE order_id = '{done}' AND kind = 'held'",
     false},
    {"I3 I8", "a parcel without its tracking number", "parcel is done and has no tracking number",
     DB_SHIPPING, "{done}",
     "ALTER TABLE parcel DROP CONSTRAINT parcel_check;"
     "CREATE TABLE kept AS SELECT * FROM parcel WHERE order_id = '{done}';"
     "UPDATE parcel SET tracking_number = NULL WHERE order_id = '{done}'",
     "UPDATE parcel p SET tracking_number = k.tracking_number FROM kept k"
     " WHERE p.order_id = k.order_id; DROP TABLE kept;"
     "ALTER TABLE parcel ADD CONSTRAINT parcel_check"
     " CHECK ((tracking_number IS NOT NULL) = (state = 1))",
     false},
    {"I3 I8", "a parcel that was said to be shipped", "the rows of shipping-svc know nothing of it",
     DB_SHIPPING, "{done}",
     "CREATE TABLE kept AS SELECT * FROM parcel WHERE order_id = '{done}';"
     "UPDATE parcel SET state = 2, tracking_number = NULL, shipped_at = NULL"
     " WHERE order_id = '{done}'",
     "UPDATE parcel p SET state = k.state, tracking_number = k.tracking_number,"
     " shipped_at = k.shipped_at FROM kept k WHERE p.order_id = k.order_id; DROP TABLE kept",
     false},
    {"I3", "an end without its barrier", "facts 31, placement done, completion none", DB_ORDER,
     "{done}", "UPDATE orders SET completion = 0 WHERE order_id = '{done}'",
     "UPDATE orders SET completion = 1 WHERE order_id = '{done}'", false},
    {"I3", "a timer of no order", "timer: of an order that is not there", DB_ORDER, STRANGER,
     "INSERT INTO timer VALUES ('" STRANGER "', NULL)",
     "DELETE FROM timer WHERE order_id = '" STRANGER "'", false},
    {"I3", "a wish to cancel that was never said",
     "order.cancel_requested was said: outbox and topic do not have it", DB_ORDER, "{done}",
     "UPDATE orders SET facts = facts | 131072 WHERE order_id = '{done}'",
     "UPDATE orders SET facts = facts & ~131072 WHERE order_id = '{done}'", false},
    {"I4", "a key that the database does not have", "Redis remembers another key, order or time",
     DB_ORDER, "{done}",
     "CREATE TABLE kept AS SELECT * FROM idempotency WHERE order_id = '{done}';"
     "DELETE FROM idempotency WHERE order_id = '{done}'",
     "INSERT INTO idempotency SELECT * FROM kept; DROP TABLE kept", false},
    {"I4", "a key of another fingerprint", "Redis remembers another key, order or time", DB_ORDER,
     "{done}", "UPDATE idempotency SET fingerprint = 'x' || fingerprint WHERE order_id = '{done}'",
     "UPDATE idempotency SET fingerprint = substr(fingerprint, 2) WHERE order_id = '{done}'",
     false},
    {"I4", "a key that was used at another time", "Redis remembers another key, order or time",
     DB_ORDER, "{done}",
     "UPDATE idempotency SET created_at = created_at + '1 s' WHERE order_id = '{done}'",
     "UPDATE idempotency SET created_at = created_at - interval '1 s' WHERE order_id = '{done}'",
     false},
    {"I4", "a key of another deadline", "Redis remembers another key, order or time", DB_ORDER,
     "{done}", "UPDATE idempotency SET deadline_at = deadline_at + '1 s' WHERE order_id = '{done}'",
     "UPDATE idempotency SET deadline_at = deadline_at - interval '1 s' WHERE order_id = '{done}'",
     false},
    {"I5 I3 I8", "a payment that is lost", ": the offset of payment-svc is behind it", DB_PAYMENT,
     "{done}",
     "CREATE TABLE kept AS SELECT * FROM payment WHERE order_id = '{done}';"
     "CREATE TABLE kept_ledger AS SELECT * FROM payment_ledger WHERE order_id = '{done}';"
     "DELETE FROM payment WHERE order_id = '{done}';"
     "DELETE FROM payment_ledger WHERE order_id = '{done}'",
     "INSERT INTO payment SELECT * FROM kept; INSERT INTO payment_ledger SELECT * FROM kept_ledger;"
     "DROP TABLE kept; DROP TABLE kept_ledger",
     false},
    {"I5 I3 I8", "a parcel that is lost",
     "inventory.reserved {reserved/}: the offset of shipping-svc is behind it", DB_SHIPPING,
     "{done}",
     "CREATE TABLE kept AS SELECT * FROM parcel WHERE order_id = '{done}';"
     "DELETE FROM parcel WHERE order_id = '{done}'",
     "INSERT INTO parcel SELECT * FROM kept; DROP TABLE kept", false},
    {"I5", "a fact that is lost",
     "inventory.reserved {reserved/}: the offset of order-svc is behind it", DB_ORDER, "{done}",
     "UPDATE orders SET facts = facts & ~4 WHERE order_id = '{done}'",
     "UPDATE orders SET facts = facts | 4 WHERE order_id = '{done}'", false},
    {"I6", "a row that counts as sent and is not",
     "row 63/1 counts as acknowledged, and payment.done does not have it", DB_PAYMENT, "{done}",
     "INSERT INTO outbox VALUES (0, 63, 1, '{done}', 'payment.done', NULL, '{}', now());"
     "UPDATE lane SET acked = 1 WHERE lane = 63",
     "DELETE FROM outbox WHERE lane = 63; UPDATE lane SET acked = 0 WHERE lane = 63", false},
    {"I6", "rows that are missing behind the cursor", "the rows of lane 63 before 2 are missing",
     DB_PAYMENT, "{done}",
     "INSERT INTO outbox VALUES (0, 63, 2, '{done}', 'payment.done', NULL, '{}', now())",
     "DELETE FROM outbox WHERE lane = 63", false},
    {"I6", "a row that was not sent", "row 63/1, payment.done, is not acknowledged", DB_PAYMENT,
     "{done}", "INSERT INTO outbox VALUES (0, 63, 1, '{done}', 'payment.done', NULL, '{}', now())",
     "DELETE FROM outbox WHERE lane = 63", true},
    {"I6", "a row that says something else than its record",
     "says something else than payment.done {place/}", DB_PAYMENT, "{done}",
     "UPDATE outbox SET payload = payload || ' ' WHERE order_id = '{done}'",
     "UPDATE outbox SET payload = rtrim(payload) WHERE order_id = '{done}'", false},
    {"I6", "a row of no topic", "row 63/1 of payment-svc is of no topic", DB_PAYMENT, "{done}",
     "INSERT INTO outbox VALUES (0, 63, 1, '{done}', 'payment.lost', NULL, '{}', now());"
     "UPDATE lane SET acked = 1 WHERE lane = 63",
     "DELETE FROM outbox WHERE lane = 63; UPDATE lane SET acked = 0 WHERE lane = 63", false},
    {"I6", "a row of a lane that is gone", "row 63/1, payment.done: its lane has no cursor",
     DB_PAYMENT, "{done}",
     "INSERT INTO outbox VALUES (0, 63, 1, '{done}', 'payment.done', NULL, '{}', now());"
     "DELETE FROM lane WHERE lane = 63",
     "DELETE FROM outbox WHERE lane = 63; INSERT INTO lane VALUES (63, 0)", false},
    {"I6-", "a cursor on an event that was never said", "the cursor of payment-svc on lane 63 is 7",
     DB_PAYMENT, "-", "UPDATE lane SET acked = 7 WHERE lane = 63",
     "UPDATE lane SET acked = 0 WHERE lane = 63", false},
    {"I6-", "a cursor in use that is behind the last row", "the cursor of payment-svc on lane",
     DB_PAYMENT, "-", "UPDATE lane SET acked = acked + 5" LANE_OF("{done}"),
     "UPDATE lane SET acked = acked - 5" LANE_OF("{done}"), false},
    {"I6", "a cursor in use that has gone back", "payment.failed, is not acknowledged", DB_PAYMENT,
     "{refused}", "UPDATE lane SET acked = acked - 1" LANE_OF("{refused}"),
     "UPDATE lane SET acked = acked + 1" LANE_OF("{refused}"), true},
    {"I7", "a dead letter that waits for nothing",
     "of order-svc about payment.done {place/} waits behind nothing", DB_ORDER, "{done}",
     LETTER(1, "payment.done", "{place}", "base64:"), NO_LETTERS, false},
    {"I7", "a dead letter that waits for a discarded one",
     "of order-svc about inventory.reserved {reserved/} waits behind nothing", DB_ORDER, "{done}",
     LETTER(3, "payment.done", "{place}", "base64:")
         LETTER(1, "inventory.reserved", "{reserved}", "base64:"),
     NO_LETTERS, false},
    {"I7", "a dead letter that waits for a redriven one",
     "of order-svc about inventory.reserved {reserved/} waits behind nothing", DB_ORDER, "{done}",
     LETTER(4, "payment.done", "{place}", "base64:")
         LETTER(1, "inventory.reserved", "{reserved}", "base64:"),
     NO_LETTERS, false},
    {"I7", "a dead letter about no record",
     "of payment-svc about order.created 0/999999999: there was no such", DB_PAYMENT, "{done}",
     LETTER(3, "order.created", "0, 999999999", "x"), NO_LETTERS, false},
    {"I7", "a redriven dead letter whose event was not taken",
     "payment.done {place/} is redriven, its rows know nothing", DB_ORDER, "{done}",
     LETTER(4, "payment.done", "{place}",
            "{payload}") "UPDATE orders SET facts = facts & ~2 WHERE order_id = '{done}'",
     NO_LETTERS ";UPDATE orders SET facts = facts | 2 WHERE order_id = '{done}'", false},
    {"I7", "a dead letter of no topic", "of payment-svc, offset 1, is about no topic", DB_PAYMENT,
     "{done}", LETTER(3, "order.lost", "0, 1", "x"), NO_LETTERS, false},
    {"I7", "a dead letter with another value than its record",
     "payment.done {place/}: its value is not the record's", DB_ORDER, "{done}",
     LETTER(3, "payment.done", "{place}", "x"), NO_LETTERS, false},
    {"I7", "a dead letter", "parked: payment.done {place/}, by order-svc", DB_ORDER, "{done}",
     LETTER(0, "payment.done", "{place}", "base64:"), NO_LETTERS, true},
    FALSE_FACT("it was paid", "{refused}", 2, "paid; payment is refused"),
    FALSE_FACT("the payment failed", "{done}", 32, "payment failed; payment is done"),
    FALSE_FACT("it was refunded", "{done}", 512, "refunded; payment is done"),
    FALSE_FACT("it was reserved", "{refused}", 4, "reserved; reservation is none"),
    FALSE_FACT("inventory failed", "{done}", 64, "inventory failed; reservation is done"),
    FALSE_FACT("it was released", "{done}", 256, "released; reservation is done"),
    FALSE_FACT("it was shipped", "{undone}", 8, "shipped; parcel is refused"),
    FALSE_FACT("shipping failed", "{done}", 128, "shipping failed; parcel is done"),
    {"I8", "a parcel called off that nobody wanted to cancel",
     "parcel is void; nobody wanted to cancel", DB_SHIPPING, "{undone}",
     "UPDATE parcel SET state = 4 WHERE order_id = '{undone}'",
     "UPDATE parcel SET state = 2 WHERE order_id = '{undone}'", false},
    {"I8", "another sum charged than ordered",
     "completed, total 3998; payment_ledger: charged 3999", DB_PAYMENT, "{done}",
     "UPDATE payment SET amount = amount + 1 WHERE order_id = '{done}';"
     "UPDATE payment_ledger SET amount = amount + 1 WHERE order_id = '{done}'",
     "UPDATE payment SET amount = amount - 1 WHERE order_id = '{done}';"
     "UPDATE payment_ledger SET amount = amount - 1 WHERE order_id = '{done}'",
     false},
    {"I8 I3", "a parcel for a cancelled order", "cancelled; parcel is done", DB_SHIPPING,
     "{undone}",
     "CREATE TABLE kept AS SELECT * FROM parcel WHERE order_id = '{undone}';"
     "UPDATE parcel SET state = 1, tracking_number = 'PKG-x', shipped_at = now()"
     " WHERE order_id = '{undone}'",
     "UPDATE parcel p SET state = k.state, tracking_number = NULL, shipped_at = NULL"
     " FROM kept k WHERE p.order_id = k.order_id; DROP TABLE kept",
     false},
    {"I8 I3", "completed and cancelled", "completed and cancelled", DB_ORDER, "{done}",
     "UPDATE orders SET facts = facts | 1024 WHERE order_id = '{done}'",
     "UPDATE orders SET facts = facts & ~1024 WHERE order_id = '{done}'", false},
    {"I8", "an end, and still a timer", "facts 31, and a timer", DB_ORDER, "{done}",
     "INSERT INTO timer VALUES ('{done}', NULL)", "DELETE FROM timer WHERE order_id = '{done}'",
     false},
    {"I8 I3 I5", "an order that is lost",
     "no such order; payment is undone, reservation undone, parcel refused", DB_ORDER, "{undone}",
     "CREATE TABLE kept AS SELECT * FROM orders WHERE order_id = '{undone}';"
     "DELETE FROM orders WHERE order_id = '{undone}'",
     "INSERT INTO orders SELECT * FROM kept; DROP TABLE kept", false},
    {"I8", "another sum told than refunded", "refunded 3997; payment_ledger: 3998", DB_ORDER,
     "{undone}", "UPDATE orders SET refunded = refunded - 1 WHERE order_id = '{undone}'",
     "UPDATE orders SET refunded = refunded + 1 WHERE order_id = '{undone}'", false},
    {"I8", "other goods held than ordered", "completed, 2 units; reservation is done, held 3",
     DB_INVENTORY, "{done}",
     "UPDATE stock_ledger SET items = replace(items, ':2}', ':3}') WHERE order_id = '{done}'",
     "UPDATE stock_ledger SET items = replace(items, ':3}', ':2}') WHERE order_id = '{done}'",
     false},
    {"I8", "other SKUs held and issued than ordered",
     "other SKUs or quantities than stock_ledger held", DB_INVENTORY, "{done}",
     "UPDATE stock_ledger SET items = replace(items, 'SKU-1\"', 'SKU-2\"')"
     " WHERE order_id = '{done}';"
     "UPDATE stock SET on_hand = on_hand + 2 WHERE sku = 'SKU-1';"
     "UPDATE stock SET on_hand = on_hand - 2 WHERE sku = 'SKU-2'",
     "UPDATE stock_ledger SET items = replace(items, 'SKU-2\"', 'SKU-1\"')"
     " WHERE order_id = '{done}';"
     "UPDATE stock SET on_hand = on_hand - 2 WHERE sku = 'SKU-1';"
     "UPDATE stock SET on_hand = on_hand + 2 WHERE sku = 'SKU-2'",
     false},
    {"I8", "items that are no JSON", "its items cannot be read", DB_ORDER, "{done}",
     "UPDATE orders SET items = 'x' || items WHERE order_id = '{done}'",
     "UPDATE orders SET items = substr(items, 2) WHERE order_id = '{done}'", false},
    {"I8", "a charge in another currency than ordered", "in another currency than the payment",
     DB_PAYMENT, "{done}",
     "UPDATE payment SET currency = 'USD' WHERE order_id = '{done}';"
     "UPDATE payment_ledger SET currency = 'USD' WHERE order_id = '{done}'",
     "UPDATE payment SET currency = 'EUR' WHERE order_id = '{done}';"
     "UPDATE payment_ledger SET currency = 'EUR' WHERE order_id = '{done}'",
     false},
    {"I8", "a refund told of a completed order", "refunded 1, facts 31 know of no refund", DB_ORDER,
     "{done}", "UPDATE orders SET refunded = 1 WHERE order_id = '{done}'",
     "UPDATE orders SET refunded = 0 WHERE order_id = '{done}'", false},
    {"I8", "another tracking number than the parcel's", "its tracking number is not the parcel's",
     DB_ORDER, "{done}",
     "UPDATE orders SET tracking_number = tracking_number || 'x' WHERE order_id = '{done}'",
     "UPDATE orders SET tracking_number = left(tracking_number, -1) WHERE order_id = '{done}'",
     false},
    {"I8", "a tracking number of no parcel", "a tracking number, facts", DB_ORDER, "{undone}",
     "UPDATE orders SET tracking_number = 'PKG-x' WHERE order_id = '{undone}'",
     "UPDATE orders SET tracking_number = NULL WHERE order_id = '{undone}'", false},
    {"I8-", "stock that is gone",
     "stock of SKU-2: on_hand no row, held no row; stock_ledger: on_hand", DB_INVENTORY, "-",
     "CREATE TABLE kept AS SELECT * FROM stock WHERE sku = 'SKU-2';"
     "DELETE FROM stock WHERE sku = 'SKU-2'",
     "INSERT INTO stock SELECT * FROM kept; DROP TABLE kept", false},
    {"I8-", "stock that its ledger does not know", "stock of SKU-1: on_hand", DB_INVENTORY, "-",
     "UPDATE stock SET on_hand = on_hand + 1 WHERE sku = 'SKU-1'",
     "UPDATE stock SET on_hand = on_hand - 1 WHERE sku = 'SKU-1'", false},
    {"I8 I3 I5", "an order that has not ended", "neither completed nor cancelled, facts 15",
     DB_ORDER, "{done}",
     "UPDATE orders SET facts = facts & ~16, completion = 0 WHERE order_id = '{done}';"
     "INSERT INTO timer VALUES ('{done}', NULL)",
     "UPDATE orders SET facts = facts | 16, completion = 1 WHERE order_id = '{done}';"
     "DELETE FROM timer WHERE order_id = '{done}'",
     true},
    {"I9", "an order of two keys", "2 keys have made it", DB_ORDER, "{done}",
     "INSERT INTO idempotency SELECT key || 'x', order_id, fingerprint, created_at, deadline_at"
     " FROM idempotency WHERE order_id = '{done}'",
     "DELETE FROM idempotency WHERE order_id = '{done}' AND key LIKE '%x'", false},
    {"I9", "a key of two orders", "its key has made another order, or it twice", DB_ORDER,
     "{undone}",
     "ALTER TABLE idempotency DROP CONSTRAINT idempotency_pkey;"
     "INSERT INTO idempotency SELECT key, '{undone}', fingerprint, created_at, deadline_at"
     " FROM idempotency WHERE order_id = '{done}'",
     "DELETE FROM idempotency WHERE order_id = '{undone}';"
     "ALTER TABLE idempotency ADD PRIMARY KEY (key)",
     false},
    {"I9", "a key of no order", "idempotency: of an order that is not there", DB_ORDER, STRANGER,
     "INSERT INTO idempotency VALUES ('a b', '" STRANGER "', '', now(), now())",
     "DELETE FROM idempotency WHERE order_id = '" STRANGER "'", false},
};

#endif
