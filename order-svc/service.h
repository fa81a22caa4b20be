/* service.h: order-svc as its program, the closure check and the model checker see it. */
#ifndef ORDER_SERVICE_H
#define ORDER_SERVICE_H

#include "saga/service.h"

extern const struct saga_service order_service;

#endif
