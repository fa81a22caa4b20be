/* due.c: a heap; see due.h. */
#include "due.h"

#include <stdlib.h>

static void swap(struct due *due, size_t a, size_t b)
{
    struct due_entry entry = due->at[a];
    due->at[a] = due->at[b];
    due->at[b] = entry;
}

void due_add(struct due *due, int64_t at_us, uint64_t what)
{
    if (due->count == due->size) {
        due->size = due->size == 0 ? 1024 : due->size * 2;
        due->at = due->size > DUE_MAX ? NULL : realloc(due->at, due->size * sizeof *due->at);
        if (due->at == NULL)
            abort();
    }
    size_t i = due->count++;
    due->at[i] = (struct due_entry){at_us, what};
    for (; i > 0 && due->at[i].at_us < due->at[(i - 1) / 2].at_us; i = (i - 1) / 2)
        swap(due, i, (i - 1) / 2);
}

bool due_take(struct due *due, int64_t now_us, uint64_t *ret_what)
{
    if (due->count == 0 || due->at[0].at_us > now_us)
        return false;
    *ret_what = due->at[0].what;
    due->at[0] = due->at[--due->count];
    for (size_t i = 0, least;; i = least) {
        least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < due->count && due->at[child].at_us < due->at[least].at_us)
                least = child;
        if (least == i)
            return true;
        swap(due, i, least);
    }
}

void due_clear(struct due *due)
{
    free(due->at);
    *due = (struct due){0};
}
