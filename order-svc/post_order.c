/*
 * post_order.c: POST /v1/orders.
 *
 *     read -> place -> answer, or wait for the order's end
 *
 * and with a key: read -> recall -> claim -> place -> remember -> answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "facts.h"
#include "order_api.h"
#include "order_request.h"

#define KEY_MAX 255
#define WAIT_MAX_S 30
#define CLAIM_MS 2000

struct post {
    struct place place;
    struct place_reply reply;
    int64_t wait_s; /* -1: answer at once */
};

/* ---- headers ---- */

/* RFC 7240: Prefer is a list of preferences; ours is wait=N, and what cannot be read is ignored. */
static int64_t read_wait(struct saga_request *request)
{
    struct saga_text prefer = saga_request_header(request, "Prefer");
    for (size_t i = 0; i + 5 < prefer.len; i++) {
        bool first = i == 0 || prefer.at[i - 1] == ',' || prefer.at[i - 1] == ' ';
        if (!first || strncasecmp(prefer.at + i, "wait=", 5) != 0)
            continue;
        int64_t seconds = 0;
        size_t digits = 0;
        for (i += 5; i < prefer.len && prefer.at[i] >= '0' && prefer.at[i] <= '9'; i++, digits++)
            seconds = seconds > WAIT_MAX_S ? seconds : seconds * 10 + (prefer.at[i] - '0');
        bool ends = i == prefer.len || strchr(",; \t", prefer.at[i]) != NULL;
        if (digits > 0 && ends)
            return seconds > WAIT_MAX_S ? WAIT_MAX_S : seconds;
    }
    return -1;
}

/* The key without its quotes, behind the customer's id; false if it is not acceptable. */
static bool read_key(struct saga_request *request, struct saga_text customer_id,
                     struct saga_text header, struct saga_text *ret_key)
{
    bool quoted = header.len >= 2 && header.at[0] == '"' && header.at[header.len - 1] == '"';
    char *key = saga_request_alloc(request, customer_id.len + 1 + header.len + 1);
    size_t len = customer_id.len;
    memcpy(key, customer_id.at, len);
    key[len++] = ' ';
    for (size_t i = quoted; i < header.len - quoted; i++) {
        char c = header.at[i];
        if (quoted && c == '\\' && i + 2 < header.len)
            c = header.at[++i];
        else if (quoted && c == '"')
            return false;
        if (c < 0x21 || c > 0x7e)
            return false;
        key[len++] = c;
    }
    size_t key_len = len - customer_id.len - 1;
    *ret_key = (struct saga_text){key, len};
    return key_len >= 1 && key_len <= KEY_MAX;
}

/* ---- answers ---- */

static void add_head(struct saga_request *request, const struct post *post)
{
    char location[ORDER_LOCATION_SIZE], applied[32];
    order_location(&post->reply.order_id, location);
    saga_request_add_header(request, "Location", location);
    if (post->reply.replayed)
        saga_request_add_header(request, "Idempotent-Replayed", "true");
    if (post->wait_s >= 0) {
        snprintf(applied, sizeof applied, "wait=%lld", (long long)post->wait_s);
        saga_request_add_header(request, "Preference-Applied", applied);
    }
}

/* The order as it was placed, from what never changes in it: this request tells it, be it the first
 * or one that repeats it. */
static struct order_view placed_view(const struct post *post)
{
    const struct place *place = &post->place;
    return (struct order_view){
        .order_id = post->reply.order_id,
        .customer_id = place->customer_id,
        .currency = place->currency,
        .total = place->total,
        .items = place->items,
        .payment_method = place->payment_method,
        .shipping_address = place->shipping_address,
        .metadata = place->metadata,
        .facts = FACT_CREATED,
        .deadline_at = post->reply.deadline_at,
        .created_at = post->reply.created_at,
        .updated_at = post->reply.created_at,
    };
}

/* What was first answered is a function of what never changes in an order: so nothing is stored. */
static void answer_placed(struct saga_request *request, const struct post *post, int status)
{
    struct order_view view = placed_view(post);
    add_head(request, post);
    if (status == 202)
        saga_request_add_header(request, "Retry-After", "1");
    order_reply(request, status, &view);
}

static void read_order(struct saga_request *request);
static void wait_is_over(struct saga_request *request);

static void order_was_read(struct saga_request *request)
{
    struct post *post = saga_request_kept(request);
    const struct order_view *view = saga_request_row(request);
    if (saga_request_outcome(request) != SAGA_COMMITTED || view == NULL ||
        !order_facts_known(view->facts)) {
        /* It is there all the same: who is told 503 and has no key would order once more. */
        answer_placed(request, post, 202);
        return;
    }
    int64_t left_ms = saga_request_left_ms(request, post->wait_s);
    bool final = order_is_final(view->facts);
    if (!final && left_ms > 0) {
        saga_request_wait(request, &post->reply.order_id, left_ms, wait_is_over);
        return;
    }
    add_head(request, post);
    if (!final)
        saga_request_add_header(request, "Retry-After", "1");
    order_reply(request, final ? 201 : 202, view);
}

static void read_order(struct saga_request *request)
{
    struct post *post = saga_request_kept(request);
    saga_request_query(request, &order_find, saga_uuid_key(&post->reply.order_id), order_was_read);
}

/* What the end was has just been told, unless another process saw it, or the time is over. */
static void wait_is_over(struct saga_request *request)
{
    const struct post *post = saga_request_kept(request);
    struct order_news news;
    if (saga_request_news(request).len != sizeof news) {
        read_order(request);
        return;
    }
    memcpy(&news, saga_request_news(request).at, sizeof news);
    if (!order_facts_known(news.facts)) {
        answer_placed(request, post, 202);
        return;
    }
    struct order_view view = placed_view(post);
    view.facts = news.facts;
    view.refunded = news.refunded;
    view.updated_at = news.updated_at;
    if (news.tracking_len > 0)
        view.tracking_number = (struct saga_text){news.tracking_number, news.tracking_len};
    add_head(request, post);
    order_reply(request, 201, &view);
}

/* It is there, by this request or by the one that it repeats. */
static void answer(struct saga_request *request, struct post *post)
{
    int64_t left_ms = saga_request_left_ms(request, post->wait_s);
    if (post->wait_s < 0)
        answer_placed(request, post, 201);
    else if (post->reply.replayed || left_ms == 0)
        read_order(request);
    else
        saga_request_wait(request, &post->reply.order_id, left_ms, wait_is_over);
}

static void answer_reused(struct saga_request *request)
{
    saga_request_problem(request, 422, "idempotency_key_reused",
                         "The key was used for another order of this customer.", 0);
}

/* ---- place ---- */

/* I4: only after the commit that it speaks of. */
static void remember(struct saga_request *request, const struct post *post)
{
    char id[SAGA_UUID_TEXT_SIZE], value[192];
    saga_uuid_format(&post->reply.order_id, id);
    int len = snprintf(value, sizeof value, "%s %.*s %lld %lld", id,
                       (int)post->place.fingerprint.len, post->place.fingerprint.at,
                       (long long)post->reply.created_at, (long long)post->reply.deadline_at);
    saga_request_remember(request, post->place.key, (struct saga_text){value, (size_t)len},
                          saga_setting_key_keep_s());
}

static void order_was_placed(struct saga_request *request)
{
    struct post *post = saga_request_kept(request);
    saga_request_give_back(request);
    if (saga_request_outcome(request) != SAGA_COMMITTED) {
        saga_request_not_committed(request);
    } else if (post->reply.reused) {
        answer_reused(request);
    } else {
        if (post->place.key.at != NULL)
            remember(request, post);
        answer(request, post);
    }
}

static void place_order(struct saga_request *request)
{
    struct post *post = saga_request_kept(request);
    struct saga_uuid id = saga_uuid_new();
    saga_request_submit(request, &order_place, &id, &post->place, &post->reply, order_was_placed);
}

static void key_was_claimed(struct saga_request *request)
{
    if (saga_request_outcome(request) == SAGA_COMMITTED)
        place_order(request);
    else
        saga_request_problem(request, 409, "idempotency_in_progress",
                             "A request with this key is still being worked on.", 1);
}

/* "<order id> <fingerprint> <created> <deadline>": false if it is none of ours. */
static bool read_recalled(struct saga_text value, struct place_reply *ret_reply,
                          char ret_fingerprint[65])
{
    char text[192], id[40];
    long long created_at, deadline_at;
    if (value.at == NULL || value.len >= sizeof text)
        return false;
    memcpy(text, value.at, value.len);
    text[value.len] = '\0';
    if (sscanf(text, "%39s %64s %lld %lld", id, ret_fingerprint, &created_at, &deadline_at) != 4)
        return false;
    ret_reply->created_at = created_at;
    ret_reply->deadline_at = deadline_at;
    ret_reply->replayed = true;
    return saga_uuid_parse(saga_text(id), &ret_reply->order_id);
}

static void key_was_recalled(struct saga_request *request)
{
    struct post *post = saga_request_kept(request);
    struct place_reply known = {0};
    char fingerprint[65];
    if (saga_request_outcome(request) != SAGA_COMMITTED ||
        !read_recalled(saga_request_recalled(request), &known, fingerprint)) {
        /* PostgreSQL decides */
        saga_request_claim(request, post->place.key, CLAIM_MS, key_was_claimed);
    } else if (!saga_text_equal(saga_text(fingerprint), post->place.fingerprint)) {
        answer_reused(request);
    } else {
        post->reply = known;
        answer(request, post);
    }
}

void order_post(struct saga_request *request)
{
    struct post *post = saga_request_alloc(request, sizeof *post);
    struct saga_text header = saga_request_header(request, "Idempotency-Key");
    saga_request_keep(request, post);
    post->wait_s = read_wait(request);
    if (!order_request_read(request, header.at != NULL, &post->place))
        return;
    if (header.at == NULL) {
        place_order(request);
    } else if (!read_key(request, post->place.customer_id, header, &post->place.key)) {
        saga_request_problem(request, 400, "invalid_idempotency_key",
                             "It must be sent once, with 1 to 255 visible ASCII characters.", 0);
    } else {
        saga_request_recall(request, post->place.key, key_was_recalled);
    }
}
