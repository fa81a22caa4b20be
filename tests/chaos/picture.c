/* picture.c: a run as one SVG; see picture.h. */
#include "picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/markup.h"

#define WIDTH 900.0
#define LEFT 62.0
#define RIGHT 852.0
#define HEAD 34.0      /* of a panel: its name and what its curves are */
#define GAP 12.0       /* below a panel */
#define FOOT 62.0      /* the time, and notes */
#define BARE 16.0      /* above, where there are too many faults to name them */
#define NAMES 96.0     /* room for the faults' names, at a slant */
#define NAME_ROOM 11.0 /* a name needs so much along the time */
#define DENSE 600      /* points: more want thinner lines */
#define SLICES_MAX 300
#define CURVES_MAX 4

/* One colour for paper, one for a dark page. */
static const char style[] =
    "<style>\n"
    ".paper{fill:#fff}.ink{fill:#222}.faint{fill:#666}.grid{stroke:#e6e6e6}.axis{stroke:#999}\n"
    ".c{fill:none;stroke-width:1.5;stroke-linejoin:round}.thin{stroke-width:1;stroke-opacity:.75}."
    "dense{stroke-width:.6}\n"
    ".grey{stroke:#8c8c8c}.blue{stroke:#1f6fd6}.green{stroke:#17803d}.violet{stroke:#8b3fc4}"
    ".red{stroke:#c62f2f}\n"
    ".harm{fill:#f07b16;fill-opacity:.22}.after{fill:#e9c21a;fill-opacity:.24}"
    ".unseen{fill:#d11a1a;fill-opacity:.4}.slice{fill:#888;fill-opacity:0}"
    ".slice:hover{fill-opacity:.18}\n"
    "@media (prefers-color-scheme:dark){"
    ".paper{fill:#15181c}.ink{fill:#e8e8e8}.faint{fill:#a4a9b0}.grid{stroke:#2d3238}"
    ".axis{stroke:#6d737b}.grey{stroke:#9aa0a8}.blue{stroke:#6aa8ff}.green{stroke:#52c878}"
    ".violet{stroke:#c48df0}.red{stroke:#ff7d7d}}\n"
    "</style>\n";

struct curve {
    const char *name, *class;
    double (*of)(const struct summary_second *second);
};

struct panel {
    const char *title;
    double height;
    bool is_log;
    struct curve curves[CURVES_MAX];
};

static double asked(const struct summary_second *at)
{
    return at->customers.asked;
}
static double accepted(const struct summary_second *at)
{
    return at->customers.accepted;
}
static double finished(const struct summary_second *at)
{
    return at->customers.finished;
}
static double answer_p50(const struct summary_second *at)
{
    return at->customers.answer_ms_p50;
}
static double answer_p99(const struct summary_second *at)
{
    return at->customers.answer_ms_p99;
}
static double finish_p50(const struct summary_second *at)
{
    return at->customers.finish_ms_p50;
}
static double finish_p99(const struct summary_second *at)
{
    return at->customers.finish_ms_p99;
}
static double in_flight(const struct summary_second *at)
{
    return at->watch.in_flight;
}
static double order(const struct summary_second *at)
{
    return at->watch.backlog[PART_ORDER];
}
static double payment(const struct summary_second *at)
{
    return at->watch.backlog[PART_PAYMENT];
}
static double stock(const struct summary_second *at)
{
    return at->watch.backlog[PART_INVENTORY];
}
static double shipping(const struct summary_second *at)
{
    return at->watch.backlog[PART_SHIPPING];
}

static const struct panel panels[] = {
    {"orders a second",
     130,
     false,
     {{"asked", "grey", asked},
      {"accepted", "blue", accepted},
      {"seen at their end (by the quarter that waits)", "green", finished}}},
    {"latency",
     150,
     true,
     {{"answer p50", "blue", answer_p50},
      {"p99", "blue thin", answer_p99},
      {"POST to the end p50", "green", finish_p50},
      {"p99", "green thin", finish_p99}}},
    {"orders in flight", 100, false, {{"as order-svc says", "violet", in_flight}}},
    {"outbox rows not yet acknowledged",
     100,
     false,
     {{"order", "blue", order},
      {"payment", "green", payment},
      {"inventory", "violet", stock},
      {"shipping", "red", shipping}}},
};
#define PANELS (sizeof panels / sizeof *panels)

struct picture {
    FILE *file;
    const struct summary *summary;
    struct summary_second *points;
    size_t count, step;
    double seconds, top, bottom;
    bool names; /* there is room for those of the faults */
};

static double x_of(const struct picture *picture, double second)
{
    if (second < 0)
        second = 0;
    if (second > picture->seconds)
        second = picture->seconds;
    return LEFT + (RIGHT - LEFT) * second / picture->seconds;
}

static double second_of(const struct picture *picture, int64_t at_us)
{
    return (double)(at_us - picture->summary->begin_us) / 1e6;
}

static void put(FILE *file, double x, double y, const char *anchor, const char *class,
                const char *text)
{
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor,
            class);
    markup_escape(file, text);
    fputs("</text>\n", file);
}

static void rule(FILE *file, double x1, double y1, double x2, double y2, const char *class)
{
    fprintf(file, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1, y1,
            x2, y2, class);
}

/* ---- faults ---- */

static void write_fault_title(const struct picture *picture, const struct fault *fault)
{
    char victims[120];
    double recovery_s = summary_recovery_s(fault);

    fputs("<title>", picture->file);
    markup_text(picture->file, "%s: %s%s%s", fault->kind->name,
                fault_victims(fault, victims, sizeof victims), fault->other < PARTS ? " and " : "",
                fault->other < PARTS ? part_names[fault->other] : "");
    if (recovery_s >= 0)
        markup_text(picture->file, "; as before %.1f s after it was lifted", recovery_s);
    else
        markup_text(picture->file, "; NOT RECOVERED");
    if (!fault->proved)
        markup_text(picture->file, "; NOT SEEN");
    fputs("</title>", picture->file);
}

static void draw_band(const struct picture *picture, const struct fault *fault, int64_t from_us,
                      int64_t to_us, const char *class)
{
    double x = x_of(picture, second_of(picture, from_us));
    double width = x_of(picture, second_of(picture, to_us)) - x;

    fprintf(picture->file,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"%s\">", x,
            picture->top, width < 1 ? 1 : width, picture->bottom - picture->top, class);
    write_fault_title(picture, fault);
    fputs("</rect>\n", picture->file);
}

static void draw_faults(const struct picture *picture)
{
    const struct summary *summary = picture->summary;
    double last_x = -NAME_ROOM;

    for (size_t i = 0; i < summary->faults_count; i++) {
        const struct fault *fault = &summary->faults[i];
        int64_t lifted_us = fault->lifted_us ? fault->lifted_us : summary->end_us;
        int64_t over_us = fault->recovered_us ? fault->recovered_us : summary->end_us;
        draw_band(picture, fault, fault->fired_us, lifted_us, fault->proved ? "harm" : "unseen");
        if (over_us > lifted_us)
            draw_band(picture, fault, lifted_us, over_us, "after");
        double x = x_of(picture, second_of(picture, fault->fired_us));
        if (!picture->names || x - last_x < NAME_ROOM)
            continue; /* the band tells it to who points at it */
        last_x = x;
        fprintf(picture->file,
                "<text transform=\"translate(%.1f %.1f) rotate(-52)\" class=\"ink\" "
                "font-size=\"10\">",
                x + 6, picture->top - 4);
        markup_escape(picture->file, fault->kind->name);
        fputs("</text>\n", picture->file);
    }
}

/* ---- panels ---- */

/* 1, 2 or 5 of a power of ten, so that there are at most so many steps. */
static double tick_step(double greatest, double steps)
{
    double power = pow(10, floor(log10(greatest / steps)));

    return greatest / steps <= power       ? power
           : greatest / steps <= 2 * power ? 2 * power
           : greatest / steps <= 5 * power ? 5 * power
                                           : 10 * power;
}

static double greatest_of(const struct picture *picture, const struct panel *panel)
{
    double greatest = panel->is_log ? 10 : 1;

    for (size_t c = 0; c < CURVES_MAX && panel->curves[c].of != NULL; c++)
        for (size_t i = 0; i < picture->count; i++)
            greatest = fmax(greatest, panel->curves[c].of(&picture->points[i]));
    return panel->is_log ? pow(10, ceil(log10(greatest) - 1e-9)) : greatest * 1.05;
}

static double y_of(const struct panel *panel, double top, double greatest, double value)
{
    double share =
        panel->is_log ? (value <= 1 ? 0 : log10(value) / log10(greatest)) : value / greatest;
    return top + panel->height * (1 - share);
}

static void write_value(char *buffer, size_t size, bool is_ms, double value)
{
    if (is_ms && value >= 1000)
        snprintf(buffer, size, "%.0f s", value / 1000);
    else
        snprintf(buffer, size, is_ms ? "%.0f ms" : "%.0f", value);
}

static void draw_scale(const struct picture *picture, const struct panel *panel, double top,
                       double greatest)
{
    double step = panel->is_log ? 0 : tick_step(greatest, 4);
    char label[32];

    for (double value = panel->is_log ? 1 : 0; value <= greatest * 1.0001;
         value = panel->is_log ? value * 10 : value + step) {
        double y = y_of(panel, top, greatest, value);
        write_value(label, sizeof label, panel->is_log, value);
        rule(picture->file, LEFT, y, RIGHT, y, "grid");
        put(picture->file, LEFT - 6, y + 4, "end", "faint", label);
    }
}

/* A gap where there is no value. */
static void draw_curve(const struct picture *picture, const struct panel *panel,
                       const struct curve *curve, double top, double greatest)
{
    bool drawn = false;

    fprintf(picture->file, "<path class=\"c %s%s\" d=\"", curve->class,
            picture->count > DENSE ? " dense" : "");
    for (size_t i = 0; i < picture->count; i++) {
        double value = curve->of(&picture->points[i]);
        if (value < 0) {
            drawn = false;
            continue;
        }
        double second = ((double)i + 0.5) * (double)picture->step;
        fprintf(picture->file, "%s%.1f %.1f", drawn ? "L" : "M", x_of(picture, second),
                y_of(panel, top, greatest, value));
        /* One alone would not be seen. */
        if (!drawn)
            fputs("h.1", picture->file);
        drawn = true;
    }
    fputs("\"/>\n", picture->file);
}

/* Letters are some 6 wide. */
static void draw_key(const struct picture *picture, const struct panel *panel, double y)
{
    double x = RIGHT;

    for (size_t c = CURVES_MAX; c-- > 0;) {
        const struct curve *curve = &panel->curves[c];
        if (curve->of == NULL)
            continue;
        x -= 6.0 * (double)strlen(curve->name);
        put(picture->file, x, y, "start", "faint", curve->name);
        fprintf(picture->file, "<path class=\"c %s\" d=\"M%.1f %.1fh18\"/>\n", curve->class, x - 24,
                y - 4);
        x -= 40;
    }
}

static void draw_panel(const struct picture *picture, const struct panel *panel, double top)
{
    double greatest = greatest_of(picture, panel);

    fprintf(picture->file,
            "<text x=\"%.1f\" y=\"%.1f\" class=\"ink\" font-weight=\"bold\">%s</text>\n", LEFT,
            top - 9, panel->title);
    draw_key(picture, panel, top - 9);
    draw_scale(picture, panel, top, greatest);
    for (size_t c = 0; c < CURVES_MAX && panel->curves[c].of != NULL; c++)
        draw_curve(picture, panel, &panel->curves[c], top, greatest);
    rule(picture->file, LEFT, top + panel->height, RIGHT, top + panel->height, "axis");
}

/* ---- time ---- */

static void write_time(char *buffer, size_t size, double second)
{
    unsigned at = (unsigned)second;

    if (at >= 3600)
        snprintf(buffer, size, "%u:%02u:%02u", at / 3600, at / 60 % 60, at % 60);
    else
        snprintf(buffer, size, "%u:%02u", at / 60, at % 60);
}

static void draw_time(const struct picture *picture)
{
    static const double steps[] = {5, 10, 15, 30, 60, 120, 300, 600, 900, 1800};
    size_t s = 0;
    char label[32];

    while (s + 1 < sizeof steps / sizeof *steps && picture->seconds / steps[s] > 13)
        s++;
    for (double second = 0; second <= picture->seconds; second += steps[s]) {
        double x = x_of(picture, second);
        write_time(label, sizeof label, second);
        rule(picture->file, x, picture->top, x, picture->bottom, "grid");
        put(picture->file, x, picture->bottom + 16, "middle", "faint", label);
    }
}

/* Strips over all panels, each telling what was then. */
static void draw_slices(const struct picture *picture)
{
    size_t each = picture->count / SLICES_MAX + 1;
    char time[32], victims[120];

    for (size_t i = 0; i < picture->count; i += each) {
        size_t count = picture->count - i < each ? picture->count - i : each;
        struct summary_second point = picture_point(&picture->points[i], count);
        double from = (double)(i * picture->step), to = (double)((i + count) * picture->step);
        write_time(time, sizeof time, from);
        fprintf(picture->file,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"slice\">"
                "<title>%s",
                x_of(picture, from), picture->top, x_of(picture, to) - x_of(picture, from),
                picture->bottom - picture->top, time);
        for (size_t f = 0; f < picture->summary->faults_count; f++) {
            const struct fault *fault = &picture->summary->faults[f];
            int64_t over_us = fault->recovered_us ? fault->recovered_us : picture->summary->end_us;
            if (second_of(picture, fault->fired_us) < to && second_of(picture, over_us) >= from)
                markup_text(picture->file, "\n%s: %s", fault->kind->name,
                            fault_victims(fault, victims, sizeof victims));
        }
        for (size_t p = 0; p < PANELS; p++) {
            fprintf(picture->file, "\n%s%s:", panels[p].title, panels[p].is_log ? ", ms" : "");
            for (size_t c = 0; c < CURVES_MAX && panels[p].curves[c].of != NULL; c++) {
                double value = panels[p].curves[c].of(&point);
                fprintf(picture->file, value < 0 ? "%s %s -" : "%s %s %.0f", c == 0 ? "" : ",",
                        panels[p].curves[c].name, value);
            }
        }
        fputs("</title></rect>\n", picture->file);
    }
}

static void gather(struct picture *picture)
{
    const struct summary *summary = picture->summary;

    picture->step = picture_step(summary->count);
    picture->points = calloc(summary->count / picture->step + 1, sizeof *picture->points);
    if (picture->points == NULL)
        abort();
    for (size_t i = 0; i < summary->count; i += picture->step) {
        size_t left = summary->count - i;
        picture->points[picture->count++] =
            picture_point(&summary->at[i], left < picture->step ? left : picture->step);
    }
    picture->seconds = summary->count == 0 ? 1 : (double)summary->count;
}

static void write_notes(const struct picture *picture, const char *good)
{
    char note[300], resolution[100] = "";

    if (picture->step > 1)
        snprintf(resolution, sizeof resolution,
                 " A point is %zu s: rates are their mean, the rest their maximum.", picture->step);
    snprintf(note, sizeof note, "Orange: a fault holds. Yellow: until all is as it was before.%s",
             resolution);
    put(picture->file, LEFT, picture->bottom + 36, "start", "faint", note);
    snprintf(note, sizeof note, "Seed %llu, %s, %.0f orders a second, %zu faults; %s",
             (unsigned long long)picture->summary->seed, picture->summary->form,
             picture->summary->rate, picture->summary->faults_count, good);
    put(picture->file, LEFT, picture->bottom + 53, "start", "faint", note);
}

void picture_write(FILE *file, const struct summary *summary, bool hover)
{
    const char *wrong = summary_wrong(summary);
    bool names = (double)summary->faults_count * NAME_ROOM <= RIGHT - LEFT;
    double height = names ? NAMES : BARE;
    struct picture picture = {.file = file, .summary = summary, .top = height, .names = names};

    gather(&picture);
    for (size_t p = 0; p < PANELS; p++)
        height += HEAD + panels[p].height + GAP;
    picture.bottom = height - GAP;
    height += FOOT;
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
            "viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"11\" role=\"img\" "
            "aria-label=\"Timeline of the run\">\n%s"
            "<rect width=\"100%%\" height=\"100%%\" class=\"paper\"/>\n",
            WIDTH, height, WIDTH, height, style);
    draw_time(&picture);
    draw_faults(&picture);
    double top = picture.top;
    for (size_t p = 0; p < PANELS; p++) {
        draw_panel(&picture, &panels[p], top + HEAD);
        top += HEAD + panels[p].height + GAP;
    }
    write_notes(&picture, wrong == NULL ? "nothing lost, nothing twice" : wrong);
    if (hover)
        draw_slices(&picture);
    fputs("</svg>\n", file);
    free(picture.points);
}
