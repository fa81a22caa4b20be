/*
 * ports_http_times.c: the HTTP port, started here, against clients that take their time, or are too
 * many, or are still there at the end.
 */
#include "ports_http.h"

TestSuite(ports_http_times, .timeout = 60);

/* One answer with a short body, on a connection that goes on. */
static const char *hear_one(int fd, const char *its_end)
{
    static char text[4096];
    size_t len = 0;
    do {
        ssize_t got = recv(fd, text + len, sizeof text - 1 - len, 0);
        cr_assert_gt(got, 0, "after %.*s", (int)len, text);
        len += (size_t)got;
        text[len] = '\0';
    } while (strstr(text, its_end) == NULL);
    return text;
}

/* Sends a byte now and then until something comes back or the connection ends. */
static const char *drip(int fd, const char *bytes)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int64_t end_us = system_monotonic_us() + 20000000;
    while (poll(&ready, 1, 10) == 0) {
        say(fd, bytes, *bytes ? 1 : 0);
        bytes += *bytes ? 1 : 0;
        cr_assert_lt(system_monotonic_us(), end_us, "it may drip for ever");
    }
    return hear(fd);
}

#define X10(text) text text text text text text text text text text
#define X1000 X10(X10(X10("x")))

Test(ports_http_times, too_slow)
{
    static const struct {
        const char *begin, *drip;
        int status;
        bool first_only; /* else also as the second request of its connection */
    } slow[] = {
        {"", "GET /" X1000, 408, false}, /* the first line */
        {"GE", "", 408, true},           /* no more of it comes */
        {GET("/now") "X-Request-Id: r-1\r\nB: c\r\n", "A: " X1000, 408, false}, /* the head */
        {POST "X-Request-Id: r-1\r\nContent-Length: 5000\r\n\r\n", X1000, 408, false},
        {POST "X-Request-Id: r-1\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n", X1000, 408, false},
        {POST "X-Request-Id: r-1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: " X1000, 408,
         false},
        {POST "X-Request-Id: r-1\r\nContent-Length: 5000\r\n\r\n", "", 408, false},
        {"", "", 0, false}, /* says nothing */
    };
    start(100, SOON, SOON, FOR_EVER);
    for (size_t i = 0; i < COUNT(slow); i++)
        for (int kept = 0; kept <= !slow[i].first_only; kept++) {
            int64_t begun_us = system_monotonic_us();
            int fd = dial();
            if (kept) {
                say_text(fd, GET("/now") "\r\n");
                hear_one(fd, "0 bytes");
            }
            int asked_before = asked;
            say_text(fd, slow[i].begin);
            const char *answer = drip(fd, slow[i].drip);
            cr_expect_geq(system_monotonic_us() - begun_us, SOON * 1000, "%s", slow[i].begin);
            cr_expect_eq(status_of(answer), slow[i].status, "%zu.%d: %s", i, kept, answer);
            cr_expect_eq(asked, asked_before);
            if (slow[i].status == 0)
                continue;
            cr_expect(is_ours(answer), "%s", answer);
            cr_expect_not_null(strstr(answer, "\r\nConnection: close\r\n"), "%s", answer);
            cr_expect_not_null(strstr(answer, "\r\nContent-Length: 17\r\n"), "%s", answer);
            cr_expect_not_null(strstr(answer, "\r\nDate: "), "%s", answer);
            cr_expect_not_null(strstr(answer, strstr(slow[i].begin, "r-1") != NULL
                                                  ? "\r\nX-Request-Id: r-1\r\n"
                                                  : "\r\nX-Request-Id: none\r\n"),
                               "%s", answer);
        }
    stop();
}

/* Nobody has asked anything: an answer would be taken for that to the next request. The kernel's
 * clock for what has come is a coarse one, so these stand in it at every place. */
Test(ports_http_times, kept_and_silent)
{
    int fds[90];
    start(100, SOON, SOON, FOR_EVER);
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = dial();
        say_text(fds[i], GET("/now") "\r\n");
        hear_one(fds[i], "0 bytes");
        clock_pause_ms(1);
    }
    for (size_t i = 0; i < COUNT(fds); i++)
        cr_expect_str_empty(hear(fds[i]), "%zu", i);
    stop();
}

/* A chunk's extension (RFC 9112, 7.1.1) that fills libmicrohttpd's buffer, which then can read no
 * further and wants to be run at once, again and again; one that ends before that is passed over,
 * however slowly it comes. */
Test(ports_http_times, extension_without_end)
{
    enum { FITS = 10000, TOO_LONG = 60000 };
    start_patient();
    for (int pieces = 1; pieces <= 100; pieces += 99) {
        for (size_t len = FITS; len <= TOO_LONG; len += TOO_LONG - FITS) {
            int fd = dial(), before = asked;
            say_text(fd, POST "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1;");
            for (size_t i = 0; i < len / 10; i++) {
                say_text(fd, "xxxxxxxxxx");
                if (i % (len / 10 / (size_t)pieces) == 0)
                    clock_pause_ms(1);
            }
            if (len == FITS)
                say_text(fd, "\r\n{\r\n0\r\n\r\n");
            const char *answer = hear(fd);
            cr_expect_eq(status_of(answer), len == FITS ? 200 : 413, "%zu, %d: %s", len, pieces,
                         answer);
            cr_expect_eq(asked - before, len == FITS);
        }
    }
    stop();
}

/* A request that waits for its answer is not slow: others, which came later, are cut meanwhile. */
Test(ports_http_times, held_is_not_slow)
{
    start(100, SOON, SOON, SOON);
    int fd = dial();
    say_text(fd, POST "Content-Length: 1\r\n\r\n1" GET("/held") CLOSE);
    wait_for(&asked, 2);
    for (int i = 0; i < 3; i++) {
        int slow = dial();
        say_text(slow, GET("/now"));
        cr_assert_eq(status_of(hear(slow)), 408);
    }
    http_wake(server);
    const char *answer = hear(fd);
    cr_assert_not_null(strstr(answer, "1 bytes"), "%s", answer);
    cr_assert_not_null(strstr(answer, "\r\n\r\nheld"), "%s", answer);
    stop();
}

/* Who takes its answer a byte at a time gets a part of it, then the end. */
Test(ports_http_times, answer_not_taken)
{
    start(100, FOR_EVER, FOR_EVER, SOON);
    int fd = dial_slow(4096);
    char byte;
    size_t taken = 0;
    say_text(fd, GET("/big") CLOSE);
    wait_for(&asked, 1);
    while (over == 0) {
        cr_assert_eq(recv(fd, &byte, 1, 0), 1);
        taken++;
    }
    for (char part[4096]; taken < BIG;) {
        ssize_t got = recv(fd, part, sizeof part, 0);
        if (got <= 0)
            break;
        taken += (size_t)got;
    }
    cr_assert_lt(taken, BIG);
    close(fd);
    stop();
}

/* ---- many, and the end ---- */

/* One more than the limit is connected, and waits until another has gone. */
Test(ports_http_times, one_too_many)
{
    start(2, FOR_EVER, FOR_EVER, FOR_EVER);
    int first = dial(), second = dial();
    say_text(first, GET("/now") "\r\n");
    hear_one(first, "0 bytes");
    say_text(second, GET("/now") "\r\n");
    hear_one(second, "0 bytes");
    int third = dial();
    say_text(third, GET("/now") CLOSE);
    for (int i = 0; i < 10; i++) {
        say_text(second, GET("/now") "\r\n");
        hear_one(second, "0 bytes");
    }
    struct pollfd ready = {.fd = third, .events = POLLIN};
    cr_assert_eq(poll(&ready, 1, 0), 0);
    int64_t begun_us = system_monotonic_us();
    close(first);
    cr_assert_eq(status_of(hear(third)), 200);
    cr_assert_lt(system_monotonic_us() - begun_us, 500000, "taken up at once, not in a next round");
    close(second);
    stop();
}

/* Quiesced, it takes no connection more, answers what is under way, and ends. */
Test(ports_http_times, quiesced)
{
    start_patient();
    int idle = dial(), fd = dial(), half = dial();
    say_text(half, POST "Content-Length: 2\r\n\r\n1");
    say_text(fd, GET("/held") "\r\n");
    wait_for(&asked, 1);
    held_count = 0; /* kept back from the wake that quiesces */
    http_server_quiesce(server);
    for (int last; (last = dial_slow(0)) >= 0;)
        close(last);
    say_text(half, "2");
    cr_assert_not_null(strstr(hear(half), "\r\nConnection: close\r\n"));
    held_count = 1;
    http_wake(server);
    const char *answer = hear(fd);
    cr_assert_eq(status_of(answer), 200);
    cr_assert_not_null(strstr(answer, "\r\nConnection: close\r\n"), "%s", answer);
    end();
    cr_assert_eq(status_of(hear(idle)), 0);
}

/* Who asks when the loop is over, on a connection that he has, is not heard: nobody is there to
 * answer. */
Test(ports_http_times, asked_too_late)
{
    start_patient();
    int fd = dial();
    say_text(fd, GET("/now") "\r\n");
    wait_for(&over, 1);
    http_server_stop(server);
    pthread_join(thread, NULL);
    say_text(fd, GET("/held") "\r\n");
    http_server_free(server);
    cr_assert_eq(asked, 1);
    cr_assert_eq(over, 1);
    const char *answer = hear(fd);
    cr_assert_eq(status_of(answer), 200);
    cr_assert_null(strstr(answer + 1, "HTTP/1.1"), "%s", answer);
}

/* Stopped, it lets nobody hang: what the handler has not answered is 503, what it never had ends.
 */
Test(ports_http_times, stopped)
{
    start_patient();
    int idle = dial(), half = dial(), fd = dial();
    say_text(half, POST "Content-Length: 2\r\n\r\n1");
    say_text(fd, GET("/held") "\r\n");
    wait_for(&asked, 1);
    held_count = 0;
    stop();
    const char *answer = hear(fd);
    cr_assert(*answer == '\0' || status_of(answer) == 503, "%s", answer);
    cr_assert_eq(status_of(hear(half)), 0);
    cr_assert_eq(status_of(hear(idle)), 0);
}
