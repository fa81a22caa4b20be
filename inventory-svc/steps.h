/* steps.h: the handlers of inventory-svc, one file each. */
#ifndef INVENTORY_STEPS_H
#define INVENTORY_STEPS_H

#include "saga/service.h"

void inventory_reserve_wants(struct saga_tx *tx, const struct saga_message *in);
enum saga_verdict inventory_reserve(struct saga_tx *tx, const struct saga_message *in);

/* The stock rows of what the order's reservation holds. */
void inventory_held_wants(struct saga_tx *tx, const struct saga_message *in);
enum saga_verdict inventory_release(struct saga_tx *tx, const struct saga_message *in);
enum saga_verdict inventory_issue(struct saga_tx *tx, const struct saga_message *in);

extern const struct saga_command inventory_put_stock;

#endif
