/* config.c: one table of settings: names, defaults, bounds, and a line for people. */
#include "runtime/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct config config;

enum kind { KIND_TEXT, KIND_NUMBER, KIND_CHOICE };

struct setting {
    const char *name;
    enum kind kind;
    void *value;
    const char *preset; /* as it would be written; NULL: none */
    int64_t min, max;
    const char *const *choices; /* NULL-terminated; the index goes to *value, an int64_t */
    const char *about;
};

static int64_t log_format, log_level;
static const char *const log_formats[] = {"json", "text", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

#define TEXT(name_, value_, preset_, about_)                                                       \
    {                                                                                              \
        .name = name_, .kind = KIND_TEXT, .value = &(value_), .preset = preset_, .about = about_   \
    }
#define NUMBER(name_, value_, preset_, min_, max_, about_)                                         \
    {                                                                                              \
        .name = name_, .kind = KIND_NUMBER, .value = &(value_), .preset = preset_, .min = min_,    \
        .max = max_, .about = about_                                                               \
    }
#define CHOICE(name_, value_, preset_, choices_, about_)                                           \
    {                                                                                              \
        .name = name_, .kind = KIND_CHOICE, .value = &(value_), .preset = preset_,                 \
        .choices = choices_, .about = about_                                                       \
    }

static const struct setting settings[] = {
    TEXT("SAGA_DATABASE_URL", config.database_url, NULL, "libpq URL, the application role"),
    TEXT("SAGA_OWNER_DATABASE_URL", config.owner_database_url, NULL,
         "libpq URL, the owner role: for migrate"),
    TEXT("SAGA_KAFKA_BOOTSTRAP", config.kafka_bootstrap, NULL, "host:port, comma-separated"),
    TEXT("SAGA_REDIS_URL", config.redis_url, NULL, "redis://host:port/db"),
    TEXT("SAGA_STATE_DIR", config.state_dir, NULL, "the local stack's data and logs"),
    TEXT("SAGA_HTTP_ADDRESS", config.http_address, "127.0.0.1", "address to listen on"),
    NUMBER("SAGA_HTTP_PORT", config.http_port, "0", 0, 65535, "port; 0: the service's own"),
    NUMBER("SAGA_PORT_SHIFT", config.port_shift, "0", 0, 50000, "added to the service's own port"),
    NUMBER("SAGA_PARTITIONS", config.partitions, "2", 1, 1000, "of a topic that is created"),
    NUMBER("SAGA_REPLICATION", config.replication, "1", 1, 10, "of a topic that is created"),
    NUMBER("SAGA_DEADLINE_S", config.deadline_s, "600", 1, 31536000,
           "an order that is not through by then is cancelled"),
    NUMBER("SAGA_BACKLOG_MAX", config.backlog_max, "100000", 1, 1000000000,
           "outbox rows not acknowledged; beyond: 503"),
    NUMBER("SAGA_DELIVERY_S", config.delivery_s, "60", 1, 3600,
           "an event that Kafka has not acknowledged by then is sent anew"),
    NUMBER("SAGA_OUTBOX_KEEP_S", config.outbox_keep_s, "300", 1, 86400,
           "acknowledged outbox rows are kept this long"),
    /* The promise is a day; the hours are for a clock that was an hour behind when the key was
     * made, and is an hour ahead when it is removed. */
    NUMBER("SAGA_KEY_KEEP_S", config.key_keep_s, "93600", 1, 31536000,
           "idempotency keys are kept this long"),
    NUMBER("SAGA_BATCH_MAX", config.batch_max, "1000", 1, 10000, "messages in a batch"),
    NUMBER("SAGA_LINGER_US", config.linger_us, "-1", -1, 100000,
           "wait for company; -1: by the measured rate"),
    CHOICE("SAGA_LOG_FORMAT", log_format, "json", log_formats, "json or text"),
    CHOICE("SAGA_LOG_LEVEL", log_level, "info", log_levels, "debug, info, warn or error"),
};
#define SETTINGS_COUNT (sizeof settings / sizeof *settings)

static bool read_number(const struct setting *setting, const char *text, char *errbuf, size_t size)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || errno != 0 || value < setting->min ||
        value > setting->max) {
        snprintf(errbuf, size, "%s must be an integer from %lld to %lld, not \"%s\"", setting->name,
                 (long long)setting->min, (long long)setting->max, text);
        return false;
    }
    *(int64_t *)setting->value = value;
    return true;
}

static bool read_choice(const struct setting *setting, const char *text, char *errbuf, size_t size)
{
    for (int64_t i = 0; setting->choices[i] != NULL; i++) {
        if (strcmp(setting->choices[i], text) == 0) {
            *(int64_t *)setting->value = i;
            return true;
        }
    }
    snprintf(errbuf, size, "%s must be %s, not \"%s\"", setting->name, setting->about, text);
    return false;
}

static bool read_setting(const struct setting *setting, const char *text, char *errbuf, size_t size)
{
    switch (setting->kind) {
    case KIND_TEXT:
        *(const char **)setting->value = text;
        return true;
    case KIND_NUMBER:
        return read_number(setting, text, errbuf, size);
    case KIND_CHOICE:
        return read_choice(setting, text, errbuf, size);
    }
    return false;
}

/* A name that we do not know is a misspelt one that would be ignored silently. */
static bool all_known(char *errbuf, size_t size)
{
    for (char **entry = environ; *entry != NULL; entry++) {
        size_t len = strcspn(*entry, "=");
        if (strncmp(*entry, "SAGA_", 5) != 0 || strncmp(*entry, "SAGA_TEST_", 10) == 0)
            continue;
        bool known = false;
        for (size_t i = 0; i < SETTINGS_COUNT; i++)
            known = known ||
                    (strlen(settings[i].name) == len && memcmp(settings[i].name, *entry, len) == 0);
        if (!known) {
            snprintf(errbuf, size, "%.*s: there is no such setting; --help lists them", (int)len,
                     *entry);
            return false;
        }
    }
    return true;
}

bool config_load(const struct saga_service *service, char *errbuf, size_t errbuf_size)
{
    if (!all_known(errbuf, errbuf_size))
        return false;
    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        const char *text = getenv(settings[i].name);
        if (text == NULL)
            text = settings[i].preset;
        if (text != NULL && !read_setting(&settings[i], text, errbuf, errbuf_size))
            return false;
    }
    config.log_json = log_format == 0;
    config.log_level = (enum log_level)log_level;
    if (config.http_port == 0)
        config.http_port = service->port + config.port_shift;
    if (config.http_port > 65535) {
        snprintf(errbuf, errbuf_size, "SAGA_PORT_SHIFT moves port %d beyond 65535", service->port);
        return false;
    }
    return true;
}

bool config_require(const char *name, const char *value, char *errbuf, size_t errbuf_size)
{
    if (value != NULL && *value != '\0')
        return true;
    for (size_t i = 0; i < SETTINGS_COUNT; i++)
        if (strcmp(settings[i].name, name) == 0)
            snprintf(errbuf, errbuf_size, "%s is not set: %s", name, settings[i].about);
    return false;
}

void config_help(void)
{
    printf("settings, from the environment:\n\n");
    for (size_t i = 0; i < SETTINGS_COUNT; i++)
        printf("  %-25s %s%s%s%s\n", settings[i].name, settings[i].about,
               settings[i].preset ? " (" : "", settings[i].preset ? settings[i].preset : "",
               settings[i].preset ? ")" : "");
}
