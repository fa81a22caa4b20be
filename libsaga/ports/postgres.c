/* postgres.c: one pipelined libpq connection: connect, send, sync, and what a SQLSTATE means. */
#include "ports/postgres.h"

#include "ports/system.h"

#include <assert.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#define PG_STALL_MAX_US                                                                            \
    (35 * 1000000LL) /* longer than statement_timeout: the server speaks first */
#define PG_STATEMENTS_MAX 256
#define PG_SLOTS 512 /* a power of two, twice PG_STATEMENTS_MAX */
/* Every statement goes by key. A plan that was made while a table was small would read all of it
 * when it is large, until the next ANALYZE: so the planner may not. */
/* The server learns within some 30 s that this host is no more: until then the session, and with it
 * the locks of its lanes, would be held for hours. */
#define PG_SESSION                                                                                 \
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=4 "            \
    "-c tcp_user_timeout=30000 "                                                                   \
    "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=10000 "                     \
    "-c client_connection_check_interval=5000 -c plan_cache_mode=force_generic_plan "              \
    "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"

struct pg_statement {
    const char *sql; /* NULL: a free slot */
    unsigned name;   /* sNAME on the server; never used twice in a session */
    bool pending;    /* its preparation is queued */
    bool ready;
};

struct pg_queued {
    const char *sql;
    struct pg_statement *statement;
    bool prepares; /* the preparation, not the execution */
    struct pg_result **result;
};

struct pg {
    char *conninfo, *application_name;
    PGconn *conn;
    struct pg_statement statements[PG_SLOTS];
    size_t statements_count;
    unsigned name_last;
    struct pg_queued *queue;
    size_t queued, queue_size;
    bool rollback_first; /* the server still holds a transaction that failed */
    bool send_failed;
    uint64_t round_trips;
    bool failed; /* an error of this round trip stands in `error`: the first cause wins */
    char sqlstate[6];
    char error[512];
};

static void *pg_checked(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

struct pg *pg_new(const char *conninfo, const char *application_name)
{
    struct pg *pg = pg_checked(calloc(1, sizeof *pg));

    pg->conninfo = pg_checked(strdup(conninfo));
    pg->application_name = pg_checked(strdup(application_name));
    return pg;
}

void pg_free(struct pg *pg)
{
    if (pg == NULL)
        return;
    pg_disconnect(pg);
    free(pg->queue);
    free(pg->application_name);
    free(pg->conninfo);
    free(pg);
}

bool pg_connected(const struct pg *pg)
{
    return pg->conn != NULL;
}

const char *pg_error(const struct pg *pg)
{
    return pg->error;
}

const char *pg_sqlstate(const struct pg *pg)
{
    return pg->sqlstate;
}

void pg_disconnect(struct pg *pg)
{
    if (pg->conn != NULL)
        PQfinish(pg->conn);
    pg->conn = NULL;
    pg->rollback_first = false;
    if (pg->queued > 0)
        pg->send_failed = true; /* what was queued went with the connection */
    memset(pg->statements, 0, sizeof pg->statements);
    pg->statements_count = 0;
}

/* ---- what went wrong ---- */

static bool sqlstate_in(const char *state, const char *classes)
{
    for (const char *at = classes; *at != '\0'; at += strcspn(at, " "), at += *at == ' ') {
        size_t len = strcspn(at, " ");
        if (strncmp(state, at, len) == 0)
            return true;
    }
    return false;
}

/* Lists of whole codes or of their beginnings; the first list that fits decides. */
static enum pg_status pg_fold(const char *state)
{
    if (sqlstate_in(state, "23505 40001 40P01 55P03 40002"))
        return PG_CONFLICT;
    /* 25006: a standby answered, the next connection may find the primary */
    if (sqlstate_in(state, "08 57P 40003 25P03 25006"))
        return PG_LOST;
    if (sqlstate_in(state, "53 57014 58 55 25P02 XX000"))
        return PG_BUSY;
    if (sqlstate_in(state, "22 23 54 21 44 P0"))
        return PG_REJECTED;
    return PG_BROKEN;
}

static void pg_note(struct pg *pg, const char *state, const char *message, const char *constraint)
{
    if (pg->failed)
        return;
    pg->failed = true;
    snprintf(pg->sqlstate, sizeof pg->sqlstate, "%s", state);
    int len = snprintf(pg->error, sizeof pg->error, "%s: %s", state, message);
    if (len >= (int)sizeof pg->error)
        len = (int)sizeof pg->error - 1;
    while (len > 0 && pg->error[len - 1] == '\n')
        pg->error[--len] = '\0';
    if (constraint != NULL)
        snprintf(pg->error + len, sizeof pg->error - (size_t)len, " (constraint %s)", constraint);
}

static enum pg_status pg_lose(struct pg *pg, const char *why)
{
    if (why == NULL)
        why = pg->conn != NULL ? PQerrorMessage(pg->conn) : "not connected";
    pg_note(pg, "08006", why[0] != '\0' ? why : "the connection broke", NULL);
    pg_disconnect(pg);
    return PG_LOST;
}

static enum pg_status pg_fail(struct pg *pg, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

    if (state == NULL) { /* libpq's own: the connection is of no more use */
        pg_note(pg, "08006", PQresultErrorMessage(result), NULL);
        return PG_LOST;
    }
    pg_note(pg, state, message != NULL ? message : "",
            PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME));
    if (severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
        return PG_LOST;
    return pg_fold(state);
}

/* ---- connect ---- */

/* libpq shows the SQLSTATE of a refused connection only in its verbose text: "FATAL:  3D000: ". */
static void connect_sqlstate(const char *text, char ret_state[6])
{
    static const char code[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (const char *at = strstr(text, ":  "); at != NULL; at = strstr(at + 1, ":  ")) {
        if (strspn(at + 3, code) == 5 && at[8] == ':') {
            memcpy(ret_state, at + 3, 5);
            ret_state[5] = '\0';
            return;
        }
    }
    memcpy(ret_state, "08001", 6);
}

static void notice_ignore(void *opaque, const PGresult *notice)
{
    (void)opaque;
    (void)notice;
}

/* Our session settings, then those of the conninfo, so that these win. Free it. */
static char *session_options(const PQconninfoOption *options)
{
    const char *given = "";
    char *text = NULL;

    for (; options->keyword != NULL; options++)
        if (strcmp(options->keyword, "options") == 0 && options->val != NULL)
            given = options->val;
    if (asprintf(&text, PG_SESSION " %s", given) < 0)
        abort();
    return text;
}

static enum pg_status connect_begin(struct pg *pg)
{
    char *why = NULL;
    PQconninfoOption *parsed = PQconninfoParse(pg->conninfo, &why);

    if (parsed == NULL) {
        pg_note(pg, "08001", why != NULL ? why : "conninfo cannot be read", NULL);
        PQfreemem(why);
        return PG_BROKEN;
    }
    char *options = session_options(parsed);
    PQconninfoFree(parsed);

    /* Before dbname: defaults that the conninfo may change; after it: what it may not. */
    const char *names[] = {"keepalives",
                           "keepalives_idle",
                           "keepalives_interval",
                           "keepalives_count",
                           "tcp_user_timeout",
                           "dbname",
                           "application_name",
                           "client_encoding",
                           "options",
                           NULL};
    const char *values[] = {"1",    "10",    "5", "3", "30000", pg->conninfo, pg->application_name,
                            "UTF8", options, NULL};
    pg->conn = pg_checked(PQconnectStartParams(names, values, 1));
    free(options);
    PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(pg->conn, notice_ignore, NULL);
    return PG_OK;
}

static enum pg_status connect_refused(struct pg *pg)
{
    char state[6];

    connect_sqlstate(PQerrorMessage(pg->conn), state);
    pg_note(pg, state, PQerrorMessage(pg->conn), NULL);
    pg_disconnect(pg);
    return pg_fold(state);
}

enum pg_status pg_connect(struct pg *pg, int timeout_ms)
{
    int64_t until_us = system_monotonic_us() + timeout_ms * 1000LL;

    pg_disconnect(pg);
    pg->failed = false;
    enum pg_status status = connect_begin(pg);
    if (status != PG_OK)
        return status;
    if (PQstatus(pg->conn) == CONNECTION_BAD)
        return connect_refused(pg);

    for (PostgresPollingStatusType next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;
         next = PQconnectPoll(pg->conn)) {
        if (next == PGRES_POLLING_FAILED)
            return connect_refused(pg);
        int64_t left_us = until_us - system_monotonic_us();
        struct pollfd fd = {.fd = PQsocket(pg->conn),
                            .events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        int ready = left_us > 0 ? poll(&fd, 1, (int)(left_us / 1000) + 1) : 0;
        while (ready < 0 && errno == EINTR)
            ready = poll(&fd, 1, 100);
        if (ready == 0 && system_monotonic_us() >= until_us)
            return pg_lose(pg, "no connection in time");
    }
    PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
    if (PQsetnonblocking(pg->conn, 1) != 0 || PQenterPipelineMode(pg->conn) != 1)
        return pg_lose(pg, NULL);
    return PG_OK;
}

int pg_socket(const struct pg *pg)
{
    return pg_connected(pg) ? PQsocket(pg->conn) : -1;
}

bool pg_ended(int socket)
{
    char type;
    ssize_t count = socket < 0 ? 0 : recv(socket, &type, 1, MSG_PEEK | MSG_DONTWAIT);

    return count < 0 ? errno != EAGAIN && errno != EINTR : count == 0 || type == 'E';
}

/* ---- send ---- */

static struct pg_statement *pg_statement(struct pg *pg, const char *sql)
{
    size_t slot = (size_t)(((uintptr_t)sql >> 2) * 0x9E3779B97F4A7C15u >> 40) % PG_SLOTS;

    while (pg->statements[slot].sql != NULL && pg->statements[slot].sql != sql)
        slot = (slot + 1) % PG_SLOTS;
    struct pg_statement *statement = &pg->statements[slot];
    if (statement->sql == NULL) {
        assert(pg->statements_count < PG_STATEMENTS_MAX);
        pg->statements_count++;
        statement->sql = sql;
    }
    return statement;
}

static void pg_enqueue(struct pg *pg, struct pg_queued queued)
{
    if (pg->queued == pg->queue_size) {
        pg->queue_size = pg->queue_size > 0 ? pg->queue_size * 2 : 32;
        pg->queue = pg_checked(realloc(pg->queue, pg->queue_size * sizeof *pg->queue));
    }
    pg->queue[pg->queued++] = queued;
}

void pg_send(struct pg *pg, const char *sql, const struct pg_param *params, size_t count,
             struct pg_result **ret_result)
{
    Oid oids[PG_PARAMS_MAX];
    const char *values[PG_PARAMS_MAX];
    int lens[PG_PARAMS_MAX], formats[PG_PARAMS_MAX];
    char name[16];

    assert(count <= PG_PARAMS_MAX);
    if (ret_result != NULL)
        *ret_result = NULL;
    if (pg->rollback_first) {
        pg->rollback_first = false;
        pg_send(pg, "ROLLBACK", NULL, 0, NULL);
    }
    if (pg->conn == NULL || pg->send_failed) {
        pg->send_failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        oids[i] = params[i].oid;
        values[i] = params[i].data;
        lens[i] = params[i].len;
        formats[i] = 1;
    }
    struct pg_statement *statement = pg_statement(pg, sql);
    if (!statement->ready && !statement->pending) {
        statement->name = ++pg->name_last;
        snprintf(name, sizeof name, "s%u", statement->name);
        if (PQsendPrepare(pg->conn, name, sql, (int)count, oids) != 1) {
            pg->send_failed = true;
            return;
        }
        statement->pending = true;
        pg_enqueue(pg, (struct pg_queued){.sql = sql, .statement = statement, .prepares = true});
    }
    snprintf(name, sizeof name, "s%u", statement->name);
    if (PQsendQueryPrepared(pg->conn, name, (int)count, values, lens, formats, 1) != 1) {
        pg->send_failed = true;
        return;
    }
    pg_enqueue(pg, (struct pg_queued){.sql = sql, .statement = statement, .result = ret_result});
}

/* ---- sync ---- */

/* Writes and reads until PQgetResult will not block. False: the connection broke or stalled. */
static bool pg_wait(struct pg *pg, const char **ret_why)
{
    int64_t progress_us = system_monotonic_us();

    *ret_why = NULL;
    while (PQisBusy(pg->conn)) {
        int unsent = PQsocket(pg->conn) >= 0 ? PQflush(pg->conn) : -1;
        if (unsent < 0)
            return false;
        int64_t left_us = progress_us + PG_STALL_MAX_US - system_monotonic_us();
        if (left_us <= 0) {
            *ret_why = "the server does not answer";
            return false;
        }
        struct pollfd fd = {.fd = PQsocket(pg->conn),
                            .events = (short)(unsent > 0 ? POLLIN | POLLOUT : POLLIN)};
        int ready = poll(&fd, 1, (int)(left_us / 1000) + 1);
        if (ready > 0)
            progress_us = system_monotonic_us();
        if (ready > 0 && fd.revents != POLLOUT && PQconsumeInput(pg->conn) != 1) {
            /* A last word (57P01) may have come before the end of the stream. */
            return !PQisBusy(pg->conn);
        }
        if (ready < 0 && errno != EINTR)
            return false;
    }
    return true;
}

/* A statement that was fine when prepared: its tables changed, or a pooler gave another session. */
static bool statement_stale(const struct pg_queued *queued, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    return queued != NULL && !queued->prepares && queued->statement->ready && state != NULL &&
           sqlstate_in(state, "0A000 26000");
}

/* Takes the result; what it means for the round trip. */
static enum pg_status pg_take(struct pg *pg, struct pg_queued *queued, PGresult *result)
{
    enum pg_status status = PG_OK;

    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        if (queued == NULL)
            break;
        if (queued->prepares) {
            queued->statement->ready = true;
        } else if (strncasecmp(queued->sql, "COMMIT", 6) == 0 &&
                   strcmp(PQcmdStatus(result), "ROLLBACK") == 0) {
            /* The server says "done" to the COMMIT of a transaction that it has given up. */
            pg_note(pg, "25P02", "the transaction was aborted", NULL);
            status = PG_BUSY;
        } else if (queued->result != NULL) {
            *queued->result = (struct pg_result *)result; /* never defined: it is a PGresult */
            return PG_OK;
        }
        break;
    case PGRES_PIPELINE_ABORTED:
        break;
    case PGRES_FATAL_ERROR:
        status = pg_fail(pg, result);
        if (statement_stale(queued, result)) {
            queued->statement->ready = false;
            status = PG_CONFLICT;
        }
        break;
    default:
        pg_note(pg, "0A000", "a statement of a kind that a pipeline cannot carry", NULL);
        status = PG_BROKEN;
    }
    PQclear(result);
    return status;
}

/* Reads every answer up to the sync; the first failure decides. */
static enum pg_status pg_collect(struct pg *pg)
{
    enum pg_status status = PG_OK;
    const char *why;
    size_t at = 0;
    bool ended = false; /* the last answer was the end of a statement's */

    for (;;) {
        if (!pg_wait(pg, &why))
            return pg_lose(pg, why);
        PGresult *result = PQgetResult(pg->conn);
        if (result == NULL) {
            if (ended || PQstatus(pg->conn) == CONNECTION_BAD)
                return pg_lose(pg, NULL);
            ended = true;
            at++;
            continue;
        }
        ended = false;
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            break;
        }
        enum pg_status taken = pg_take(pg, at < pg->queued ? &pg->queue[at] : NULL, result);
        if (taken == PG_LOST)
            return pg_lose(pg, NULL);
        if (status == PG_OK)
            status = taken;
    }
    PGTransactionStatusType state = PQtransactionStatus(pg->conn);
    if (state == PQTRANS_UNKNOWN)
        return pg_lose(pg, NULL);
    pg->rollback_first = status != PG_OK && state != PQTRANS_IDLE;
    return status;
}

static void pg_settle(struct pg *pg, enum pg_status status)
{
    for (size_t i = 0; i < pg->queued; i++) {
        struct pg_queued *queued = &pg->queue[i];
        if (status != PG_OK && queued->result != NULL) {
            pg_result_free(*queued->result);
            *queued->result = NULL;
        }
        queued->statement->pending = false; /* ready, or to be prepared again */
    }
    pg->queued = 0;
    pg->send_failed = false;
}

static bool is_never_lost(void)
{
    return false;
}

enum pg_status pg_sync(struct pg *pg)
{
    return pg_sync_answered(pg, is_never_lost);
}

enum pg_status pg_sync_answered(struct pg *pg, bool (*lost)(void))
{
    enum pg_status status;

    pg->failed = false;
    pg->round_trips++;
    if (pg->conn == NULL || pg->send_failed || PQpipelineSync(pg->conn) != 1)
        status = pg_lose(pg, NULL);
    else if (PQflush(pg->conn) == 0 && lost())
        status = pg_lose(pg, "a test has asked for this");
    else
        status = pg_collect(pg);
    pg_settle(pg, status);
    return status;
}

uint64_t pg_round_trips(const struct pg *pg)
{
    return pg->round_trips;
}

enum pg_status pg_execute(struct pg *pg, const char *sql)
{
    enum pg_status status = PG_OK;
    const char *why;

    assert(pg->queued == 0);
    if (pg->rollback_first) {
        pg->rollback_first = false;
        status = pg_execute(pg, "ROLLBACK");
        if (status != PG_OK)
            return status;
    }
    pg->failed = false;
    if (pg->conn == NULL || PQexitPipelineMode(pg->conn) != 1 || PQsendQuery(pg->conn, sql) != 1)
        return pg_lose(pg, NULL);
    for (;;) {
        if (!pg_wait(pg, &why))
            return pg_lose(pg, why);
        PGresult *result = PQgetResult(pg->conn);
        if (result == NULL)
            break;
        ExecStatusType kind = PQresultStatus(result);
        if (kind == PGRES_COPY_IN || kind == PGRES_COPY_OUT || kind == PGRES_COPY_BOTH) {
            PQclear(result);
            return pg_lose(pg, "COPY is not for pg_execute");
        }
        enum pg_status taken = kind == PGRES_FATAL_ERROR ? pg_fail(pg, result) : PG_OK;
        PQclear(result);
        if (taken == PG_LOST)
            return pg_lose(pg, NULL);
        if (status == PG_OK)
            status = taken;
    }
    if (PQstatus(pg->conn) == CONNECTION_BAD)
        return pg_lose(pg, NULL);
    pg->rollback_first = status != PG_OK && PQtransactionStatus(pg->conn) != PQTRANS_IDLE;
    if (PQenterPipelineMode(pg->conn) != 1)
        return pg_lose(pg, NULL);
    return status;
}

void pg_result_free(struct pg_result *result)
{
    PQclear((PGresult *)result);
}
