/* services.h: the four services, as the checks read them. */
#ifndef MODEL_SERVICES_H
#define MODEL_SERVICES_H

#include "inventory-svc/service.h"
#include "order-svc/service.h"
#include "payment-svc/service.h"
#include "shipping-svc/service.h"

static const struct saga_service *const services[] = {&order_service, &payment_service,
                                                      &inventory_service, &shipping_service, NULL};

#endif
