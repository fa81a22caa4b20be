/* facts.c: status and reason as functions of the facts; see facts.h. */
#include "facts.h"

const char *const order_open_statuses[] = {"pending", "paid",       "reserved",
                                           "shipped", "cancelling", NULL};

/* In the order in which they win. */
static const struct {
    int32_t fact;
    const char *name;
} reasons[] = {
    {FACT_CARD_DECLINED, "card_declined"},
    {FACT_INSUFFICIENT_FUNDS, "insufficient_funds"},
    {FACT_UNKNOWN_PAYMENT_METHOD, "unknown_payment_method"},
    {FACT_OUT_OF_STOCK, "out_of_stock"},
    {FACT_UNKNOWN_SKU, "unknown_sku"},
    {FACT_ADDRESS_UNDELIVERABLE, "address_undeliverable"},
    {FACT_CUSTOMER_REQUEST, "customer_request"},
    {FACT_DEADLINE_EXCEEDED, "deadline_exceeded"},
};
#define REASONS_COUNT (sizeof reasons / sizeof *reasons)

static const struct {
    int32_t fact;
    const char *name;
} events[] = {
    {FACT_CREATED, "order.created"},           {FACT_PAID, "payment.done"},
    {FACT_PAYMENT_FAILED, "payment.failed"},   {FACT_REFUNDED, "payment.refunded"},
    {FACT_RESERVED, "inventory.reserved"},     {FACT_INVENTORY_FAILED, "inventory.failed"},
    {FACT_RELEASED, "inventory.released"},     {FACT_SHIPPED, "order.shipped"},
    {FACT_SHIPPING_FAILED, "shipping.failed"}, {FACT_COMPLETED, "order.completed"},
    {FACT_CANCELLED, "order.cancelled"},
};

bool order_facts_known(int32_t facts)
{
    return (facts & ~(2 * FACT_DEADLINE_EXCEEDED - 1)) == 0;
}

bool order_is_final(int32_t facts)
{
    return (facts & (FACT_COMPLETED | FACT_CANCELLED)) != 0;
}

bool order_is_going_back(int32_t facts)
{
    const int32_t back = FACT_PAYMENT_FAILED | FACT_INVENTORY_FAILED | FACT_SHIPPING_FAILED |
                         FACT_RELEASED | FACT_REFUNDED | FACT_CANCELLED | FACT_CUSTOMER_REQUEST |
                         FACT_DEADLINE_EXCEEDED;
    /* A cancel that lost its race against shipping is over. */
    return (facts & back) != 0 && (facts & (FACT_SHIPPED | FACT_COMPLETED)) == 0;
}

const char *order_status(int32_t facts)
{
    if (facts & FACT_COMPLETED)
        return "completed";
    if (facts & FACT_CANCELLED)
        return "cancelled";
    if (facts & FACT_SHIPPED)
        return "shipped";
    if (order_is_going_back(facts))
        return "cancelling";
    if (facts & FACT_RESERVED)
        return "reserved";
    if (facts & FACT_PAID)
        return "paid";
    return "pending";
}

const char *order_status_of(int64_t facts)
{
    return order_status((int32_t)facts);
}

const char *order_status_reason(int32_t facts)
{
    if (!order_is_going_back(facts))
        return NULL;
    for (size_t i = 0; i < REASONS_COUNT; i++)
        if (facts & reasons[i].fact)
            return reasons[i].name;
    return NULL;
}

int32_t order_fact_of_event(const char *name)
{
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (strcmp(events[i].name, name) == 0)
            return events[i].fact;
    return 0;
}

int32_t order_fact_of_reason(struct saga_text reason)
{
    for (size_t i = 0; i < REASONS_COUNT; i++)
        if (saga_text_equal(saga_text(reasons[i].name), reason))
            return reasons[i].fact;
    return 0;
}
