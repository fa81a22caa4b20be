/* program.c: a command of a service's own program; see program.h. */
#include "program.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "stack.h"

char *program_run(const char *service, const char *arguments)
{
    char line[1200], database[24], *output = NULL;
    snprintf(database, sizeof database, "%.*s_DB", (int)strcspn(service, "-"), service);
    for (char *c = database; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    const char *bin = getenv("SAGA_TEST_BIN"), *url = stack_address(database);
    snprintf(line, sizeof line,
             "SAGA_DATABASE_URL='%s' SAGA_OWNER_DATABASE_URL=\"${SAGA_OWNER_DATABASE_URL:-%s}\""
             " SAGA_KAFKA_BOOTSTRAP=%s %s/%s %s",
             url, url, stack_address("KAFKA_BOOTSTRAP"), bin ? bin : "build/bin", service,
             arguments);
    if (command_run(stack_root(), (const char *const[]){"sh", "-c", line, NULL}, &output) == 0)
        return output;
    free(output);
    return NULL;
}
