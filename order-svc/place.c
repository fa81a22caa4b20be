/*
 * place.c: the placement step's action: an order, its deadline and, with a key, the proof that this
 * key has made it, all in one transaction.
 */
#include "events.h"
#include "facts.h"
#include "steps.h"
#include "tables.h"
#include "timeline.h"

static void place_wants(struct saga_tx *tx, const struct saga_message *in)
{
    const struct place *place = saga_body(in, place);
    if (place->key.at != NULL)
        saga_want(tx, &idempotency_table, place->key);
}

/* I9: what the key made before, if it made anything; PostgreSQL decides, not Redis (I4). */
static bool known_key(struct saga_tx *tx, const struct place *place, struct place_reply *reply)
{
    const struct idempotency *known = saga_row(tx, &idempotency_table, place->key);
    if (known == NULL)
        return false;
    reply->reused = !saga_text_equal(known->fingerprint, place->fingerprint);
    reply->replayed = !reply->reused;
    reply->order_id = known->order_id;
    reply->created_at = known->created_at;
    reply->deadline_at = known->deadline_at;
    saga_duplicate(tx);
    return true;
}

static void note_key(struct saga_tx *tx, const struct place *place, const struct place_reply *reply)
{
    struct idempotency *idempotency = saga_insert(tx, &idempotency_table, place->key);
    idempotency->order_id = reply->order_id;
    idempotency->fingerprint = place->fingerprint;
    idempotency->created_at = reply->created_at;
    idempotency->deadline_at = reply->deadline_at;
}

static enum saga_verdict place(struct saga_tx *tx, const struct saga_message *in)
{
    const struct place *place = saga_body(in, place);
    struct place_reply *reply = in->reply;

    *reply = (struct place_reply){.order_id = in->order_id,
                                  .created_at = in->now_us,
                                  .deadline_at = in->now_us + place->deadline_us};
    if (place->key.at != NULL) {
        if (known_key(tx, place, reply))
            return SAGA_OK;
        note_key(tx, place, reply);
    }
    struct saga_text timeline =
        timeline_said(tx, (struct saga_text){0}, &order_created, in->now_us, (struct saga_text){0});
    saga_append(tx, &new_order_table,
                &(struct new_order){in->order_id, place->customer_id, place->currency, place->total,
                                    place->items, place->payment_method, place->shipping_address,
                                    place->metadata, FACT_CREATED, SAGA_DONE, timeline,
                                    reply->deadline_at, reply->created_at});
    saga_append(tx, &timer_table, &(struct timer){in->order_id, reply->deadline_at});
    saga_emit(tx, &order_created,
              &(struct order_created){in->order_id, place->customer_id, place->currency,
                                      place->total, place->payment_method, place->items,
                                      place->shipping_address, reply->deadline_at});
    return SAGA_OK;
}

const struct saga_command order_place = {
    .name = "placement",
    .run = place,
    .wants = place_wants,
};
