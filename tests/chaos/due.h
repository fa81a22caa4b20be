/* due.h: what is to be done later, the earliest first. */
#ifndef CHAOS_DUE_H
#define CHAOS_DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DUE_MAX 4000000

/* All zero is empty. */
struct due {
    struct due_entry {
        int64_t at_us;
        uint64_t what;
    } * at;
    size_t count, size;
};

void due_add(struct due *due, int64_t at_us, uint64_t what);
/* Takes the earliest if its time has come. */
bool due_take(struct due *due, int64_t now_us, uint64_t *ret_what);
void due_clear(struct due *due);

#endif
