/* service.h: shipping-svc as its program, the closure check and the model checker see it. */
#ifndef SHIPPING_SERVICE_H
#define SHIPPING_SERVICE_H

#include "saga/service.h"

extern const struct saga_service shipping_service;

#endif
