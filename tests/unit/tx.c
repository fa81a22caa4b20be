/* tx.c: what a handler writes has a limit, whatever it was asked to copy, and however often. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/batch.h"

#define LARGE ((size_t)600 * 1024)

/* ---- a service that copies what it hears into its row, its ledger and its events ---- */

struct note {
    struct saga_uuid order_id;
    int16_t state;
    struct saga_text kept;
};

struct text {
    struct saga_uuid order_id;
    struct saga_text text;
};

static const struct saga_shape note_shape = SAGA_SHAPE(
    struct note, SAGA_FIELD(struct note, order_id, SAGA_UUID),
    SAGA_FIELD(struct note, state, SAGA_INT16), SAGA_FIELD(struct note, kept, SAGA_STRING));
static const struct saga_shape text_shape =
    SAGA_SHAPE(struct text, SAGA_FIELD(struct text, order_id, SAGA_UUID),
               SAGA_FIELD(struct text, text, SAGA_STRING));
static const struct saga_table notes = {"notes", &note_shape, "load", "insert", "update", NULL};
static const struct saga_table ledger = {"ledger", &text_shape, NULL, "insert", NULL, NULL};
enum { NOTES, LEDGER };

static const struct saga_event asked = {"asked", &text_shape, false};
static const struct saga_event withdrawn = {"withdrawn", &text_shape, false};
static const struct saga_event noted = {"noted", &text_shape, false};
static const struct saga_event refused = {"refused", &text_shape, false};
static const struct saga_event undone = {"undone", &text_shape, false};

static enum saga_verdict note(struct saga_tx *tx, const struct saga_message *in)
{
    const struct text *body = saga_body(in, text);
    struct note *row = saga_step_row(tx);
    row->kept = saga_write(tx, &text_shape, body);
    saga_append(tx, &ledger, body);
    saga_emit(tx, &noted, &(struct text){in->order_id, SAGA_TEXT("small")});
    saga_emit(tx, &noted, body);
    saga_outcome(tx, "noted", 7);
    return SAGA_OK;
}

static enum saga_verdict fence(struct saga_tx *tx, const struct saga_message *in)
{
    saga_refuse(tx, &undone, in->body);
    return SAGA_OK;
}

/* The row only: no event is said of it. */
static enum saga_verdict keep(struct saga_tx *tx, const struct saga_message *in)
{
    struct note *row = saga_insert(tx, &notes, saga_uuid_key(&in->order_id));
    row->kept = saga_write(tx, &text_shape, in->body);
    return SAGA_OK;
}

static void keep_wants(struct saga_tx *tx, const struct saga_message *in)
{
    saga_want(tx, &notes, saga_uuid_key(&in->order_id));
}

static const struct saga_command keep_command = {"keep", keep, keep_wants};

static const struct saga_step step = {
    .name = "noting",
    .kind = SAGA_COMPENSATABLE,
    .table = &notes,
    .state = offsetof(struct note, state),
    .action = {.on = (const struct saga_event *const[]){&asked, NULL},
               .run = note,
               .says = &noted,
               .refuses = &refused},
    .undo = {.on = (const struct saga_event *const[]){&withdrawn, NULL},
             .run = note,
             .run_void = fence,
             .says = &undone},
};

static const struct saga_service service = {
    .name = "test-svc",
    .steps = (const struct saga_step *const[]){&step, NULL},
    .tables = (const struct saga_table *const[]){&notes, &ledger, NULL},
    .commands = (const struct saga_command *const[]){&keep_command, NULL},
};

/* ---- driving it ---- */

static struct batch *batch;
static char *large;

static void setup(void)
{
    batch = batch_new(&service, 16, 0);
    large = malloc(LARGE);
    cr_assert_not_null(large);
    memset(large, 'x', LARGE);
}

static void teardown(void)
{
    batch_free(batch);
    free(large);
}

static struct batch_message *hear(const struct saga_event *event, uint8_t number,
                                  struct saga_text text)
{
    struct batch_message *message = batch_add(batch);
    struct text *body = arena_alloc(batch_arena(batch), sizeof *body);
    message->in.order_id = (struct saga_uuid){.bytes = {[0] = 1, [15] = number}};
    *body = (struct text){message->in.order_id, text};
    message->in.event = event;
    message->in.body = body;
    return message;
}

static void decide(void)
{
    const struct saga_text *keys;
    batch_wanted(batch, NOTES, &keys);
    batch_decide(batch, 1234);
}

static void check_is_parked(const struct batch_message *message)
{
    cr_assert_eq(message->result, BATCH_POISON);
    cr_assert_str_eq(message->reason, "event_too_large");
    cr_assert_null(message->outcome);
}

static void check_done(size_t orders, size_t events)
{
    size_t count;
    batch_events(batch, &count);
    cr_assert_eq(count, events);
    cr_assert_eq(batch_inserts(batch, NOTES).count, orders);
    cr_assert_eq(batch_inserts(batch, LEDGER).count, orders);
}

TestSuite(tx, .init = setup, .fini = teardown);

Test(tx, an_event_that_is_too_large_is_poison_and_leaves_no_trace)
{
    const struct batch_message *before = hear(&asked, 1, SAGA_TEXT("a"));
    const struct batch_message *bad = hear(&asked, 2, (struct saga_text){large, LARGE});
    const struct batch_message *behind = hear(&withdrawn, 2, SAGA_TEXT("b"));
    const struct batch_message *after = hear(&asked, 3, SAGA_TEXT("c"));
    decide();
    check_is_parked(bad);
    cr_assert_eq(before->result, BATCH_DONE);
    cr_assert_eq(behind->result, BATCH_HELD);
    cr_assert_eq(after->result, BATCH_DONE);
    check_done(2, 4);
}

Test(tx, so_is_one_that_fences_or_refuses)
{
    const struct batch_message *bad = hear(&withdrawn, 1, (struct saga_text){large, LARGE});
    decide();
    check_is_parked(bad);
    check_done(0, 0);
}

Test(tx, so_is_what_a_row_would_hold)
{
    struct batch_message *bad = hear(NULL, 1, (struct saga_text){large, LARGE});
    bad->in.command = &keep_command;
    decide();
    check_is_parked(bad);
    check_done(0, 0);
}

Test(tx, the_next_time_it_is_decided_anew)
{
    struct batch_message *message = hear(&asked, 1, (struct saga_text){large, LARGE});
    decide();
    check_is_parked(message);
    ((struct text *)(uintptr_t)message->in.body)->text = SAGA_TEXT("mended");
    batch_retry(batch);
    decide();
    cr_assert_eq(message->result, BATCH_DONE);
    check_done(1, 2);
}

/* As often as a full disk lasts. */
Test(tx, tries_take_no_more_memory_than_one)
{
    const struct batch_message *message = hear(&asked, 1, (struct saga_text){large, LARGE / 10});
    struct saga_text said = arena_copy(batch_arena(batch), SAGA_TEXT("of the message"));
    size_t used = 0;
    for (size_t i = 0; i < 1000; i++) {
        batch_retry(batch);
        decide();
        cr_assert_eq(message->result, BATCH_DONE);
        check_done(1, 2);
        if (i == 0)
            used = batch_arena(batch)->used;
        cr_assert_eq(batch_arena(batch)->used, used, "try %zu", i);
    }
    hear(&asked, 2, SAGA_TEXT("a"));
    struct saga_text later = arena_copy(batch_arena(batch), SAGA_TEXT("of one that came later"));
    batch_retry(batch);
    decide();
    check_done(2, 4);
    cr_assert(saga_text_equal(said, SAGA_TEXT("of the message")));
    cr_assert(saga_text_equal(later, SAGA_TEXT("of one that came later")));
}
