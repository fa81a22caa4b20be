/* stock.h: stock and its ledger, moved together. */
#ifndef INVENTORY_STOCK_H
#define INVENTORY_STOCK_H

#include "events.h"

/* Wants the stock rows of these items. */
void stock_want(struct saga_tx *tx, const struct saga_list *items);
/* Moves these items, whose stock rows are there - kind is "held", "released" or "issued" - and
 * writes it down. written: the items as a struct holding in JSON. */
void stock_move(struct saga_tx *tx, const struct saga_message *in, const struct saga_list *items,
                struct saga_text kind, struct saga_text written);
/* The same for all that the order holds. SAGA_POISON if the reservation is not there. */
enum saga_verdict stock_move_held(struct saga_tx *tx, const struct saga_message *in,
                                  struct saga_text kind);

#endif
