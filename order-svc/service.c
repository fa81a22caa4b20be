/* service.c: order-svc on a page: it places orders, learns what became of them, and closes them. */
#include "service.h"

#include "events.h"
#include "facts.h"
#include "order_api.h"
#include "order_sql.h"
#include "steps.h"
#include "tables.h"

static const struct saga_step placement_step = {
    .name = "placement",
    .kind = SAGA_COMPENSATABLE,
    .table = &order_table,
    .state = offsetof(struct order, placement),
    .action =
        {
            .on_command = &order_place,
            .says = &order_created,
        },
    .undo =
        {
            .on = (const struct saga_event *const[]){&payment_failed, &payment_refunded, NULL},
            .run = order_withdraw,
            .says = &order_cancelled,
        },
};

static const struct saga_step completion_step = {
    .name = "completion",
    .kind = SAGA_RETRIABLE,
    .table = &order_table,
    .state = offsetof(struct order, completion),
    .action =
        {
            .on = (const struct saga_event *const[]){&order_shipped, NULL},
            .run = order_complete,
            .says = &order_completed,
        },
};

static const struct saga_watch facts_watch = {
    .on = (const struct saga_event *const[]){&payment_done, &payment_failed, &payment_refunded,
                                             &inventory_reserved, &inventory_failed,
                                             &inventory_released, &order_shipped, &shipping_failed,
                                             NULL},
    .table = &order_table,
    .run = order_learn,
};

static const struct saga_timer deadline_timer = {
    .due = sql_timer_due,
    .command = &order_expire,
};

static const struct saga_gauge in_flight = {
    .name = "saga_orders_in_flight",
    .help = "Orders that have not reached their end.",
    .label = "status",
    .sql = sql_orders_in_flight,
    .label_of = order_status_of,
    .labels = order_open_statuses,
};

const struct saga_service order_service = {
    .name = "order-svc",
    .about = "takes orders over HTTP, and tells what becomes of them",
    .port = 8080,
    .schema = sql_order_schema,
    .steps = (const struct saga_step *const[]){&placement_step, &completion_step, NULL},
    .watches = (const struct saga_watch *const[]){&facts_watch, NULL},
    .tables = (const struct saga_table *const[]){&idempotency_table, &order_table, &timer_table,
                                                 &new_order_table, NULL},
    .commands =
        (const struct saga_command *const[]){&order_place, &order_cancel, &order_expire, NULL},
    .says = (const struct saga_event *const[]){&order_created, &order_cancel_requested,
                                               &order_cancelled, &order_completed, NULL},
    .timer = &deadline_timer,
    .gauge = &in_flight,
    .expire_keys = sql_idempotency_expire,
    .routes = order_routes,
    .problems = order_problems,
};
