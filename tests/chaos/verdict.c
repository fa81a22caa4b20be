/* verdict.c: one customer's story against what is there; see verdict.h. */
#include "verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "told.h"
#include "wish.h"

static bool is_accepted(const struct customer *customer)
{
    return customer->accepted_us != 0;
}

bool verdict_is_refused(const struct customer *customer)
{
    /* 503 and 409 leave open what has become of a request before, or of this one. */
    return !is_accepted(customer) && customer->unknown == 0 && customer->asked <= 1 &&
           customer->status >= 400 && customer->status != 409 && customer->status < 500;
}

bool verdict_needs_reason(const struct customer *customer, const struct found *found)
{
    return found->rows > 0 && found->end == VERDICT_CANCELLED && customer->cancel_status == 0 &&
           wish_reason(wish_of(customer->mark).path) == NULL && !found->duplicate;
}

bool verdict_needs_duplicates(const struct customer *customer, const struct found *found)
{
    return customer->keyed && (found->rows > 1 || (customer->status == 202 && !found->answered));
}

bool verdict_reason_fits(const struct customer *customer, const struct found *found,
                         const char *reason)
{
    const char *refused = wish_reason(wish_of(customer->mark).path);

    return (refused != NULL && strcmp(reason, refused) == 0) ||
           (customer->cancel_status != 0 && strcmp(reason, "customer_request") == 0) ||
           (found->overdue && strcmp(reason, "deadline_exceeded") == 0);
}

__attribute__((format(printf, 3, 4))) static bool wrong(char *buffer, size_t size,
                                                        const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(buffer, size, format, arguments);
    va_end(arguments);
    return false;
}

/* How many there may be, and must be. */
static bool count_is_right(const struct customer *customer, const struct found *found,
                           char *ret_wrong, size_t size)
{
    unsigned own = found->rows - found->duplicates;

    if (customer->keyed && own > 1)
        return wrong(ret_wrong, size, "%u orders are there for one key, asked %d times", own,
                     customer->asked);
    if (!customer->keyed && found->rows > customer->asked)
        return wrong(ret_wrong, size, "%u orders are there, asked %d times", found->rows,
                     customer->asked);
    if (is_accepted(customer) && !found->answered && !found->duplicate)
        return wrong(ret_wrong, size, "answered %d, and the order is not there", customer->status);
    if (is_accepted(customer) && own == 0)
        return wrong(ret_wrong, size, "its key had an order already, they say, but it has none");
    if (found->rows > 0 && verdict_is_refused(customer))
        return wrong(ret_wrong, size, "refused with %d, and an order is there", customer->status);
    return true;
}

static bool body_is_right(const struct customer *customer, const struct found *found,
                          char *ret_wrong, size_t size)
{
    char order[WISH_ORDER_SIZE];
    int64_t total = wish_write_order(customer->mark, order);

    if (found->sent != told_hash_sent(order, total))
        return wrong(ret_wrong, size, "the order there is not the one that was sent: %.120s",
                     order);
    if (found->answered && found->body != customer->body)
        return wrong(ret_wrong, size,
                     "the order there has other times than the one that was answered");
    return true;
}

static bool end_is_right(const struct customer *customer, const struct found *found,
                         char *ret_wrong, size_t size)
{
    const char *refused = wish_reason(wish_of(customer->mark).path);

    if (found->duplicate)
        return true;
    if (found->end == VERDICT_OPEN)
        return wrong(ret_wrong, size, "the order has not come to its end");
    bool completed = found->end == VERDICT_COMPLETED;
    if (completed && refused != NULL)
        return wrong(ret_wrong, size, "completed, and should have been refused: %s", refused);
    if (customer->ended && customer->completed != completed)
        return wrong(ret_wrong, size, "was seen %s, and is %s",
                     customer->completed ? "completed" : "cancelled",
                     completed ? "completed" : "cancelled");
    if (!completed && customer->cancel_status == 409)
        return wrong(ret_wrong, size, "could not be cancelled any more, they said, and is");
    if (verdict_needs_reason(customer, found) &&
        !verdict_reason_fits(customer, found, found->reason))
        return wrong(ret_wrong, size, "cancelled (%s), and nobody had asked for it",
                     found->reason[0] == '\0' ? "no reason" : found->reason);
    return true;
}

bool verdict(const struct customer *customer, const struct found *found, char *ret_wrong,
             size_t size)
{
    return count_is_right(customer, found, ret_wrong, size) &&
           (found->rows == 0 || (body_is_right(customer, found, ret_wrong, size) &&
                                 end_is_right(customer, found, ret_wrong, size)));
}

bool verdict_answer(const struct customer *customer, const struct found *found,
                    const struct told *told, char *ret_wrong, size_t size)
{
    static const char *const ends[] = {"", "completed", "cancelled"};

    if (strcmp(told->id, found->id) != 0 || told->body != found->body)
        return wrong(ret_wrong, size, "GET tells another order than the database has");
    if (found->end != VERDICT_OPEN && strcmp(told->status, ends[found->end]) != 0)
        return wrong(ret_wrong, size, "GET says %s, the database %s", told->status,
                     ends[found->end]);
    if (found->duplicate)
        return true;
    if (found->end == VERDICT_CANCELLED && !verdict_reason_fits(customer, found, told->reason))
        return wrong(ret_wrong, size, "cancelled, and for no reason that fits: %s", told->reason);
    if (customer->ended && found->answered && told->end != customer->end)
        return wrong(ret_wrong, size, "GET tells another end than its customer was told: %s (%s)",
                     told->status, told->reason);
    return true;
}
