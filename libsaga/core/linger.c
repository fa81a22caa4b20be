/* linger.c: batches form by themselves under load; in between, a short wait makes them form. */
#include "core/linger.h"

#include <math.h>

#define SMOOTHING_US 500000.0
/* Best of the fixed lingers at each load, as measured: none below 300/s, 2 ms at 1000/s, 5 ms from
 * 3000/s on. Straight lines between. */
#define RATE_NONE 300.0
#define RATE_MIDDLE 1000.0
#define RATE_FULL 3000.0
#define LINGER_MIDDLE_US 2000.0
#define LINGER_FULL_US 5000.0

static double decayed(const struct linger *linger, int64_t now_us)
{
    double age = (double)(now_us - linger->last_us);
    return age <= 0 ? linger->rate : linger->rate * exp(-age / SMOOTHING_US);
}

void linger_note(struct linger *linger, int64_t now_us, unsigned count)
{
    linger->rate = decayed(linger, now_us) + (double)count * 1e6 / SMOOTHING_US;
    linger->last_us = now_us;
}

int64_t linger_us(struct linger *linger, int64_t now_us)
{
    if (linger->fixed_us >= 0)
        return linger->fixed_us;
    double rate = decayed(linger, now_us);
    if (rate <= RATE_NONE)
        return 0;
    if (rate <= RATE_MIDDLE)
        return (int64_t)(LINGER_MIDDLE_US * (rate - RATE_NONE) / (RATE_MIDDLE - RATE_NONE));
    if (rate >= RATE_FULL)
        return (int64_t)LINGER_FULL_US;
    return (int64_t)(LINGER_MIDDLE_US + (LINGER_FULL_US - LINGER_MIDDLE_US) * (rate - RATE_MIDDLE) /
                                            (RATE_FULL - RATE_MIDDLE));
}
