/* audit.c: the auditor can say no. Each kind of damage is done to one row, and the auditor names
 * what is broken by it, that order and the rows, and nothing else; then it is mended, and the
 * auditor is content again.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_damages.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/groups.h"
#include "support/http.h"
#include "support/orders.h"
#include "support/stack.h"

#define SOON "20"
#define INVARIANTS 9

static char done[40];     /* a completed order, made with a key */
static char undone[40];   /* a cancelled one: charged and refunded, held and released */
static char refused[40];  /* a cancelled one: never charged */
static char key[80];      /* of the first, as idempotency has it */
static char place[80];    /* where the payment.done of the first stands: partition, offset */
static char reserved[80]; /* and its inventory.reserved */
static char place_at[80]; /* the same, as the auditor writes them */
static char reserved_at[80];
static char payload[800]; /* of that payment.done */

/* That it could not look is no answer: on a machine without a free core Kafka is away for a while.
 */
static int audit(const char *option, const char *seconds, char **ret_output)
{
    int status = 2;
    for (int tries = 0; status == 2 && tries < 10; tries++) {
        if (tries > 0)
            free(*ret_output);
        status = command_run(
            stack_root(),
            (const char *const[]){"deploy/audit", option, seconds ? "--wait" : NULL, seconds, NULL},
            ret_output);
    }
    return status;
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

/* In the timeline of the first order. */
static bool is_there(const char *event, char ret_place[80], char ret_at[80])
{
    char path[100];
    size_t i;
    json_t *entry;
    bool found = false;
    snprintf(path, sizeof path, "/v1/orders/%s/timeline", done);
    struct http_answer *answer =
        http_call(stack_address("ORDER_API"), "GET", path, NULL, NULL, 5000);
    json_t *timeline = json_loadb(answer->body, answer->body_len, 0, NULL);
    json_array_foreach(json_object_get(timeline, "data"), i, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "event")), event) != 0)
            continue;
        found = true;
        long long partition = json_integer_value(json_object_get(entry, "partition"));
        long long offset = json_integer_value(json_object_get(entry, "offset"));
        snprintf(ret_place, 80, "%lld, %lld", partition, offset);
        snprintf(ret_at, 80, "%lld/%lld", partition, offset);
    }
    json_decref(timeline);
    http_answer_free(answer);
    return found;
}

/* It is completed when it is shipped; of another topic, something may still have to be heard. */
static void find_place(const char *event, char ret_place[80], char ret_at[80])
{
    cr_assert(CLOCK_UNTIL(20, is_there(event, ret_place, ret_at)), "no %s", event);
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
    find_place("payment.done", place, place_at);
    find_place("inventory.reserved", reserved, reserved_at);
    char *said = db_text(DB_PAYMENT,
                         "SELECT payload FROM outbox WHERE type = 'payment.done'"
                         " AND order_id = $1::uuid",
                         done);
    snprintf(payload, sizeof payload, "%s", said);
    free(said);
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

TestSuite(audit, .init = begin, .fini = end, .timeout = 600);

/* {done} and so on in a statement. */
static const char *filled(const char *sql)
{
    static char text[4096];
    const struct {
        const char *name, *value;
    } values[] = {{"{done}", done},       {"{undone}", undone},   {"{refused}", refused},
                  {"{key}", key},         {"{place}", place},     {"{reserved}", reserved},
                  {"{payload}", payload}, {"{place/}", place_at}, {"{reserved/}", reserved_at}};
    const size_t count = sizeof values / sizeof *values;
    size_t len = 0;
    while (*sql != '\0' && len + sizeof payload < sizeof text) {
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

/* What the line of an invariant is to name: the order, "-", or (NULL) that it holds. */
static const char *named(const struct damage *damage, int invariant, const char *order)
{
    char name[16];
    snprintf(name, sizeof name, "I%d", invariant);
    const char *at = strstr(damage->broken, name);
    if (at == NULL)
        return NULL;
    return at[strlen(name)] == '-' ? "-" : order;
}

/* All that the damage breaks, and nothing else, is reported, of that order alone, and why. */
static void names(const char *output, const struct damage *damage, const char *order)
{
    for (int i = 1; i <= INVARIANTS; i++) {
        char wanted[80];
        const char *about = named(damage, i, order);
        snprintf(wanted, sizeof wanted, about ? "I%d BROKEN order=%s " : "I%d ok ", i, about);
        const char *line = strstr(output, wanted);
        cr_assert_not_null(line, "%s: no \"%s\":\n%s", damage->name, wanted, output);
        if (about == NULL)
            continue;
        const size_t len = strcspn(line, "\n");
        cr_assert_not_null(memmem(line, len, "(1 in all)", 10), "%s: more than one:\n%s",
                           damage->name, output);
        if (damage->broken[1] - '0' != i)
            continue;
        const char *says = filled(damage->says);
        cr_assert_not_null(memmem(line, len, says, strlen(says)), "%s: not \"%s\":\n%s",
                           damage->name, says, output);
    }
}

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
            names(output, damage, order);
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
           filled("INSERT INTO parcel SELECT '" STRANGER "', state, country, tracking_number,"
                  " reason, shipped_at FROM parcel WHERE order_id = '{done}'"));
    int status = audit(NULL, NULL, &output);
    db_run(DB_SHIPPING, "DELETE FROM parcel WHERE order_id = '" STRANGER "'");
    cr_assert_eq(status, 1, "%s", output);
    const char *line = strstr(output, "I1 BROKEN order=" STRANGER " parcel: ");
    cr_assert_not_null(line, "%s", output);
    cr_assert_not_null(memmem(line, strcspn(line, "\n"), "(2 in all)", 10), "%s", output);
    free(output);
}
