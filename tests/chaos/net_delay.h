/*
 * net_delay.h: a proxy in a part's network that hands on what it gets, but later. It does not know
 * whom connections were meant for: who leads them to it (net.c, by a rule of nft) leaves that to be
 * asked of the kernel.
 */
#ifndef CHAOS_NET_DELAY_H
#define CHAOS_NET_DELAY_H

#include <stdint.h>
#include <sys/types.h>

#define DELAYER_MARK 77 /* on packets of its own, which are not to be led to it */

struct delayer;

/* In the network of that process, a thread of its own; ret_port: where connections are to be led
 * to. NULL: it has said why. */
struct delayer *delayer_new(pid_t pid, int ms, int *ret_port);
/* Its connections end with it; NULL is fine. */
void delayer_free(struct delayer *delayer);

#endif
