/* http_pool.c: the pool of requests that tests and loads use, where its requests are cut short. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/http.h"

/* Takes connections and never answers. */
static int silent_server(char base[40])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 8), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(base, 40, "http://127.0.0.1:%d", ntohs(address.sin_port));
    return fd;
}

static void never(void *opaque, uint64_t tag, const struct http_answer *answer)
{
    (void)opaque, (void)tag, (void)answer;
    cr_assert_fail("there was an answer");
}

/* One is with the server, others wait for its connection: each is freed once. */
Test(http_pool, ends_with_requests_that_have_no_answer)
{
    char base[40];
    int server = silent_server(base);
    struct http_pool *pool = http_pool_new(base, 1, 60000, never, NULL);
    for (uint64_t tag = 0; tag < 3; tag++)
        http_pool_send(pool, tag, "GET", "/", NULL, NULL);
    http_pool_work(pool, 1000);
    cr_assert_eq(http_pool_pending(pool), 3);
    cr_assert_eq(http_pool_waiting(pool), 2);
    http_pool_free(pool);
    close(server);
}
