/* net_ask.c: asks a part as another part would: over a connection from there, the smallest question
 * that it answers. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "net_place.h"
#include "support/clock.h"
#include "support/command.h"

/* In time: the socket is ready. */
static bool wait_for(int fd, short what, int64_t end_us)
{
    for (;;) {
        int64_t left_us = end_us - clock_us();
        if (left_us <= 0)
            return false;
        struct pollfd one = {.fd = fd, .events = what};
        int n = poll(&one, 1, (int)(left_us / 1000 + 1));
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

/* PostgreSQL: may it be TLS? Kafka: which versions of your requests do you know? */
static const char *question(enum part to, size_t *ret_len)
{
    static const char tls[] = "\0\0\0\10\4\322\26\57";
    static const char versions[] = "\0\0\0\15\0\22\0\0\0\0\0\1\0\3any";
    static const char ping[] = "PING\r\n";
    static const char live[] = "GET /livez HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n";

    switch (to) {
    case PART_POSTGRES:
        *ret_len = sizeof tls - 1;
        return tls;
    case PART_KAFKA:
        *ret_len = sizeof versions - 1;
        return versions;
    case PART_REDIS:
        *ret_len = sizeof ping - 1;
        return ping;
    default:
        *ret_len = sizeof live - 1;
        return live;
    }
}

static bool is_answered(int fd, const struct sockaddr_in *address, enum part to, int64_t end_us)
{
    int why = 0;
    socklen_t size = sizeof why;
    size_t len;
    char first;

    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
        (errno != EINPROGRESS || !wait_for(fd, POLLOUT, end_us) ||
         getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) != 0 || why != 0))
        return false;
    const char *text = question(to, &len);
    return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len && wait_for(fd, POLLIN, end_us) &&
           recv(fd, &first, 1, 0) == 1;
}

int64_t net_ask(const struct site *site, enum part from, enum part to, int timeout_ms)
{
    struct sockaddr_in address;
    int64_t begin_us = clock_us(), took_us = -1;
    int place = net_place(site->pid(from));
    int fd = place < 0 ? -1 : net_place_socket(place);

    if (fd >= 0 && net_address(site->address(to), site->port(to), &address) &&
        is_answered(fd, &address, to, begin_us + (int64_t)timeout_ms * 1000))
        took_us = clock_us() - begin_us;
    if (fd >= 0)
        close(fd);
    if (place >= 0)
        close(place);
    return took_us;
}

/* getent's own: it is no name. By the shell's conventions timeout tells that nobody answered in
 * time: where the server of names is gone, there are no names either. */
#define GETENT_NO_NAME 2
#define TIMED_OUT 124

bool net_resolves(const struct site *site, enum part part, enum part other)
{
    char pid[16];
    const char *const argv[] = {"timeout", "3",      "nsenter",         "-t", pid, "-m", "-n",
                                "getent",  "ahosts", part_names[other], NULL};

    snprintf(pid, sizeof pid, "%d", (int)site->pid(part));
    char *text = NULL;
    int status = command_run("/", argv, &text);
    free(text);
    return status != GETENT_NO_NAME && status != TIMED_OUT;
}
