/* chart.h: a picture of curves over a logarithmic axis, as an SVG that needs nothing else. */
#ifndef BENCH_CHART_H
#define BENCH_CHART_H

#include <stddef.h>
#include <stdio.h>

#define CHART_POINTS_MAX 32
#define CHART_CURVES_MAX 8

/* Both axes are logarithmic; a point whose x or y is not above 0 is left out. */
struct chart {
    const char *title, *unit_x, *unit_y;
    size_t points; /* in the order in which they are joined */
    double x[CHART_POINTS_MAX];
    size_t curves;
    struct chart_curve {
        const char *name;
        double y[CHART_POINTS_MAX];
    } curve[CHART_CURVES_MAX];
    double mark_x; /* a line across, with mark; 0: none */
    const char *mark;
};

/* One above the other, with lines of text under them; NULL ends notes. Text is escaped. */
void chart_write(FILE *file, const struct chart *charts, size_t count, const char *const *notes);

#endif
