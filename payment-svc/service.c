/* service.c: payment-svc on a page: it takes the order's amount, and pays it back. */
#include "service.h"

#include "events.h"
#include "payment_sql.h"
#include "steps.h"
#include "tables.h"

static const struct saga_step payment_step = {
    .name = "payment",
    .kind = SAGA_COMPENSATABLE,
    .table = &payment_table,
    .state = offsetof(struct payment, state),
    .action =
        {
            .on = (const struct saga_event *const[]){&order_created, NULL},
            .run = payment_charge,
            .says = &payment_done,
            .refuses = &payment_failed,
        },
    .undo =
        {
            .on = (const struct saga_event *const[]){&inventory_failed, &inventory_released, NULL},
            .run = payment_refund,
            .says = &payment_refunded,
        },
};

const struct saga_service payment_service = {
    .name = "payment-svc",
    .about = "takes an order's payment, and pays it back when the order cannot be shipped",
    .port = 8081,
    .schema = sql_payment_schema,
    .steps = (const struct saga_step *const[]){&payment_step, NULL},
    .tables = (const struct saga_table *const[]){&payment_table, &ledger_table, NULL},
    .says =
        (const struct saga_event *const[]){&payment_done, &payment_failed, &payment_refunded, NULL},
};
