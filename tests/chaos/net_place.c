/* net_place.c: sockets in a part's own network. A socket belongs to the network that its thread was
 * in when it was made. */
#include "net_place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int net_place(pid_t pid)
{
    char path[40];

    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    return pid <= 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

int net_place_socket(int place)
{
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), fd = -1, why = errno;

    if (home < 0)
        return -1;
    if (setns(place, CLONE_NEWNET) == 0) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        why = errno;
        if (setns(home, CLONE_NEWNET) != 0)
            abort(); /* everything that this thread does from now on would be done there */
    } else {
        why = errno;
    }
    close(home);
    errno = why;
    return fd;
}

bool net_address(const char *text, int port, struct sockaddr_in *ret)
{
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return text != NULL && inet_pton(AF_INET, text, &ret->sin_addr) == 1;
}
