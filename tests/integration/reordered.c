/*
 * reordered.c: what was done later is heard earlier. The topics are read side by side, so an undo
 * may come before its action; here it always does, for orders of our own and for those of a load
 * that goes on all the time; and every topic is heard later than the others by all who hear it.
 * Offsets are moved by hand, so the auditor can only look in the end.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/auditor.h"
#include "support/clock.h"
#include "support/db.h"
#include "support/groups.h"
#include "support/harm.h"
#include "support/metric.h"
#include "support/orders.h"
#include "support/promised.h"
#include "support/stack.h"
#include "support/topics.h"

#define SOON_S 30
#define ANSWERS_S 60
#define SETTLE_S 90
#define ORDERS 20
#define PARTITIONS 2
#define VOID(step, op) "saga_steps_total{step=\"" step "\",op=\"" op "\",result=\"void\"}"

static void attach(void)
{
    cr_assert(stack_attach());
}

TestSuite(reordered, .init = attach, .timeout = 300);

/* How often so far; not yet is 0. */
static double count_of(const char *address, const char *series)
{
    double count = metric_of(stack_address(address), series);
    return count < 0 ? 0 : count;
}

/* It leaves its group: then offsets can be stored for it. */
static void stops(const char *service)
{
    struct stack_part part;
    int64_t before = stack_log_count(service, "\"stopped\"");
    cr_assert(stack_part(service, &part));
    cr_assert_eq(kill(part.pid, SIGTERM), 0);
    cr_assert(CLOCK_UNTIL(SOON_S, stack_gone(part.pid)));
    cr_assert_eq(stack_log_count(service, "\"stopped\""), before + 1, "%s", service);
}

/* Kafka takes offsets once it knows that the last member has left. */
static void store(const char *service, const char *topic, const int64_t offsets[PARTITIONS])
{
    const char *kafka = stack_address("KAFKA_BOOTSTRAP");
    for (int32_t i = 0; i < PARTITIONS; i++)
        cr_assert(CLOCK_UNTIL(SOON_S, groups_store(kafka, service, topic, i, offsets[i])));
}

static void payment_goes_on_at(const int64_t offsets[PARTITIONS])
{
    store("payment-svc", "order.created", offsets);
    cr_assert(stack_up("payment-svc", NULL));
}

/* All orders come to their ends, as their customers were told. */
static void settle(struct traffic *traffic)
{
    harm_wait_accepted(traffic);
    bool all = traffic_end(traffic, ANSWERS_S);
    cr_assert_null(traffic_complaint(traffic), "%s", traffic_complaint(traffic));
    cr_assert(all);
    auditor_holds(SETTLE_S);
    const char *wrong = promised_wrong_traffic(traffic);
    cr_assert_null(wrong, "%s", wrong);
    traffic_free(traffic);
}

static bool is_void(enum db db, const char *table, const char *id)
{
    char sql[96];
    snprintf(sql, sizeof sql, "SELECT state FROM %s WHERE order_id = $1::uuid", table);
    return db_int(db, sql, id) == 4;
}

static void place_and_cancel(struct order_answer *order)
{
    *order = order_send(order_body(NULL, NULL, NULL), NULL);
    cr_assert_eq(order->status, 201, "%d", order->status);
    struct order_answer cancel = order_cancel(order->id);
    cr_assert_eq(cancel.status, 202, "%d", cancel.status);
    order_answer_free(&cancel);
}

/* Cancelled before they are paid for, and payment hears of the cancel first. Each undo finds
 * nothing, says that it is done, and keeps out the action, which comes last. */
Test(reordered, undos_are_heard_before_their_actions)
{
    const char *kafka = stack_address("KAFKA_BOOTSTRAP");
    int64_t before[PARTITIONS], after[PARTITIONS];
    struct order_answer orders[ORDERS];
    struct traffic *traffic = traffic_begin(HARM_RATE);
    harm_wait_accepted(traffic);
    double before_count = count_of("INVENTORY_API", VOID("inventory", "undo"));
    stops("payment-svc");
    for (int32_t i = 0; i < PARTITIONS; i++)
        before[i] = groups_stored(kafka, "payment-svc", "order.created", i);
    for (size_t i = 0; i < ORDERS; i++)
        place_and_cancel(&orders[i]);
    for (size_t i = 0; i < ORDERS; i++)
        cr_assert(CLOCK_UNTIL(SOON_S, is_void(DB_INVENTORY, "reservation", orders[i].id)));
    cr_assert_geq(count_of("INVENTORY_API", VOID("inventory", "undo")), before_count + ORDERS);
    for (int32_t i = 0; i < PARTITIONS; i++)
        after[i] = groups_end(kafka, "order.created", i);
    payment_goes_on_at(after);
    for (size_t i = 0; i < ORDERS; i++)
        cr_assert(order_reaches(orders[i].id, "cancelled", SOON_S));
    cr_assert_geq(count_of("PAYMENT_OPS", VOID("payment", "undo")), ORDERS);
    harm_wait_accepted(traffic);
    stops("payment-svc");
    payment_goes_on_at(before);
    cr_assert(CLOCK_UNTIL(SOON_S, count_of("PAYMENT_OPS", VOID("payment", "action")) >= ORDERS));
    for (int32_t i = 0; i < PARTITIONS; i++)
        cr_assert(CLOCK_UNTIL(SOON_S,
                              groups_stored(kafka, "payment-svc", "order.created", i) >= after[i]));
    settle(traffic);
    for (size_t i = 0; i < ORDERS; i++) {
        cr_assert_eq(db_int(DB_PAYMENT,
                            "SELECT state * 10 + amount FROM payment WHERE order_id = $1::uuid",
                            orders[i].id),
                     40);
        order_answer_free(&orders[i]);
    }
}

#define ROUNDS 3
#define HEARD_MAX 8
#define LATE_MIN 5
#define LATE_MAX 4000
#define NOTED(event) "timeline LIKE '% " event " %'"
#define CALLED_OFF "facts & (1 << 17) <> 0"
#define AMONG "order_id = ANY (string_to_array($1, ',')::uuid[])"

/* Who hears what, and in which round late. Each works for the one below, who stands still then. */
static const struct listener {
    const char *name;
    enum db db;
    const char *table;
    struct heard {
        const char *topic;
        int late_in;
        const char *is_heard;  /* of a row */
        const char *overtaken; /* what is said later of the order is heard; NULL: nothing is */
        bool called_off;       /* too late to be of use: then there is something later */
    } heard[HEARD_MAX + 1];
} listeners[] = {
    {"shipping-svc",
     DB_SHIPPING,
     "parcel",
     {{"inventory.reserved", 0, "state IN (1, 2)", "state = 4", false},
      {"order.cancel_requested", 1, "state = 4", "state = 1", false}}},
    {"inventory-svc",
     DB_INVENTORY,
     "reservation",
     {{"payment.done", 0, "state IN (1, 2, 3)", "state = 4", false},
      {"shipping.failed", 1, "state IN (3, 4)", "state = 1", false},
      {"order.shipped", 1, "issue_state <> 0", NULL, false}}},
    {"payment-svc",
     DB_PAYMENT,
     "payment",
     {{"order.created", 0, "state IN (1, 2, 3)", "state = 4", false},
      {"inventory.failed", 1, "state = 3", NULL, false},
      {"inventory.released", 1, "state IN (3, 4)", "state = 1", false}}},
    {"order-svc",
     DB_ORDER,
     "orders",
     {{"payment.done", 1, NOTED("payment.done"), NOTED("inventory.reserved"), false},
      {"payment.failed", 1, NOTED("payment.failed"), NOTED("inventory.released"), true},
      {"shipping.failed", 1, NOTED("shipping.failed"), NOTED("inventory.released"), false},
      {"payment.refunded", 1, NOTED("payment.refunded"), NULL, false},
      {"inventory.reserved", 2, NOTED("inventory.reserved"), NOTED("shipping.failed"), false},
      {"inventory.failed", 2, NOTED("inventory.failed"), NOTED("payment.refunded"), false},
      {"inventory.released", 2, NOTED("inventory.released"), NOTED("payment.refunded"), false},
      {"order.shipped", 2, NOTED("order.shipped"), CALLED_OFF, true}}}};
#define LISTENERS (sizeof listeners / sizeof *listeners)

/* What is said while somebody does not hear, of each topic. */
static struct backlog {
    const struct listener *listener;
    int round;
    bool is_late; /* what was said in that round is still to be heard */
    struct topics *said;
    struct late {
        int64_t from[PARTITIONS], ends[PARTITIONS];
        size_t count;
        char ids[LATE_MAX * 37 + 1]; /* a comma before each but the first */
        int64_t overtaken;
    } late[HEARD_MAX];
} backlogs[LISTENERS];

static void on_record(void *opaque, const struct topics_record *record)
{
    struct backlog *backlog = opaque;
    size_t i = 0;
    while (strcmp(backlog->listener->heard[i].topic, record->topic) != 0)
        i++;
    struct late *late = &backlog->late[i];
    if (late->count < LATE_MAX)
        sprintf(late->ids + strlen(late->ids), "%s%s", late->count++ > 0 ? "," : "", record->key);
}

static int64_t rows(const struct backlog *backlog, size_t i, const char *condition)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE " AMONG " AND %s",
             backlog->listener->table, condition);
    return db_int(backlog->listener->db, sql, backlog->late[i].ids);
}

static bool is_late_in(const struct backlog *backlog, size_t i)
{
    return backlog->listener->heard[i].late_in == backlog->round;
}

static void ask_offsets(int64_t ret_offsets[PARTITIONS], const char *group, const char *topic)
{
    const char *kafka = stack_address("KAFKA_BOOTSTRAP");
    for (int32_t p = 0; p < PARTITIONS; p++) {
        ret_offsets[p] =
            group == NULL ? groups_end(kafka, topic, p) : groups_stored(kafka, group, topic, p);
        cr_assert_geq(ret_offsets[p], 0);
    }
}

/* It stops; what it was to hear late it hears next. */
static void rests(struct backlog *backlog, int round)
{
    const struct listener *listener = backlog->listener;
    const char *names[HEARD_MAX + 1] = {NULL};
    stops(listener->name);
    for (size_t i = 0; listener->heard[i].topic != NULL; i++) {
        struct late *late = &backlog->late[i];
        names[i] = listener->heard[i].topic;
        if (backlog->is_late && is_late_in(backlog, i))
            store(listener->name, names[i], late->from);
        ask_offsets(late->from, listener->name, names[i]);
        late->count = 0;
        late->ids[0] = '\0';
    }
    backlog->is_late = false;
    backlog->round = round;
    backlog->said = topics_mark(stack_address("KAFKA_BOOTSTRAP"), names, on_record, backlog);
    cr_assert_not_null(backlog->said);
}

/* Enough is said that will be heard late. */
static bool is_said(const struct backlog *backlog)
{
    topics_poll(backlog->said, 10);
    for (size_t i = 0; backlog->listener->heard[i].topic != NULL; i++)
        if (is_late_in(backlog, i) && backlog->late[i].count < LATE_MIN)
            return false;
    return true;
}

/* It hears all but what is late. */
static void goes_on(struct backlog *backlog)
{
    const struct listener *listener = backlog->listener;
    cr_assert(CLOCK_UNTIL(SOON_S, is_said(backlog)), "%s", listener->name);
    cr_assert(topics_catch_up(backlog->said, SOON_S));
    topics_close(backlog->said);
    for (size_t i = 0; listener->heard[i].topic != NULL; i++) {
        struct late *late = &backlog->late[i];
        const struct heard *heard = &listener->heard[i];
        ask_offsets(late->ends, NULL, heard->topic);
        if (!is_late_in(backlog, i))
            continue;
        backlog->is_late = true;
        store(listener->name, heard->topic, late->ends);
        late->overtaken = heard->overtaken == NULL ? 0 : rows(backlog, i, heard->overtaken);
    }
    cr_assert(stack_up(listener->name, NULL));
}

/* Of each topic it has heard what came after all that was there when it went on. */
static bool has_gone_on(const struct backlog *backlog)
{
    const struct listener *listener = backlog->listener;
    for (size_t i = 0; listener->heard[i].topic != NULL; i++)
        for (int32_t p = 0; p < PARTITIONS; p++)
            if (groups_stored(stack_address("KAFKA_BOOTSTRAP"), listener->name,
                              listener->heard[i].topic, p) <= backlog->late[i].ends[p])
                return false;
    return true;
}

/* A customer calls off what has shipped, or could not be paid for, as nobody has told him so. */
static void call_off(const char *ids)
{
    char *id =
        db_text(DB_ORDER,
                "SELECT order_id FROM orders WHERE " AMONG " AND NOT " CALLED_OFF " LIMIT 1", ids);
    cr_assert_not_null(id);
    struct order_answer cancel = order_cancel(id);
    cr_assert_eq(cancel.status, 202, "%s: %d", id, cancel.status);
    order_answer_free(&cancel);
    free(id);
}

static void check_late(const struct backlog *backlog, size_t i)
{
    const char *name = backlog->listener->name;
    const struct heard *heard = &backlog->listener->heard[i];
    const struct late *late = &backlog->late[i];
    int64_t overtaken = 0;
    if (heard->called_off)
        call_off(late->ids);
    cr_assert(heard->overtaken == NULL ||
                  CLOCK_UNTIL(SOON_S, (overtaken = rows(backlog, i, heard->overtaken) -
                                                   late->overtaken) > 0),
              "%s has heard nothing before %s", name, heard->topic);
    cr_assert_eq(rows(backlog, i, heard->is_heard), 0, "%s has heard %s", name, heard->topic);
    fprintf(stderr, "reordered: %s: %zu times %s late, %lld of these overtaken\n", name,
            late->count, heard->topic, (long long)overtaken);
}

static bool takes_part(const struct backlog *backlog, int round)
{
    bool any = backlog->is_late;
    for (size_t i = 0; backlog->listener->heard[i].topic != NULL; i++)
        any = any || backlog->listener->heard[i].late_in == round;
    return any;
}

/* One after the other; who rested before goes on when the next one rests, and has much to say. */
static void play_round(int round, const struct traffic *traffic)
{
    struct backlog *before = NULL;
    for (size_t i = 0; i < LISTENERS; i++) {
        if (!takes_part(&backlogs[i], round))
            continue;
        rests(&backlogs[i], round);
        if (i == 0)
            harm_wait_accepted(traffic);
        if (before != NULL)
            goes_on(before);
        before = &backlogs[i];
    }
    goes_on(before);
    for (size_t i = 0; i < LISTENERS; i++) {
        if (!backlogs[i].is_late)
            continue;
        cr_assert(CLOCK_UNTIL(SOON_S, has_gone_on(&backlogs[i])), "%s", listeners[i].name);
        for (size_t k = 0; listeners[i].heard[k].topic != NULL; k++)
            if (is_late_in(&backlogs[i], k))
                check_late(&backlogs[i], k);
    }
}

static int64_t letters(void)
{
    int64_t count = 0;
    for (enum db db = 0; db < DB_COUNT; db++)
        count += db_int(db, "SELECT count(*) FROM dead_letter", NULL);
    return count;
}

/*
 * Of each topic some is said while a service does not hear, and heard by it when it has heard all
 * that the other topics had then, and something newer of each: so what follows from an event comes
 * before it, wherever something can. Whoever hears that too early waits for nothing: the barrier
 * knows what to do, so no letter is held.
 */
Test(reordered, every_topic_is_heard_late_by_all_who_hear_it)
{
    int64_t before = letters();
    struct traffic *traffic = traffic_begin(HARM_RATE);
    harm_wait_accepted(traffic);
    for (size_t i = 0; i < LISTENERS; i++)
        backlogs[i].listener = &listeners[i];
    for (int round = 0; round <= ROUNDS; round++) /* in the last one nothing is late any more */
        play_round(round, traffic);
    settle(traffic);
    cr_assert_eq(letters(), before);
}
