/*
 * flame.c: where the time goes: reads `perf script -F comm,pid,ip,sym` on standard input and writes
 * a flame graph as an SVG that needs nothing else: each box is a function, as wide as the time in
 * it and in what it called, which stands above it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/markup.h"

#define FRAMES_MAX 256
#define NAME_MAX_LEN 96
#define WIDTH 1200.0
#define ROW 16.0
#define LEAST 0.5 /* pixels: what is narrower is left out */
#define LETTER 6.6

static const char usage[] =
    "Usage: perf script -F comm,pid,ip,sym | flame [--title TEXT] [NAME=PID]... >FILE.svg\n"
    "\n"
    "  NAME=PID   what a process is called; those without a name are called as their threads\n";

/* A function where it was called from; the lowest are processes, then threads. */
struct node {
    char *name;
    unsigned long count;
    struct node *first, *next; /* of those that it called */
};

struct process {
    const char *name;
    long pid;
};

static void *checked(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "flame: no memory\n");
        exit(1);
    }
    return memory;
}

/* The node of this name below it, made if it is new; counts one there. */
static struct node *enter(struct node *node, const char *name)
{
    struct node *child = node->first;

    while (child != NULL && strcmp(child->name, name) != 0)
        child = child->next;
    if (child == NULL) {
        child = checked(calloc(1, sizeof *child));
        child->name = checked(strdup(name));
        child->next = node->first;
        node->first = child;
    }
    child->count++;
    return child;
}

/* ---- reading ---- */

struct sample {
    char thread[NAME_MAX_LEN], frames[FRAMES_MAX][NAME_MAX_LEN]; /* the innermost first */
    long pid;
    size_t count;
};

static void count_sample(struct node *root, const struct sample *sample,
                         const struct process *processes, size_t processes_count)
{
    const char *name = NULL;

    if (sample->pid == 0) /* nobody's */
        return;
    for (size_t i = 0; i < processes_count; i++)
        if (processes[i].pid == sample->pid)
            name = processes[i].name;
    root->count++;
    struct node *node = enter(root, name != NULL ? name : sample->thread);
    if (name != NULL && strcmp(name, sample->thread) != 0)
        node = enter(node, sample->thread);
    for (size_t i = sample->count; i-- > 0;)
        node = enter(node, sample->frames[i]);
}

/* "THREAD PID": a thread's name may have spaces. */
static bool read_head(char *line, struct sample *ret)
{
    line[strcspn(line, "\n")] = '\0';
    size_t len = strlen(line);
    while (len > 0 && line[len - 1] == ' ')
        line[--len] = '\0';
    char *space = strrchr(line, ' ');
    if (space == NULL)
        return false;
    ret->pid = strtol(space + 1, NULL, 10);
    while (space > line && space[-1] == ' ')
        space--;
    *space = '\0';
    snprintf(ret->thread, sizeof ret->thread, "%s", line + strspn(line, " "));
    ret->count = 0;
    return true;
}

/* "  ADDRESS FUNCTION": what has no name is left out. */
static void read_frame(const char *line, struct sample *sample)
{
    const char *name = line + strspn(line, " \t");

    name += strcspn(name, " ");
    name += strspn(name, " ");
    int len = (int)strcspn(name, "\n");
    if (len == 0 || strncmp(name, "[unknown]", 9) == 0 || sample->count == FRAMES_MAX)
        return;
    snprintf(sample->frames[sample->count++], NAME_MAX_LEN, "%.*s", len, name);
}

static void read_samples(FILE *file, struct node *root, const struct process *processes,
                         size_t processes_count)
{
    static struct sample sample;
    char line[4096];
    bool inside = false;

    while (fgets(line, sizeof line, file) != NULL) {
        bool empty = line[strspn(line, " \t\n")] == '\0';
        if (inside && empty)
            count_sample(root, &sample, processes, processes_count);
        if (inside && !empty)
            read_frame(line, &sample);
        if (inside || !empty)
            inside = !empty && (inside || read_head(line, &sample));
    }
    if (inside)
        count_sample(root, &sample, processes, processes_count);
}

/* ---- writing ---- */

static unsigned depth(const struct node *node, double scale)
{
    unsigned most = 0;

    for (const struct node *child = node->first; child != NULL; child = child->next) {
        unsigned below = (double)child->count * scale < LEAST ? 0 : depth(child, scale);
        most = below > most ? below : most;
    }
    return most + 1;
}

/* Warm, and the same for the same name. */
static void write_colour(FILE *file, const char *name)
{
    unsigned hash = 2166136261u;

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    fprintf(file, "hsl(%u,%u%%,%u%%)", 12 + hash % 40, 65 + hash / 64 % 20, 62 + hash / 2048 % 12);
}

static void write_node(FILE *file, const struct node *node, const struct node *root, double left,
                       double bottom)
{
    double scale = WIDTH / (double)root->count, width = (double)node->count * scale;

    if (width < LEAST)
        return;
    fprintf(file, "<g><title>");
    markup_text(file, "%s: %.2f %%", node->name, 100.0 * (double)node->count / (double)root->count);
    fprintf(file, "</title><rect x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%.0f\" fill=\"",
            left, bottom - ROW, width, ROW - 1);
    write_colour(file, node->name);
    fprintf(file, "\"/>");
    int letters = (int)((width - 4) / LETTER);
    if (letters >= 3) {
        fprintf(file, "<text x=\"%.1f\" y=\"%.0f\">", left + 2, bottom - 5);
        markup_text(file, "%.*s", letters, node->name);
        fprintf(file, "</text>");
    }
    fprintf(file, "</g>\n");
    for (const struct node *child = node->first; child != NULL; child = child->next) {
        write_node(file, child, root, left, bottom - ROW);
        left += (double)child->count * scale;
    }
}

static int by_count(const void *left, const void *right)
{
    const struct node *const *a = left, *const *b = right;

    return ((*a)->count < (*b)->count) - ((*a)->count > (*b)->count);
}

/* The widest first. */
static void sort(struct node *node)
{
    size_t count = 0, i = 0;

    for (struct node *child = node->first; child != NULL; child = child->next, count++)
        sort(child);
    if (count < 2)
        return;
    struct node **all = checked(calloc(count, sizeof *all));
    for (struct node *child = node->first; child != NULL; child = child->next)
        all[i++] = child;
    qsort(all, count, sizeof *all, by_count);
    for (i = 0; i < count; i++)
        all[i]->next = i + 1 < count ? all[i + 1] : NULL;
    node->first = all[0];
    free(all);
}

static void write_picture(FILE *file, const struct node *root, const char *title)
{
    double height = ROW * (depth(root, WIDTH / (double)root->count) + 3);

    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\""
            " font-family=\"monospace\" font-size=\"11\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
            "<text x=\"4\" y=\"16\" font-size=\"14\">",
            WIDTH, height);
    markup_escape(file, title);
    fprintf(file, "</text>\n");
    write_node(file, root, root, 0, height);
    fprintf(file, "</svg>\n");
}

static void forget(struct node *node)
{
    for (struct node *child = node->first, *next; child != NULL; child = next) {
        next = child->next;
        forget(child);
        free(child);
    }
    free(node->name);
}

int main(int argc, char **argv)
{
    struct process *processes = checked(calloc((size_t)argc, sizeof *processes));
    struct node root = {.name = checked(strdup("all"))};
    const char *title = "Where the time goes";
    size_t count = 0;

    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (strcmp(argv[i], "--title") == 0 && i + 1 < argc) {
            title = argv[++i];
        } else if (equals != NULL && argv[i][0] != '-') {
            *equals = '\0';
            processes[count++] = (struct process){argv[i], strtol(equals + 1, NULL, 10)};
        } else {
            fputs(usage, stderr);
            return 2;
        }
    }
    read_samples(stdin, &root, processes, count);
    if (root.count == 0) {
        fprintf(stderr, "flame: there are no samples\n");
        return 1;
    }
    sort(&root);
    write_picture(stdout, &root, title);
    forget(&root);
    free(processes);
    return ferror(stdout) != 0;
}
