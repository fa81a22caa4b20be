/* park_command.c: `dead-letters`: lists, shows, redrives and discards what is parked. */
#include <stdio.h>
#include <stdlib.h>

#include "ports/postgres.h"
#include "runtime/config.h"
#include "runtime/park.h"
#include "saga_sql.h"

static int done(struct pg *pg, struct pg_result *result, enum pg_status status)
{
    if (status != PG_OK)
        fprintf(stderr, "dead-letters: %s\n", pg_error(pg));
    pg_result_free(result);
    pg_free(pg);
    return status == PG_OK ? 0 : 1;
}

static void print_text(struct saga_text text)
{
    printf("%.*s", (int)text.len, text.at ? text.at : "");
}

static int list(struct pg *pg)
{
    struct pg_result *result = NULL;
    pg_send(pg, sql_list_letters, NULL, 0, &result);
    enum pg_status status = pg_sync(pg);
    if (status == PG_OK) {
        printf("ID\tSTATE\tREASON\tATTEMPTS\tORDER\tRECORD\tPARKED\n");
        for (size_t i = 0; i < pg_result_count(result); i++) {
            print_text(pg_result_bytes(result, i, 0));
            printf("\n");
        }
    }
    return done(pg, result, status);
}

static int show(struct pg *pg, int64_t id)
{
    struct arena arena = {0};
    struct pg_result *result = NULL;
    struct pg_param param = pg_int(&arena, id);
    pg_send(pg, sql_show_letter, &param, 1, &result);
    enum pg_status status = pg_sync(pg);
    bool found = status == PG_OK && pg_result_count(result) == 1;
    if (found)
        print_text(pg_result_bytes(result, 0, 0));
    else if (status == PG_OK)
        fprintf(stderr, "dead-letters: there is no %lld\n", (long long)id);
    arena_free(&arena);
    return done(pg, result, status) != 0 || !found;
}

/* id 0: all. The whole order goes with it, so that nothing overtakes. */
static int redrive(struct pg *pg, int64_t id)
{
    struct arena arena = {0};
    struct pg_result *result = NULL;
    struct pg_param param = pg_int(&arena, id);
    pg_send(pg, sql_begin, NULL, 0, NULL);
    pg_send(pg, sql_lock_letters, &param, 1, NULL);
    pg_send(pg, sql_redrive_letters, &param, 1, &result);
    pg_send(pg, sql_commit, NULL, 0, NULL);
    enum pg_status status = pg_sync(pg);
    if (status == PG_OK)
        printf("%lld to be redriven\n", (long long)pg_result_int(result, 0, 0, 0));
    arena_free(&arena);
    return done(pg, result, status);
}

static int discard(struct pg *pg, int64_t id)
{
    struct arena arena = {0};
    struct pg_result *locked = NULL, *result = NULL;
    struct pg_param param = pg_int(&arena, id);
    pg_send(pg, sql_begin, NULL, 0, NULL);
    pg_send(pg, sql_lock_letters, &param, 1, &locked);
    enum pg_status status = pg_sync(pg);
    if (status == PG_OK) {
        struct saga_text order = pg_result_bytes(locked, 0, 0);
        struct pg_param orders = pg_keys(&arena, SAGA_UUID, &order, order.at != NULL);
        pg_send(pg, sql_discard_letter, &param, 1, &result);
        pg_send(pg, sql_release_held, &orders, 1, NULL);
        pg_send(pg, sql_commit, NULL, 0, NULL);
        status = pg_sync(pg);
    }
    bool found = status == PG_OK && pg_result_count(result) == 1;
    if (status == PG_OK && !found)
        fprintf(stderr, "dead-letters: there is no %lld\n", (long long)id);
    pg_result_free(locked);
    arena_free(&arena);
    return done(pg, result, status) != 0 || !found;
}

static bool read_id(const char *text, int64_t *ret_id)
{
    char *end;
    long long id = strtoll(text, &end, 10);
    *ret_id = id;
    return *text != '\0' && *end == '\0' && id > 0;
}

int park_command(const struct saga_service *service, int argc, char **argv)
{
    char why[256];
    int64_t id = 0;
    const char *verb = argc > 0 ? argv[0] : "list";
    bool wants_id =
        strcmp(verb, "show") == 0 || strcmp(verb, "redrive") == 0 || strcmp(verb, "discard") == 0;
    bool all = argc == 2 && strcmp(verb, "redrive") == 0 && strcmp(argv[1], "--all") == 0;
    if ((!wants_id && strcmp(verb, "list") != 0) ||
        (wants_id && !all && (argc != 2 || !read_id(argv[1], &id)))) {
        fprintf(
            stderr,
            "usage: %s dead-letters [list | show ID | redrive ID | redrive --all | discard ID]\n",
            service->name);
        return 2;
    }
    if (!config_require("SAGA_DATABASE_URL", config.database_url, why, sizeof why)) {
        fprintf(stderr, "%s: %s\n", service->name, why);
        return 2;
    }
    struct pg *pg = pg_new(config.database_url, service->name);
    enum pg_status status = pg_connect(pg, 10000);
    if (status != PG_OK)
        return done(pg, NULL, status);
    if (strcmp(verb, "show") == 0)
        return show(pg, id);
    if (strcmp(verb, "discard") == 0)
        return discard(pg, id);
    return wants_id ? redrive(pg, id) : list(pg);
}
