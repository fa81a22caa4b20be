/*
 * promised.h: what customers were told of their orders, against the order database: the very id
 * that a key was answered with is that of its order, and the order is its customer's. An order that
 * was promised and is nowhere leaves nothing that an auditor could miss.
 */
#ifndef SUPPORT_PROMISED_H
#define SUPPORT_PROMISED_H

#include <stddef.h>
#include <stdint.h>

#include "traffic.h"

#define PROMISED_KEY_MAX 96
#define PROMISED_MAX 500 /* at once */

struct promised {
    char key[PROMISED_KEY_MAX]; /* as it is kept: the customer, a space, the key */
    char id[40];                /* as it was answered; "": not yet */
};

/* NULL, or what is wrong with the first that is. At most PROMISED_MAX; those without an answer are
 * not looked at. */
const char *promised_wrong(const struct promised *promised, size_t count);
/* The same for all orders of the traffic, and that no order was made for any other key of its.
 * Once every order of it has its answer. */
const char *promised_wrong_traffic(const struct traffic *traffic);
/* Orders that came without a key: none is added by a load whose orders all have one. */
int64_t promised_strangers(void);

#endif
