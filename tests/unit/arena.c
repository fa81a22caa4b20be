/* arena.c: zeroed, aligned, distinct memory of any size; a reset reuses it, a limit is told. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#include "core/arena.h"

#define MIB ((size_t)1024 * 1024)

static struct arena arena;

static void setup(void)
{
    arena = (struct arena){0};
}

static void teardown(void)
{
    arena_free(&arena);
}

TestSuite(arena, .init = setup, .fini = teardown);

/* Zeroed, aligned and writable to its end; filled, so that a second owner would be seen. */
static unsigned char *take(size_t size, unsigned char fill)
{
    unsigned char *at = arena_alloc(&arena, size);
    cr_assert_not_null(at);
    cr_assert_eq((uintptr_t)at % _Alignof(max_align_t), 0);
    for (size_t i = 0; i < size; i++)
        cr_assert_eq(at[i], 0, "byte %zu of %zu", i, size);
    memset(at, fill, size);
    return at;
}

static bool filled(const unsigned char *at, size_t size, unsigned char fill)
{
    for (size_t i = 0; i < size; i++)
        if (at[i] != fill)
            return false;
    return true;
}

Test(arena, zeroed_aligned_distinct)
{
    static unsigned char *at[1000];
    for (size_t size = 0; size < 1000; size++)
        at[size] = take(size, (unsigned char)size);
    for (size_t size = 0; size < 1000; size++)
        cr_assert(filled(at[size], size, (unsigned char)size), "%zu", size);
}

Test(arena, rewound)
{
    for (size_t before = 0; before < 3; before++) {
        unsigned char *kept = before > 0 ? take(before * 60000, 7) : NULL;
        struct arena_mark mark = arena_mark(&arena);
        size_t used = arena.used;
        unsigned char *first = take(100, 8);
        for (size_t i = 0; i < 50; i++) {
            take(40000 + 1000 * i, 9);
            arena_rewind(&arena, mark);
            cr_assert_eq(arena.used, used);
        }
        if (before > 0)
            cr_assert_eq((void *)take(100, 8), (void *)first);
        cr_assert(before == 0 || filled(kept, before * 60000, 7));
        arena_reset(&arena);
    }
}

Test(arena, nothing_is_something)
{
    void *one = arena_alloc(&arena, 0), *other = arena_alloc(&arena, 0);
    cr_assert(one != NULL && other != NULL && one != other);
}

/* Chunks are of 64 KiB: sizes on both sides of it, and of what is left of one. */
Test(arena, around_a_chunk)
{
    unsigned char *first = take(40, 1);
    for (size_t size = 65536 - 64; size <= 65536 + 64; size++) {
        unsigned char *at = take(size, 2), *next = take(32, 3);
        cr_assert(filled(at, size, 2) && filled(next, 32, 3));
    }
    cr_assert(filled(first, 40, 1));
}

Test(arena, huge)
{
    unsigned char *small = take(100, 1), *huge = take(10 * MIB, 2), *after = take(100, 3);
    cr_assert(filled(small, 100, 1) && filled(huge, 10 * MIB, 2) && filled(after, 100, 3));
}

Test(arena, used_counts_what_was_taken)
{
    for (size_t i = 1, taken = 0; i < 1000; i++) {
        arena_alloc(&arena, 100 + i);
        taken += 100 + i;
        cr_assert(arena.used >= taken && arena.used <= taken + i * sizeof(max_align_t));
    }
}

Test(arena, full_at_its_limit)
{
    arena.size_max = 10 * sizeof(max_align_t);
    for (int i = 0; i < 10; i++) {
        cr_assert_not(arena_full(&arena));
        arena_alloc(&arena, sizeof(max_align_t));
    }
    cr_assert(arena_full(&arena));
    take(100, 1); /* the last message may still end */
}

Test(arena, limit_of_64_mib_unless_set)
{
    arena_alloc(&arena, 63 * MIB);
    cr_assert_not(arena_full(&arena));
    arena_alloc(&arena, MIB + 1);
    cr_assert(arena_full(&arena));
}

Test(arena, reset_reuses)
{
    static unsigned char *at[300];
    for (size_t i = 0; i < 300; i++)
        at[i] = take(1000, 0xff);
    for (int round = 0; round < 3; round++) {
        arena_reset(&arena);
        cr_assert_eq(arena.used, 0);
        cr_assert_not(arena_full(&arena));
        for (size_t i = 0; i < 300; i++)
            cr_assert_eq(take(1000, 0xff), at[i]);
    }
}

Test(arena, reset_with_other_sizes)
{
    for (size_t round = 0; round < 20; round++) {
        unsigned char *first = take(10, 1), *last = NULL;
        for (size_t i = 1; i < 40; i++)
            last = take(i * i * (round % 5) * 20, 2);
        unsigned char *end = take(70000 + round, 3);
        cr_assert(filled(first, 10, 1) && filled(end, 70000 + round, 3));
        cr_assert(filled(last, (size_t)39 * 39 * (round % 5) * 20, 2));
        arena_reset(&arena);
    }
}

Test(arena, reset_gives_back_what_is_beyond_the_limit)
{
    arena.size_max = MIB;
    void *first = arena_alloc(&arena, 100);
    arena_alloc(&arena, 2 * MIB);
    struct arena_chunk *kept = arena.first;
    arena_reset(&arena);
    cr_assert_eq(arena.first, kept);
    cr_assert_eq(arena_alloc(&arena, 100), first);
    arena.size_max = 1;
    arena_reset(&arena);
    cr_assert_null(arena.first);
    take(100, 1);
}

Test(arena, free_and_again)
{
    arena_free(&arena);
    take(100, 1);
    arena_free(&arena);
    arena_free(&arena);
    cr_assert_eq(arena.used, 0);
    arena_reset(&arena);
    take(100, 1);
}

Test(arena, copies)
{
    char text[] = "abc";
    struct saga_text copy = arena_copy(&arena, (struct saga_text){text, 3});
    text[0] = 'x';
    cr_assert(saga_text_equal(copy, SAGA_TEXT("abc")));
    cr_assert_null(arena_copy(&arena, (struct saga_text){0}).at);
    cr_assert(saga_text_equal(arena_copy(&arena, SAGA_TEXT("")), SAGA_TEXT("")));
    cr_assert(saga_text_equal(arena_copy(&arena, SAGA_TEXT("a\0b")), SAGA_TEXT("a\0b")));
}

/* The sanitizer would else end the program itself, in its own way. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

Test(arena, no_memory_left_aborts, .signal = SIGABRT)
{
    arena_alloc(&arena, SIZE_MAX / 2);
}
