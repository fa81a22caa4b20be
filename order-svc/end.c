/* end.c: what completion and withdrawal have in common: an order has come to its end. */
#include "steps.h"
#include "tables.h"

void order_end(struct saga_tx *tx, const char *outcome, const struct order *order)
{
    struct order_news news = {.facts = order->facts,
                              .refunded = order->refunded,
                              .updated_at = order->updated_at,
                              .tracking_len = order->tracking_number.len};

    saga_remove(tx, &timer_table, saga_uuid_key(&order->order_id));
    saga_outcome(tx, outcome, order->created_at);
    if (news.tracking_len > sizeof news.tracking_number)
        return; /* longer than any of ours: who waits reads it */
    if (news.tracking_len > 0)
        memcpy(news.tracking_number, order->tracking_number.at, news.tracking_len);
    saga_news(tx, &news, sizeof news);
}
