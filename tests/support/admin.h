/* admin.h: what an administrator, or time, does to topics. */
#ifndef SUPPORT_ADMIN_H
#define SUPPORT_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

/* Takes all records off the partition, as retention does. False: it has said why. */
bool admin_trim(const char *bootstrap, const char *topic, int32_t partition);
/* Nothing is ever taken off these topics. names: NULL-terminated. False: it has said why. */
bool admin_keep_all(const char *bootstrap, const char *const *names);

#endif
