/*
 * starve.h: every allocation of a scenario fails once, in turn, those that a library makes for us
 * too. Then it says the very same as with all the memory, or what it says is a clean no, or the
 * process stops by abort, which is a crash, and crashes are tested elsewhere. Nothing else: no
 * other answer, no leak, no report of a sanitizer.
 *
 * Each try is a process of its own. malloc, calloc, realloc, strdup and abort are this file's, for
 * the libraries too; needs the sanitizers of gcc.
 */
#ifndef MEMORY_STARVE_H
#define MEMORY_STARVE_H

#include <stdbool.h>
#include <stddef.h>

#define STARVE_SAID_MAX 65536

struct starve {
    const char *name; /* of the program */
    size_t count;     /* of scenarios */
    const char *(*scenario)(size_t i);
    const char *(*must_say)(size_t i); /* part of what it says: it is what its name tells */
    /* Runs one and writes what came of it to said, which is empty; frees all that it has made.
     * True: it was refused, as it may be only without memory. */
    bool (*run)(size_t i, char *said);
    /* Whether what is allocated now, on this thread, is the service's. */
    bool (*counts)(void);
};

/* Prints a line a scenario, and last "NAME: N passed, N failed". The program's exit status. */
int starve(const struct starve *program);

#endif
