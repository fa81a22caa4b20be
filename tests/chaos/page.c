/* page.c: a run as one HTML page; see page.h. */
#include "page.h"

#include <stdlib.h>

#include "picture.h"
#include "support/markup.h"

static const char head[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
    "<meta charset=\"utf-8\"/>\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
    "<title>Chaos</title>\n"
    "<style>\n"
    ":root{color-scheme:light dark}\n"
    "body{font:15px/1.5 sans-serif;max-width:980px;margin:2em auto;padding:0 1em;"
    "color:#222;background:#fff}\n"
    "h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}\n"
    "table{border-collapse:collapse;width:100%}td,th{padding:.25em .6em;text-align:left;"
    "vertical-align:top;border-bottom:1px solid #ddd}\n"
    "th{font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;"
    "white-space:nowrap}\n"
    "pre{overflow-x:auto;padding:.7em;background:#f4f4f4;font-size:13px}\n"
    "code{font-size:.93em}\n"
    ".good,.bad{padding:.15em .6em;border-radius:.3em;color:#fff}.good{background:#17803d}"
    ".bad{background:#c62f2f}\n"
    "td.bad{background:none;color:#c62f2f;font-weight:600}\n"
    ".wide{overflow-x:auto}\n"
    "svg{max-width:100%;height:auto}\n"
    "@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#15181c}"
    "td,th{border-color:#2d3238}pre{background:#1f2429}td.bad{color:#ff7d7d}a{color:#6aa8ff}}\n"
    "</style>\n</head>\n<body>\n";

static void write_verdict(FILE *file, const struct summary *summary)
{
    const char *wrong = summary_wrong(summary);
    char again[SUMMARY_AGAIN_SIZE];

    fprintf(file, "<h1>Chaos <span class=\"%s\">", wrong == NULL ? "good" : "bad");
    markup_escape(file, wrong == NULL ? "holds" : wrong);
    fputs("</span></h1>\n", file);
    if (summary->why[0] != '\0') {
        fputs("<p>Broken off: ", file);
        markup_escape(file, summary->why);
        fputs("</p>\n", file);
    }
    fputs("<p>", file);
    markup_text(file, "%zu faults in %.0f s, done to %s, with %.0f orders a second. Again: ",
                summary->faults_count, (double)(summary->end_us - summary->begin_us) / 1e6,
                summary->form, summary->rate);
    fputs("<code>", file);
    markup_escape(file, summary_again(summary, again, sizeof again));
    fputs("</code></p>\n", file);
}

static void write_seconds(FILE *file, double seconds)
{
    if (seconds < 0)
        fputs("<td class=\"n bad\">not</td>", file);
    else
        fprintf(file, "<td class=\"n\">%.1f</td>", seconds);
}

static void write_kinds(FILE *file, const struct summary *summary)
{
    size_t count;
    struct summary_kind *kinds = summary_kinds(summary, &count);

    fprintf(file,
            "<h2>%zu kinds of faults</h2>\n<div class=\"wide\"><table>\n<tr><th>kind</th>"
            "<th class=\"n\">done</th><th class=\"n\">seen</th><th class=\"n\">recovered</th>"
            "<th class=\"n\">slowest recovery, s</th></tr>\n",
            count);
    for (size_t i = 0; i < count; i++) {
        const struct summary_kind *kind = &kinds[i];
        fputs("<tr><td>", file);
        markup_escape(file, kind->name);
        fprintf(file,
                "</td><td class=\"n\">%zu</td><td class=\"n%s\">%zu</td><td class=\"n%s\">%zu</td>",
                kind->fired, kind->proved < kind->fired ? " bad" : "", kind->proved,
                kind->recovered < kind->fired ? " bad" : "", kind->recovered);
        write_seconds(file, kind->slowest_s);
        fputs("</tr>\n", file);
    }
    fputs("</table></div>\n", file);
    free(kinds);
}

static void write_faults(FILE *file, const struct summary *summary)
{
    char victims[120], seen[300];

    fputs("<h2>Fault by fault</h2>\n"
          "<p>Recovery: from when the fault is lifted until all is as it was before the first "
          "one.</p>\n"
          "<div class=\"wide\"><table>\n<tr><th class=\"n\">at, s</th><th>kind</th><th>to</th>"
          "<th class=\"n\">held, s</th><th>what was seen</th><th class=\"n\">recovery, s</th>"
          "</tr>\n",
          file);
    for (size_t i = 0; i < summary->faults_count; i++) {
        const struct fault *fault = &summary->faults[i];
        int64_t lifted_us = fault->lifted_us ? fault->lifted_us : summary->end_us;
        fprintf(file, "<tr><td class=\"n\">%.1f</td><td>",
                (double)(fault->fired_us - summary->begin_us) / 1e6);
        markup_escape(file, fault->kind->name);
        fputs("</td><td>", file);
        markup_text(file, "%s%s%s", fault_victims(fault, victims, sizeof victims),
                    fault->other < PARTS ? " and " : "",
                    fault->other < PARTS ? part_names[fault->other] : "");
        fprintf(file, "</td><td class=\"n\">%.1f</td><td%s>",
                (double)(lifted_us - fault->fired_us) / 1e6,
                fault->proved && fault->ended == 0 ? "" : " class=\"bad\"");
        markup_text(file, "%s", summary_seen(fault, seen, sizeof seen));
        fputs("</td>", file);
        write_seconds(file, summary_recovery_s(fault));
        fputs("</tr>\n", file);
    }
    fputs("</table></div>\n", file);
}

static void write_row(FILE *file, const char *name, unsigned long long value)
{
    fprintf(file, "<tr><td>%s</td><td class=\"n\">%llu</td></tr>\n", name, value);
}

static void write_customers(FILE *file, const struct summary *summary)
{
    const struct judgement *judgement = summary->judgement;

    fputs("<h2>Customers, and what is there in the end</h2>\n<table>\n", file);
    write_row(file, "customers", summary->asked);
    write_row(file, "accepted: 201 or 202", judgement->accepted);
    write_row(file, "refused for good", judgement->refused);
    write_row(file, "do not know: no answer, or 503", judgement->unknown);
    write_row(file, "of these, an order is there", judgement->unknown_there);
    write_row(file, "answers 4xx or 503, asked again if there is a key", summary->refused);
    write_row(file, "requests without an answer", summary->unknown);
    write_row(file, "orders completed", judgement->completed);
    write_row(file, "orders cancelled", judgement->cancelled);
    write_row(file, "counterexamples", judgement->wrong);
    fputs("</table>\n<p>", file);
    markup_text(file, "%s %.1f s after the last fault. ",
                summary->settled ? "Every order was at its end" : "Not every order was at its end",
                summary->settle_s);
    markup_text(file,
                "The auditor looked %zu times: I1 to I9 held %zu times (%zu of these before the "
                "last fault was over), were broken %zu times; %zu times a part that it needs was "
                "away.",
                summary->audits_held + summary->audits_broken + summary->audits_blind,
                summary->audits_held, summary->audits_live, summary->audits_broken,
                summary->audits_blind);
    fputs("</p>\n", file);
}

static void write_counterexamples(FILE *file, const struct summary *summary)
{
    const struct judgement *judgement = summary->judgement;

    if (summary->complaint[0] != '\0') {
        fputs("<h2>An answer that no customer should get</h2>\n<pre>", file);
        markup_escape(file, summary->complaint);
        fputs("</pre>\n", file);
    }
    if (summary->said[0] != NULL)
        fputs("<h2>What the auditor found broken</h2>\n", file);
    for (size_t i = 0; i < WATCH_TOLD_MAX && summary->said[i] != NULL; i++) {
        fputs("<pre>", file);
        markup_escape(file, summary->said[i]);
        fputs("</pre>\n", file);
    }
    if (judgement->wrong > 0)
        fputs("<h2>Counterexamples</h2>\n", file);
    for (size_t i = 0; i < judgement->wrong && i < JUDGE_COUNTEREXAMPLES_MAX; i++) {
        const struct counterexample *example = &judgement->counterexamples[i];
        fputs("<p><code>", file);
        markup_escape(file, example->order_id[0] == '\0' ? "no order" : example->order_id);
        fputs("</code> ", file);
        markup_escape(file, example->what);
        fputs("</p>\n<pre>", file);
        markup_escape(file, example->timeline == NULL ? "no timeline" : example->timeline);
        fputs("</pre>\n", file);
    }
    if (judgement->wrong > JUDGE_COUNTEREXAMPLES_MAX)
        fprintf(file, "<p>and %zu more</p>\n", judgement->wrong - JUDGE_COUNTEREXAMPLES_MAX);
}

void page_write(FILE *file, const struct summary *summary)
{
    fputs(head, file);
    write_verdict(file, summary);
    fputs("<div class=\"wide\">\n", file);
    picture_write(file, summary, true);
    fputs("</div>\n", file);
    write_counterexamples(file, summary);
    write_kinds(file, summary);
    write_customers(file, summary);
    write_faults(file, summary);
    fputs("</body>\n</html>\n", file);
}
