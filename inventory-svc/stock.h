/* stock.h: stock and its ledger, moved together. */
#ifndef INVENTORY_STOCK_H
#define INVENTORY_STOCK_H

#include "events.h"

/* Wants the stock rows of these items. */
void stock_want(struct saga_tx *tx, const struct saga_list *items);
/* Moves one item's quantity - kind is "held", "released" or "issued" - and writes it down. */
void stock_move(struct saga_tx *tx, const struct saga_message *in, const struct item *item,
                struct saga_text kind);
/* The same for all that the order holds. SAGA_POISON if the reservation is not there. */
enum saga_verdict stock_move_held(struct saga_tx *tx, const struct saga_message *in,
                                  struct saga_text kind);

#endif
