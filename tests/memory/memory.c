/*
 * memory.c: every allocation fails once, in turn: of every route with good, wrong and replayed
 * requests, and of every handler in whole sagas over every path. Then there is the very answer, row
 * and event that there would have been (all rows of all tables are compared, whole), or the process
 * stops by abort, which is a crash, and crashes are tested elsewhere. Nothing else: no other
 * answer, no wrong row, no leak.
 *
 * Each try is a process of its own, which ends in one of the ways below. Linked with the
 * allocators and abort wrapped; needs the sanitizers.
 */
#include <openssl/crypto.h>
#include <sanitizer/lsan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inventory-svc/put_stock.h"
#include "order-svc/steps.h"
#include "saga/json.h"
#include "saga/service.h"
#include "unit/support/door.h"
#include "unit/support/world.h"

#define SAID_MAX 65536

extern const struct saga_service order_service, payment_service, inventory_service,
    shipping_service;

/* ---- the allocator ---- */

enum end { UNTOUCHED = 10, ANSWERED, STOPPED, WRONG, LEAKED };

static int fails_at, made; /* the nth allocation of the services fails; so many were made */
static bool at_a_door;

static bool fails(void)
{
    bool theirs = (at_a_door && door_checking == 0) || world_deciding > 0;
    return theirs && ++made == fails_at;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
_Noreturn void __wrap_abort(void);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

/* Without a failed allocation there is no reason to stop. */
void __wrap_abort(void)
{
    _exit(made >= fails_at && fails_at > 0 ? STOPPED : WRONG);
}

/* libcrypto's way to the allocator; jansson is led there by json_tree.c. */
static void *crypto_allocate(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return malloc(size);
}

static void *crypto_reallocate(void *memory, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return realloc(memory, size);
}

static void crypto_free(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    free(memory);
}

/* ---- what is run ---- */

struct scenario {
    const char *name;
    void (*run)(const struct scenario *scenario, char *said);
    const struct saga_service *service; /* a request: */
    int route;
    const char *key, *prefer, *recalled, *body, *path;
    bool busy, missing;
    const char *method, *items, *country; /* an order; NULL: of the plainest: */
    int undo;                             /* what calls it off, and when */
};

static struct saga_text text_of(const char *text)
{
    return text != NULL ? saga_text(text) : (struct saga_text){0};
}

static void ask(const struct scenario *scenario, char *said)
{
    struct saga_request request = {
        .key = text_of(scenario->key),
        .prefer = text_of(scenario->prefer),
        .recalled = text_of(scenario->recalled),
        .body = text_of(scenario->body),
        .path = text_of(scenario->path),
        .busy = scenario->busy,
        .missing = scenario->missing,
        .said = said,
        .said_size = SAID_MAX,
    };
    at_a_door = true;
    scenario->service->routes[scenario->route].handle(&request);
    at_a_door = false;
    arena_free(&request.arena);
    if (request.answers != 1)
        snprintf(said, SAID_MAX, "answered %d times", request.answers);
}

enum { NOBODY, CUSTOMER_EARLY, CUSTOMER_LATE, DEADLINE };

static const struct saga_service *const services[WORLD_SERVICES] = {
    &order_service, &payment_service, &inventory_service, &shipping_service};

static void say(char *said, const char *what, struct saga_text text)
{
    size_t len = strlen(said);
    int more = snprintf(said + len, SAID_MAX - len, "%s %.*s\n", what, (int)text.len, text.at);
    if (more < 0 || (size_t)more >= SAID_MAX - len)
        __builtin_trap(); /* a difference could be in what is cut off */
}

/* Every event, and every row of every table, whole. */
static void say_all(struct world *world, char *said)
{
    struct saga_json json = {0};
    for (size_t i = 0; i < world_events(world); i++) {
        const struct world_event *event = world_event(world, i);
        say(said, event->name, saga_text(event->payload));
    }
    for (int service = 0; service < WORLD_SERVICES; service++) {
        for (size_t t = 0; services[service]->tables[t] != NULL; t++) {
            const struct saga_table *table = services[service]->tables[t];
            for (size_t i = 0; i < world_count(world, service, table->name); i++) {
                saga_json_reset(&json);
                saga_json_object(&json, NULL, table->shape,
                                 world_row(world, service, table->name, i));
                say(said, table->name, saga_json_done(&json));
            }
        }
    }
    saga_json_clear(&json);
}

#define ITEMS "[{\"sku\":\"SKU-1\",\"quantity\":2,\"unit_amount\":250}]"
#define HOME "{\"country\":\"DE\"}"

static void travel(const struct scenario *scenario, char *said)
{
    const struct saga_uuid id = {.bytes = {1, [6] = 0x70, [8] = 0x80}};
    struct place place = {
        .customer_id = SAGA_TEXT("cus_1"),
        .currency = SAGA_TEXT("EUR"),
        .total = 500,
        .items = saga_text(scenario->items ? scenario->items : ITEMS),
        .payment_method = saga_text(scenario->method ? scenario->method : "pm_card"),
        .shipping_address = saga_text(scenario->country ? scenario->country : HOME),
        .metadata = SAGA_TEXT("{}"),
        .deadline_us = 1000000,
        .key = text_of(scenario->key),
        .fingerprint = text_of(scenario->key),
    };
    struct put_stock put = {SAGA_TEXT("SKU-1"), 100};
    struct put_stock_reply was_put;
    struct place_reply reply;
    enum cancel_reply cancelled = CANCEL_UNKNOWN_ORDER;
    struct world *world = world_new();
    world_command(world, WORLD_INVENTORY, "put_stock", &(struct saga_uuid){{0}}, &put, &was_put);
    world_command(world, WORLD_ORDER, "placement", &id, &place, &reply);
    world_adopt(world, &id);
    if (scenario->undo == CUSTOMER_LATE)
        world_settle(world);
    if (scenario->undo == CUSTOMER_EARLY || scenario->undo == CUSTOMER_LATE)
        world_command(world, WORLD_ORDER, "cancel", &id, NULL, &cancelled);
    if (scenario->undo == DEADLINE)
        world_command(world, WORLD_ORDER, "expire", &id, NULL, NULL);
    world_settle(world);
    snprintf(said, SAID_MAX, "cancel %d\n", (int)cancelled);
    say_all(world, said);
    world_free(world);
}

#define ORDER                                                                                      \
    "{\"customer_id\":\"cus_1\",\"currency\":\"EUR\",\"items\":[{\"sku\":\"SKU-1\",\"quantity\":"  \
    "2,"                                                                                           \
    "\"unit_amount\":5},{\"sku\":\"SKU-2\",\"quantity\":2,\"unit_amount\":5}],"                    \
    "\"payment_method\":\"pm_card\",\"shipping_address\":{\"country\":\"DE\",\"city\":"            \
    "\"B\\u00e4r\"},"                                                                              \
    "\"metadata\":{\"a\":\"b\",\"c\":\"d\"}}"
#define WRONG_ORDER                                                                                \
    "{\"customer_id\":\"\",\"currency\":\"DEM\",\"items\":[{\"sku\":\"A\",\"quantity\":0},"        \
    "{\"sku\":\"A\",\"unit_amount\":-1}],\"metadata\":{\"a\":7},\"more\":1}"
#define TIMELINE "1700000000000000 order.created -1 -1 -\n1700000000000001 payment.done 1 7 -"
#define RECALLED                                                                                   \
    "0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa "                                                        \
    "0000000000000000000000000000000000000000000000000000000000000000 1 2"
#define POST .run = ask, .service = &order_service, .route = 0
#define GET .run = ask, .service = &order_service, .route = 1
#define CANCEL .run = ask, .service = &order_service, .route = 2
#define SHOW .run = ask, .service = &order_service, .route = 3
#define STOCK .run = ask, .service = &inventory_service, .route = 0
#define PUT .run = ask, .service = &inventory_service, .route = 1
#define SAGA .run = travel

static const struct scenario scenarios[] = {
    {"POST an order", POST, .body = ORDER},
    {"POST, with a key", POST, .body = ORDER, .key = "k1"},
    {"POST, and wait for the end", POST, .body = ORDER, .key = "\"k1\"", .prefer = "wait=3"},
    {"POST, key of another order", POST, .body = ORDER, .key = "k1", .recalled = RECALLED},
    {"POST, key that is none", POST, .body = ORDER, .key = "k 1"},
    {"POST, not taken", POST, .body = ORDER, .busy = true},
    {"POST, order against the rules", POST, .body = WRONG_ORDER},
    {"POST, not JSON", POST, .body = "{\"customer_id\":\"cus_1\",\"customer_id\":2}"},
    {"GET an order", GET},
    {"GET, no such order", GET, .missing = true},
    {"GET, no id", GET, .path = "x"},
    {"GET, database away", GET, .busy = true},
    {"cancel", CANCEL},
    {"cancel, not taken", CANCEL, .busy = true},
    {"timeline", SHOW, .body = TIMELINE},
    {"timeline, no such order", SHOW, .missing = true},
    {"GET stock", STOCK, .path = "SKU-1"},
    {"GET stock, no such SKU", STOCK, .path = "SKU-1", .missing = true},
    {"PUT stock", PUT, .path = "SKU-1", .body = "{\"on_hand\":7}"},
    {"PUT stock, against the rules", PUT, .path = "SKU-1", .body = "{\"on_hand\":-7,\"x\":1}"},
    {"PUT stock, not JSON", PUT, .path = "SKU-1", .body = "{"},
    {"saga: completed", SAGA, .key = "cus_1 k"},
    {"saga: card declined", SAGA, .method = "pm_card_declined"},
    {"saga: no such method", SAGA, .method = "gold"},
    {"saga: out of stock", SAGA,
     .items = "[{\"sku\":\"SKU-1\",\"quantity\":900,\"unit_amount\":1}]"},
    {"saga: no such SKU", SAGA, .items = "[{\"sku\":\"SKU-9\",\"quantity\":1,\"unit_amount\":1}]"},
    {"saga: no way there", SAGA, .country = "{\"country\":\"AQ\"}"},
    {"saga: cancelled", SAGA, .undo = CUSTOMER_EARLY},
    {"saga: cancelled too late", SAGA, .undo = CUSTOMER_LATE},
    {"saga: past its deadline", SAGA, .undo = DEADLINE},
};

/* ---- a try ---- */

/* What was said with nothing failing, and now: shared with the processes that try. */
static struct {
    char expected[SAID_MAX], said[SAID_MAX];
} * shared;

static _Noreturn void try(const struct scenario *scenario, int nth)
{
    shared->said[0] = '\0';
    fails_at = nth;
    scenario->run(scenario, shared->said);
    if (nth == 0)
        memcpy(shared->expected, shared->said, SAID_MAX);
    if (strcmp(shared->said, shared->expected) != 0)
        _exit(WRONG);
    if (__lsan_do_recoverable_leak_check() != 0)
        _exit(LEAKED);
    _exit(made < nth || nth == 0 ? UNTOUCHED : ANSWERED);
}

/* How it ended; -1: not in one of the ways that we know, as after a sanitizer's report. */
static int end_of_try(const struct scenario *scenario, int nth)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        try(scenario, nth);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status) >= UNTOUCHED && WEXITSTATUS(status) <= LEAKED ? WEXITSTATUS(status)
                                                                             : -1;
}

static const char *complaint(int end)
{
    return end == WRONG ? "another answer" : end == LEAKED ? "a leak" : "ends as it should not";
}

/* False: something is wrong, and was said. */
static bool fail_each(const struct scenario *scenario, int *failed, int *answered, int *stopped)
{
    bool good = end_of_try(scenario, 0) == UNTOUCHED && shared->expected[0] != '\0';
    int nth = 1, end, here[2] = {0};
    if (!good)
        printf("%s: not even with all the memory\n", scenario->name);
    for (; good && (end = end_of_try(scenario, nth)) != UNTOUCHED; nth++) {
        if (end == ANSWERED || end == STOPPED) {
            here[end == STOPPED]++;
            continue;
        }
        printf("%s: allocation %d: %s:\n%sinstead of\n%s", scenario->name, nth, complaint(end),
               shared->said, shared->expected);
        good = false;
    }
    printf("%-32s %4d failed: %3d answered, %3d stopped\n", scenario->name, nth - 1, here[0],
           here[1]);
    fflush(stdout);
    *failed += nth - 1;
    *answered += here[0];
    *stopped += here[1];
    return good;
}

int main(void)
{
    int passed = 0, broken = 0, failed = 0, answered = 0, stopped = 0;
    char hex[65];
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED ||
        CRYPTO_set_mem_functions(crypto_allocate, crypto_reallocate, crypto_free) != 1)
        return 2;
    saga_sha256(SAGA_TEXT("libcrypto makes its tables once"), hex);
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        *(fail_each(&scenarios[i], &failed, &answered, &stopped) ? &passed : &broken) += 1;
    printf("%d allocations failed: %d times the same answer, %d times a clean stop\n", failed,
           answered, stopped);
    printf("memory: %d passed, %d failed\n", passed, broken);
    return broken > 0 || failed == 0;
}
