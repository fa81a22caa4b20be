/* letters.c: dead letters, as a person makes and mends them. */
#include "letters.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "command.h"
#include "program.h"
#include "stack.h"

char *letters_command(const char *service, const char *command, const char *id)
{
    char arguments[64];
    snprintf(arguments, sizeof arguments, "dead-letters %s %s", command, id ? id : "");
    char *output = program_run(service, arguments);
    cr_assert_not_null(output, "%s %s", service, arguments);
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
