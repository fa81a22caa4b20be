/* starve.c: the allocators, and the tries; see starve.h. */
#include "starve.h"

#include <sanitizer/lsan_interface.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the allocators ---- */

enum end { UNTOUCHED = 10, ANSWERED, REFUSED, STOPPED, WRONG, LEAKED };

static bool (*counts)(void); /* NULL: nothing fails */
static int fails_at;         /* the nth allocation of the service fails; so many were made: */
static atomic_int made;

/* The sanitizer's, which a program's own come before. */
void *__interceptor_malloc(size_t size);
void *__interceptor_calloc(size_t count, size_t size);
void *__interceptor_realloc(void *memory, size_t size);

static bool fails(void)
{
    return counts != NULL && counts() && atomic_fetch_add(&made, 1) + 1 == fails_at;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __interceptor_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __interceptor_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return fails() ? NULL : __interceptor_realloc(memory, size);
}

char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

static bool failed(void)
{
    return fails_at > 0 && atomic_load(&made) >= fails_at;
}

/* Without a failed allocation there is no reason to stop. */
void abort(void)
{
    _exit(failed() ? STOPPED : WRONG);
}

/* ---- a try ---- */

/* What was said with nothing failing, and now: shared with the processes that try. */
static struct {
    char expected[STARVE_SAID_MAX], said[STARVE_SAID_MAX];
} * shared;

static _Noreturn void try(const struct starve *program, size_t i, int nth)
{
    shared->said[0] = '\0';
    fails_at = nth;
    counts = program->counts;
    bool refused = program->run(i, shared->said);
    counts = NULL;
    if (nth == 0)
        memcpy(shared->expected, shared->said, STARVE_SAID_MAX);
    if (strcmp(shared->said, shared->expected) != 0 || (refused && !failed()))
        _exit(WRONG);
    if (__lsan_do_recoverable_leak_check() != 0)
        _exit(LEAKED);
    _exit(!failed() ? UNTOUCHED : refused ? REFUSED : ANSWERED);
}

/* How it ended; -1: not in one of the ways that we know, as after a sanitizer's report. */
static int end_of_try(const struct starve *program, size_t i, int nth)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        try(program, i, nth);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status) >= UNTOUCHED && WEXITSTATUS(status) <= LEAKED ? WEXITSTATUS(status)
                                                                             : -1;
}

static const char *complaint(int end)
{
    return end == WRONG ? "another answer" : end == LEAKED ? "a leak" : "ends as it should not";
}

/* How many tries ended so. */
struct ends {
    int failed, answered, refused, stopped;
};

/* False: something is wrong, and was said. */
static bool fail_each(const struct starve *program, size_t i, struct ends *all)
{
    const char *name = program->scenario(i);
    bool good = end_of_try(program, i, 0) == UNTOUCHED &&
                strstr(shared->expected, program->must_say(i)) != NULL;
    struct ends here = {0};
    if (!good)
        printf("FAILED: %s: not even with all the memory (to be said: %s):\n%s", name,
               program->must_say(i), shared->said);
    for (int nth = 1, end; good && (end = end_of_try(program, i, nth)) != UNTOUCHED; nth++) {
        here.failed++;
        here.answered += end == ANSWERED;
        here.refused += end == REFUSED;
        here.stopped += end == STOPPED;
        good = end == ANSWERED || end == REFUSED || end == STOPPED;
        if (!good)
            printf("FAILED: %s: allocation %d: %s:\n%sinstead of\n%s", name, nth, complaint(end),
                   shared->said, shared->expected);
    }
    printf("%-34s %4d failed: %3d answered, %3d refused, %3d stopped\n", name, here.failed,
           here.answered, here.refused, here.stopped);
    fflush(stdout);
    all->failed += here.failed;
    all->answered += here.answered;
    all->refused += here.refused;
    all->stopped += here.stopped;
    return good;
}

int starve(const struct starve *program)
{
    int passed = 0, broken = 0;
    struct ends all = {0};
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    for (size_t i = 0; i < program->count; i++)
        *(fail_each(program, i, &all) ? &passed : &broken) += 1;
    printf("%d allocations failed: %d times the same answer, %d times a clean no, %d times a clean "
           "stop\n",
           all.failed, all.answered, all.refused, all.stopped);
    printf("%s: %d passed, %d failed\n", program->name, passed, broken);
    return broken > 0 || all.failed == 0;
}
