/* config.h: settings from the environment: SAGA_..., the same names in every service. */
#ifndef RUNTIME_CONFIG_H
#define RUNTIME_CONFIG_H

#include "ports/log.h"
#include "saga/service.h"

struct config {
    const char *database_url;       /* SAGA_DATABASE_URL: libpq, the application role */
    const char *owner_database_url; /* SAGA_OWNER_DATABASE_URL: for migrate only; may be NULL */
    const char *kafka_bootstrap;    /* SAGA_KAFKA_BOOTSTRAP */
    const char *redis_url;          /* SAGA_REDIS_URL */
    const char *state_dir;          /* SAGA_STATE_DIR: the local stack's; services ignore it */
    const char *http_address;       /* SAGA_HTTP_ADDRESS, 127.0.0.1 */
    int64_t http_port;              /* SAGA_HTTP_PORT, the service's own + SAGA_PORT_SHIFT */
    int64_t port_shift;             /* SAGA_PORT_SHIFT, 0 */
    int64_t partitions;             /* SAGA_PARTITIONS, 2: of each topic, when it is created */
    int64_t replication;            /* SAGA_REPLICATION, 1 */
    int64_t deadline_s;             /* SAGA_DEADLINE_S, 600 */
    int64_t backlog_max;            /* SAGA_BACKLOG_MAX, 100000 outbox rows not acknowledged */
    int64_t delivery_s;             /* SAGA_DELIVERY_S, 60: then an event is sent anew */
    int64_t outbox_keep_s;          /* SAGA_OUTBOX_KEEP_S, 300: acknowledged rows are kept */
    int64_t key_keep_s;             /* SAGA_KEY_KEEP_S, 93600: idempotency keys are kept */
    int64_t batch_max;              /* SAGA_BATCH_MAX, 1000 messages */
    int64_t linger_us;              /* SAGA_LINGER_US, -1: adaptive */
    bool log_json;                  /* SAGA_LOG_FORMAT, json | text */
    enum log_level log_level;       /* SAGA_LOG_LEVEL, debug | info | warn | error */
};

/* The one configuration of this process; config_load fills it, then it never changes. */
extern struct config config;

/* Reads environ. False with a line in errbuf that names the setting and its rule: unknown, not a
 * number, out of its range. */
bool config_load(const struct saga_service *service, char *errbuf, size_t errbuf_size);
/* True if the setting has a value; else a line in errbuf that names it. */
bool config_require(const char *name, const char *value, char *errbuf, size_t errbuf_size);
/* The settings with their defaults and one line each, for --help. */
void config_help(void);

#endif
