/* audit.c: the auditor can say no. Each kind of damage is done to one row, and the auditor names
 * that invariant and that order, and no other; then it is mended, and the auditor is content again.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/groups.h"
#include "support/orders.h"
#include "support/stack.h"

#define SOON "20"

static char done[40];   /* a completed order, made with a key */
static char undone[40]; /* a cancelled one: charged and refunded, held and released */
static char key[80];    /* of the first, as idempotency has it */
#define STRANGER "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa"

static int audit(const char *option, const char *seconds, char **ret_output)
{
    return command_run(
        stack_root(),
        (const char *const[]){"deploy/audit", option, seconds ? "--wait" : NULL, seconds, NULL},
        ret_output);
}

static pid_t services[4];

static void find_services(void)
{
    struct stack_part parts[STACK_PARTS];
    size_t count = stack_parts(parts), found = 0;
    for (size_t i = 0; i < count; i++)
        if (strstr(parts[i].name, "-svc") != NULL && parts[i].pid != 0)
            services[found++] = parts[i].pid;
    cr_assert_eq(found, 4);
}

static void signal_services(int signal)
{
    for (size_t i = 0; i < 4; i++)
        if (services[i] != 0)
            kill(services[i], signal);
}

static void make_orders(void)
{
    char header[160];
    snprintf(key, sizeof key, "audit-%lld", (long long)clock_us());
    snprintf(header, sizeof header, "Prefer: wait=20\r\nIdempotency-Key: %s\r\n", key);
    struct order_answer first = order_send(order_body(NULL, NULL, NULL), header);
    struct order_answer second = order_send(order_body(NULL, NULL, "AQ"), "Prefer: wait=20\r\n");
    cr_assert_str_eq(order_text(&first, "status"), "completed");
    cr_assert_str_eq(order_text(&second, "status"), "cancelled");
    snprintf(done, sizeof done, "%s", first.id);
    snprintf(undone, sizeof undone, "%s", second.id);
    order_answer_free(&first);
    order_answer_free(&second);
}

/* The offsets are stored once a second: then what is lost behind them is lost for good (I5). */
static bool offsets_are_stored(void)
{
    static const char *const heard[][2] = {{"payment-svc", "order.created"},
                                           {"inventory-svc", "payment.done"},
                                           {"shipping-svc", "inventory.reserved"},
                                           {"order-svc", "inventory.reserved"},
                                           {"order-svc", "order.shipped"}};
    for (size_t i = 0; i < sizeof heard / sizeof *heard; i++)
        if (groups_behind(stack_address("KAFKA_BOOTSTRAP"), heard[i][0], heard[i][1]) != 0)
            return false;
    return true;
}

/* The services stand still meanwhile: what is damaged stays so, and they see none of it. */
static void begin(void)
{
    char *output;
    cr_assert(stack_attach());
    find_services();
    make_orders();
    int status = audit("--settled", SOON, &output);
    cr_assert_eq(status, 0, "%s", output);
    free(output);
    cr_assert(CLOCK_UNTIL(20, offsets_are_stored()));
    signal_services(SIGSTOP);
}

static void end(void)
{
    signal_services(SIGCONT);
}

TestSuite(audit, .init = begin, .fini = end, .timeout = 300);

/* {done} {undone} {key} in a statement. */
static const char *filled(const char *sql)
{
    static char text[2048];
    const struct {
        const char *name, *value;
    } values[] = {{"{done}", done}, {"{undone}", undone}, {"{key}", key}};
    size_t len = 0;
    while (*sql != '\0' && len + 100 < sizeof text) {
        size_t i = 0;
        while (i < 3 && strncmp(sql, values[i].name, strlen(values[i].name)) != 0)
            i++;
        if (i == 3) {
            text[len++] = *sql++;
            continue;
        }
        len += (size_t)snprintf(text + len, sizeof text - len, "%s", values[i].value);
        sql += strlen(values[i].name);
    }
    text[len] = '\0';
    return text;
}

/* "I3 BROKEN order=ID ..." is there, and every broken line is about that order ("-": about none of
 * them by name) and about no second one. */
static void names(const char *output, int invariant, const char *order, const char *damage)
{
    char wanted[80];
    bool found = false;
    snprintf(wanted, sizeof wanted, "I%d BROKEN order=%s ", invariant, order);
    for (const char *line = output; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n'), *about = strstr(line, " BROKEN order=");
        if (about != NULL && about < end) {
            about += strlen(" BROKEN order=");
            found = found || strncmp(line, wanted, strlen(wanted)) == 0;
            cr_assert(strncmp(about, order, strlen(order)) == 0 || *about == '-',
                      "%s: another order is named:\n%s", damage, output);
            cr_assert(memmem(line, (size_t)(end - line), "(1 in all)", 10) != NULL,
                      "%s: more than one:\n%s", damage, output);
        }
        line = end ? end + 1 : NULL;
    }
    cr_assert(found, "%s: I%d does not name %s:\n%s", damage, invariant, order, output);
}

struct damage {
    int invariant;
    const char *name;
    enum db db;
    const char *order; /* {done}, {undone}, or an id */
    const char *harm, *mend;
    bool settled; /* only wrong when nothing is in flight */
};

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
     "INSERT INTO stock_ledger SELECT sku, kind, order_id, quantity, '2000-01-01'"
     " FROM stock_ledger WHERE order_id = '{done}' AND kind = 'held'",
     "DELETE FROM stock_ledger WHERE order_id = '{done}' AND at = '2000-01-01';"
     "CREATE UNIQUE INDEX stock_ledger_once ON stock_ledger (order_id, kind, sku)"
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
     "INSERT INTO stock_ledger VALUES ('SKU-1', 'released', '{done}', 2, '2000-01-01')",
     "DELETE FROM stock_ledger WHERE order_id = '{done}' AND at = '2000-01-01'", false},
    {2, "more released than held", DB_INVENTORY, "{undone}",
     "UPDATE stock_ledger SET quantity = 3 WHERE order_id = '{undone}' AND kind = 'released'",
     "UPDATE stock_ledger SET quantity = 2 WHERE order_id = '{undone}' AND kind = 'released'",
     false},
    {3, "a charge that the payment does not know", DB_PAYMENT, "{done}",
     "UPDATE payment SET state = 2, charged_at = NULL WHERE order_id = '{done}'",
     "UPDATE payment SET state = 1, charged_at = now() WHERE order_id = '{done}'", false},
    {3, "a payment of another amount than its charge", DB_PAYMENT, "{done}",
     "UPDATE payment SET amount = amount + 1 WHERE order_id = '{done}'",
     "UPDATE payment SET amount = amount - 1 WHERE order_id = '{done}'", false},
    {3, "goods issued, and the barrier does not know", DB_INVENTORY, "{done}",
     "UPDATE reservation SET issue_state = 0, issued_at = NULL WHERE order_id = '{done}'",
     "UPDATE reservation SET issue_state = 1, issued_at = now() WHERE order_id = '{done}'", false},
    {3, "a ledger row that is missing", DB_INVENTORY, "{done}",
     "DELETE FROM stock_ledger WHERE order_id = '{done}' AND kind = 'issued'",
     "INSERT INTO stock_ledger VALUES ('SKU-1', 'issued', '{done}', 2, now())", false},
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
    {4, "a key that the database does not have", DB_ORDER, "{done}",
     "CREATE TABLE kept AS SELECT * FROM idempotency WHERE order_id = '{done}';"
     "DELETE FROM idempotency WHERE order_id = '{done}'",
     "INSERT INTO idempotency SELECT * FROM kept; DROP TABLE kept", false},
    {4, "a key of another fingerprint", DB_ORDER, "{done}",
     "UPDATE idempotency SET fingerprint = 'x' || fingerprint WHERE order_id = '{done}'",
     "UPDATE idempotency SET fingerprint = substr(fingerprint, 2) WHERE order_id = '{done}'",
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
    {7, "a dead letter that waits for nothing", DB_PAYMENT, "{done}",
     "INSERT INTO dead_letter (order_id, reason, state, topic, record_partition, record_offset,"
     " record_time, record_headers, parked_at)"
     " VALUES ('{done}', 'held', 1, 'order.created', 0, 999999999, now(), '', now())",
     "DELETE FROM dead_letter", false},
    {7, "a dead letter", DB_PAYMENT, "{done}",
     "INSERT INTO dead_letter (order_id, reason, state, topic, record_partition, record_offset,"
     " record_time, record_headers, parked_at)"
     " VALUES ('{done}', 'test', 0, 'order.created', 0, 999999999, now(), '', now())",
     "DELETE FROM dead_letter", true},
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
     "UPDATE stock_ledger SET quantity = quantity + 1 WHERE order_id = '{done}'",
     "UPDATE stock_ledger SET quantity = quantity - 1 WHERE order_id = '{done}'", false},
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
    {9, "a key of no order", DB_ORDER, STRANGER,
     "INSERT INTO idempotency VALUES ('a b', '" STRANGER "', '', now(), now())",
     "DELETE FROM idempotency WHERE order_id = '" STRANGER "'", false},
};

Test(audit, names_each_damage)
{
    char *output, order[40];
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const struct damage *damage = &damages[i];
        snprintf(order, sizeof order, "%s", filled(damage->order));
        db_run(damage->db, filled(damage->harm));
        int status = audit(damage->settled ? "--settled" : NULL, NULL, &output);
        db_run(damage->db, filled(damage->mend));
        cr_assert_eq(status, 1, "%s is not seen:\n%s", damage->name, output);
        names(output, damage->invariant, order, damage->name);
        free(output);
    }
    int status = audit("--settled", NULL, &output);
    cr_assert_eq(status, 0, "it is mended:\n%s", output);
    free(output);
}
