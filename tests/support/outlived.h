/*
 * outlived.h: the order database is another one than before, and Redis, Kafka and the other three
 * have outlived it: what customers of before and after may be told, and what the auditor has to say
 * of the orders that only the others know. Criterion asserts.
 */
#ifndef SUPPORT_OUTLIVED_H
#define SUPPORT_OUTLIVED_H

#include <stdbool.h>
#include <stdint.h>

#include "traffic.h"

/* Customers of before: nothing they were told was wrong while the database was there. Frees. */
void outlived_give_up(struct traffic *traffic);
/* Customers of after: each has an order, the database has it as they were told, and no other.
 * Frees. */
void outlived_settle(struct traffic *traffic);

/* All orders are at their end, also those that only the others know. */
bool outlived_at_rest(void);
/* Orders that the others know and order_db does not; heard: those of which order-svc has heard an
 * event under the database before, since under this one it would have parked it. */
int64_t outlived_orders(bool heard);
/* What is parked is of such orders only. */
void outlived_check_parked(void);
/* How many orders break the invariant by what the auditor said, and the first of them; 0: none, and
 * ret_first stays. */
int64_t outlived_breaks(const char *said, int invariant, char ret_first[40]);

#endif
