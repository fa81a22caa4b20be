/* service.h: payment-svc as its program, the closure check and the model checker see it. */
#ifndef PAYMENT_SERVICE_H
#define PAYMENT_SERVICE_H

#include "saga/service.h"

extern const struct saga_service payment_service;

#endif
