/*
 * ship.c: the shipping step's action: hands the goods to the carrier, or refuses. From here on the
 * saga only goes forward.
 */
#include "events.h"
#include "steps.h"
#include "tables.h"

/* A carrier would give a number; this one is made of the order's id, so that the handler stays a
 * function of what it was given. */
static struct saga_text tracking_number(struct saga_tx *tx, const struct saga_uuid *id)
{
    static const char hex[] = "0123456789ABCDEF";
    char text[3 + 2 * sizeof id->bytes] = {'P', 'K', 'G'};
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        text[3 + 2 * i] = hex[id->bytes[i] >> 4];
        text[4 + 2 * i] = hex[id->bytes[i] & 15];
    }
    return saga_copy(tx, (struct saga_text){text, sizeof text});
}

enum saga_verdict shipping_ship(struct saga_tx *tx, const struct saga_message *in)
{
    const struct inventory_reserved *reserved = saga_body(in, inventory_reserved);
    struct parcel *parcel = saga_step_row(tx);

    parcel->country = reserved->shipping_address.country;
    if (saga_text_equal(parcel->country, SAGA_TEXT("AQ"))) { /* no carrier goes to Antarctica */
        parcel->reason = SAGA_TEXT("address_undeliverable");
        saga_refuse(tx, &shipping_failed, &(struct called_off){reserved->order_id, parcel->reason});
        return SAGA_OK;
    }
    parcel->tracking_number = tracking_number(tx, &reserved->order_id);
    parcel->shipped_at = in->now_us;
    saga_emit(tx, &order_shipped,
              &(struct order_shipped){reserved->order_id, parcel->tracking_number});
    return SAGA_OK;
}
