/* config.c: settings from the environment: defaults, ranges, and errors that name what is wrong. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/config.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct saga_service service = {.name = "test-svc", .port = 8081};
static char error[256];

static const struct number {
    const char *name;
    const int64_t *value;
    int64_t preset, min, max;
} numbers[] = {
    {"SAGA_HTTP_PORT", &config.http_port, 8081, 1, 65535},
    {"SAGA_PORT_SHIFT", &config.port_shift, 0, 0, 50000},
    {"SAGA_PARTITIONS", &config.partitions, 2, 1, 1000},
    {"SAGA_REPLICATION", &config.replication, 1, 1, 10},
    {"SAGA_DEADLINE_S", &config.deadline_s, 600, 1, 31536000},
    {"SAGA_BACKLOG_MAX", &config.backlog_max, 100000, 1, 1000000000},
    {"SAGA_DELIVERY_S", &config.delivery_s, 60, 1, 3600},
    {"SAGA_OUTBOX_KEEP_S", &config.outbox_keep_s, 300, 1, 86400},
    {"SAGA_KEY_KEEP_S", &config.key_keep_s, 93600, 1, 31536000},
    {"SAGA_BATCH_MAX", &config.batch_max, 1000, 1, 10000},
    {"SAGA_LINGER_US", &config.linger_us, -1, -1, 100000},
};

static const struct text {
    const char *name;
    const char *const *value;
    const char *preset;
} texts[] = {
    {"SAGA_DATABASE_URL", &config.database_url, NULL},
    {"SAGA_OWNER_DATABASE_URL", &config.owner_database_url, NULL},
    {"SAGA_KAFKA_BOOTSTRAP", &config.kafka_bootstrap, NULL},
    {"SAGA_REDIS_URL", &config.redis_url, NULL},
    {"SAGA_STATE_DIR", &config.state_dir, NULL},
    {"SAGA_HTTP_ADDRESS", &config.http_address, "127.0.0.1"},
};

/* Each test is a process of its own, with an environment without settings. */
static void setup(void)
{
    for (char **entry = environ; *entry != NULL;) {
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*entry, "="), *entry);
        if (strncmp(name, "SAGA", 4) != 0)
            entry++;
        else
            cr_assert_eq(unsetenv(name), 0);
    }
}

TestSuite(config, .init = setup);

static bool load(void)
{
    *error = '\0';
    return config_load(&service, error, sizeof error);
}

static bool load_with(const char *name, const char *value)
{
    setenv(name, value, 1);
    bool loaded = load();
    unsetenv(name);
    return loaded;
}

/* Refused, and in the error the first word is the setting's name. */
static void expect_refused(const char *name, const char *value)
{
    cr_expect_not(load_with(name, value), "%s=%s", name, value);
    size_t len = strlen(name);
    cr_expect(strncmp(error, name, len) == 0 && strchr(" :", error[len]), "%s", error);
}

Test(config, defaults)
{
    cr_assert(load(), "%s", error);
    for (size_t i = 0; i < COUNT(numbers); i++)
        cr_expect_eq(*numbers[i].value, numbers[i].preset, "%s", numbers[i].name);
    for (size_t i = 0; i < COUNT(texts); i++) {
        cr_expect_eq(*texts[i].value == NULL, texts[i].preset == NULL, "%s", texts[i].name);
        if (texts[i].preset != NULL)
            cr_expect_str_eq(*texts[i].value, texts[i].preset);
    }
    cr_assert(config.log_json && config.log_level == LOG_INFO);
}

Test(config, numbers_at_their_limits)
{
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char text[32];
        for (int64_t value = numbers[i].min; value <= numbers[i].max;
             value += numbers[i].max - numbers[i].min) {
            snprintf(text, sizeof text, "%lld", (long long)value);
            cr_expect(load_with(numbers[i].name, text), "%s", error);
            cr_expect_eq(*numbers[i].value, value, "%s", numbers[i].name);
        }
        snprintf(text, sizeof text, "%lld", (long long)numbers[i].max + 1);
        expect_refused(numbers[i].name, text);
        snprintf(text, sizeof text, "%lld", (long long)numbers[i].min - 1);
        if (strcmp(numbers[i].name, "SAGA_HTTP_PORT") != 0) /* 0: the service's own */
            expect_refused(numbers[i].name, text);
    }
}

Test(config, no_numbers)
{
    static const char *const none[] = {"",
                                       "x",
                                       "1x",
                                       "1.5",
                                       "1.0",
                                       "0x10",
                                       "1e2",
                                       "1 ",
                                       "1,000",
                                       "--1",
                                       "five",
                                       "-",
                                       "+",
                                       "1\n",
                                       " ",
                                       "9223372036854775808",
                                       "-9223372036854775809",
                                       "18446744073709551617"};
    for (size_t i = 0; i < COUNT(numbers); i++)
        for (size_t k = 0; k < COUNT(none); k++)
            expect_refused(numbers[i].name, none[k]);
}

Test(config, errors_tell_the_rule_and_the_value)
{
    cr_assert_not(load_with("SAGA_PARTITIONS", "1001"));
    cr_assert_str_eq(error, "SAGA_PARTITIONS must be an integer from 1 to 1000, not \"1001\"");
    cr_assert_not(load_with("SAGA_LOG_LEVEL", "trace"));
    cr_assert_not_null(strstr(error, "debug, info, warn or error, not \"trace\""));
}

Test(config, texts)
{
    for (size_t i = 0; i < COUNT(texts); i++) {
        setenv(texts[i].name, texts[i].name + 5, 1);
        cr_assert(load(), "%s", error);
    }
    for (size_t i = 0; i < COUNT(texts); i++)
        cr_assert_str_eq(*texts[i].value, texts[i].name + 5);
}

Test(config, choices)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    for (size_t i = 0; i < COUNT(levels); i++) {
        cr_assert(load_with("SAGA_LOG_LEVEL", levels[i]), "%s", error);
        cr_assert_eq(config.log_level, i);
    }
    cr_assert(load_with("SAGA_LOG_FORMAT", "text"));
    cr_assert_not(config.log_json);
    cr_assert(load_with("SAGA_LOG_FORMAT", "json"));
    cr_assert(config.log_json);
    static const char *const none[] = {"", "Info", "info ", "inf", "1", "json,text"};
    for (size_t i = 0; i < COUNT(none); i++) {
        expect_refused("SAGA_LOG_LEVEL", none[i]);
        expect_refused("SAGA_LOG_FORMAT", none[i]);
    }
}

/* ---- names ---- */

Test(config, unknown_names)
{
    static const char *const unknown[] = {"SAGA_PARTITION", "SAGA_PARTITIONS_",  "SAGA_partitions",
                                          "SAGA_",          "SAGA_TEST",         "SAGA_TESTS_X",
                                          "SAGA_HTTP",      "SAGA_DATABASE_URL2"};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        expect_refused(unknown[i], "4");
        expect_refused(unknown[i], "");
    }
    cr_assert(load(), "%s", error);
}

Test(config, names_of_others)
{
    static const char *const others[] = {"SAGA_TEST_", "SAGA_TEST_SEED", "SAGA",
                                         "SAGAS_X",    "XSAGA_X",        "saga_partition"};
    for (size_t i = 0; i < COUNT(others); i++)
        cr_assert(load_with(others[i], "x"), "%s", error);
}

Test(config, errors_are_cut_to_their_buffer)
{
    for (size_t size = 1; size < 24; size++) {
        char *small = malloc(size);
        memset(small, '#', size);
        setenv("SAGA_PARTITIONS", "x", 1);
        cr_assert_not(config_load(&service, small, size));
        cr_assert_eq(strlen(small), size - 1);
        setenv("SAGA_NO_SUCH_NAME_AT_ALL", "x", 1);
        cr_assert_not(config_load(&service, small, size));
        cr_assert_eq(strlen(small), size - 1);
        unsetenv("SAGA_NO_SUCH_NAME_AT_ALL");
        free(small);
    }
}

/* ---- the port ---- */

Test(config, port_is_shifted)
{
    cr_assert(load_with("SAGA_PORT_SHIFT", "1000"), "%s", error);
    cr_assert_eq(config.http_port, 9081);
    setenv("SAGA_PORT_SHIFT", "50000", 1);
    cr_assert(load(), "%s", error);
    cr_assert_eq(config.http_port, 58081);
    cr_assert(load_with("SAGA_HTTP_PORT", "0"), "%s", error);
    cr_assert_eq(config.http_port, 58081);
}

Test(config, port_that_is_set_is_not_shifted)
{
    setenv("SAGA_PORT_SHIFT", "1000", 1);
    cr_assert(load_with("SAGA_HTTP_PORT", "9000"), "%s", error);
    cr_assert_eq(config.http_port, 9000);
    cr_assert_eq(config.port_shift, 1000);
}

Test(config, port_beyond_the_last)
{
    service.port = 60000;
    cr_assert(load_with("SAGA_PORT_SHIFT", "5535"), "%s", error);
    cr_assert_eq(config.http_port, 65535);
    expect_refused("SAGA_PORT_SHIFT", "5536");
    expect_refused("SAGA_PORT_SHIFT", "50000");
    setenv("SAGA_PORT_SHIFT", "50000", 1);
    cr_assert(load_with("SAGA_HTTP_PORT", "65535"), "%s", error);
}

/* ---- what must be set ---- */

Test(config, require)
{
    cr_assert(config_require("SAGA_REDIS_URL", "redis://", error, sizeof error));
    cr_assert_str_empty(error);
    static const char *const none[] = {NULL, ""};
    for (size_t i = 0; i < COUNT(none); i++) {
        *error = '\0';
        cr_assert_not(config_require("SAGA_REDIS_URL", none[i], error, sizeof error));
        cr_assert_eq(strncmp(error, "SAGA_REDIS_URL is not set", 25), 0, "%s", error);
    }
}

/* --check-config says no to whatever a start would say no to, and names the setting. */
static void check_config(int expected, const char *setting)
{
    char *argv[] = {(char[]){"test-svc"}, (char[]){"--check-config"}, NULL};
    fflush(stderr);
    cr_expect_eq(saga_main(&service, 2, argv), expected, "%s", setting);
    fflush(stderr);
    static char said[4096];
    size_t len = fread(said, 1, sizeof said - 1, cr_get_redirected_stderr());
    said[len] = '\0';
    cr_expect(setting == NULL ? len == 0 : strstr(said, setting) != NULL, "%s", said);
}

static void redirect(void)
{
    setup();
    cr_redirect_stderr();
    cr_redirect_stdout();
}

Test(config, check_config_checks_what_a_start_needs, .init = redirect)
{
    static const char *const needed[][2] = {{"SAGA_DATABASE_URL", "postgresql://a@b/c"},
                                            {"SAGA_KAFKA_BOOTSTRAP", "localhost:9092"},
                                            {"SAGA_REDIS_URL", "redis://localhost:6379/0"}};
    static const char *const bad[] = {"redis://",          "localhost:6379",    "rediss://a:1/0",
                                      "redis://a:0",       "redis://a:65536",   "redis://a:1/x",
                                      "redis://a:1/16384", "redis://u@a:6379/0"};
    for (size_t i = 0; i < COUNT(needed); i++) {
        check_config(2, needed[i][0]);
        setenv(needed[i][0], "", 1);
        check_config(2, needed[i][0]);
        setenv(needed[i][0], needed[i][1], 1);
    }
    check_config(0, NULL);
    for (size_t i = 0; i < COUNT(bad); i++) {
        setenv("SAGA_REDIS_URL", bad[i], 1);
        check_config(2, "SAGA_REDIS_URL is not a Redis URL of the form redis://host:port/db");
    }
    setenv("SAGA_REDIS_URL", "redis://localhost", 1);
    check_config(0, NULL);
}

Test(config, help_lists_every_setting, .init = cr_redirect_stdout)
{
    static char help[8192];
    config_help();
    fflush(stdout);
    FILE *out = cr_get_redirected_stdout();
    size_t len = fread(help, 1, sizeof help - 1, out);
    cr_assert_gt(len, 0);
    for (size_t i = 0; i < COUNT(numbers); i++)
        cr_expect_not_null(strstr(help, numbers[i].name), "%s", numbers[i].name);
    for (size_t i = 0; i < COUNT(texts); i++)
        cr_expect_not_null(strstr(help, texts[i].name), "%s", texts[i].name);
    cr_expect(strstr(help, "SAGA_LOG_FORMAT") && strstr(help, "SAGA_LOG_LEVEL"));
    cr_expect(strstr(help, "(100000)") && strstr(help, "(127.0.0.1)"));
}
