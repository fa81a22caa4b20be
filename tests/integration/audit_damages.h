/* audit_damages.h: the kinds of damage to rows that the auditor must name; audit.c does them. */
#ifndef AUDIT_DAMAGES_H
#define AUDIT_DAMAGES_H

#include "support/db.h"

#define STRANGER "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa"

struct damage {
    int invariant;
    const char *name;
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
#define FALSE_FACT(name, order, fact)                                                              \
    {                                                                                              \
        8, "told that " name, DB_ORDER, order,                                                     \
            "UPDATE orders SET facts = facts | " #fact " WHERE order_id = '" order "'",            \
            "UPDATE orders SET facts = facts & ~" #fact " WHERE order_id = '" order "'", false     \
    }

static const struct damage damages[] = {
    {1, "a second charge", DB_PAYMENT, "{done}",
     "ALTER TABLE payment_ledger DROP CONSTRAINT payment_ledger_pkey;"
     "INSERT INTO payment_ledger SELECT order_id, kind, amount, currency, '2000-01-01'"
     " FROM payment_ledger WHERE order_id = '{done}'",
     "DELETE FROM payment_ledger WHERE order_id = '{done}' AND at = '2000-01-01';"
     "ALTER TABLE payment_ledger ADD PRIMARY KEY (order_id, kind)",
     false},
    {1, "goods held twice", DB_INVENTORY, "{done}",
     "DROP INDEX stock_ledger_once;"
     "INSERT INTO stock_ledger SELECT order_id, kind, items, '2000-01-01'"
     " FROM stock_ledger WHERE order_id = '{done}' AND kind = 'held'",
     "DELETE FROM stock_ledger WHERE order_id = '{done}' AND at = '2000-01-01';"
     "CREATE UNIQUE INDEX stock_ledger_once ON stock_ledger (order_id, kind)"
     " WHERE kind <> 'put'",
     false},
    {2, "a refund without its charge", DB_PAYMENT, "{undone}",
     "UPDATE payment_ledger SET order_id = '" STRANGER "' WHERE order_id = '{undone}'"
     " AND kind = 'charged';"
     "CREATE TABLE kept AS SELECT * FROM payment_ledger WHERE order_id = '" STRANGER "';"
     "DELETE FROM payment_ledger WHERE order_id = '" STRANGER "'",
     "INSERT INTO payment_ledger SELECT '{undone}', kind, amount, currency, at FROM kept;"
     "DROP TABLE kept",
     false},
    {2, "more refunded than charged", DB_PAYMENT, "{undone}",
     "UPDATE payment_ledger SET amount = amount + 1 WHERE order_id = '{undone}'"
     " AND kind = 'refunded'",
     "UPDATE payment_ledger SET amount = amount - 1 WHERE order_id = '{undone}'"
     " AND kind = 'refunded'",
     false},
    {2, "goods released and issued", DB_INVENTORY, "{done}",
     "INSERT INTO stock_ledger SELECT order_id, 'released', items, '2000-01-01'"
     " FROM stock_ledger WHERE order_id = '{done}' AND kind = 'held'",
     "DELETE FROM stock_ledger WHERE order_id = '{done}' AND at = '2000-01-01'", false},
    {2, "more released than held", DB_INVENTORY, "{undone}",
     "UPDATE stock_ledger SET items = replace(items, ':2}', ':3}') WHERE order_id = '{undone}'"
     " AND kind = 'released'",
     "UPDATE stock_ledger SET items = replace(items, ':3}', ':2}') WHERE order_id = '{undone}'"
     " AND kind = 'released'",
     false},
    {3, "a charge that the payment does not know", DB_PAYMENT, "{done}",
     "UPDATE payment SET state = 2, charged_at = NULL WHERE order_id = '{done}'",
     "UPDATE payment SET state = 1, charged_at = now() WHERE order_id = '{done}'", false},
    {2, "other goods released than held", DB_INVENTORY, "{undone}",
     "UPDATE stock_ledger SET items = replace(items, 'SKU-1\"', 'SKU-2\"')"
     " WHERE order_id = '{undone}' AND kind = 'released'",
     "UPDATE stock_ledger SET items = replace(items, 'SKU-2\"', 'SKU-1\"')"
     " WHERE order_id = '{undone}' AND kind = 'released'",
     false},
    {3, "a payment of another amount than its charge", DB_PAYMENT, "{done}",
     "UPDATE payment SET amount = amount + 1 WHERE order_id = '{done}'",
     "UPDATE payment SET amount = amount - 1 WHERE order_id = '{done}'", false},
    {3, "a refund in another currency than the charge", DB_PAYMENT, "{undone}",
     "UPDATE payment_ledger SET currency = 'USD' WHERE order_id = '{undone}'"
     " AND kind = 'refunded'",
     "UPDATE payment_ledger SET currency = 'EUR' WHERE order_id = '{undone}'", false},
    {3, "goods that are no JSON", DB_INVENTORY, "{done}",
     "UPDATE stock_ledger SET items = 'x' || items WHERE order_id = '{done}' AND kind = 'issued'",
     "UPDATE stock_ledger SET items = substr(items, 2) WHERE order_id = '{done}'"
     " AND kind = 'issued'",
     false},
    {3, "goods issued, and the barrier does not know", DB_INVENTORY, "{done}",
     "UPDATE reservation SET issue_state = 0, issued_at = NULL WHERE order_id = '{done}'",
     "UPDATE reservation SET issue_state = 1, issued_at = now() WHERE order_id = '{done}'", false},
    {3, "a ledger row that is missing", DB_INVENTORY, "{done}",
     "DELETE FROM stock_ledger WHERE order_id = '{done}' AND kind = 'issued'",
     "INSERT INTO stock_ledger SELECT order_id, 'issued', items, now() FROM stock_ledger"
     " WHERE order_id = '{done}' AND kind = 'held'",
     false},
    {3, "a parcel without its tracking number", DB_SHIPPING, "{done}",
     "CREATE TABLE kept AS SELECT * FROM parcel WHERE order_id = '{done}';"
     "UPDATE parcel SET state = 2, tracking_number = NULL, shipped_at = NULL"
     " WHERE order_id = '{done}'",
     "UPDATE parcel p SET state = k.state, tracking_number = k.tracking_number,"
     " shipped_at = k.shipped_at FROM kept k WHERE p.order_id = k.order_id; DROP TABLE kept",
     false},
    {3, "an end without its barrier", DB_ORDER, "{done}",
     "UPDATE orders SET completion = 0 WHERE order_id = '{done}'",
     "UPDATE orders SET completion = 1 WHERE order_id = '{done}'", false},
    {3, "a timer of no order", DB_ORDER, STRANGER,
     "INSERT INTO timer VALUES ('" STRANGER "', NULL)",
     "DELETE FROM timer WHERE order_id = '" STRANGER "'", false},
    {3, "a wish to cancel that was never said", DB_ORDER, "{done}",
     "UPDATE orders SET facts = facts | 131072 WHERE order_id = '{done}'",
     "UPDATE orders SET facts = facts & ~131072 WHERE order_id = '{done}'", false},
    {4, "a key that the database does not have", DB_ORDER, "{done}",
     "CREATE TABLE kept AS SELECT * FROM idempotency WHERE order_id = '{done}';"
     "DELETE FROM idempotency WHERE order_id = '{done}'",
     "INSERT INTO idempotency SELECT * FROM kept; DROP TABLE kept", false},
    {4, "a key of another fingerprint", DB_ORDER, "{done}",
     "UPDATE idempotency SET fingerprint = 'x' || fingerprint WHERE order_id = '{done}'",
     "UPDATE idempotency SET fingerprint = substr(fingerprint, 2) WHERE order_id = '{done}'",
     false},
    {4, "a key that was used at another time", DB_ORDER, "{done}",
     "UPDATE idempotency SET created_at = created_at + '1 s' WHERE order_id = '{done}'",
     "UPDATE idempotency SET created_at = created_at - interval '1 s' WHERE order_id = '{done}'",
     false},
    {4, "a key of another deadline", DB_ORDER, "{done}",
     "UPDATE idempotency SET deadline_at = deadline_at + '1 s' WHERE order_id = '{done}'",
     "UPDATE idempotency SET deadline_at = deadline_at - interval '1 s' WHERE order_id = '{done}'",
     false},
    {5, "a payment that is lost", DB_PAYMENT, "{done}",
     "CREATE TABLE kept AS SELECT * FROM payment WHERE order_id = '{done}';"
     "CREATE TABLE kept_ledger AS SELECT * FROM payment_ledger WHERE order_id = '{done}';"
     "DELETE FROM payment WHERE order_id = '{done}';"
     "DELETE FROM payment_ledger WHERE order_id = '{done}'",
     "INSERT INTO payment SELECT * FROM kept; INSERT INTO payment_ledger SELECT * FROM kept_ledger;"
     "DROP TABLE kept; DROP TABLE kept_ledger",
     false},
    {5, "a parcel that is lost", DB_SHIPPING, "{done}",
     "CREATE TABLE kept AS SELECT * FROM parcel WHERE order_id = '{done}';"
     "DELETE FROM parcel WHERE order_id = '{done}'",
     "INSERT INTO parcel SELECT * FROM kept; DROP TABLE kept", false},
    {5, "a fact that is lost", DB_ORDER, "{done}",
     "UPDATE orders SET facts = facts & ~4 WHERE order_id = '{done}'",
     "UPDATE orders SET facts = facts | 4 WHERE order_id = '{done}'", false},
    {6, "a row that counts as sent and is not", DB_PAYMENT, "{done}",
     "INSERT INTO outbox VALUES (0, 63, 1, '{done}', 'payment.done', NULL, '{}', now());"
     "UPDATE lane SET acked = 1 WHERE lane = 63",
     "DELETE FROM outbox WHERE lane = 63; UPDATE lane SET acked = 0 WHERE lane = 63", false},
    {6, "rows that are missing behind the cursor", DB_PAYMENT, "{done}",
     "INSERT INTO outbox VALUES (0, 63, 2, '{done}', 'payment.done', NULL, '{}', now())",
     "DELETE FROM outbox WHERE lane = 63", false},
    {6, "a row that was not sent", DB_PAYMENT, "{done}",
     "INSERT INTO outbox VALUES (0, 63, 1, '{done}', 'payment.done', NULL, '{}', now())",
     "DELETE FROM outbox WHERE lane = 63", true},
    {6, "a row that says something else than its record", DB_PAYMENT, "{done}",
     "UPDATE outbox SET payload = payload || ' ' WHERE order_id = '{done}'",
     "UPDATE outbox SET payload = rtrim(payload) WHERE order_id = '{done}'", false},
    {6, "a row of no topic", DB_PAYMENT, "{done}",
     "INSERT INTO outbox VALUES (0, 63, 1, '{done}', 'payment.lost', NULL, '{}', now());"
     "UPDATE lane SET acked = 1 WHERE lane = 63",
     "DELETE FROM outbox WHERE lane = 63; UPDATE lane SET acked = 0 WHERE lane = 63", false},
    {6, "a row of a lane that is gone", DB_PAYMENT, "{done}",
     "INSERT INTO outbox VALUES (0, 63, 1, '{done}', 'payment.done', NULL, '{}', now());"
     "DELETE FROM lane WHERE lane = 63",
     "DELETE FROM outbox WHERE lane = 63; INSERT INTO lane VALUES (63, 0)", false},
    {6, "a cursor on an event that was never said", DB_PAYMENT, "-",
     "UPDATE lane SET acked = 7 WHERE lane = 63", "UPDATE lane SET acked = 0 WHERE lane = 63",
     false},
    {6, "a cursor in use that is behind the last row", DB_PAYMENT, "-",
     "UPDATE lane SET acked = acked + 5" LANE_OF("{done}"),
     "UPDATE lane SET acked = acked - 5" LANE_OF("{done}"), false},
    {6, "a cursor in use that has gone back", DB_PAYMENT, "{refused}",
     "UPDATE lane SET acked = acked - 1" LANE_OF("{refused}"),
     "UPDATE lane SET acked = acked + 1" LANE_OF("{refused}"), true},
    {7, "a dead letter that waits for nothing", DB_ORDER, "{done}",
     LETTER(1, "payment.done", "{place}", "base64:"), NO_LETTERS, false},
    {7, "a dead letter that waits for a discarded one", DB_ORDER, "{done}",
     LETTER(3, "payment.done", "{place}", "base64:")
         LETTER(1, "inventory.reserved", "{reserved}", "base64:"),
     NO_LETTERS, false},
    {7, "a dead letter that waits for a redriven one", DB_ORDER, "{done}",
     LETTER(4, "payment.done", "{place}", "base64:")
         LETTER(1, "inventory.reserved", "{reserved}", "base64:"),
     NO_LETTERS, false},
    {7, "a dead letter about no record", DB_PAYMENT, "{done}",
     LETTER(3, "order.created", "0, 999999999", "x"), NO_LETTERS, false},
    {7, "a redriven dead letter whose event was not taken", DB_ORDER, "{done}",
     LETTER(4, "payment.done", "{place}",
            "{payload}") "UPDATE orders SET facts = facts & ~2 WHERE order_id = '{done}'",
     NO_LETTERS ";UPDATE orders SET facts = facts | 2 WHERE order_id = '{done}'", false},
    {7, "a dead letter of no topic", DB_PAYMENT, "{done}", LETTER(3, "order.lost", "0, 1", "x"),
     NO_LETTERS, false},
    {7, "a dead letter with another value than its record", DB_ORDER, "{done}",
     LETTER(3, "payment.done", "{place}", "x"), NO_LETTERS, false},
    {7, "a dead letter", DB_ORDER, "{done}", LETTER(0, "payment.done", "{place}", "base64:"),
     NO_LETTERS, true},
    FALSE_FACT("it was paid", "{refused}", 2),
    FALSE_FACT("the payment failed", "{done}", 32),
    FALSE_FACT("it was refunded", "{done}", 512),
    FALSE_FACT("it was reserved", "{refused}", 4),
    FALSE_FACT("inventory failed", "{done}", 64),
    FALSE_FACT("it was released", "{done}", 256),
    FALSE_FACT("it was shipped", "{undone}", 8),
    FALSE_FACT("shipping failed", "{done}", 128),
    {8, "a parcel called off that nobody wanted to cancel", DB_SHIPPING, "{undone}",
     "UPDATE parcel SET state = 4 WHERE order_id = '{undone}'",
     "UPDATE parcel SET state = 2 WHERE order_id = '{undone}'", false},
    {8, "another sum charged than ordered", DB_PAYMENT, "{done}",
     "UPDATE payment SET amount = amount + 1 WHERE order_id = '{done}';"
     "UPDATE payment_ledger SET amount = amount + 1 WHERE order_id = '{done}'",
     "UPDATE payment SET amount = amount - 1 WHERE order_id = '{done}';"
     "UPDATE payment_ledger SET amount = amount - 1 WHERE order_id = '{done}'",
     false},
    {8, "a parcel for a cancelled order", DB_SHIPPING, "{undone}",
     "CREATE TABLE kept AS SELECT * FROM parcel WHERE order_id = '{undone}';"
     "UPDATE parcel SET state = 1, tracking_number = 'PKG-x', shipped_at = now()"
     " WHERE order_id = '{undone}'",
     "UPDATE parcel p SET state = k.state, tracking_number = NULL, shipped_at = NULL"
     " FROM kept k WHERE p.order_id = k.order_id; DROP TABLE kept",
     false},
    {8, "completed and cancelled", DB_ORDER, "{done}",
     "UPDATE orders SET facts = facts | 1024 WHERE order_id = '{done}'",
     "UPDATE orders SET facts = facts & ~1024 WHERE order_id = '{done}'", false},
    {8, "an end, and still a timer", DB_ORDER, "{done}",
     "INSERT INTO timer VALUES ('{done}', NULL)", "DELETE FROM timer WHERE order_id = '{done}'",
     false},
    {8, "an order that is lost", DB_ORDER, "{undone}",
     "CREATE TABLE kept AS SELECT * FROM orders WHERE order_id = '{undone}';"
     "DELETE FROM orders WHERE order_id = '{undone}'",
     "INSERT INTO orders SELECT * FROM kept; DROP TABLE kept", false},
    {8, "another sum told than refunded", DB_ORDER, "{undone}",
     "UPDATE orders SET refunded = refunded - 1 WHERE order_id = '{undone}'",
     "UPDATE orders SET refunded = refunded + 1 WHERE order_id = '{undone}'", false},
    {8, "other goods held than ordered", DB_INVENTORY, "{done}",
     "UPDATE stock_ledger SET items = replace(items, ':2}', ':3}') WHERE order_id = '{done}'",
     "UPDATE stock_ledger SET items = replace(items, ':3}', ':2}') WHERE order_id = '{done}'",
     false},
    {8, "other SKUs held and issued than ordered", DB_INVENTORY, "{done}",
     "UPDATE stock_ledger SET items = replace(items, 'SKU-1\"', 'SKU-2\"')"
     " WHERE order_id = '{done}';"
     "UPDATE stock SET on_hand = on_hand + 2 WHERE sku = 'SKU-1';"
     "UPDATE stock SET on_hand = on_hand - 2 WHERE sku = 'SKU-2'",
     "UPDATE stock_ledger SET items = replace(items, 'SKU-2\"', 'SKU-1\"')"
     " WHERE order_id = '{done}';"
     "UPDATE stock SET on_hand = on_hand - 2 WHERE sku = 'SKU-1';"
     "UPDATE stock SET on_hand = on_hand + 2 WHERE sku = 'SKU-2'",
     false},
    {8, "items that are no JSON", DB_ORDER, "{done}",
     "UPDATE orders SET items = 'x' || items WHERE order_id = '{done}'",
     "UPDATE orders SET items = substr(items, 2) WHERE order_id = '{done}'", false},
    {8, "a charge in another currency than ordered", DB_PAYMENT, "{done}",
     "UPDATE payment SET currency = 'USD' WHERE order_id = '{done}';"
     "UPDATE payment_ledger SET currency = 'USD' WHERE order_id = '{done}'",
     "UPDATE payment SET currency = 'EUR' WHERE order_id = '{done}';"
     "UPDATE payment_ledger SET currency = 'EUR' WHERE order_id = '{done}'",
     false},
    {8, "a refund told of a completed order", DB_ORDER, "{done}",
     "UPDATE orders SET refunded = 1 WHERE order_id = '{done}'",
     "UPDATE orders SET refunded = 0 WHERE order_id = '{done}'", false},
    {8, "another tracking number than the parcel's", DB_ORDER, "{done}",
     "UPDATE orders SET tracking_number = tracking_number || 'x' WHERE order_id = '{done}'",
     "UPDATE orders SET tracking_number = left(tracking_number, -1) WHERE order_id = '{done}'",
     false},
    {8, "a tracking number of no parcel", DB_ORDER, "{undone}",
     "UPDATE orders SET tracking_number = 'PKG-x' WHERE order_id = '{undone}'",
     "UPDATE orders SET tracking_number = NULL WHERE order_id = '{undone}'", false},
    {8, "stock that is gone", DB_INVENTORY, "-",
     "CREATE TABLE kept AS SELECT * FROM stock WHERE sku = 'SKU-2';"
     "DELETE FROM stock WHERE sku = 'SKU-2'",
     "INSERT INTO stock SELECT * FROM kept; DROP TABLE kept", false},
    {8, "stock that its ledger does not know", DB_INVENTORY, "-",
     "UPDATE stock SET on_hand = on_hand + 1 WHERE sku = 'SKU-1'",
     "UPDATE stock SET on_hand = on_hand - 1 WHERE sku = 'SKU-1'", false},
    {8, "an order that has not ended", DB_ORDER, "{done}",
     "UPDATE orders SET facts = facts & ~16, completion = 0 WHERE order_id = '{done}';"
     "INSERT INTO timer VALUES ('{done}', NULL)",
     "UPDATE orders SET facts = facts | 16, completion = 1 WHERE order_id = '{done}';"
     "DELETE FROM timer WHERE order_id = '{done}'",
     true},
    {9, "an order of two keys", DB_ORDER, "{done}",
     "INSERT INTO idempotency SELECT key || 'x', order_id, fingerprint, created_at, deadline_at"
     " FROM idempotency WHERE order_id = '{done}'",
     "DELETE FROM idempotency WHERE order_id = '{done}' AND key LIKE '%x'", false},
    {9, "a key of two orders", DB_ORDER, "{undone}",
     "ALTER TABLE idempotency DROP CONSTRAINT idempotency_pkey;"
     "INSERT INTO idempotency SELECT key, '{undone}', fingerprint, created_at, deadline_at"
     " FROM idempotency WHERE order_id = '{done}'",
     "DELETE FROM idempotency WHERE order_id = '{undone}';"
     "ALTER TABLE idempotency ADD PRIMARY KEY (key)",
     false},
    {9, "a key of no order", DB_ORDER, STRANGER,
     "INSERT INTO idempotency VALUES ('a b', '" STRANGER "', '', now(), now())",
     "DELETE FROM idempotency WHERE order_id = '" STRANGER "'", false},
};

#endif
