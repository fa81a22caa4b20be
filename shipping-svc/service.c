/* service.c: shipping-svc on a page: the pivot, which decides once whether an order ships. */
#include "service.h"

#include "events.h"
#include "shipping_sql.h"
#include "steps.h"
#include "tables.h"

static const struct saga_step shipping_step = {
    .name = "shipping",
    .kind = SAGA_PIVOT,
    .table = &parcel_table,
    .state = offsetof(struct parcel, state),
    .action =
        {
            .on = (const struct saga_event *const[]){&inventory_reserved, NULL},
            .run = shipping_ship,
            .says = &order_shipped,
            .refuses = &shipping_failed,
        },
    .undo =
        {
            .on = (const struct saga_event *const[]){&order_cancel_requested, NULL},
            .run_void = shipping_call_off,
            .says = &shipping_failed,
        },
};

const struct saga_service shipping_service = {
    .name = "shipping-svc",
    .about = "ships an order's goods, unless it was called off before",
    .port = 8083,
    .schema = sql_shipping_schema,
    .steps = (const struct saga_step *const[]){&shipping_step, NULL},
    .tables = (const struct saga_table *const[]){&parcel_table, NULL},
    .says = (const struct saga_event *const[]){&order_shipped, &shipping_failed, NULL},
};
