/*
 * net.h: harm to a part's network, done in its own network namespace: packets that are dropped,
 * late or lost, connections that are reset. What is done there ends with the namespace, and with
 * net_mend. Needs root.
 *
 * Whatever fails has said why on standard error. One thread calls at a time.
 */
#ifndef CHAOS_NET_H
#define CHAOS_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "site.h"

/* Packets that `from` sends to `to` do not arrive; those of the other direction do. Done at `to`:
 * that is whom to mend, and to ask how many were hit. */
bool net_cut(const struct site *site, enum part from, enum part to);
/* Counts what of `from` arrives at `to` from now on, and lets it: net_passed. Done at `to`, until
 * it is mended. */
bool net_count(const struct site *site, enum part from, enum part to);
/* Nothing that the part says to the address leaves it. */
bool net_mute(const struct site *site, enum part part, const char *address);
/* So many percent of the packets to and from this part are lost. */
bool net_lose(const struct site *site, enum part part, int percent);
/* What this part says to the other, over connections that it makes, and hears back, arrives so much
 * later. By a proxy where connections are (net_delay.h): the kernel here has no netem. */
bool net_delay(const struct site *site, enum part part, enum part other, int ms);
/* Resets the connections that there are between the two; returns how many, -1: it has said why. */
int net_reset(const struct site *site, enum part part, enum part other);
/* All of that ends, for this part. One that is not harmed, or does not run, is fine. */
bool net_mend(const struct site *site, enum part part);
/* How many packets of this part were dropped, or connections led astray, by what was done to it. */
int64_t net_hit(const struct site *site, enum part part);
/* How many packets have arrived that were to be counted. */
int64_t net_passed(const struct site *site, enum part part);

/* Asks as `from` would, over a connection of its own: how many microseconds until the first answer
 * of `to`; -1: none within the time. */
int64_t net_ask(const struct site *site, enum part from, enum part to, int timeout_ms);
/* Whether the part's name for another one leads to an address. false: it is no name there; true too
 * if it cannot be told. */
bool net_resolves(const struct site *site, enum part part, enum part other);

#endif
