/* stock_api.h: the HTTP face of inventory-svc: GET and PUT /v1/stock/{sku}. */
#ifndef INVENTORY_STOCK_API_H
#define INVENTORY_STOCK_API_H

#include "saga/http.h"

extern const struct saga_route inventory_routes[];
extern const struct saga_problem inventory_problems[];

#endif
