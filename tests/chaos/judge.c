/*
 * judge.c: what was answered against what is there; see judge.h.
 *
 * read all orders -> ask the API about some -> a verdict on each customer
 */
#include "judge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/db.h"
#include "support/http.h"
#include "support/stack.h"
#include "story.h"
#include "told.h"
#include "verdict.h"
#include "wish.h"

#define PAGE                                                                                       \
    "SELECT order_id, customer_id, currency, total, items, payment_method, shipping_address,"      \
    " metadata, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),"      \
    " to_char(deadline_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),"               \
    " (extract(epoch FROM deadline_at) * 1000000)::bigint,"                                        \
    " CASE WHEN placement = 3 THEN timeline ELSE '' END,"                                          \
    " CASE WHEN completion = 1 THEN 1 WHEN placement = 3 THEN 2 ELSE 0 END"                        \
    " FROM orders WHERE order_id > $1::uuid ORDER BY order_id LIMIT 2000"
#define PAGES_MAX 2000
#define SAMPLE 4000 /* orders of which the API is asked too */
#define QUESTIONS_MAX 200000
#define CONNECTIONS_MAX 32
#define TIMEOUT_MS 10000
#define ROUNDS_MAX 20 /* a question without an answer is asked again */

enum question_kind {
    QUESTION_SAMPLE, /* is it what the database has? */
    QUESTION_REASON, /* why was it cancelled? */
    QUESTION_ROW,    /* one of several of a key: was it cancelled for the key's sake? */
    QUESTION_GONE,   /* answered, and not in the table: was it? */
    QUESTION_QUEUED  /* answered by 202, then the key had another: it must have been */
};

struct question {
    uint32_t customer;
    char id[37];
    bool answered;
    enum question_kind kind;
};

struct court {
    const struct customers *customers;
    struct judgement *judgement;
    struct found *found; /* by customer */
    size_t count;
    struct question *questions;
    size_t questions_count;
    bool failed;
};

__attribute__((format(printf, 3, 4))) static void note_wrong(struct court *court, const char *id,
                                                             const char *format, ...)
{
    struct judgement *judgement = court->judgement;
    va_list arguments;

    if (judgement->wrong < JUDGE_COUNTEREXAMPLES_MAX) {
        struct counterexample *example = &judgement->counterexamples[judgement->wrong];
        snprintf(example->order_id, sizeof example->order_id, "%s", id);
        va_start(arguments, format);
        vsnprintf(example->what, sizeof example->what, format, arguments);
        va_end(arguments);
    }
    judgement->wrong++;
}

/* ---- all orders ---- */

static void add_question(struct court *court, size_t customer, const char *id,
                         enum question_kind kind)
{
    if (court->questions_count == QUESTIONS_MAX) {
        if (!court->failed)
            fprintf(stderr, "judge: more than %d questions\n", QUESTIONS_MAX);
        court->failed = true;
        return;
    }
    struct question *question = &court->questions[court->questions_count++];
    *question = (struct question){.customer = (uint32_t)customer, .kind = kind};
    snprintf(question->id, sizeof question->id, "%s", id);
}

static void note_order(struct court *court, const struct told *told, enum verdict_end end)
{
    const struct customer *customer = customers_at(court->customers, wish_number(told->mark));
    struct found *found = &court->found[wish_number(told->mark)];
    bool answered = strcmp(customer->id, told->id) == 0;

    court->judgement->completed += end == VERDICT_COMPLETED;
    court->judgement->cancelled += end == VERDICT_CANCELLED;
    /* The second of a key: both are asked what they are. */
    if (customer->keyed && found->rows == 1)
        add_question(court, wish_number(told->mark), found->id, QUESTION_ROW);
    if (customer->keyed && found->rows >= 1)
        add_question(court, wish_number(told->mark), told->id, QUESTION_ROW);
    if (found->rows++ > 0 && !answered)
        return;
    memcpy(found->id, told->id, sizeof found->id);
    found->answered = answered;
    found->sent = told->sent;
    found->body = told->body;
    found->end = end;
    found->overdue = told->overdue;
}

static bool is_of_this_run(const struct court *court, const struct told *told)
{
    return told->marked && wish_number(told->mark) < court->count &&
           customers_at(court->customers, wish_number(told->mark))->mark == told->mark;
}

static void read_page(struct court *court, const struct db_rows *rows)
{
    for (size_t i = 0; i < db_rows_count(rows); i++) {
        const struct told_row row = {
            db_value(rows, i, 0), db_value(rows, i, 1),  db_value(rows, i, 2),
            db_value(rows, i, 3), db_value(rows, i, 4),  db_value(rows, i, 5),
            db_value(rows, i, 6), db_value(rows, i, 7),  db_value(rows, i, 8),
            db_value(rows, i, 9), db_value(rows, i, 10), db_value(rows, i, 11)};
        struct told told;
        /* Whatever mark it bears, it was there before. */
        if (customers_is_stranger(court->customers, row.id))
            continue;
        if (!told_read_row(&row, &told))
            note_wrong(court, row.id, "a row that cannot be read: %.100s", row.items);
        else if (is_of_this_run(court, &told))
            note_order(court, &told, (enum verdict_end)db_number(rows, i, 12));
        else
            note_wrong(court, row.id, "an order that nobody has asked for; metadata %.100s",
                       row.metadata);
    }
}

static bool read_orders(struct court *court)
{
    char after[37] = "00000000-0000-0000-0000-000000000000";
    int64_t read = 0;

    for (size_t page = 0; page < PAGES_MAX; page++) {
        struct db_rows *rows = db_rows(DB_ORDER, PAGE, after);
        size_t count = db_rows_count(rows);
        read_page(court, rows);
        if (count > 0)
            snprintf(after, sizeof after, "%s", db_value(rows, count - 1, 0));
        db_rows_free(rows);
        read += (int64_t)count;
        if (count == 0)
            break;
    }
    /* A page that could not be read looks like one behind the last. */
    int64_t there = db_int(DB_ORDER, "SELECT count(*) FROM orders", NULL);
    if (there != read)
        fprintf(stderr, "judge: %" PRId64 " orders are there, %" PRId64 " could be read\n", there,
                read);
    return there == read;
}

/* ---- the API ---- */

static void note_sample(struct court *court, const struct question *question,
                        const struct told *told)
{
    char wrong[160];

    if (!verdict_answer(customers_at(court->customers, question->customer),
                        &court->found[question->customer], told, wrong, sizeof wrong))
        note_wrong(court, question->id, "%s", wrong);
}

static void note_duplicate(struct court *court, const struct question *question)
{
    const struct customer *customer = customers_at(court->customers, question->customer);
    struct found *found = &court->found[question->customer];

    found->duplicates += question->kind == QUESTION_ROW;
    found->duplicate |=
        strcmp(question->id, found->id) == 0 || strcmp(question->id, customer->id) == 0;
}

static void note_answer(struct court *court, const struct question *question,
                        const struct http_answer *answer)
{
    struct told told;

    if (answer->status != 200 || !told_read(answer->body, answer->body_len, &told)) {
        /* One that is gone is seen by the verdict. */
        if (question->kind != QUESTION_GONE)
            note_wrong(court, question->id, "GET: %d %.120s", answer->status, answer->body);
        return;
    }
    bool duplicate = strcmp(told.reason, "duplicate_request") == 0;
    if (question->kind == QUESTION_SAMPLE)
        note_sample(court, question, &told);
    else if (question->kind == QUESTION_REASON)
        snprintf(court->found[question->customer].reason, sizeof told.reason, "%s", told.reason);
    else if (question->kind != QUESTION_QUEUED && duplicate)
        note_duplicate(court, question);
    else if (question->kind == QUESTION_QUEUED && !duplicate)
        note_wrong(court, question->id, "answered 202, then its key had another; it is %s (%s)",
                   told.status, told.reason);
}

static void answered(void *opaque, uint64_t tag, const struct http_answer *answer)
{
    struct court *court = opaque;
    struct question *question = &court->questions[tag];

    if (answer->status == 0 || answer->status == 503 || answer->status == 429)
        return;
    question->answered = true;
    note_answer(court, question, answer);
}

/* Some of all, evenly spread, and whatever is in question. */
static void think_of_questions(struct court *court)
{
    size_t step = court->count / SAMPLE + 1;

    for (size_t n = 0; n < court->count; n++) {
        const struct customer *customer = customers_at(court->customers, n);
        const struct found *found = &court->found[n];
        if (customer->queued_id[0] != '\0')
            add_question(court, n, customer->queued_id, QUESTION_QUEUED);
        if (verdict_needs_duplicates(customer, found) && customer->id[0] != '\0' &&
            !found->answered)
            add_question(court, n, customer->id, QUESTION_GONE);
        if (verdict_needs_reason(customer, found))
            add_question(court, n, found->id, QUESTION_REASON);
        if (n % step == 0 && found->rows > 0)
            add_question(court, n, found->id, QUESTION_SAMPLE);
    }
}

static bool ask_all(struct court *court)
{
    struct http_pool *pool =
        http_pool_new(stack_address("ORDER_API"), CONNECTIONS_MAX, TIMEOUT_MS, answered, court);
    size_t left = court->questions_count;

    for (size_t round = 0; round < ROUNDS_MAX && left > 0; round++) {
        if (round > 0)
            clock_pause_ms(500);
        for (size_t i = 0; i < court->questions_count; i++) {
            char path[64];
            if (court->questions[i].answered)
                continue;
            snprintf(path, sizeof path, "/v1/orders/%s", court->questions[i].id);
            http_pool_send(pool, i, "GET", path, NULL, NULL);
            while (http_pool_pending(pool) >= 2 * CONNECTIONS_MAX)
                http_pool_work(pool, 10000);
        }
        while (http_pool_pending(pool) > 0)
            http_pool_work(pool, 10000);
        left = 0;
        for (size_t i = 0; i < court->questions_count; i++)
            left += !court->questions[i].answered;
    }
    http_pool_free(pool);
    if (left > 0)
        fprintf(stderr, "judge: %zu of %zu orders could not be asked for\n", left,
                court->questions_count);
    return left == 0;
}

/* ---- the verdict ---- */

static void judge_all(struct court *court)
{
    struct judgement *judgement = court->judgement;
    char wrong[160];

    for (size_t n = 0; n < court->count; n++) {
        const struct customer *customer = customers_at(court->customers, n);
        const struct found *found = &court->found[n];
        if (customer->accepted_us != 0)
            judgement->accepted++;
        else if (verdict_is_refused(customer))
            judgement->refused++;
        else
            judgement->unknown++;
        judgement->unknown_there += customer->accepted_us == 0 && found->rows > 0;
        if (!verdict(customer, found, wrong, sizeof wrong))
            note_wrong(court, customer->id[0] != '\0' ? customer->id : found->id,
                       "mark %016" PRIx64 ": %s", customer->mark, wrong);
    }
}

bool judge(const struct customers *customers, struct judgement *ret_judgement)
{
    struct judgement *judgement = ret_judgement;
    struct court court = {.customers = customers,
                          .judgement = judgement,
                          .count = customers_count(customers),
                          .questions = calloc(QUESTIONS_MAX, sizeof *court.questions)};

    *judgement = (struct judgement){0};
    court.found = calloc(court.count + 1, sizeof *court.found);
    if (court.found == NULL || court.questions == NULL)
        abort();
    bool good = read_orders(&court);
    if (good) {
        think_of_questions(&court);
        good = ask_all(&court) && !court.failed;
        judge_all(&court);
    }
    for (size_t i = 0; i < judgement->wrong && i < JUDGE_COUNTEREXAMPLES_MAX; i++)
        judgement->counterexamples[i].timeline = story_of(judgement->counterexamples[i].order_id);
    free(court.found);
    free(court.questions);
    return good;
}

void judge_free(struct judgement *judgement)
{
    for (size_t i = 0; i < JUDGE_COUNTEREXAMPLES_MAX; i++)
        free(judgement->counterexamples[i].timeline);
    *judgement = (struct judgement){0};
}
