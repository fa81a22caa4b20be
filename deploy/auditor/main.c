/* main.c: the auditor as a command; deploy/audit calls it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "audit.h"

enum { HOLDS, BROKEN, COULD_NOT_LOOK };

static const char help[] =
    "audit [--settled] [--wait SECONDS]\n\n"
    "Checks I1 to I9 on the stack whose addresses are in the environment (deploy/env prints\n"
    "them), and changes nothing. Exit status 0: all hold, 1: one is broken, 2: it could not "
    "look.\n\n"
    "  --settled        nothing may be in flight any more: orders that are not at their end, what\n"
    "                   is parked, held stock and outbox rows that are not sent are broken too\n"
    "  --wait SECONDS   gives the stack so much time to get there; with --settled\n";

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int usage(const char *why)
{
    fprintf(stderr, "audit: %s; try --help\n", why);
    return COULD_NOT_LOOK;
}

/* As process 1 of a container it would be ended by no signal that it does not handle. */
static void end_at_once(int signal)
{
    _exit(128 + signal);
}

int main(int argc, char **argv)
{
    const int ends[] = {SIGHUP, SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        signal(ends[i], end_at_once);
    bool settled = false;
    double end = now();
    for (int i = 1; i < argc; i++) {
        char *rest = "";
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return HOLDS;
        }
        if (strcmp(argv[i], "--settled") == 0)
            settled = true;
        else if (strcmp(argv[i], "--wait") == 0 && i + 1 < argc)
            end = now() + (double)strtoul(argv[++i], &rest, 10);
        else
            return usage("unknown argument");
        if (*rest != '\0')
            return usage("--wait takes a number of seconds");
    }
    struct report report;
    do {
        while (settled && now() < end && !audit_is_quiet())
            nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        if (!audit(settled, &report))
            return COULD_NOT_LOOK;
    } while (!report_holds(&report) && !report.hard && now() < end);
    report_print(&report);
    return report_holds(&report) ? HOLDS : BROKEN;
}
