/* steps.h: the handlers of payment-svc, one file each. */
#ifndef PAYMENT_STEPS_H
#define PAYMENT_STEPS_H

#include "saga/service.h"

enum saga_verdict payment_charge(struct saga_tx *tx, const struct saga_message *in);
enum saga_verdict payment_refund(struct saga_tx *tx, const struct saga_message *in);

#endif
