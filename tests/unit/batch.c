/* batch.c: the identity map, the decisions of one batch, and that a failure leaves no trace. */
#include <criterion/criterion.h>

#include "core/batch.h"

/* ---- a service with one step, one watch and one command ---- */

struct sale {
    struct saga_uuid order_id;
    int16_t state;
    int32_t quantity;
    struct saga_text sku;
};

struct stock {
    struct saga_text sku;
    int32_t held;
};

struct entry {
    struct saga_uuid order_id;
    int32_t quantity;
};

struct sold {
    struct saga_uuid order_id;
    struct saga_text sku;
    int32_t quantity;
};

static const struct saga_shape sale_shape = SAGA_SHAPE(
    struct sale, SAGA_FIELD(struct sale, order_id, SAGA_UUID),
    SAGA_FIELD(struct sale, state, SAGA_INT16), SAGA_FIELD(struct sale, quantity, SAGA_INT32),
    SAGA_FIELD(struct sale, sku, SAGA_STRING));
static const struct saga_shape stock_shape =
    SAGA_SHAPE(struct stock, SAGA_FIELD(struct stock, sku, SAGA_STRING),
               SAGA_FIELD(struct stock, held, SAGA_INT32));
static const struct saga_shape entry_shape =
    SAGA_SHAPE(struct entry, SAGA_FIELD(struct entry, order_id, SAGA_UUID),
               SAGA_FIELD(struct entry, quantity, SAGA_INT32));
static const struct saga_shape sold_shape =
    SAGA_SHAPE(struct sold, SAGA_FIELD(struct sold, order_id, SAGA_UUID),
               SAGA_FIELD(struct sold, sku, SAGA_STRING, .optional = true),
               SAGA_FIELD(struct sold, quantity, SAGA_INT32));

static const struct saga_table sales = {"sales", &sale_shape, "load", "insert", "update", NULL};
static const struct saga_table stocks = {"stocks", &stock_shape, "load", "insert", "update", NULL};
static const struct saga_table ledger = {"ledger", &entry_shape, NULL, "insert", NULL, NULL};
enum { SALES, STOCKS, LEDGER };

static const struct saga_event sold = {"sold", &sold_shape, false};
static const struct saga_event returned = {"returned", &sold_shape, false};
static const struct saga_event seen = {"seen", &sold_shape, false};
static const struct saga_event held = {"held", &sold_shape, false};
static const struct saga_event freed = {"freed", &sold_shape, false};
static const struct saga_event missing = {"missing", &sold_shape, false};

/* Quantities that make the handler fail, half-way or at once. */
enum { FAIL_EARLY = 1001, FAIL_LATE = 1002, FAIL_SILENT = 1003 };

static void take_wants(struct saga_tx *tx, const struct saga_message *in)
{
    saga_want(tx, &stocks, saga_body(in, sold)->sku);
}

static enum saga_verdict take(struct saga_tx *tx, const struct saga_message *in)
{
    const struct sold *body = saga_body(in, sold);
    if (body->quantity == FAIL_EARLY)
        return saga_poison(tx, "early");
    struct stock *stock = saga_edit(tx, &stocks, body->sku);
    if (stock == NULL || stock->held + body->quantity > 100000) {
        saga_refuse(tx, &missing, body);
        return SAGA_OK;
    }
    stock->held += body->quantity;
    struct sale *sale = saga_step_row(tx);
    sale->quantity = body->quantity;
    sale->sku = saga_copy(tx, body->sku);
    saga_append(tx, &ledger, &(struct entry){in->order_id, body->quantity});
    saga_remove(tx, &ledger, saga_uuid_key(&in->order_id));
    saga_emit(tx, &held, body);
    saga_outcome(tx, "taken", 7);
    if (body->quantity == FAIL_LATE)
        return saga_poison(tx, "late");
    return body->quantity == FAIL_SILENT ? SAGA_POISON : SAGA_OK;
}

/* The stock is named by the sale, not by the event: tables are loaded in their order. */
static void give_wants(struct saga_tx *tx, const struct saga_message *in)
{
    const struct sale *sale = saga_row(tx, &sales, saga_uuid_key(&in->order_id));
    if (sale != NULL)
        saga_want(tx, &stocks, sale->sku);
}

static enum saga_verdict give(struct saga_tx *tx, const struct saga_message *in)
{
    const struct sale *sale = saga_row(tx, &sales, saga_uuid_key(&in->order_id));
    struct stock *stock = saga_edit(tx, &stocks, sale->sku);
    cr_assert_not_null(stock);
    stock->held -= sale->quantity;
    saga_emit(tx, &freed, &(struct sold){.order_id = in->order_id, .quantity = sale->quantity});
    return SAGA_OK;
}

static enum saga_verdict look(struct saga_tx *tx, const struct saga_message *in)
{
    if (saga_row(tx, &sales, saga_uuid_key(&in->order_id)) == NULL)
        return saga_poison(tx, "no_such_order");
    saga_duplicate(tx);
    return SAGA_OK;
}

static enum saga_verdict put(struct saga_tx *tx, const struct saga_message *in)
{
    const struct sold *body = saga_body(in, sold);
    struct stock *stock = saga_insert(tx, &stocks, body->sku);
    if (stock == NULL) {
        stock = saga_edit(tx, &stocks, body->sku);
        saga_duplicate(tx);
    }
    stock->held += body->quantity;
    return body->quantity == FAIL_LATE ? saga_poison(tx, "late") : SAGA_OK;
}

static const struct saga_command put_command = {"put", put, take_wants};

static const struct saga_step step = {
    .name = "taking",
    .kind = SAGA_COMPENSATABLE,
    .table = &sales,
    .state = offsetof(struct sale, state),
    .action = {.on = (const struct saga_event *const[]){&sold, NULL},
               .run = take,
               .wants = take_wants,
               .says = &held,
               .refuses = &missing},
    .undo = {.on = (const struct saga_event *const[]){&returned, NULL},
             .run = give,
             .wants = give_wants,
             .says = &freed},
};
static const struct saga_watch watch = {
    .on = (const struct saga_event *const[]){&seen, NULL}, .table = &sales, .run = look};

static const struct saga_service service = {
    .name = "test-svc",
    .steps = (const struct saga_step *const[]){&step, NULL},
    .watches = (const struct saga_watch *const[]){&watch, NULL},
    .tables = (const struct saga_table *const[]){&sales, &stocks, &ledger, NULL},
    .commands = (const struct saga_command *const[]){&put_command, NULL},
};

/* ---- driving it ---- */

static struct batch *batch;

static void setup(void)
{
    batch = batch_new(&service, 64, 0);
}

static void teardown(void)
{
    batch_free(batch);
}

static struct saga_uuid order(uint8_t number)
{
    return (struct saga_uuid){.bytes = {[0] = 1, [15] = number}};
}

static struct batch_message *hear(const struct saga_event *event, uint8_t number, const char *sku,
                                  int32_t quantity)
{
    struct batch_message *message = batch_add(batch);
    struct sold *body = arena_alloc(batch_arena(batch), sizeof *body);
    *body = (struct sold){order(number), saga_text(sku), quantity};
    message->in.event = event;
    message->in.order_id = order(number);
    message->in.body = body;
    return message;
}

static struct batch_message *order_put(const char *sku, int32_t quantity)
{
    struct batch_message *message = hear(NULL, 0, sku, quantity);
    message->in.command = &put_command;
    return message;
}

/* What the database has: stock "a" and "b", and sales of those orders that are below. */
static struct sale database[8];
static size_t database_count;

static void load(void)
{
    const struct saga_text *keys;
    size_t count = batch_wanted(batch, SALES, &keys);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < database_count; j++)
            if (saga_text_equal(keys[i], saga_uuid_key(&database[j].order_id))) {
                struct sale *sale = batch_loaded(batch, SALES, keys[i]);
                *sale = database[j];
            }
    count = batch_wanted(batch, STOCKS, &keys);
    for (size_t i = 0; i < count; i++)
        if (saga_text_equal(keys[i], SAGA_TEXT("a")) || saga_text_equal(keys[i], SAGA_TEXT("b"))) {
            struct stock *stock = batch_loaded(batch, STOCKS, keys[i]);
            *stock = (struct stock){keys[i], 10};
        }
    cr_assert_eq(batch_wanted(batch, LEDGER, &keys), 0);
}

static void decide(void)
{
    load();
    batch_decide(batch, 1234);
}

static size_t events(void)
{
    size_t count;
    batch_events(batch, &count);
    return count;
}

static const char *said(size_t index)
{
    size_t count;
    const struct batch_event *list = batch_events(batch, &count);
    cr_assert_lt(index, count);
    return list[index].event->name;
}

static int32_t stock_update(void)
{
    struct batch_set set = batch_updates(batch, STOCKS);
    cr_assert_eq(set.count, 1);
    return ((const struct stock *)set.rows[0])->held;
}

static int16_t sale_insert(size_t index)
{
    struct batch_set set = batch_inserts(batch, SALES);
    cr_assert_lt(index, set.count);
    return ((const struct sale *)set.rows[index])->state;
}

TestSuite(batch, .init = setup, .fini = teardown);

Test(batch, empty)
{
    decide();
    cr_assert_eq(batch_count(batch), 0);
    for (size_t i = 0; i < 3; i++)
        cr_assert(batch_inserts(batch, i).count == 0 && batch_updates(batch, i).count == 0 &&
                  batch_removes(batch, i).count == 0);
    cr_assert_eq(events(), 0);
}

Test(batch, action)
{
    struct batch_message *message = hear(&sold, 1, "a", 3);
    message->in.traceparent = SAGA_TEXT("trace");
    decide();
    cr_assert_eq(message->result, BATCH_DONE);
    cr_assert_str_eq(message->step, "taking");
    cr_assert_str_eq(message->op, "action");
    cr_assert_str_eq(message->outcome, "taken");
    cr_assert_eq(message->began_us, 7);
    cr_assert_eq(message->in.now_us, 1234);
    cr_assert_eq(stock_update(), 13);
    cr_assert_eq(sale_insert(0), SAGA_DONE);
    cr_assert_eq(batch_updates(batch, SALES).count, 0, "a new row is inserted, not updated");
    const struct sale *sale = batch_inserts(batch, SALES).rows[0];
    struct saga_uuid id = order(1);
    cr_assert_eq(memcmp(&sale->order_id, &id, sizeof id), 0);
    cr_assert_eq(batch_inserts(batch, LEDGER).count, 1);
    cr_assert_eq(batch_removes(batch, LEDGER).count, 1);
    size_t count;
    const struct batch_event *event = batch_events(batch, &count);
    cr_assert_eq(count, 1);
    cr_assert_eq(event->event, &held);
    cr_assert_eq(event->cause, message);
    cr_assert_eq(event->said_us, 1234);
    cr_assert(saga_text_equal(event->traceparent, SAGA_TEXT("trace")));
    cr_assert(saga_text_equal(
        event->payload,
        SAGA_TEXT("{\"order_id\":\"01000000-0000-0000-0000-000000000001\",\"sku\":\"a\","
                  "\"quantity\":3}")));
}

Test(batch, duplicate_in_the_same_batch)
{
    hear(&sold, 1, "a", 3);
    struct batch_message *again = hear(&sold, 1, "a", 3);
    decide();
    cr_assert_eq(again->result, BATCH_DUPLICATE);
    cr_assert_eq(stock_update(), 13);
    cr_assert_eq(events(), 1);
    cr_assert_eq(batch_inserts(batch, SALES).count, 1);
}

Test(batch, duplicate_of_what_the_database_knows)
{
    database[database_count++] = (struct sale){order(1), SAGA_DONE, 3, SAGA_TEXT("a")};
    struct batch_message *message = hear(&sold, 1, "a", 3);
    decide();
    cr_assert_eq(message->result, BATCH_DUPLICATE);
    cr_assert_eq(batch_inserts(batch, SALES).count + batch_updates(batch, SALES).count, 0);
    cr_assert_eq(batch_updates(batch, STOCKS).count, 0);
    cr_assert_eq(events(), 0);
}

Test(batch, undo_wants_through_the_table_before)
{
    database[database_count++] = (struct sale){order(1), SAGA_DONE, 3, SAGA_TEXT("b")};
    struct batch_message *message = hear(&returned, 1, NULL, 0);
    decide();
    cr_assert_eq(message->result, BATCH_DONE);
    cr_assert_str_eq(message->op, "undo");
    cr_assert_eq(stock_update(), 7);
    cr_assert_eq(((const struct sale *)batch_updates(batch, SALES).rows[0])->state, SAGA_UNDONE);
    cr_assert_str_eq(said(0), "freed");
}

Test(batch, refusal)
{
    struct batch_message *message = hear(&sold, 1, "nowhere", 3);
    struct batch_message *back = hear(&returned, 1, NULL, 0);
    decide();
    cr_assert_eq(message->result, BATCH_REFUSED);
    cr_assert_eq(sale_insert(0), SAGA_REFUSED);
    cr_assert_eq(back->result, BATCH_DUPLICATE);
    cr_assert_eq(events(), 1);
    cr_assert_str_eq(said(0), "missing");
    cr_assert_eq(batch_updates(batch, STOCKS).count, 0);
}

Test(batch, undo_before_action_is_void)
{
    struct batch_message *undo = hear(&returned, 1, NULL, 0);
    struct batch_message *late = hear(&sold, 1, "a", 3);
    struct batch_message *again = hear(&returned, 1, NULL, 0);
    decide();
    cr_assert_eq(undo->result, BATCH_VOID);
    cr_assert_eq(late->result, BATCH_VOID);
    cr_assert_eq(again->result, BATCH_DUPLICATE);
    cr_assert_eq(sale_insert(0), SAGA_VOID);
    cr_assert_eq(batch_updates(batch, STOCKS).count, 0);
    cr_assert_eq(events(), 1);
    size_t count;
    const struct batch_event *event = batch_events(batch, &count);
    cr_assert_eq(event->event, &freed);
    cr_assert(saga_text_equal(
        event->payload,
        SAGA_TEXT("{\"order_id\":\"01000000-0000-0000-0000-000000000001\",\"quantity\":0}")));
}

Test(batch, rows_are_shared_by_messages)
{
    for (uint8_t i = 1; i <= 20; i++)
        hear(&sold, i, "a", i);
    decide();
    cr_assert_eq(stock_update(), 10 + 210, "a hot row is one update");
    cr_assert_eq(batch_inserts(batch, SALES).count, 20);
    cr_assert_eq(batch_inserts(batch, LEDGER).count, 20);
    cr_assert_eq(events(), 20);
}

Test(batch, keys_are_sorted_distinct_and_asked_once)
{
    static const char *const skus[] = {"b", "a", "bb", "b", "", "a"};
    for (size_t i = 0; i < 6; i++)
        hear(&sold, (uint8_t)(9 - i), skus[i], 1);
    const struct saga_text *keys;
    cr_assert_eq(batch_wanted(batch, SALES, &keys), 6);
    for (uint8_t i = 0; i < 6; i++)
        cr_assert_eq(keys[i].at[15], 4 + i);
    cr_assert_eq(batch_wanted(batch, SALES, &keys), 0);
    cr_assert_eq(batch_wanted(batch, STOCKS, &keys), 4);
    static const char *const sorted[] = {"", "a", "b", "bb"};
    for (size_t i = 0; i < 4; i++)
        cr_assert(saga_text_equal(keys[i], saga_text(sorted[i])));
}

static void failure_leaves_no_trace(int32_t quantity, const char *reason)
{
    hear(&sold, 1, "a", 3);
    struct batch_message *bad = hear(&sold, 2, "a", quantity);
    struct batch_message *good = hear(&sold, 3, "a", 4);
    decide();
    cr_assert_eq(bad->result, BATCH_POISON);
    cr_assert_str_eq(bad->reason, reason);
    cr_assert_null(bad->outcome);
    cr_assert_eq(good->result, BATCH_DONE);
    cr_assert_eq(stock_update(), 17);
    cr_assert_eq(batch_inserts(batch, SALES).count, 2);
    cr_assert_eq(batch_inserts(batch, LEDGER).count, 2);
    cr_assert_eq(batch_removes(batch, LEDGER).count, 2);
    cr_assert_eq(events(), 2);
}

Test(batch, early_failure_leaves_no_trace)
{
    failure_leaves_no_trace(FAIL_EARLY, "early");
}

Test(batch, late_failure_leaves_no_trace)
{
    failure_leaves_no_trace(FAIL_LATE, "late");
}

Test(batch, failure_without_a_reason)
{
    failure_leaves_no_trace(FAIL_SILENT, "handler_failed");
}

Test(batch, only_a_failure)
{
    hear(&sold, 1, "a", FAIL_LATE);
    decide();
    for (size_t i = 0; i < 3; i++)
        cr_assert(batch_inserts(batch, i).count == 0 && batch_updates(batch, i).count == 0 &&
                  batch_removes(batch, i).count == 0);
    cr_assert_eq(events(), 0);
}

Test(batch, later_messages_of_a_failed_order_are_held)
{
    hear(&sold, 1, "a", FAIL_LATE);
    struct batch_message *behind = hear(&returned, 1, NULL, 0);
    struct batch_message *redriven = hear(&returned, 1, NULL, 0);
    struct batch_message *other = hear(&sold, 2, "a", 1);
    redriven->letter = 1;
    decide();
    cr_assert_eq(behind->result, BATCH_HELD);
    cr_assert_eq(redriven->result, BATCH_HELD);
    cr_assert_eq(other->result, BATCH_DONE);
    cr_assert_eq(events(), 1);
}

Test(batch, orders_with_dead_letters_are_held)
{
    struct batch_message *first = hear(&sold, 1, "a", 1);
    struct batch_message *redriven = hear(&sold, 1, "a", 1);
    struct batch_message *other = hear(&sold, 2, "a", 1);
    redriven->letter = 7;
    struct saga_uuid id = order(1);
    batch_hold(batch, &id, 7);
    decide();
    cr_assert_eq(first->result, BATCH_HELD);
    cr_assert_eq(redriven->result, BATCH_DONE);
    cr_assert_eq(other->result, BATCH_DONE);
    cr_assert_eq(stock_update(), 12);
}

/* Order 1: both go, and then nothing holds the third. Order 2: the first was left out of this
 * batch, or is parked again, and may not be overtaken. */
Test(batch, redriven_messages_go_one_after_the_other)
{
    struct saga_uuid one = order(1), two = order(2);
    struct batch_message *message[] = {hear(&sold, 1, "a", 1), hear(&returned, 1, NULL, 0),
                                       hear(&returned, 1, NULL, 0), hear(&sold, 2, "a", 1)};
    for (int64_t letter = 7; letter <= 10; letter++)
        batch_hold(batch, letter < 9 ? &one : &two, letter);
    message[0]->letter = 7, message[1]->letter = 8, message[3]->letter = 10;
    decide();
    cr_assert(message[0]->result == BATCH_DONE && message[1]->result == BATCH_DONE);
    cr_assert_eq(message[2]->result, BATCH_DUPLICATE);
    cr_assert_eq(message[3]->result, BATCH_HELD);
}

Test(batch, watch)
{
    database[database_count++] = (struct sale){order(1), SAGA_DONE, 3, SAGA_TEXT("a")};
    struct batch_message *known = hear(&seen, 1, NULL, 0);
    struct batch_message *unknown = hear(&seen, 2, NULL, 0);
    decide();
    cr_assert_eq(known->result, BATCH_DUPLICATE);
    cr_assert_str_eq(known->op, "watch");
    cr_assert_eq(unknown->result, BATCH_POISON);
    cr_assert_str_eq(unknown->reason, "no_such_order");
}

Test(batch, command_inserts_and_a_second_finds_it)
{
    struct batch_message *first = order_put("new", 5);
    struct batch_message *second = order_put("new", 6);
    decide();
    cr_assert_eq(first->result, BATCH_DONE);
    cr_assert_str_eq(first->op, "command");
    cr_assert_str_eq(first->step, "put");
    cr_assert_eq(second->result, BATCH_DUPLICATE);
    struct batch_set set = batch_inserts(batch, STOCKS);
    cr_assert_eq(set.count, 1);
    cr_assert_eq(((const struct stock *)set.rows[0])->held, 11);
    cr_assert(saga_text_equal(((const struct stock *)set.rows[0])->sku, SAGA_TEXT("new")));
    cr_assert_eq(batch_updates(batch, STOCKS).count, 0);
}

Test(batch, failed_insert_is_gone)
{
    struct batch_message *first = order_put("new", FAIL_LATE);
    struct batch_message *second = order_put("new", 6);
    decide();
    cr_assert_eq(first->result, BATCH_POISON);
    cr_assert_eq(second->result, BATCH_DONE, "the row is not there yet");
    cr_assert_eq(((const struct stock *)batch_inserts(batch, STOCKS).rows[0])->held, 6);
}

Test(batch, row_of_a_batch_that_failed_stays_as_it_was_before_it)
{
    order_put("new", 5);
    order_put("new", FAIL_LATE);
    decide();
    struct batch_set set = batch_inserts(batch, STOCKS);
    cr_assert_eq(set.count, 1);
    cr_assert_eq(((const struct stock *)set.rows[0])->held, 5);
}

Test(batch, unknown_barrier_state_is_poison)
{
    database[database_count++] = (struct sale){order(1), 99, 3, SAGA_TEXT("a")};
    struct batch_message *message = hear(&sold, 1, "a", 3);
    decide();
    cr_assert_eq(message->result, BATCH_POISON);
    cr_assert_str_eq(message->reason, "unknown_barrier_state");
}

Test(batch, skipped_is_not_run)
{
    struct batch_message *message = hear(&sold, 1, "a", 3);
    message->skip = true;
    message->result = BATCH_POISON;
    message->reason = "unreadable";
    decide();
    cr_assert_eq(message->result, BATCH_POISON);
    cr_assert_str_eq(message->reason, "unreadable");
    cr_assert_eq(events(), 0);
    batch_retry(batch);
    cr_assert_str_eq(message->reason, "unreadable");
}

Test(batch, retry_decides_anew)
{
    struct batch_message *message = hear(&sold, 1, "a", 3);
    decide();
    batch_retry(batch);
    cr_assert_eq(batch_count(batch), 1);
    cr_assert_eq(events(), 0);
    cr_assert_null(message->outcome);
    database[database_count++] = (struct sale){order(1), SAGA_VOID, 0, {0}};
    decide();
    cr_assert_eq(message->result, BATCH_VOID, "another was faster, and the row is read again");
    cr_assert_eq(events(), 0);
}

Test(batch, halves_do_together_what_the_whole_does)
{
    for (uint8_t i = 1; i <= 9; i++)
        hear(&sold, i, "a", i == 6 ? FAIL_LATE : 1);
    size_t done = 0;
    for (size_t from = 0; from < 9; from += 3) {
        batch_retry(batch);
        batch_select(batch, from, from + 3);
        decide();
        size_t expected = from == 3 ? 2 : 3;
        cr_assert_eq(events(), expected);
        cr_assert_eq(batch_inserts(batch, SALES).count, expected);
        cr_assert_eq(stock_update(), 10 + (int32_t)expected);
        for (size_t i = from; i < from + 3; i++)
            done += batch_at(batch, i)->result == BATCH_DONE;
    }
    cr_assert_eq(done, 8);
    batch_retry(batch);
    batch_select(batch, 5, 6);
    decide();
    cr_assert_eq(batch_at(batch, 5)->result, BATCH_POISON);
    cr_assert_eq(events(), 0);
}

Test(batch, full_and_drop_last)
{
    for (size_t i = 0; i < 64; i++)
        cr_assert_not_null(batch_add(batch));
    cr_assert_null(batch_add(batch));
    batch_drop_last(batch);
    cr_assert_eq(batch_count(batch), 63);
    cr_assert_not_null(batch_add(batch));
    batch_reset(batch);
    cr_assert_eq(batch_count(batch), 0);
    struct batch_message *message = hear(&sold, 1, "a", 3);
    cr_assert_eq(message->in.partition, -1);
    cr_assert_eq(message->in.offset, -1);
    decide();
    cr_assert_eq(message->result, BATCH_DONE);
}
