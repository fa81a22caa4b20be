/*
 * moments.h: counts and latencies second by second. One thread writes; any may read the seconds
 * that have passed whole.
 */
#ifndef CHAOS_MOMENTS_H
#define CHAOS_MOMENTS_H

#include "customers.h"

struct moments;

struct moments *moments_new(int64_t begin_us);
/* The second of now, to be counted in; those before it are closed. One that nobody sees if there
 * were too many. */
struct customers_second *moments_now(struct moments *moments, int64_t now_us);
/* In the second that moments_now gave last. */
void moments_answered(struct moments *moments, int64_t latency_us);
void moments_finished(struct moments *moments, int64_t latency_us);

size_t moments_count(const struct moments *moments);
struct customers_second moments_at(const struct moments *moments, size_t second);
void moments_free(struct moments *moments);

#endif
