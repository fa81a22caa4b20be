/* audit_rights.c: the auditor needs only to read. A role that can do nothing else runs it, and one
 * that may do everything leaves Kafka, Redis and PostgreSQL as they were.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/auditor.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/db.h"
#include "support/metric.h"
#include "support/orders.h"
#include "support/stack.h"

#define ROLE "saga_reader"
#define TIMEOUT_MS 10000
#define SOON_S 20

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

/* ---- what there is: a line for each thing that somebody could have changed ---- */

static void tell(FILE *out, const char *command)
{
    char *output = sh(command);
    cr_assert_str_neq(output, "", "%s", command);
    fputs(output, out);
    free(output);
}

static void tell_redis(FILE *out)
{
    tell(out, "redis-cli -u \"$REDIS_URL\" INFO persistence | grep rdb_changes_since_last_save");
    tell(out, "redis-cli -u \"$REDIS_URL\" DBSIZE");
}

/* Rows of tables, and not WAL or transactions: autovacuum has those, and who reads may write WAL.
 */
static void tell_database(FILE *out, enum db db)
{
    char command[400];
    snprintf(command, sizeof command,
             "psql -XqAt -v ON_ERROR_STOP=1 \"$ADMIN_DB\" -c '\\c %s' -c \""
             "SELECT current_database(), (SELECT count(*) FROM pg_class),"
             " sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_del) FROM pg_stat_user_tables\"",
             db_name(db));
    tell(out, command);
}

/* All partitions but those that Kafka itself writes to, sorted. */
static rd_kafka_topic_partition_list_t *partitions(rd_kafka_t *kafka)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0);
    cr_assert_eq(rd_kafka_metadata(kafka, 1, NULL, &metadata, TIMEOUT_MS), 0);
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strncmp(metadata->topics[i].topic, "__", 2) != 0)
            rd_kafka_topic_partition_list_add_range(list, metadata->topics[i].topic, 0,
                                                    metadata->topics[i].partition_cnt - 1);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_partition_list_sort(list, NULL, NULL);
    return list;
}

static void tell_ends(FILE *out, rd_kafka_t *kafka, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        int64_t low, high;
        cr_assert_eq(rd_kafka_query_watermark_offsets(kafka, at->topic, at->partition, &low, &high,
                                                      TIMEOUT_MS),
                     0);
        fprintf(out, "%s %d from %lld to %lld\n", at->topic, at->partition, (long long)low,
                (long long)high);
    }
}

static void tell_stored(FILE *out, const char *group, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_t *kafka = client_new(stack_address("KAFKA_BOOTSTRAP"), group);
    cr_assert_not_null(kafka);
    cr_assert_eq(rd_kafka_committed(kafka, list, TIMEOUT_MS), 0);
    fprintf(out, "group %s\n", group);
    for (int i = 0; i < list->cnt; i++)
        fprintf(out, "group %s on %s %d at %lld\n", group, list->elems[i].topic,
                list->elems[i].partition, (long long)list->elems[i].offset);
    rd_kafka_destroy(kafka);
}

static int by_name(const void *left, const void *right)
{
    const struct rd_kafka_group_info *a = left, *b = right;
    return strcmp(a->group, b->group);
}

static void tell_groups(FILE *out, rd_kafka_t *kafka, rd_kafka_topic_partition_list_t *list)
{
    const struct rd_kafka_group_list *groups;
    cr_assert_eq(rd_kafka_list_groups(kafka, NULL, &groups, TIMEOUT_MS), 0);
    cr_assert_geq(groups->group_cnt, 4);
    qsort(groups->groups, (size_t)groups->group_cnt, sizeof *groups->groups, by_name);
    for (int i = 0; i < groups->group_cnt; i++)
        tell_stored(out, groups->groups[i].group, list);
    rd_kafka_group_list_destroy(groups);
}

static void tell_kafka(FILE *out)
{
    rd_kafka_t *kafka = client_new(stack_address("KAFKA_BOOTSTRAP"), NULL);
    cr_assert_not_null(kafka);
    rd_kafka_topic_partition_list_t *list = partitions(kafka);
    tell_ends(out, kafka, list);
    tell_groups(out, kafka, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(kafka);
}

/* A session has told its figures before it is gone. */
static bool auditor_left(void)
{
    char *count = sh("psql -XqAt \"$ADMIN_DB\" -c \"SELECT count(*) FROM pg_stat_activity"
                     " WHERE usename = '" ROLE "'\"");
    bool left = strcmp(count, "0\n") == 0;
    free(count);
    return left;
}

/* To be freed. */
static char *all_there_is(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    cr_assert(CLOCK_UNTIL(SOON_S, auditor_left()));
    tell_redis(out);
    for (int db = 0; db < DB_COUNT; db++)
        tell_database(out, (enum db)db);
    tell_kafka(out);
    cr_assert_eq(fclose(out), 0);
    return text;
}

/* What the services sent before they were stopped may still arrive. */
static bool is_still(void)
{
    char *before = all_there_is(), *after = all_there_is();
    bool same = strcmp(before, after) == 0;
    free(before);
    free(after);
    return same;
}

static void signal_services(int signal)
{
    struct stack_part parts[STACK_PARTS];
    size_t count = stack_parts(parts);
    for (size_t i = 0; i < count; i++)
        if (strstr(parts[i].name, "-svc") != NULL && parts[i].pid != 0)
            cr_assert_eq(kill(parts[i].pid, signal), 0);
}

static int audit(char **ret_output)
{
    return command_run(stack_root(), (const char *const[]){"build/bin/audit", NULL}, ret_output);
}

Test(audit_rights, needs_only_to_read)
{
    char *output;
    cr_assert_eq(audit(NULL), 2, "without any rights it cannot look");
    as_superuser("GRANT pg_read_all_data TO " ROLE);
    int status = audit(&output);
    cr_assert_eq(status, 0, "%s", output);
    free(output);
}

static void begin_still(void)
{
    cr_assert(stack_attach());
    struct order_answer answer = order_send(order_body(NULL, NULL, NULL), "Prefer: wait=20\r\n");
    order_answer_free(&answer);
    auditor_holds(SOON_S);
    begin();
    as_superuser("ALTER ROLE " ROLE " SUPERUSER; ALTER ROLE " ROLE
                 " RESET default_transaction_read_only");
    signal_services(SIGSTOP);
}

/* Their sessions with Kafka may be over: the next test finds them as they were. */
static void end_still(void)
{
    static const char *const bases[] = {"ORDER_API", "PAYMENT_OPS", "INVENTORY_API",
                                        "SHIPPING_OPS"};
    signal_services(SIGCONT);
    end();
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
        (void)CLOCK_UNTIL(SOON_S, metric_ready(stack_address(bases[i])) == 200);
}

TestSuite(audit_rights_still, .init = begin_still, .fini = end_still, .timeout = 120);

/* It may do everything here, and nobody else does anything. */
Test(audit_rights_still, changes_nothing)
{
    char *output;
    cr_assert(CLOCK_UNTIL(SOON_S, is_still()));
    char *before = all_there_is();
    int status = audit(&output);
    char *after = all_there_is();
    cr_assert_eq(status, 0, "%s", output);
    cr_assert_str_eq(after, before);
    free(output);
    free(before);
    free(after);
}
