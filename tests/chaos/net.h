/*
 * net.h: harm to a part's network, done in its own network namespace: packets that are dropped,
 * late or lost, connections that are reset. What is done there ends with the namespace, and with
 * net_mend. Needs root.
 */
#ifndef CHAOS_NET_H
#define CHAOS_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "site.h"

/* Packets that `from` sends to `to` do not arrive; those of the other direction do. */
bool net_cut(const struct site *site, enum part from, enum part to);
/* So many percent of the packets to and from this part are lost. */
bool net_lose(const struct site *site, enum part part, int percent);
/* What this part says to the other, and hears from it, arrives so much later. By a proxy where
 * connections are (net_delay.c): the kernel here has no netem. */
bool net_delay(const struct site *site, enum part part, enum part other, int ms);
/* Resets the connections that there are between the two; returns how many, -1: it has said why. */
int net_reset(const struct site *site, enum part part, enum part other);
/* All of that ends, for this part. One that is not harmed, or does not run, is fine. */
bool net_mend(const struct site *site, enum part part);
/* How many packets of this part were dropped or held by what was done to it. */
int64_t net_hit(const struct site *site, enum part part);

#endif
