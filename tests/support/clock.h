/* clock.h: time for tests and load tools, and waiting with a deadline. */
#ifndef SUPPORT_CLOCK_H
#define SUPPORT_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline void clock_pause_ms(int64_t ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

/* Looks until the condition holds, at most so many seconds; the value tells whether it did. */
#define CLOCK_UNTIL(seconds, condition)                                                            \
    ({                                                                                             \
        int64_t until_end_us_ = clock_us() + (int64_t)(seconds)*1000000;                           \
        bool until_held_;                                                                          \
        while (!(until_held_ = (condition)) && clock_us() < until_end_us_)                         \
            clock_pause_ms(10);                                                                    \
        until_held_;                                                                               \
    })

#endif
