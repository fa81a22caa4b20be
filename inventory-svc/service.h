/* service.h: inventory-svc as its program, the closure check and the model checker see it. */
#ifndef INVENTORY_SERVICE_H
#define INVENTORY_SERVICE_H

#include "saga/service.h"

extern const struct saga_service inventory_service;

#endif
