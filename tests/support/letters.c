/* letters.c: `SERVICE dead-letters`, as an operator uses it. */
#include "letters.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "stack.h"

char *letters_command(const char *service, const char *command, const char *id)
{
    char program[64], url[24], *output = NULL;
    snprintf(program, sizeof program, "build/bin/%s", service);
    snprintf(url, sizeof url, "%.*s_DB", (int)strcspn(service, "-"), service);
    for (char *c = url; *c != '_'; c++)
        *c = (char)(*c - 'a' + 'A');
    setenv("SAGA_DATABASE_URL", stack_address(url), 1);
    int status = command_run(
        stack_root(), (const char *const[]){program, "dead-letters", command, id, NULL}, &output);
    cr_assert_eq(status, 0, "dead-letters %s ended with %d", command, status);
    return output;
}
