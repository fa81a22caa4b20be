/* net_place.h: sockets in a part's own network. */
#ifndef CHAOS_NET_PLACE_H
#define CHAOS_NET_PLACE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>

/* The network of a process, as a file descriptor to be closed: it is there until then, also without
 * the process. -1: the process is gone. */
int net_place(pid_t pid);
/* A TCP socket there, without waiting; -1: errno tells. Any thread. */
int net_place_socket(int place);

bool net_address(const char *text, int port, struct sockaddr_in *ret);

#endif
