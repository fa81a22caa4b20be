/* steps.h: the handlers of shipping-svc, one file each. */
#ifndef SHIPPING_STEPS_H
#define SHIPPING_STEPS_H

#include "saga/service.h"

enum saga_verdict shipping_ship(struct saga_tx *tx, const struct saga_message *in);
enum saga_verdict shipping_call_off(struct saga_tx *tx, const struct saga_message *in);

#endif
