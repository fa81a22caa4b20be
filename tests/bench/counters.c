/* counters.c: what PostgreSQL and the services have counted of themselves; see counters.h. */
#include "counters.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/exposition.h"
#include "support/stack.h"

const char *const counters_services[COUNTERS_SERVICES] = {"order-svc", "payment-svc",
                                                          "inventory-svc", "shipping-svc"};
static const char *const addresses[COUNTERS_SERVICES] = {"ORDER_API", "PAYMENT_OPS",
                                                         "INVENTORY_API", "SHIPPING_OPS"};
static PGconn *server;

static const char sql[] = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn, wal_sync, wal_fpi,\n"
                          "       (SELECT sum(xact_commit) FROM pg_stat_database)\n"
                          "FROM pg_stat_wal";

bool counters_begin(void)
{
    server = PQconnectdb(stack_address("ADMIN_DB"));
    if (PQstatus(server) == CONNECTION_OK)
        return true;
    fprintf(stderr, "PostgreSQL: %s", PQerrorMessage(server));
    return false;
}

void counters_end(void)
{
    PQfinish(server);
    server = NULL;
}

static bool read_service(struct counters *counters, size_t i)
{
    const char *base = stack_address(addresses[i]);
    struct exposition *exposition = exposition_ask(base);
    const char *wrong = exposition_wrong(exposition);

    if (wrong != NULL)
        fprintf(stderr, "%s/metrics: %s\n", base, wrong);
    /* A service that has had no batch yet does not name it. */
    counters->batches[i] = exposition_value(exposition, "saga_batch_size_count", 0);
    counters->messages[i] = exposition_value(exposition, "saga_batch_size_sum", 0);
    counters->round_trips[i] = exposition_value(exposition, "saga_database_round_trips_total", 0);
    bool good = wrong == NULL;
    exposition_free(exposition);
    return good;
}

bool counters_read(struct counters *ret_counters)
{
    double *const fields[] = {&ret_counters->wal_bytes, &ret_counters->wal_syncs,
                              &ret_counters->wal_full_pages, &ret_counters->pg_commits};
    PGresult *result = PQexec(server, sql);
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK;

    if (!good)
        fprintf(stderr, "PostgreSQL: %s", PQresultErrorMessage(result));
    for (int i = 0; good && i < 4; i++)
        *fields[i] = strtod(PQgetvalue(result, 0, i), NULL);
    PQclear(result);
    for (size_t i = 0; good && i < COUNTERS_SERVICES; i++)
        good = read_service(ret_counters, i);
    return good;
}

struct counters counters_between(const struct counters *sooner, const struct counters *later)
{
    struct counters between = {
        .wal_bytes = later->wal_bytes - sooner->wal_bytes,
        .wal_syncs = later->wal_syncs - sooner->wal_syncs,
        .wal_full_pages = later->wal_full_pages - sooner->wal_full_pages,
        .pg_commits = later->pg_commits - sooner->pg_commits,
    };
    for (size_t i = 0; i < COUNTERS_SERVICES; i++) {
        between.batches[i] = later->batches[i] - sooner->batches[i];
        between.messages[i] = later->messages[i] - sooner->messages[i];
        between.round_trips[i] = later->round_trips[i] - sooner->round_trips[i];
    }
    return between;
}
