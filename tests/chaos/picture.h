/* picture.h: a run as one SVG: faults as bands over throughput, latency, in flight and backlog. */
#ifndef CHAOS_PICTURE_H
#define CHAOS_PICTURE_H

#include <stdio.h>

#include "summary.h"

#define PICTURE_POINTS_MAX 1200 /* a longer run has several seconds in a point */

/* hover: what was at a moment is told when one points at it; for a page, where that works. */
void picture_write(FILE *file, const struct summary *summary, bool hover);

/* ---- pure ---- */

/* How many seconds a point has. */
size_t picture_step(size_t seconds);
/* What a point shows of so many seconds: rates as their mean, the rest as its greatest, -1 where
 * there is none. */
struct summary_second picture_point(const struct summary_second *at, size_t count);

#endif
