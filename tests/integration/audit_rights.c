/* audit_rights.c: the auditor needs only to read. A role that can do nothing else runs it, and
 * Redis has taken no write meanwhile.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/command.h"
#include "support/db.h"
#include "support/stack.h"

#define ROLE "saga_reader"

static const char *const databases[] = {"ORDER_DB", "PAYMENT_DB", "INVENTORY_DB", "SHIPPING_DB"};

static char *sh(const char *command)
{
    char *output = NULL;
    int status =
        command_run(stack_root(), (const char *const[]){"sh", "-c", command, NULL}, &output);
    cr_assert_eq(status, 0, "%s", command);
    return output;
}

static void as_superuser(const char *sql)
{
    char command[600];
    snprintf(command, sizeof command, "psql -Xq -v ON_ERROR_STOP=1 \"$ADMIN_DB\" -c \"%s\"", sql);
    free(sh(command));
}

static void begin(void)
{
    char sql[200];
    cr_assert(stack_attach());
    as_superuser("CREATE ROLE " ROLE " LOGIN PASSWORD 'reads';");
    as_superuser("ALTER ROLE " ROLE " SET default_transaction_read_only = on");
    for (int db = 0; db < DB_COUNT; db++) {
        snprintf(sql, sizeof sql, "GRANT CONNECT ON DATABASE %s TO " ROLE, db_name((enum db)db));
        as_superuser(sql);
        snprintf(sql, sizeof sql, "postgresql://" ROLE ":reads%s",
                 strchr(stack_address(databases[db]), '@'));
        setenv(databases[db], sql, 1);
    }
}

static void end(void)
{
    char sql[200];
    for (int db = 0; db < DB_COUNT; db++) {
        snprintf(sql, sizeof sql, "REVOKE CONNECT ON DATABASE %s FROM " ROLE, db_name((enum db)db));
        as_superuser(sql);
    }
    as_superuser("DROP ROLE " ROLE);
}

TestSuite(audit_rights, .init = begin, .fini = end, .timeout = 120);

static char *redis_writes(void)
{
    return sh("redis-cli -u \"$REDIS_URL\" INFO persistence | grep rdb_changes_since_last_save");
}

static int audit(char **ret_output)
{
    return command_run(stack_root(), (const char *const[]){"build/bin/audit", NULL}, ret_output);
}

Test(audit_rights, needs_only_to_read)
{
    char *output, *before, *after;
    cr_assert_eq(audit(NULL), 2, "without any rights it cannot look");
    as_superuser("GRANT pg_read_all_data TO " ROLE);
    before = redis_writes();
    int status = audit(&output);
    after = redis_writes();
    cr_assert_eq(status, 0, "%s", output);
    cr_assert_str_eq(after, before);
    free(output);
    free(before);
    free(after);
}
