/* service.c: the program that every service is: its commands, its start and its end. */
#include "saga/service.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ports/failpoint.h"
#include "ports/kafka.h"
#include "ports/postgres.h"
#include "ports/redis.h"
#include "ports/system.h"
#include "runtime/describe.h"
#include "runtime/door.h"
#include "runtime/hearing.h"
#include "runtime/outbox.h"
#include "runtime/park.h"
#include "saga_sql.h"

#define DRAIN_MAX_US 24000000 /* SIGTERM to exit: under the 25 s that are promised */

static int usage(const struct saga_service *service, FILE *out)
{
    fprintf(out,
            "%s: %s\n\n"
            "usage: %s [COMMAND]\n\n"
            "  (none)          run the service\n"
            "  describe        print its part of the saga table\n"
            "  migrate         create or update its tables, as SAGA_OWNER_DATABASE_URL\n"
            "  create-topics   create the topics of the events that it says\n"
            "  republish       TOPIC: say again what the outbox still holds of it\n"
            "  reset-offsets   of partitions whose unread records are gone (service stopped)\n"
            "  dead-letters    list | show ID | redrive ID | redrive --all | discard ID\n"
            "  --check-config  check the settings and exit\n"
            "  --help, --version\n\n",
            service->name, service->about, service->name);
    if (out == stdout)
        config_help();
    return out == stdout ? 0 : 2;
}

static int fail(const struct saga_service *service, const char *why)
{
    fprintf(stderr, "%s: %s\n", service->name, why);
    return 2;
}

static bool require(char *why, size_t size, const char *name, const char *value)
{
    return config_require(name, value, why, size);
}

static int migrate(const struct saga_service *service)
{
    char why[256];
    if (!require(why, sizeof why, "SAGA_OWNER_DATABASE_URL", config.owner_database_url))
        return fail(service, why);
    struct pg *pg = pg_new(config.owner_database_url, service->name);
    enum pg_status status = pg_connect(pg, 10000);
    if (status == PG_OK)
        status = pg_execute(pg, sql_schema);
    if (FAILPOINT(tables_half_made))
        pg_disconnect(pg);
    if (status == PG_OK)
        status = pg_execute(pg, service->schema);
    if (status != PG_OK)
        fprintf(stderr, "%s: migrate: %s\n", service->name, pg_error(pg));
    pg_free(pg);
    return status == PG_OK ? 0 : 1;
}

static int create_topics(const struct saga_service *service)
{
    char why[256];
    if (!require(why, sizeof why, "SAGA_KAFKA_BOOTSTRAP", config.kafka_bootstrap))
        return fail(service, why);
    const char *topics[65] = {0};
    for (size_t i = 0; service->says[i] != NULL && i < 64; i++)
        topics[i] = service->says[i]->name;
    if (kafka_topics_create(config.kafka_bootstrap, topics, (int)config.partitions,
                            (int)config.replication, 30000, why, sizeof why) == SAGA_OK)
        return 0;
    fprintf(stderr, "%s: create-topics: %s\n", service->name, why);
    return 1;
}

static void say_reset(void *opaque, const char *what)
{
    (void)opaque;
    printf("%s\n", what);
}

static int reset_offsets(const struct saga_service *service)
{
    char why[256];
    const struct saga_event *hears[HEARING_MAX + 1];
    const char *topics[HEARING_MAX + 1] = {0};
    if (!require(why, sizeof why, "SAGA_KAFKA_BOOTSTRAP", config.kafka_bootstrap))
        return fail(service, why);
    hearing_events(service, hears);
    for (size_t i = 0; hears[i] != NULL; i++)
        topics[i] = hears[i]->name;
    if (kafka_offsets_reset(config.kafka_bootstrap, service->name, topics, 10000, say_reset, NULL,
                            why, sizeof why) == SAGA_OK)
        return 0;
    fprintf(stderr, "%s: reset-offsets: %s\n", service->name, why);
    return 1;
}

/* Waits for SIGTERM or SIGINT; a second one ends the process at once. */
static void wait_for_end(int signals)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) < 0)
        ;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* What run needs, beyond what config_load has read. */
static bool can_run(char *why, size_t size)
{
    char reason[200];
    if (!require(why, size, "SAGA_DATABASE_URL", config.database_url) ||
        !require(why, size, "SAGA_KAFKA_BOOTSTRAP", config.kafka_bootstrap) ||
        !require(why, size, "SAGA_REDIS_URL", config.redis_url))
        return false;
    struct redis *redis = redis_new(config.redis_url, reason, sizeof reason); /* only reads it */
    if (redis == NULL)
        snprintf(why, size, "SAGA_REDIS_URL is %s", reason);
    redis_free(redis);
    return redis != NULL;
}

static int check_config(const struct saga_service *service)
{
    char why[256];
    if (!can_run(why, sizeof why))
        return fail(service, why);
    printf("%s: the settings are good\n", service->name);
    return 0;
}

static void database_lost(void *opaque)
{
    reader_doubt(opaque);
}

static int run(const struct saga_service *service)
{
    char why[256];
    if (!can_run(why, sizeof why))
        return fail(service, why);
    /* Before any thread is made, so that all inherit the mask and only this one hears them. */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    log_open(service->name, config.log_json, config.log_level);

    struct engine *engine = engine_new(service, why, sizeof why);
    struct reader *reader = engine ? reader_new(service, why, sizeof why) : NULL;
    struct door *door = reader ? door_new(service, engine, reader, why, sizeof why) : NULL;
    if (signals < 0 || door == NULL)
        return fail(service, why);
    engine_on_loss(engine, database_lost, reader);
    if (!engine_start(engine) || !reader_start(reader) || !door_start(door))
        return fail(service, "no thread could be started");
    log_line(LOG_INFO, NULL, "started, version %s, listens on %s:%lld", SAGA_VERSION,
             config.http_address, (long long)config.http_port);

    wait_for_end(signals);
    log_line(LOG_INFO, NULL, "draining");
    int64_t end_us = system_monotonic_us() + DRAIN_MAX_US;
    door_drain(door);
    engine_drain(engine);
    if (!engine_join(engine, end_us)) {
        log_line(LOG_WARN, NULL, "a server hangs: what is unfinished is found at the next start");
        _exit(0);
    }
    door_stop(door, end_us);
    reader_stop(reader);
    door_free(door);
    reader_free(reader);
    engine_free(engine);
    log_line(LOG_INFO, NULL, "stopped");
    close(signals);
    return 0;
}

int saga_main(const struct saga_service *service, int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0)
        return usage(service, stdout);
    if (strcmp(command, "--version") == 0) {
        printf("%s %s\n", service->name, SAGA_VERSION);
        return 0;
    }
    if (strcmp(command, "describe") == 0) {
        describe(service);
        return 0;
    }
    char why[256];
    if (!config_load(service, why, sizeof why))
        return fail(service, why);
    if (strcmp(command, "--check-config") == 0)
        return check_config(service);
    if (strcmp(command, "migrate") == 0)
        return migrate(service);
    if (strcmp(command, "create-topics") == 0)
        return create_topics(service);
    if (strcmp(command, "dead-letters") == 0)
        return park_command(service, argc - 2, argv + 2);
    if (strcmp(command, "republish") == 0)
        return republish_command(service, argc - 2, argv + 2);
    if (strcmp(command, "reset-offsets") == 0)
        return reset_offsets(service);
    if (*command == '\0')
        return run(service);
    fprintf(stderr, "%s: unknown command: %s\n\n", service->name, command);
    return usage(service, stderr);
}
