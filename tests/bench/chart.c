/* chart.c: curves as SVG; see chart.h. */
#include "chart.h"

#include <math.h>

#include "support/markup.h"

#define WIDTH 920.0
#define HEIGHT 400.0 /* of one chart, with its title and its axis */
#define LEFT 80.0
#define RIGHT 180.0 /* where the curves' names stand */
#define TOP 50.0
#define BOTTOM 60.0
#define NOTE 18.0

/* Told apart also by who does not see all colours, and in grey. */
static const char *const colours[CHART_CURVES_MAX] = {"#0b6e99", "#d1495b", "#66a182", "#edae49",
                                                      "#5f4b8b", "#8d99ae", "#222222", "#b56576"};

struct axis {
    double low, high;  /* values */
    double begin, end; /* where they stand */
};

static double place(const struct axis *axis, double value)
{
    double share = log(value / axis->low) / log(axis->high / axis->low);
    return axis->begin + share * (axis->end - axis->begin);
}

/* Takes the value into the axis. */
static void widen(struct axis *axis, double value)
{
    if (!(value > 0))
        return;
    if (axis->low == 0 || value < axis->low)
        axis->low = value;
    if (value > axis->high)
        axis->high = value;
}

/* Some room at both ends, and never nothing: log needs two different values. */
static void round_out(struct axis *axis)
{
    if (axis->low == 0)
        axis->low = axis->high = 1;
    axis->low /= 1.3;
    axis->high *= 1.3;
}

static void put(FILE *file, double x, double y, const char *anchor, const char *style,
                const char *text)
{
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>", x, y, anchor, style);
    markup_escape(file, text);
    fputs("</text>\n", file);
}

static void line(FILE *file, double x1, double y1, double x2, double y2, const char *style)
{
    fprintf(file, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2,
            style);
}

/* At 1, 2 and 5 of each power of ten. */
static void draw_ticks(FILE *file, const struct axis *axis, const struct axis *other, int is_x)
{
    static const double steps[] = {1, 2, 5};
    char label[32];

    for (int power = -3; power <= 9; power++) {
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            double value = steps[i] * pow(10, power), at;
            if (value < axis->low || value > axis->high)
                continue;
            at = place(axis, value);
            snprintf(label, sizeof label, "%g", value);
            if (is_x) {
                line(file, at, other->begin, at, other->end, "stroke=\"#e4e4e4\"");
                put(file, at, other->begin + 18, "middle", "", label);
            } else {
                line(file, other->begin, at, other->end, at, "stroke=\"#e4e4e4\"");
                put(file, other->begin - 8, at + 4, "end", "", label);
            }
        }
    }
}

static void draw_curve(FILE *file, const struct chart *chart, size_t which, const struct axis *x,
                       const struct axis *y)
{
    const struct chart_curve *curve = &chart->curve[which];
    double last_y = 0;

    fprintf(file, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"",
            colours[which]);
    for (size_t i = 0; i < chart->points; i++)
        if (chart->x[i] > 0 && curve->y[i] > 0)
            fprintf(file, "%.1f,%.1f ", place(x, chart->x[i]), place(y, curve->y[i]));
    fputs("\"/>\n", file);
    for (size_t i = 0; i < chart->points; i++) {
        if (!(chart->x[i] > 0 && curve->y[i] > 0))
            continue;
        last_y = place(y, curve->y[i]);
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"><title>",
                place(x, chart->x[i]), last_y, colours[which]);
        markup_escape(file, curve->name);
        fprintf(file, ": %.4g at %.5g</title></circle>\n", curve->y[i], chart->x[i]);
    }
    double key_y = y->end + 14 + 20 * (double)which;
    line(file, x->end + 16, key_y, x->end + 40, key_y, "stroke=\"#bbb\"");
    fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"%s\"/>\n", x->end + 28, key_y,
            colours[which]);
    put(file, x->end + 48, key_y + 4, "start", "", curve->name);
}

static void draw(FILE *file, const struct chart *chart, double top)
{
    struct axis x = {.begin = LEFT, .end = WIDTH - RIGHT};
    struct axis y = {.begin = top + HEIGHT - BOTTOM, .end = top + TOP};

    for (size_t i = 0; i < chart->points; i++)
        widen(&x, chart->x[i]);
    widen(&x, chart->mark_x);
    for (size_t k = 0; k < chart->curves; k++)
        for (size_t i = 0; i < chart->points; i++)
            widen(&y, chart->curve[k].y[i]);
    round_out(&x);
    round_out(&y);
    put(file, LEFT, top + 28, "start", "font-size=\"16\" font-weight=\"bold\"", chart->title);
    draw_ticks(file, &x, &y, 1);
    draw_ticks(file, &y, &x, 0);
    line(file, x.begin, y.begin, x.end, y.begin, "stroke=\"#444\"");
    line(file, x.begin, y.begin, x.begin, y.end, "stroke=\"#444\"");
    put(file, x.end, y.begin + 38, "end", "fill=\"#444\"", chart->unit_x);
    put(file, LEFT, top + 44, "start", "fill=\"#444\"", chart->unit_y);
    if (chart->mark_x > 0) {
        double at = place(&x, chart->mark_x);
        line(file, at, y.begin, at, y.end, "stroke=\"#888\" stroke-dasharray=\"5 4\"");
        put(file, at - 6, y.begin - 8, "end", "fill=\"#666\"", chart->mark);
    }
    for (size_t k = 0; k < chart->curves; k++)
        draw_curve(file, chart, k, &x, &y);
}

void chart_write(FILE *file, const struct chart *charts, size_t count, const char *const *notes)
{
    size_t lines = 0;

    while (notes[lines] != NULL)
        lines++;
    double height = HEIGHT * (double)count + NOTE * (double)lines + 20;
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
            "viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            WIDTH, height, WIDTH, height);
    for (size_t i = 0; i < count; i++)
        draw(file, &charts[i], HEIGHT * (double)i);
    for (size_t i = 0; i < lines; i++)
        put(file, LEFT, HEIGHT * (double)count + NOTE * (double)(i + 1), "start", "fill=\"#444\"",
            notes[i]);
    fputs("</svg>\n", file);
}
