/* mix.h: which way each order of a load goes, and the order that goes that way. */
#ifndef BENCH_MIX_H
#define BENCH_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum path { PATH_COMPLETED, PATH_PAYMENT_REFUSES, PATH_INVENTORY_REFUSES, PATH_SHIPPING_REFUSES };

/* So many of completed + refused orders complete; refused 0: all do. */
struct mix {
    unsigned completed, refused;
};

/* "90/10"; false: it is not two numbers of at most 1000000, or both are 0. */
bool mix_read(const char *text, struct mix *ret_mix);
/* The way of the nth order. The refused ones are spread evenly, at the three steps in turn. */
enum path mix_path(const struct mix *mix, uint64_t n);
/* A request for an order of two items that goes this way. */
void mix_write_order(enum path path, char *buffer, size_t size);
/* The answer to it, if the order came to its expected end: its status, and why if it was cancelled.
 */
bool mix_expected(enum path path, int status, const char *body);

#endif
