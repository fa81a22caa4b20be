/* audit.c: looks in the order that check.h tells, and puts together what belongs to one order. */
#include "audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_sql.h"
#include "database.h"
#include "memory.h"
#include "records.h"

#define RUN_MAX 500000 /* entries in memory: 28 MB */
#define PLACES_MAX 1000000
#define COLUMNS_MAX 14

static const char *const addresses[DBS] = {"ORDER_DB", "PAYMENT_DB", "INVENTORY_DB", "SHIPPING_DB"};

#define LOOK(db, sql, member)                                                                      \
    {                                                                                              \
        db, sql, sizeof((struct audited *)0)->member / sizeof(int64_t),                            \
            offsetof(struct audited, member)                                                       \
    }
/* The looks at the databases, in their order; each fills a part of struct audited. */
static const struct look {
    enum audit_db db;
    const char *sql;
    size_t columns, offset;
} looks[] = {
    LOOK(ORDER, sql_ends, order_first),
    LOOK(PAYMENT, sql_payments, payment_first),
    LOOK(INVENTORY, sql_barriers, reservation_first),
    LOOK(SHIPPING, sql_parcels, parcel),
    LOOK(INVENTORY, sql_reservations, reservation_last),
    LOOK(PAYMENT, sql_payments, payment_last),
    LOOK(ORDER, sql_orders, order_last),
};
#define LOOKS (sizeof looks / sizeof *looks)
static const size_t last_look[DBS] = {[ORDER] = 6, [PAYMENT] = 5, [INVENTORY] = 4, [SHIPPING] = 3};

struct auditing {
    struct report *report;
    struct check check;
    struct records *records;
    struct database *databases[LOOKS];
    struct spill *spill;
    struct place *nameless;
    size_t nameless_count;
    uint32_t epochs[DBS];
    /* the next row of each look, and of the spill */
    struct {
        struct audit_id id;
        int64_t values[COLUMNS_MAX];
        int got;
    } rows[LOOKS];
    const struct entry *entry;
    struct entry *entries; /* of one order */
    size_t entries_count, entries_size;
};

static void on_broken(void *opaque, int invariant, const struct audit_id *id, const char *text,
                      bool unfinished)
{
    const struct auditing *on = opaque;
    report_broken(on->report, invariant, id, text, unfinished);
}

static int64_t kept_since_ms(void *opaque, enum audit_topic topic, const struct audit_id *id)
{
    const struct auditing *on = opaque;
    return records_kept_since_ms(on->records, topic, id);
}

static bool never_was(void *opaque, const struct entry *letter)
{
    const struct auditing *on = opaque;
    return records_never_was(on->records, letter);
}

static bool failed(const char *what)
{
    fprintf(stderr, "audit: %s\n", what);
    return false;
}

static const char *address(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? value : "";
}

/* ---- looking ---- */

static bool read_memory(struct auditing *on)
{
    struct database *database = database_look(address(addresses[ORDER]), saga_services[ORDER]);
    PGresult *result = database ? database_ask(database, sql_epoch) : NULL;
    bool good = result != NULL && PQntuples(result) == 1 &&
                memory_read(address("REDIS_URL"), PQgetvalue(result, 0, 1), on->spill);
    PQclear(result);
    database_close(database);
    return good;
}

static bool open_databases(struct auditing *on)
{
    for (size_t i = 0; i < LOOKS; i++) {
        on->databases[i] =
            database_look(address(addresses[looks[i].db]), saga_services[looks[i].db]);
        if (on->databases[i] == NULL)
            return false;
    }
    return true;
}

static bool read_epoch(struct auditing *on, enum audit_db db)
{
    PGresult *result = database_ask(on->databases[last_look[db]], sql_epoch);
    bool good = result != NULL && PQntuples(result) == 1;
    if (good)
        on->epochs[db] = (uint32_t)strtoul(PQgetvalue(result, 0, 0), NULL, 16);
    PQclear(result);
    return good;
}

/* Rows of (id, topic, lane, seq, state, hash) become entries of this kind; a gap has no hash. */
static bool read_outbox(struct auditing *on, enum audit_db db, const char *sql,
                        enum entry_kind kind)
{
    struct database *database = on->databases[last_look[db]];
    struct entry entry = {.kind = (uint8_t)kind, .db = (uint8_t)db};
    const char *name;
    int64_t values[4] = {0};
    const size_t columns = kind == ENTRY_OUTBOX ? 4 : 3;
    int got = -1;
    if (!database_begin(database, sql, columns))
        return false;
    while ((got = database_next_named(database, &entry.id, &name, values)) == 1) {
        entry.topic = (uint8_t)saga_topic(name);
        entry.lane = (int32_t)values[0];
        entry.seq = values[1];
        entry.state = kind == ENTRY_OUTBOX ? (uint8_t)values[2] : 0;
        entry.hash = values[3];
        if (!spill_add(on->spill, &entry))
            return failed("there is no room on the disk");
    }
    return got == 0;
}

static bool note_nameless(struct auditing *on, const struct entry *letter)
{
    static const struct audit_id none;
    if (memcmp(&letter->id, &none, sizeof none) != 0)
        return true;
    if (on->nameless_count == PLACES_MAX)
        return failed("too many dead letters without an order");
    on->nameless[on->nameless_count++] =
        (struct place){letter->db, letter->topic, letter->partition, letter->offset};
    return true;
}

static bool read_letters(struct auditing *on, enum audit_db db)
{
    struct database *database = on->databases[last_look[db]];
    struct entry entry = {.kind = ENTRY_LETTER, .db = (uint8_t)db};
    const char *name;
    int64_t values[7];
    int got = -1;
    if (!database_begin(database, sql_letters, 7))
        return false;
    while ((got = database_next_named(database, &entry.id, &name, values)) == 1) {
        entry.topic = (uint8_t)saga_topic(name);
        entry.partition = (int32_t)values[0];
        entry.offset = values[1];
        entry.state = (uint8_t)values[2];
        entry.opaque = values[3] != 0;
        entry.hash = values[4];
        entry.seq = values[5];
        entry.lane = (int32_t)values[6];
        on->report->parked += letter_waits(&entry);
        if (!note_nameless(on, &entry) || !spill_add(on->spill, &entry))
            return failed("there is no room for the dead letters");
    }
    return got == 0;
}

/* Their rows are not there any more: so the topics must have the events. */
static bool read_cursors(struct auditing *on, enum audit_db db)
{
    PGresult *result = database_ask(on->databases[last_look[db]], sql_cursors);
    for (int i = 0; result != NULL && i < PQntuples(result); i++)
        records_expect(on->records, db, (int32_t)strtol(PQgetvalue(result, i, 0), NULL, 10),
                       strtoll(PQgetvalue(result, i, 1), NULL, 10));
    PQclear(result);
    return result != NULL;
}

/* The stock is of one database and one moment: it is right at any time. */
static bool read_stock(struct auditing *on)
{
    static const struct audit_id none;
    struct database *database = on->databases[last_look[INVENTORY]];
    PGresult *wrong = database_ask(database, sql_stock);
    PGresult *held = database_ask(database, "SELECT coalesce(sum(held), 0) FROM stock");
    bool good = wrong != NULL && held != NULL;
    char text[300];
    if (good && PQntuples(wrong) > 0) {
        snprintf(text, sizeof text,
                 "stock of %s: on_hand %s, held %s; stock_ledger: on_hand %s, held %s",
                 PQgetvalue(wrong, 0, 0), PQgetvalue(wrong, 0, 1), PQgetvalue(wrong, 0, 2),
                 PQgetvalue(wrong, 0, 3), PQgetvalue(wrong, 0, 4));
        report_broken(on->report, 8, &none, text, false);
    }
    if (good && on->check.settled && strcmp(PQgetvalue(held, 0, 0), "0") != 0) {
        snprintf(text, sizeof text, "stock: %s units are held", PQgetvalue(held, 0, 0));
        report_broken(on->report, 8, &none, text, true);
    }
    PQclear(wrong);
    PQclear(held);
    return good;
}

static bool look(struct auditing *on)
{
    static const struct audit_id none;
    on->records = records_look(address("KAFKA_BOOTSTRAP"));
    if (on->records == NULL || !read_memory(on) || !open_databases(on))
        return false;
    for (enum audit_db db = 0; db < DBS; db++)
        if (!read_epoch(on, db) || !read_outbox(on, db, sql_outbox, ENTRY_OUTBOX) ||
            !read_outbox(on, db, sql_gaps, ENTRY_GAP) || !read_cursors(on, db) ||
            !read_letters(on, db))
            return false;
    if (!read_stock(on))
        return false;
    qsort(on->nameless, on->nameless_count, sizeof *on->nameless, place_compare);
    if (!records_read(on->records, on->epochs, on->nameless, on->nameless_count, on->spill))
        return false;
    const char *beyond = records_beyond(on->records), *unsaid = records_unsaid(on->records);
    if (beyond != NULL)
        report_broken(on->report, 5, &none, beyond, false);
    if (unsaid != NULL)
        report_broken(on->report, 6, &none, unsaid, false);
    on->report->unreadable = records_unreadable(on->records);
    on->report->formers = records_formers(on->records);
    return spill_sort(on->spill) || failed("what was read could not be sorted");
}

/* ---- putting together ---- */

static bool advance(struct auditing *on, size_t i)
{
    on->rows[i].got = database_next(on->databases[i], &on->rows[i].id, on->rows[i].values);
    return on->rows[i].got >= 0;
}

static bool begin_rows(struct auditing *on)
{
    for (size_t i = 0; i < LOOKS; i++)
        if (!database_begin(on->databases[i], looks[i].sql, looks[i].columns))
            return false;
    for (size_t i = 0; i < LOOKS; i++)
        if (!advance(on, i))
            return false;
    on->entry = spill_next(on->spill);
    return true;
}

/* The least id that anything is left about; false: nothing is. */
static bool next_id(const struct auditing *on, struct audit_id *ret_id)
{
    const struct audit_id *least = on->entry ? &on->entry->id : NULL;
    for (size_t i = 0; i < LOOKS; i++)
        if (on->rows[i].got == 1 &&
            (least == NULL || memcmp(&on->rows[i].id, least, sizeof *least) < 0))
            least = &on->rows[i].id;
    if (least != NULL)
        *ret_id = *least;
    return least != NULL;
}

static bool belongs(const struct auditing *on, const struct audit_id *id)
{
    return on->entry != NULL && memcmp(&on->entry->id, id, sizeof *id) == 0;
}

static void keep_entry(struct auditing *on)
{
    if (on->entries_count == on->entries_size) {
        on->entries_size = on->entries_size ? on->entries_size * 2 : 64;
        on->entries = realloc(on->entries, on->entries_size * sizeof *on->entries);
        if (on->entries == NULL)
            abort();
    }
    on->entries[on->entries_count++] = *on->entry;
    on->entry = spill_next(on->spill);
}

static bool gather(struct auditing *on, const struct audit_id *id, struct audited *audited)
{
    *audited = (struct audited){.id = *id};
    on->entries_count = 0;
    for (size_t i = 0; i < LOOKS; i++) {
        if (on->rows[i].got != 1 || memcmp(&on->rows[i].id, id, sizeof *id) != 0)
            continue;
        memcpy((char *)audited + looks[i].offset, on->rows[i].values,
               looks[i].columns * sizeof(int64_t));
        if (!advance(on, i))
            return false;
    }
    while (belongs(on, id))
        keep_entry(on);
    audited->entries = on->entries;
    audited->entries_count = on->entries_count;
    return true;
}

/* What names no order comes first, and is checked place by place. */
static void check_all_nameless(struct auditing *on)
{
    static const struct audit_id none;
    while (belongs(on, &none)) {
        const struct entry first = *on->entry;
        on->entries_count = 0;
        while (belongs(on, &none) && entry_same_place(on->entry, &first))
            keep_entry(on);
        check_nameless(&on->check, on->entries, on->entries_count);
    }
}

static bool compare(struct auditing *on)
{
    struct audit_id id;
    struct audited audited;
    if (!begin_rows(on))
        return false;
    check_all_nameless(on);
    while (next_id(on, &id)) {
        if (!gather(on, &id, &audited))
            return false;
        on->report->orders += audited.order_last.exists;
        on->report->in_flight += audited.order_last.open;
        check_order(&on->check, &audited);
    }
    return !spill_failed(on->spill) || failed("what was sorted could not be read");
}

bool audit(bool settled, struct report *ret_report)
{
    const char *dir = getenv("TMPDIR");
    *ret_report = (struct report){0};
    struct auditing on = {
        .report = ret_report,
        .check = {.settled = settled,
                  .kept_since_ms = kept_since_ms,
                  .never_was = never_was,
                  .broken = on_broken,
                  .opaque = &on},
        .spill = spill_new(dir ? dir : "/tmp", RUN_MAX),
        .nameless = malloc(PLACES_MAX * sizeof *on.nameless),
    };
    if (on.nameless == NULL)
        abort();
    bool good = look(&on) && compare(&on);
    for (size_t i = 0; i < LOOKS; i++)
        database_close(on.databases[i]);
    records_close(on.records);
    spill_free(on.spill);
    free(on.nameless);
    free(on.entries);
    return good;
}

bool audit_is_quiet(void)
{
    static const char *const sql[] = {
        "SELECT count(*) FROM outbox o JOIN lane l ON l.lane = o.lane WHERE o.seq > l.acked",
        "SELECT count(*) FROM timer", "SELECT sum(held) FROM stock"};
    bool quiet = true;
    for (enum audit_db db = 0; quiet && db < DBS; db++) {
        struct database *database = database_look(address(addresses[db]), saga_services[db]);
        for (size_t i = 0; quiet && i < 3; i++) {
            if ((i == 1 && db != ORDER) || (i == 2 && db != INVENTORY))
                continue;
            PGresult *result = database ? database_ask(database, sql[i]) : NULL;
            quiet = result != NULL && strcmp(PQgetvalue(result, 0, 0), "0") == 0;
            PQclear(result);
        }
        database_close(database);
    }
    return quiet;
}
