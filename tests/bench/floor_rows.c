/* floor_rows.c: the rows of a saga, by the barest writer; see floor_rows.h. */
#include "floor_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "columns.h"
#include "floor_sql.h"

#define ADDRESS                                                                                    \
    "{\"name\":\"A. Buyer\",\"line1\":\"1 Main "                                                   \
    "St\",\"city\":\"Berlin\",\"postal_code\":\"10115\","                                          \
    "\"country\":\"DE\"}"
#define TOTAL 3099

const char *const floor_names[FLOOR_DATABASES] = {"floor_order", "floor_payment", "floor_inventory",
                                                  "floor_shipping"};
static const char *const schemas[FLOOR_DATABASES] = {sql_order_schema, sql_payment_schema,
                                                     sql_inventory_schema, sql_shipping_schema};

static const struct {
    enum floor_database database;
    const char *name, *sql;
} statements[] = {
    {FLOOR_ORDER, "order_insert", sql_order_insert},
    {FLOOR_ORDER, "timer_insert", sql_timer_insert},
    {FLOOR_ORDER, "order_update", sql_order_update},
    {FLOOR_ORDER, "timer_remove", sql_timer_remove},
    {FLOOR_PAYMENT, "payment_insert", sql_payment_insert},
    {FLOOR_PAYMENT, "ledger_insert", sql_payment_ledger_insert},
    {FLOOR_INVENTORY, "reservation_insert", sql_reservation_insert},
    {FLOOR_INVENTORY, "reservation_update", sql_reservation_update},
    {FLOOR_INVENTORY, "stock_update", sql_stock_update},
    {FLOOR_INVENTORY, "stock_ledger_insert", sql_stock_ledger_insert},
    {FLOOR_SHIPPING, "parcel_insert", sql_parcel_insert},
    {FLOOR_DATABASES, "outbox_insert", sql_insert_outbox}, /* FLOOR_DATABASES: in each */
    {FLOOR_DATABASES, "cursor", sql_write_cursor},
    {FLOOR_DATABASES, "begin", sql_begin},
    {FLOOR_DATABASES, "commit", sql_commit},
};

struct floor_rows {
    enum floor_database database;
    PGconn *connection;
    size_t batch;
    int64_t base_us, seq;
    struct columns columns;
    int64_t on_hand[FLOOR_SKUS], held[FLOOR_SKUS];
    bool failed;
    /* of the order that is being written */
    uint64_t n;
    uint8_t id[16];
    char id_text[40];
};

static void fail(struct floor_rows *rows, const char *what)
{
    if (!rows->failed)
        fprintf(stderr, "%s: %s: %s\n", floor_names[rows->database], what,
                PQerrorMessage(rows->connection));
    rows->failed = true;
}

static void run(struct floor_rows *rows, const char *sql)
{
    PGresult *result = PQexec(rows->connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail(rows, "its tables");
    PQclear(result);
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct floor_rows *floor_rows_new(enum floor_database database, PGconn *connection, size_t batch)
{
    struct floor_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL)
        abort();
    rows->database = database;
    rows->connection = connection;
    rows->batch = batch;
    rows->base_us = now_us();
    for (size_t i = 0; i < FLOOR_SKUS; i++)
        rows->on_hand[i] = INT64_C(1) << 40;
    run(rows, sql_schema);
    run(rows, schemas[database]);
    for (size_t i = 0; i < sizeof statements / sizeof *statements && !rows->failed; i++) {
        if (statements[i].database != database && statements[i].database != FLOOR_DATABASES)
            continue;
        PGresult *result = PQprepare(connection, statements[i].name, statements[i].sql, 0, NULL);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            fail(rows, statements[i].name);
        PQclear(result);
    }
    if (!rows->failed && PQenterPipelineMode(connection) != 1)
        fail(rows, "pipeline");
    return rows;
}

void floor_rows_free(struct floor_rows *rows)
{
    if (rows == NULL)
        return;
    columns_free(&rows->columns);
    free(rows);
}

/* ---- statements in the pipeline ---- */

static void send(struct floor_rows *rows, const char *statement)
{
    if (!rows->failed && columns_send(&rows->columns, rows->connection, statement) != 1)
        fail(rows, statement);
    columns_clear(&rows->columns);
}

static void begin(struct floor_rows *rows)
{
    send(rows, "begin");
}

/* The cursor too, as the services write it with the next batch; then waits for all answers. */
static void commit(struct floor_rows *rows)
{
    bool synced = false;

    columns_next(&rows->columns, COLUMNS_INT4, 0);
    columns_int(&rows->columns, 0);
    columns_next(&rows->columns, COLUMNS_INT8, 0);
    columns_int(&rows->columns, rows->seq);
    send(rows, "cursor");
    send(rows, "commit");
    if (!rows->failed && PQpipelineSync(rows->connection) != 1)
        fail(rows, "pipeline");
    while (!rows->failed && !synced) {
        PGresult *result = PQgetResult(rows->connection);
        ExecStatusType status = PQresultStatus(result);
        if (result == NULL)
            continue; /* between two statements */
        synced = status == PGRES_PIPELINE_SYNC;
        if (!synced && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
            fail(rows, "a batch");
        PQclear(result);
    }
}

/* The nth order of all: a UUIDv7, the same in all four databases. */
static void turn_to(struct floor_rows *rows, uint64_t n)
{
    uint8_t *id = rows->id;
    uint64_t ms = UINT64_C(1800000000000) + n / 8, mixed = (n + 1) * 0x9e3779b97f4a7c15u;

    rows->n = n;
    for (int i = 0; i < 6; i++)
        id[i] = (uint8_t)(ms >> (40 - 8 * i));
    id[6] = 0x70;
    id[7] = (uint8_t)(n % 8);
    for (int i = 8; i < 16; i++)
        id[i] = (uint8_t)(mixed >> (8 * (i - 8)));
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
    snprintf(rows->id_text, sizeof rows->id_text,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[0], id[1],
             id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12], id[13],
             id[14], id[15]);
}

static size_t sku_of(const struct floor_rows *rows, int item)
{
    return (size_t)(rows->n * 7 + (item == 0 ? 0 : 37)) % FLOOR_SKUS;
}

static void items_text(const struct floor_rows *rows, bool prices, char *buffer, size_t size)
{
    snprintf(buffer, size,
             "[{\"sku\":\"SKU-%zu\",\"quantity\":1%s},{\"sku\":\"SKU-%zu\",\"quantity\":2%s}]",
             sku_of(rows, 0) + 1, prices ? ",\"unit_amount\":1999" : "", sku_of(rows, 1) + 1,
             prices ? ",\"unit_amount\":550" : "");
}

/* EACH_ROW(batch): turns to each of the batch's orders in turn. */
#define EACH_ROW(batch_)                                                                           \
    for (size_t i_ = 0; i_ < rows->batch && (turn_to(rows, (batch_)*rows->batch + i_), true); i_++)

static void ids(struct floor_rows *rows, uint64_t batch)
{
    columns_next(&rows->columns, COLUMNS_UUID, rows->batch);
    EACH_ROW(batch)
    columns_uuid(&rows->columns, rows->id);
}

static void same_int(struct floor_rows *rows, enum columns_type type, int64_t value)
{
    columns_next(&rows->columns, type, rows->batch);
    for (size_t i = 0; i < rows->batch; i++)
        columns_int(&rows->columns, value);
}

/* value NULL: null in each. */
static void same_text(struct floor_rows *rows, const char *value)
{
    columns_next(&rows->columns, COLUMNS_TEXT, rows->batch);
    for (size_t i = 0; i < rows->batch; i++) {
        if (value == NULL)
            columns_null(&rows->columns);
        else
            columns_text(&rows->columns, value);
    }
}

static void same_null(struct floor_rows *rows, enum columns_type type)
{
    columns_next(&rows->columns, type, rows->batch);
    for (size_t i = 0; i < rows->batch; i++)
        columns_null(&rows->columns);
}

static void outbox(struct floor_rows *rows, uint64_t batch, const char *type, const char *format,
                   bool prices)
{
    struct columns *columns = &rows->columns;
    char payload[640], items[160];

    columns_next(columns, COLUMNS_INT4, 0);
    columns_int(columns, 0);
    columns_next(columns, COLUMNS_INT4, 0);
    columns_int(columns, 0);
    columns_next(columns, COLUMNS_INT8, rows->batch);
    for (size_t i = 0; i < rows->batch; i++)
        columns_int(columns, ++rows->seq);
    ids(rows, batch);
    same_text(rows, type);
    same_text(rows, "00-51bff932647b6d91b6d7cde800f6cfab-4dd4b5803529c792-01");
    columns_next(columns, COLUMNS_TEXT, rows->batch);
    EACH_ROW(batch)
    {
        items_text(rows, prices, items, sizeof items);
        snprintf(payload, sizeof payload, "{\"order_id\":\"%s\"%s%s%s}", rows->id_text, format,
                 *format ? items : "", *format ? ",\"shipping_address\":" ADDRESS : "");
        columns_text(columns, payload);
    }
    same_int(rows, COLUMNS_TIME, now_us());
    send(rows, "outbox_insert");
}

/* ---- the four databases ---- */

static void place_orders(struct floor_rows *rows, uint64_t batch)
{
    int64_t now = now_us();
    char text[320];

    begin(rows);
    ids(rows, batch);
    same_text(rows, "cus_52104");
    same_text(rows, "EUR");
    same_int(rows, COLUMNS_INT8, TOTAL);
    columns_next(&rows->columns, COLUMNS_TEXT, rows->batch);
    EACH_ROW(batch)
    {
        items_text(rows, true, text, sizeof text);
        columns_text(&rows->columns, text);
    }
    same_text(rows, "pm_card");
    same_text(rows, ADDRESS);
    same_text(rows, "{}");
    same_int(rows, COLUMNS_INT4, 1);
    same_int(rows, COLUMNS_INT2, 1);
    same_text(rows, "1795571795076861 order.created -1 -1 -\n");
    same_int(rows, COLUMNS_TIME, now + 600000000);
    same_int(rows, COLUMNS_TIME, now);
    send(rows, "order_insert");
    ids(rows, batch);
    same_int(rows, COLUMNS_TIME, now + 600000000);
    send(rows, "timer_insert");
    outbox(rows, batch, "order.created",
           ",\"customer_id\":\"cus_52104\",\"currency\":\"EUR\",\"amount\":3099,"
           "\"payment_method\":\"pm_card\",\"deadline_at\":\"2026-11-25T02:06:35.046Z\",\"items\":",
           true);
    commit(rows);
}

static void complete_orders(struct floor_rows *rows, uint64_t batch)
{
    begin(rows);
    ids(rows, batch);
    same_int(rows, COLUMNS_INT4, 31);
    same_int(rows, COLUMNS_INT2, 1);
    same_int(rows, COLUMNS_INT2, 1);
    same_int(rows, COLUMNS_INT8, 0);
    same_text(rows, "PKG01A2106B448370048F6D98C6B3D4D9A3");
    same_text(rows, "1795571795076861 order.created -1 -1 -\n"
                    "1795571795133000 payment.done 0 100001 -\n"
                    "1795571795178000 inventory.reserved 0 100001 -\n"
                    "1795571795201000 order.shipped 0 100001 -\n"
                    "1795571795290163 order.completed -1 -1 -\n");
    same_null(rows, COLUMNS_TIME);
    same_int(rows, COLUMNS_TIME, now_us());
    send(rows, "order_update");
    ids(rows, batch);
    send(rows, "timer_remove");
    outbox(rows, batch, "order.completed", "", false);
    commit(rows);
}

static void charge(struct floor_rows *rows, uint64_t batch)
{
    int64_t now = now_us();

    begin(rows);
    ids(rows, batch);
    same_int(rows, COLUMNS_INT2, 1);
    same_text(rows, "cus_52104");
    same_text(rows, "EUR");
    same_int(rows, COLUMNS_INT8, TOTAL);
    same_text(rows, "pm_card");
    same_text(rows, NULL);
    same_int(rows, COLUMNS_TIME, now);
    same_null(rows, COLUMNS_TIME);
    send(rows, "payment_insert");
    ids(rows, batch);
    same_text(rows, "charged");
    same_int(rows, COLUMNS_INT8, TOTAL);
    same_text(rows, "EUR");
    same_int(rows, COLUMNS_TIME, now);
    send(rows, "ledger_insert");
    outbox(rows, batch, "payment.done", ",\"currency\":\"EUR\",\"amount\":3099,\"items\":", true);
    commit(rows);
}

/* What each order holds. */
static void holdings(struct floor_rows *rows, uint64_t batch)
{
    char items[160], holding[176];

    columns_next(&rows->columns, COLUMNS_TEXT, rows->batch);
    EACH_ROW(batch)
    {
        items_text(rows, false, items, sizeof items);
        snprintf(holding, sizeof holding, "{\"items\":%s}", items);
        columns_text(&rows->columns, holding);
    }
}

/* Each of the batch's two items as a line of the ledger, and the stock rows that they touch. */
static void move_stock(struct floor_rows *rows, uint64_t batch, const char *kind, bool issue)
{
    struct columns *columns = &rows->columns;
    bool touched[FLOOR_SKUS] = {false};
    size_t count = 0;
    char sku[24];

    EACH_ROW(batch)
    {
        for (int item = 0; item < 2; item++) {
            size_t at = sku_of(rows, item);
            rows->held[at] += issue ? -(item + 1) : item + 1;
            rows->on_hand[at] -= issue ? item + 1 : 0;
            count += !touched[at];
            touched[at] = true;
        }
    }
    for (int column = 0; column < 3; column++) {
        columns_next(columns, column == 0 ? COLUMNS_TEXT : COLUMNS_INT8, count);
        for (size_t i = 0; i < FLOOR_SKUS; i++) {
            snprintf(sku, sizeof sku, "SKU-%zu", i + 1);
            if (touched[i] && column == 0)
                columns_text(columns, sku);
            else if (touched[i])
                columns_int(columns, column == 1 ? rows->on_hand[i] : rows->held[i]);
        }
    }
    send(rows, "stock_update");

    ids(rows, batch);
    same_text(rows, kind);
    holdings(rows, batch);
    same_int(rows, COLUMNS_TIME, now_us());
    send(rows, "stock_ledger_insert");
}

static void write_reservations(struct floor_rows *rows, uint64_t batch, bool issue)
{
    int64_t now = now_us();

    ids(rows, batch);
    same_int(rows, COLUMNS_INT2, 1);
    same_int(rows, COLUMNS_INT2, issue);
    holdings(rows, batch);
    same_text(rows, NULL);
    same_text(rows, NULL);
    same_int(rows, COLUMNS_TIME, now);
    same_null(rows, COLUMNS_TIME);
    if (issue)
        same_int(rows, COLUMNS_TIME, now);
    else
        same_null(rows, COLUMNS_TIME);
    send(rows, issue ? "reservation_update" : "reservation_insert");
}

static void reserve(struct floor_rows *rows, uint64_t batch)
{
    begin(rows);
    write_reservations(rows, batch, false);
    move_stock(rows, batch, "held", false);
    outbox(rows, batch, "inventory.reserved", ",\"items\":", false);
    commit(rows);
}

static void issue_goods(struct floor_rows *rows, uint64_t batch)
{
    begin(rows);
    write_reservations(rows, batch, true);
    move_stock(rows, batch, "issued", true);
    commit(rows);
}

static void ship(struct floor_rows *rows, uint64_t batch)
{
    char number[48];

    begin(rows);
    ids(rows, batch);
    same_int(rows, COLUMNS_INT2, 1);
    same_text(rows, "DE");
    columns_next(&rows->columns, COLUMNS_TEXT, rows->batch);
    EACH_ROW(batch)
    {
        snprintf(number, sizeof number, "PKG%s", rows->id_text);
        columns_text(&rows->columns, number);
    }
    same_text(rows, NULL);
    same_int(rows, COLUMNS_TIME, now_us());
    send(rows, "parcel_insert");
    outbox(rows, batch, "order.shipped", "", false);
    commit(rows);
}

bool floor_rows_write(struct floor_rows *rows, uint64_t batch)
{
    switch (rows->database) {
    case FLOOR_ORDER:
        place_orders(rows, batch);
        if (batch > 0)
            complete_orders(rows, batch - 1);
        break;
    case FLOOR_PAYMENT:
        charge(rows, batch);
        break;
    case FLOOR_INVENTORY:
        reserve(rows, batch);
        if (batch > 0)
            issue_goods(rows, batch - 1);
        break;
    case FLOOR_SHIPPING:
        ship(rows, batch);
        break;
    case FLOOR_DATABASES:
        abort();
    }
    return !rows->failed;
}
