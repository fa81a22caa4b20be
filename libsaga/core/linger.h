/* linger.h: how long a batch may wait for company, from the measured rate of arrivals. Pure. */
#ifndef LINGER_H
#define LINGER_H

#include <stdint.h>

struct linger {
    int32_t fixed_us; /* >= 0: always this; -1: adaptive */
    double rate;      /* messages a second, smoothed over about half a second */
    int64_t last_us;
};

/* count messages arrived by now. */
void linger_note(struct linger *linger, int64_t now_us, unsigned count);
/* How long to wait before the next batch: 0 below about 200/s, some ms above. */
int64_t linger_us(struct linger *linger, int64_t now_us);

#endif
