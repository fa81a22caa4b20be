/* saga.c: the contract's topics. */
#include "saga.h"

#include <string.h>

const char *const saga_services[DBS] = {"order-svc", "payment-svc", "inventory-svc",
                                        "shipping-svc"};

#define BY(db) (1u << (db))

const struct audit_topic_of saga_topics[TOPICS + 1] = {
    [CREATED] = {"order.created", ORDER, BY(PAYMENT)},
    [CANCEL_REQUESTED] = {"order.cancel_requested", ORDER, BY(SHIPPING)},
    [CANCELLED] = {"order.cancelled", ORDER, 0},
    [COMPLETED] = {"order.completed", ORDER, 0},
    [PAID] = {"payment.done", PAYMENT, BY(ORDER) | BY(INVENTORY)},
    [PAYMENT_FAILED] = {"payment.failed", PAYMENT, BY(ORDER)},
    [REFUNDED] = {"payment.refunded", PAYMENT, BY(ORDER)},
    [RESERVED] = {"inventory.reserved", INVENTORY, BY(ORDER) | BY(SHIPPING)},
    [INVENTORY_FAILED] = {"inventory.failed", INVENTORY, BY(ORDER) | BY(PAYMENT)},
    [RELEASED] = {"inventory.released", INVENTORY, BY(ORDER) | BY(PAYMENT)},
    [SHIPPED] = {"order.shipped", SHIPPING, BY(ORDER) | BY(INVENTORY)},
    [SHIPPING_FAILED] = {"shipping.failed", SHIPPING, BY(ORDER) | BY(INVENTORY)},
    [TOPICS] = {"an unknown topic", ORDER, 0},
};

enum audit_topic saga_topic(const char *name)
{
    enum audit_topic topic = 0;
    while (topic < TOPICS && strcmp(saga_topics[topic].name, name) != 0)
        topic++;
    return topic;
}
