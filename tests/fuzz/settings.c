/* settings.c: an environment of anything: loaded, or refused with a line that names the setting. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/config.h"

#define ENTRIES_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct saga_service service = {.name = "payment-svc", .port = 8081};
    char *entries[ENTRIES_MAX + 1] = {0}, **before = environ, why[256] = "";
    char *text = malloc(size + 1);
    size_t count = 0;
    if (text == NULL)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    for (char *rest = text, *entry; count < ENTRIES_MAX && (entry = strsep(&rest, "\n")) != NULL;)
        if (strchr(entry, '=') != NULL)
            entries[count++] = entry;
    environ = entries;
    bool good = config_load(&service, why, sizeof why);
    environ = before;
    if (!good && strncmp(why, "SAGA_", 5) != 0)
        abort();
    if (good && (config.batch_max < 1 || config.batch_max > 10000 || config.http_port < 1 ||
                 config.http_port > 65535))
        abort();
    free(text);
    return 0;
}
