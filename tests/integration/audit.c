/* audit.c: the auditor can say no. Each kind of damage is done to one row, and the auditor names
 * that invariant and that order, and no other; then it is mended, and the auditor is content again.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/groups.h"
#include "support/http.h"
#include "support/orders.h"
#include "support/stack.h"

#define SOON "20"

static char done[40];    /* a completed order, made with a key */
static char undone[40];  /* a cancelled one: charged and refunded, held and released */
static char refused[40]; /* a cancelled one: never charged */
static char key[80];     /* of the first, as idempotency has it */
static char place[80];   /* where the payment.done of the first stands: partition, offset */
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

static void place_order(const char *body, const char *headers, const char *end, char ret_id[40])
{
    struct order_answer answer = order_send(body, headers);
    cr_assert_str_eq(order_text(&answer, "status"), end);
    snprintf(ret_id, 40, "%s", answer.id);
    order_answer_free(&answer);
}

/* From the timeline of the first order. */
static void find_place(void)
{
    char path[100];
    size_t i;
    json_t *entry;
    snprintf(path, sizeof path, "/v1/orders/%s/timeline", done);
    struct http_answer *answer =
        http_call(stack_address("ORDER_API"), "GET", path, NULL, NULL, 5000);
    json_t *timeline = json_loadb(answer->body, answer->body_len, 0, NULL);
    json_array_foreach(json_object_get(timeline, "data"), i, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "event")), "payment.done") == 0)
            snprintf(place, sizeof place, "%lld, %lld",
                     json_integer_value(json_object_get(entry, "partition")),
                     json_integer_value(json_object_get(entry, "offset")));
    }
    cr_assert_neq(place[0], '\0', "%s", answer->body);
    json_decref(timeline);
    http_answer_free(answer);
}

static void make_orders(void)
{
    char header[160];
    snprintf(key, sizeof key, "audit-%lld", (long long)clock_us());
    snprintf(header, sizeof header, "Prefer: wait=20\r\nIdempotency-Key: %s\r\n", key);
    place_order(order_body(NULL, NULL, NULL), header, "completed", done);
    place_order(order_body(NULL, NULL, "AQ"), "Prefer: wait=20\r\n", "cancelled", undone);
    place_order(order_body("pm_card_declined", NULL, NULL), "Prefer: wait=20\r\n", "cancelled",
                refused);
    find_place();
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

/* {done} and so on in a statement. */
static const char *filled(const char *sql)
{
    static char text[2048];
    const struct {
        const char *name, *value;
    } values[] = {{"{done}", done},
                  {"{undone}", undone},
                  {"{refused}", refused},
                  {"{key}", key},
                  {"{place}", place}};
    const size_t count = sizeof values / sizeof *values;
    size_t len = 0;
    while (*sql != '\0' && len + 100 < sizeof text) {
        size_t i = 0;
        while (i < count && strncmp(sql, values[i].name, strlen(values[i].name)) != 0)
            i++;
        if (i == count) {
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

#define LETTER(state, topic, place, value)                                                         \
    "INSERT INTO dead_letter (order_id, reason, state, topic, record_partition, record_offset,"    \
    " record_value, record_time, record_headers, parked_at)"                                       \
    " VALUES ('{done}', 'test', " #state ", '" topic "', " place ", '" value                       \
    "', now(), '', now());"
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
    {3, "a payment of another amount than its charge", DB_PAYMENT, "{done}",
     "UPDATE payment SET amount = amount + 1 WHERE order_id = '{done}'",
     "UPDATE payment SET amount = amount - 1 WHERE order_id = '{done}'", false},
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
    {7, "a dead letter that waits for nothing", DB_PAYMENT, "{done}",
     LETTER(1, "order.created", "0, 999999999", "x"), NO_LETTERS, false},
    {7, "a dead letter that waits for a discarded one", DB_PAYMENT, "{done}",
     LETTER(3, "order.created", "0, 999999998", "x")
         LETTER(1, "order.created", "0, 999999999", "x"),
     NO_LETTERS, false},
    {7, "a dead letter that waits for a redriven one", DB_PAYMENT, "{done}",
     LETTER(4, "order.created", "0, 999999998", "x")
         LETTER(1, "order.created", "0, 999999999", "x"),
     NO_LETTERS, false},
    {7, "a dead letter of no topic", DB_PAYMENT, "{done}", LETTER(3, "order.lost", "0, 1", "x"),
     NO_LETTERS, false},
    {7, "a dead letter with another value than its record", DB_ORDER, "{done}",
     LETTER(3, "payment.done", "{place}", "x"), NO_LETTERS, false},
    {7, "a dead letter", DB_PAYMENT, "{done}", LETTER(0, "order.created", "0, 999999999", "x"),
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
        cr_expect_eq(status, 1, "%s is not seen:\n%s", damage->name, output);
        if (status == 1)
            names(output, damage->invariant, order, damage->name);
        free(output);
    }
    int status = audit("--settled", NULL, &output);
    cr_assert_eq(status, 0, "it is mended:\n%s", output);
    free(output);
}

/* Two orders are broken then, and the first of them is named. */
Test(audit, names_the_first_of_two_with_one_tracking_number)
{
    char *output;
    db_run(DB_SHIPPING,
           filled("ALTER TABLE parcel DROP CONSTRAINT parcel_tracking_number_key;"
                  "INSERT INTO parcel SELECT '" STRANGER "', state, country, tracking_number,"
                  " reason, shipped_at FROM parcel WHERE order_id = '{done}'"));
    int status = audit(NULL, NULL, &output);
    db_run(DB_SHIPPING, "DELETE FROM parcel WHERE order_id = '" STRANGER "';"
                        "ALTER TABLE parcel ADD UNIQUE (tracking_number)");
    cr_assert_eq(status, 1, "%s", output);
    const char *line = strstr(output, "I1 BROKEN order=" STRANGER " parcel: ");
    cr_assert_not_null(line, "%s", output);
    cr_assert_not_null(memmem(line, strcspn(line, "\n"), "(2 in all)", 10), "%s", output);
    free(output);
}
