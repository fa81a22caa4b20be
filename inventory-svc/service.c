/* service.c: inventory-svc on a page: it holds an order's goods, and issues or releases them. */
#include "service.h"

#include "events.h"
#include "inventory_sql.h"
#include "steps.h"
#include "stock_api.h"
#include "tables.h"

static const struct saga_step inventory_step = {
    .name = "inventory",
    .kind = SAGA_COMPENSATABLE,
    .table = &reservation_table,
    .state = offsetof(struct reservation, state),
    .action =
        {
            .on = (const struct saga_event *const[]){&payment_done, NULL},
            .run = inventory_reserve,
            .wants = inventory_reserve_wants,
            .says = &inventory_reserved,
            .refuses = &inventory_failed,
        },
    .undo =
        {
            .on = (const struct saga_event *const[]){&shipping_failed, NULL},
            .run = inventory_release,
            .wants = inventory_held_wants,
            .says = &inventory_released,
        },
};

static const struct saga_step issue_step = {
    .name = "issue",
    .kind = SAGA_RETRIABLE,
    .table = &reservation_table,
    .state = offsetof(struct reservation, issue_state),
    .action =
        {
            .on = (const struct saga_event *const[]){&order_shipped, NULL},
            .run = inventory_issue,
            .wants = inventory_held_wants,
        },
};

const struct saga_service inventory_service = {
    .name = "inventory-svc",
    .about = "holds an order's goods, issues them when it ships, releases them when it does not",
    .port = 8082,
    .schema = sql_inventory_schema,
    .steps = (const struct saga_step *const[]){&inventory_step, &issue_step, NULL},
    .tables = (const struct saga_table *const[]){&reservation_table, &stock_table,
                                                 &stock_ledger_table, NULL},
    .commands = (const struct saga_command *const[]){&inventory_put_stock, NULL},
    .says = (const struct saga_event *const[]){&inventory_reserved, &inventory_failed,
                                               &inventory_released, NULL},
    .routes = inventory_routes,
    .problems = inventory_problems,
};
