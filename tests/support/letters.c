/* letters.c: dead letters, as a person makes and mends them. */
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

void letters_produce(const char *topic, const char *key, const char *value, const char *headers)
{
    char command[2048];
    snprintf(command, sizeof command,
             "printf '%%s' '%s' | kcat -P -b %s -X partitioner=murmur2 -t %s -k '%s' %s", value,
             stack_address("KAFKA_BOOTSTRAP"), topic, key, headers);
    cr_assert_eq(command_run(stack_root(), (const char *const[]){"sh", "-c", command, NULL}, NULL),
                 0);
}
