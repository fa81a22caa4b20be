/* paths.h: which ways the orders of a case have gone, by what order_db says of them. */
#ifndef CRASH_PATHS_H
#define CRASH_PATHS_H

#include <stdint.h>

#include "support/traffic.h"

/* Until every path has been walked by an order of this traffic that is at its end; false: not
 * within the time. */
bool paths_walked(const struct traffic *traffic, int seconds);
/* Orders that their deadline, and no customer, has called off, and that are not paid: so they are,
 * or will be, cancelled; some for another reason, if their card is refused as well. */
int64_t paths_expired(const struct traffic *traffic);
/* One line: how many orders went each way. */
void paths_print(const struct traffic *traffic);

#endif
