/* judge.c: the judge of chaos can say no. Each damage is done to one order, and the judge names
 * that order, and no other; then its row is as it was.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "chaos/customers.h"
#include "chaos/judge.h"
#include "chaos/wish.h"
#include "support/clock.h"
#include "support/db.h"
#include "support/orders.h"
#include "support/stack.h"

#define RATE 300
#define ENOUGH 600
#define PATIENCE_S 60
#define STRANGER "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa"

static void begin(void)
{
    cr_assert(stack_attach());
}

TestSuite(judge, .init = begin, .timeout = 5 * PATIENCE_S);

/* ---- customers, and what they have in the end ---- */

static struct customers *customers;
static char before[40]; /* an order that was there before they began */
static char done[40];   /* completed, as its customer was told, who has a key */
static char undone[40]; /* cancelled and refunded since a step refused, as its customer was told */
static char quiet[40];  /* completed, and its customer did not ask how it ended */

static int64_t on_their_way(void)
{
    char run[WISH_KEY_SIZE];
    wish_write_key(customers_at(customers, 0)->mark, run);
    run[strlen(run) - WISH_NUMBER_BITS / 4] = '\0';
    return db_int(DB_ORDER,
                  "SELECT count(*) FROM orders WHERE completion = 0 AND placement = 1"
                  " AND metadata LIKE '%\"' || $1 || '%'",
                  run);
}

static void place_stranger(void)
{
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    cr_assert_str_eq(order_text(&answer, "status"), "completed");
    snprintf(before, sizeof before, "%s", answer.id);
    order_answer_free(&answer);
}

static void let_them_order(uint64_t seed)
{
    customers = customers_begin(stack_address("ORDER_API"), RATE, seed);
    cr_assert(CLOCK_UNTIL(PATIENCE_S, customers_count(customers) >= ENOUGH));
    cr_assert(customers_rest(customers, PATIENCE_S));
    cr_assert_null(customers_complaint(customers), "%s", customers_complaint(customers));
    cr_assert(CLOCK_UNTIL(PATIENCE_S, on_their_way() == 0));
}

static void choose_orders(void)
{
    char order[WISH_ORDER_SIZE];
    for (size_t n = 0; n < customers_count(customers); n++) {
        const struct customer *customer = customers_at(customers, n);
        enum wish_path path = wish_of(customer->mark).path;
        if (!customer->keyed || customer->cancel_status != 0 || customer->accepted_us == 0 ||
            wish_write_order(customer->mark, order) == 0)
            continue;
        if (customer->completed)
            snprintf(done, sizeof done, "%s", customer->id);
        else if (customer->ended && path >= WISH_SKU)
            snprintf(undone, sizeof undone, "%s", customer->id);
        else if (!customer->ended && path == WISH_CARD)
            snprintf(quiet, sizeof quiet, "%s", customer->id);
    }
    cr_assert(done[0] != '\0' && undone[0] != '\0' && quiet[0] != '\0');
}

static void expect_all_well(const char *when)
{
    struct judgement judgement;
    cr_assert(judge(customers, &judgement), "%s", when);
    cr_assert_eq(judgement.wrong, 0, "%s: order %s: %s", when,
                 judgement.counterexamples[0].order_id, judgement.counterexamples[0].what);
    cr_assert_eq(judgement.accepted + judgement.refused + judgement.unknown,
                 customers_count(customers));
    cr_assert_eq(judgement.completed + judgement.cancelled,
                 judgement.accepted + judgement.unknown_there);
    cr_assert(judgement.completed > 0 && judgement.cancelled > 0);
    judge_free(&judgement);
}

/* The marks of the second time would be keys of the first. */
Test(judge, finds_nothing_wrong_with_a_stack_that_is_right_and_with_one_that_knows_the_seed)
{
    uint64_t first = 0;
    for (size_t times = 0; times < 2; times++) {
        let_them_order(1);
        cr_assert_neq(customers_at(customers, 0)->mark, first);
        first = customers_at(customers, 0)->mark;
        expect_all_well("unharmed");
        customers_free(customers);
    }
}

/* ---- damages ---- */

/* Of an order's facts. */
#define COMPLETED "(8 | 16)" /* and shipped */
#define CANCELLED "1024"
#define CARD_DECLINED "2048"
#define REASONS "(2048 | 4096 | 8192 | 16384 | 32768 | 65536)"
#define OVERDUE "262144"

#define THE(name) "current_setting('judge." name "')::uuid"
#define SET(what) "UPDATE orders SET " what " WHERE order_id = " THE("order")
#define COPY "INSERT INTO orders SELECT (jsonb_populate_record(o, '{\"order_id\":\"" STRANGER "\""
#define OF_IT "}')).* FROM orders o WHERE order_id = " THE("order")
#define CALLED_OFF(us)                                                                             \
    SET("placement = 3, completion = 0, facts = facts & ~" COMPLETED " | " CANCELLED " | " OVERDUE \
        ", timeline = timeline || (extract(epoch FROM deadline_at) * 1000000)::bigint " us         \
        " || ' order.cancel_requested -1 -1 deadline_exceeded' || chr(10)")

#define KEEP "CREATE TEMPORARY TABLE kept AS SELECT * FROM orders WHERE order_id = " THE("order")
#define PUT_BACK                                                                                   \
    "DELETE FROM orders WHERE order_id = '" STRANGER                                               \
    "' OR order_id = " THE("order") "; INSERT INTO orders SELECT * FROM kept; DROP TABLE kept"

static const struct damage {
    const char *name;
    const char *order; /* to which it is done */
    const char *named; /* NULL: that one */
    const char *harm;
    const char *words; /* NULL: nothing is wrong with that */
} damages[] = {
    {"an order that nobody wanted", done, STRANGER, COPY ",\"metadata\":\"{}\"" OF_IT,
     "nobody has asked for"},
    {"two of one key", done, NULL, COPY OF_IT, "2 orders are there for one key"},
    {"it is gone", done, NULL, "DELETE FROM orders WHERE order_id = " THE("order"), "is not there"},
    {"another's", done, NULL, SET("metadata = '{\"mark\":\"no\"}'"), "is not there"},
    {"the total", done, NULL, SET("total = total + 1"), "not the one that was sent"},
    {"the goods", quiet, NULL, SET("items = replace(items, 'SKU', 'SKV')"),
     "not the one that was sent"},
    {"the deadline", done, NULL, SET("deadline_at = deadline_at + interval '1 ms'"), "other times"},
    {"not at its end", quiet, NULL, SET("completion = 0"), "has not come to its end"},
    {"its end is not what GET says", done, NULL, SET("placement = 3, completion = 0"),
     "GET says completed, the database cancelled"},
    {"its end is not what its customer was told", done, NULL,
     SET("placement = 3, completion = 0, facts = facts & ~" COMPLETED " | " CANCELLED),
     "was seen completed, and is cancelled"},
    {"the tracking number", done, NULL, SET("tracking_number = 'PKG'"), "another end"},
    {"the refund", undone, NULL, SET("refunded = 0"), "another end"},
    {"the reason", undone, NULL, SET("facts = facts & ~" REASONS " | " CARD_DECLINED),
     "for no reason that fits"},
    {"a mark of theirs on what was there before", before, NULL,
     SET("metadata = (SELECT metadata FROM orders WHERE order_id = " THE("done") ")"), NULL},
    {"called off too early", quiet, NULL, CALLED_OFF("- 1"), "nobody had asked for it"},
    {"called off in time", quiet, NULL, CALLED_OFF("+ 0"), NULL},
};

/* THE order of that name; all statements are of one session. */
static void call(const char *name, const char *order)
{
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT set_config('judge.%s', '%s', false)", name, order);
    db_run(DB_ORDER, sql);
}

/* Everything that it found is about that order. */
static void names(const struct judgement *judgement, const char *order, const struct damage *damage)
{
    bool found = false, told = false;
    cr_expect(judgement->wrong > 0 && judgement->wrong < JUDGE_COUNTEREXAMPLES_MAX, "%s: %zu",
              damage->name, judgement->wrong);
    for (size_t i = 0; i < judgement->wrong && i < JUDGE_COUNTEREXAMPLES_MAX; i++) {
        const struct counterexample *example = &judgement->counterexamples[i];
        cr_expect_str_eq(example->order_id, order, "%s: another is named: %s: %s", damage->name,
                         example->order_id, example->what);
        found = found || strstr(example->what, damage->words) != NULL;
        told = told || (example->timeline != NULL && strstr(example->timeline, "order.created"));
    }
    cr_expect(found, "%s: not \"%s\": \"%s\"", damage->name, damage->words,
              judgement->counterexamples[0].what);
    cr_expect_eq(told, strstr(damage->harm, "DELETE") == NULL, "%s: its timeline", damage->name);
}

Test(judge, names_each_damage)
{
    place_stranger();
    let_them_order(2);
    choose_orders();
    call("done", done);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const struct damage *damage = &damages[i];
        struct judgement judgement;
        call("order", damage->order);
        db_run(DB_ORDER, KEEP);
        db_run(DB_ORDER, damage->harm);
        bool looked = judge(customers, &judgement);
        db_run(DB_ORDER, PUT_BACK);
        cr_expect(looked, "%s", damage->name);
        if (damage->words == NULL)
            cr_expect_eq(judgement.wrong, 0, "%s: %s", damage->name,
                         judgement.counterexamples[0].what);
        else
            names(&judgement, damage->named == NULL ? damage->order : damage->named, damage);
        judge_free(&judgement);
    }
    expect_all_well("mended");
    customers_free(customers);
}
