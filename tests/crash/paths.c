/* paths.c: orders by the set of facts that their row ends with, written down anew. */
#include "crash/paths.h"

#include <stdio.h>
#include <string.h>

#include "support/clock.h"
#include "support/db.h"

#define PAID "facts & 2 > 0"
#define RESERVED "facts & 4 > 0"
#define COMPLETED "facts & 16 > 0"
#define CANCELLED "facts & 1024 > 0"
#define REFUSED "facts & 129024 > 0" /* by a step, for any of its reasons */
#define CUSTOMER "facts & 131072 > 0"
#define DEADLINE "facts & 262144 > 0"

static const struct {
    const char *name, *is;
} paths[] = {
    {"completed", COMPLETED " AND NOT " CUSTOMER " AND NOT " DEADLINE},
    {"card declined", CANCELLED " AND facts & 2048 > 0"},
    {"insufficient funds", CANCELLED " AND facts & 4096 > 0"},
    {"out of stock", CANCELLED " AND facts & 16384 > 0"},
    {"unknown SKU", CANCELLED " AND facts & 32768 > 0"},
    {"undeliverable", CANCELLED " AND facts & 65536 > 0"},
    {"cancelled before goods were held",
     CANCELLED " AND " CUSTOMER " AND NOT " REFUSED " AND NOT " RESERVED},
    {"and after", CANCELLED " AND " CUSTOMER " AND NOT " REFUSED " AND " RESERVED},
    {"wished it when it shipped", COMPLETED " AND " CUSTOMER},
    {"past the deadline", CANCELLED " AND " DEADLINE " AND NOT " CUSTOMER " AND NOT " REFUSED},
};
#define PATHS (sizeof paths / sizeof *paths)
#define OF_TRAFFIC                                                                                 \
    " FROM orders JOIN idempotency USING (order_id)"                                               \
    " WHERE starts_with(split_part(key, ' ', 2), $1 || '-')"

static int64_t count(const struct traffic *traffic, const char *is)
{
    char sql[512];
    snprintf(sql, sizeof sql, "SELECT count(*) FILTER (WHERE %s)" OF_TRAFFIC, is);
    return db_int(DB_ORDER, sql, traffic_keys(traffic));
}

/* In one statement: it is asked again and again, under load. */
static bool all_walked(const struct traffic *traffic)
{
    char sql[4096] = "SELECT (true";
    size_t len = strlen(sql);
    for (size_t i = 0; i < PATHS; i++)
        len += (size_t)snprintf(sql + len, sizeof sql - len, " AND count(*) FILTER (WHERE %s) > 0",
                                paths[i].is);
    snprintf(sql + len, sizeof sql - len, ")::int" OF_TRAFFIC);
    return traffic_too_late(traffic) > 0 && db_int(DB_ORDER, sql, traffic_keys(traffic)) == 1;
}

bool paths_walked(const struct traffic *traffic, int seconds)
{
    return CLOCK_UNTIL(seconds, all_walked(traffic));
}

int64_t paths_expired(const struct traffic *traffic)
{
    return count(traffic, DEADLINE " AND NOT " CUSTOMER " AND NOT " PAID);
}

void paths_print(const struct traffic *traffic)
{
    for (size_t i = 0; i < PATHS; i++)
        printf("%s%s %lld", i > 0 ? ", " : "    ", paths[i].name,
               (long long)count(traffic, paths[i].is));
    printf(", wished it later %zu\n", traffic_too_late(traffic));
}
