/* put_stock.h: what the put_stock command takes and answers. */
#ifndef INVENTORY_PUT_STOCK_H
#define INVENTORY_PUT_STOCK_H

#include "saga/service.h"

struct put_stock {
    struct saga_text sku;
    int64_t on_hand;
};

struct put_stock_reply {
    bool below_held; /* refused: less than what orders hold */
    int64_t held;
};

#endif
