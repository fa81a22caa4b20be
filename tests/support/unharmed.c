/* unharmed.c: counts what orders leave in the order database, and looks at the services. */
#include "unharmed.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "db.h"
#include "http.h"
#include "stack.h"

#define TIMEOUT_MS 10000
#define READY_S 30 /* after who was on this stack before */
#define PEAK_MAX_KB ((int64_t)192 * 1024)

/* Any of them may be attacked, and none may suffer from what is done to another. */
static struct service {
    const char *name, *address;
    pid_t pid;
} services[] = {{"order-svc", "ORDER_API", 0},
                {"payment-svc", "PAYMENT_OPS", 0},
                {"inventory-svc", "INVENTORY_API", 0},
                {"shipping-svc", "SHIPPING_OPS", 0}};
#define SERVICES (sizeof services / sizeof *services)

static struct rows {
    int64_t orders, keys, orphans;
} before;
static char *begun_at; /* by the database's clock */

static struct rows count_rows(void)
{
    return (struct rows){db_int(DB_ORDER, "SELECT count(*) FROM orders", NULL),
                         db_int(DB_ORDER, "SELECT count(*) FROM idempotency", NULL),
                         db_int(DB_ORDER,
                                "SELECT count(*) FROM (SELECT order_id FROM outbox UNION"
                                " SELECT order_id FROM timer UNION"
                                " SELECT order_id FROM idempotency) AS theirs"
                                " WHERE order_id NOT IN (SELECT order_id FROM orders)",
                                NULL)};
}

/* All at once: to ask for the stack's state takes a while. */
static void find_services(void)
{
    struct stack_part parts[STACK_PARTS];
    size_t count = stack_parts(parts);
    for (size_t i = 0; i < SERVICES; i++) {
        services[i].pid = 0;
        for (size_t p = 0; p < count; p++)
            if (strcmp(parts[p].name, services[i].name) == 0)
                services[i].pid = parts[p].pid;
        cr_assert_gt(services[i].pid, 0, "%s does not run", services[i].name);
    }
}

/* What follows has a peak of its own. Where the kernel does not allow that, the peak is of the
 * whole life of the service, which is no less. */
static void forget_peak(pid_t pid)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)pid);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return;
    fputs("5", file);
    fclose(file);
}

static bool is_ready(const char *address)
{
    struct http_answer *answer =
        http_call(stack_address(address), "GET", "/readyz", NULL, NULL, TIMEOUT_MS);
    bool ready = answer->status == 200 && strstr(answer->body, "\"status\":\"ready\"") != NULL;
    http_answer_free(answer);
    return ready;
}

void unharmed_begin(void)
{
    cr_assert(stack_attach());
    find_services();
    for (size_t i = 0; i < SERVICES; i++) {
        cr_assert(CLOCK_UNTIL(READY_S, is_ready(services[i].address)), "%s", services[i].address);
        forget_peak(services[i].pid);
    }
    before = count_rows();
    begun_at = db_text(DB_ORDER, "SELECT clock_timestamp()", NULL);
}

/* 0: it is gone. */
static int64_t peak_kb(pid_t pid)
{
    char path[40], line[200];
    long long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kb = strtoll(line + 6, NULL, 10);
    if (file != NULL)
        fclose(file);
    return kb;
}

void unharmed_memory(const char *when)
{
    for (size_t i = 0; i < SERVICES; i++) {
        int64_t kb = peak_kb(services[i].pid);
        fprintf(stderr, "unharmed: %s: peak of %s %.1f MiB, bound %lld MiB\n", when,
                services[i].name, (double)kb / 1024, (long long)PEAK_MAX_KB / 1024);
        cr_assert_gt(kb, 0, "%s is gone", services[i].name);
        cr_assert_lt(kb, PEAK_MAX_KB, "%s: %lld kB", services[i].name, (long long)kb);
    }
}

/*
 * As many orders, keys and events more as were answered 201, and nothing of an order that is none.
 * The ring of outbox rows is kept for longer than a test takes, so all of this test's are there.
 */
static void check_rows(int accepted, int keyed)
{
    struct rows now = count_rows();
    cr_assert_eq(now.orders, before.orders + accepted, "%d accepted", accepted);
    cr_assert_eq(now.keys, before.keys + keyed, "%d accepted with a key", keyed);
    cr_assert_eq(db_int(DB_ORDER,
                        "SELECT count(*) FROM outbox"
                        " WHERE type = 'order.created' AND created_at >= $1::timestamptz"
                        " AND created_at < now() + interval '1 min'" /* a clock has jumped */,
                        begun_at),
                 accepted);
    cr_assert_leq(now.orphans, before.orphans); /* other tests may have planted some */
    free(begun_at);
}

void unharmed_end(int accepted, int keyed)
{
    check_rows(accepted, keyed);
    for (size_t i = 0; i < SERVICES; i++)
        cr_assert(is_ready(services[i].address), "%s", services[i].address);
    unharmed_memory("at the end"); /* of the processes that there were: a new one is no answer */
}
