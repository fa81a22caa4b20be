/*
 * balance.h: whether the four databases agree about every order (I1, I2, I6, I8), looked at with
 * plain SQL and nothing of the services' own code.
 */
#ifndef SUPPORT_BALANCE_H
#define SUPPORT_BALANCE_H

#include <stdbool.h>
#include <stddef.h>

/* Waits until no order is open, nothing is held and every outbox row is acknowledged. */
bool balance_settle(int seconds);
/* NULL if all orders balance; else the first that does not and why, in a static buffer. Parked
 * messages are wrong too. */
const char *balance_check(void);

#endif
