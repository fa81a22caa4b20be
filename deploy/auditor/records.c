/* records.c: all topics from their beginning, read without a group. */
#include "records.h"

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/topics.h"
#include "text.h"

#define TIMEOUT_MS 10000
#define STALL_S 30
#define SLACK_MS 60000 /* clocks and producers do not agree to the second */
#define LANES 64

/* How far one partition was read by whom. */
struct part {
    int64_t stored[DBS], low, end;
    int64_t oldest_ms; /* of the first record that is left; INT64_MAX: none is */
};

struct records {
    struct topics *topics;
    struct part *parts[TOPICS];
    int32_t parts_count[TOPICS];
    /* the event that a cursor is at; 0: none is expected */
    struct {
        int64_t seq;
        bool seen;
    } cursors[DBS][LANES];
    /* while it reads */
    const uint32_t *epochs;
    const struct place *nameless;
    size_t nameless_count;
    struct spill *spill;
    bool full;
    int64_t unreadable, formers;
};

int place_compare(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    if (a->db != b->db)
        return a->db < b->db ? -1 : 1;
    if (a->topic != b->topic)
        return a->topic < b->topic ? -1 : 1;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

static struct part *part_of(struct records *records, enum audit_topic topic, int32_t partition)
{
    if (topic == TOPICS || partition < 0 || partition >= records->parts_count[topic])
        return NULL;
    return &records->parts[topic][partition];
}

static bool failed(const char *what, const char *why)
{
    fprintf(stderr, "audit: kafka: %s: %s\n", what, why);
    return false;
}

/* ---- how far the services are ---- */

static rd_kafka_t *client(const char *bootstrap, const char *group)
{
    char why[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof why) == 0 &&
        rd_kafka_conf_set(conf, "group.id", group, why, sizeof why) == 0 &&
        rd_kafka_conf_set(conf, "log_level", "2", why, sizeof why) == 0) {
        rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
        if (kafka != NULL)
            return kafka;
    }
    failed(group, why);
    rd_kafka_conf_destroy(conf);
    return NULL;
}

static bool make_parts(struct records *records, enum audit_topic topic, int count)
{
    if (topic == TOPICS || count == 0)
        return true;
    if (count > TOPICS_PARTITIONS_MAX)
        return failed(saga_topics[topic].name, "too many partitions");
    records->parts[topic] = calloc((size_t)count, sizeof *records->parts[topic]);
    if (records->parts[topic] == NULL)
        abort();
    records->parts_count[topic] = count;
    for (int i = 0; i < count; i++)
        records->parts[topic][i].oldest_ms = INT64_MAX;
    return true;
}

static bool read_partitions(struct records *records, rd_kafka_t *kafka)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(kafka, 1, NULL, &metadata, TIMEOUT_MS);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return failed("cannot be reached", rd_kafka_err2str(error));
    bool good = true;
    for (int i = 0; good && i < metadata->topic_cnt; i++)
        good = make_parts(records, saga_topic(metadata->topics[i].topic),
                          metadata->topics[i].partition_cnt);
    rd_kafka_metadata_destroy(metadata);
    for (enum audit_topic topic = 0; good && topic < TOPICS; topic++)
        good = records->parts_count[topic] > 0 || failed(saga_topics[topic].name, "is missing");
    return good;
}

/* Asks for the offsets of the group without joining it. */
static bool read_stored(struct records *records, rd_kafka_t *kafka, enum audit_db db)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0);
    for (enum audit_topic topic = 0; topic < TOPICS; topic++)
        if (records->parts_count[topic] > 0)
            rd_kafka_topic_partition_list_add_range(list, saga_topics[topic].name, 0,
                                                    records->parts_count[topic] - 1);
    rd_kafka_resp_err_t error = rd_kafka_committed(kafka, list, TIMEOUT_MS);
    for (int i = 0; error == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
        part_of(records, saga_topic(list->elems[i].topic), list->elems[i].partition)->stored[db] =
            list->elems[i].offset < 0 ? 0 : list->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR || failed("stored offsets", rd_kafka_err2str(error));
}

static bool read_offsets(struct records *records, const char *bootstrap)
{
    bool good = true;
    for (enum audit_db db = 0; good && db < DBS; db++) {
        rd_kafka_t *kafka = client(bootstrap, saga_services[db]);
        good = kafka != NULL && (db > 0 || read_partitions(records, kafka)) &&
               read_stored(records, kafka, db);
        if (kafka != NULL)
            rd_kafka_destroy(kafka);
    }
    return good;
}

/* ---- one record ---- */

/* Does the value name this order? Ours do it in these very words; others are parsed. */
static bool names_order(const struct topics_record *record)
{
    char member[64];
    int len = snprintf(member, sizeof member, "{\"order_id\":\"%s\"", record->key);
    if (record->value_len >= (size_t)len && memcmp(record->value, member, (size_t)len) == 0)
        return true;
    json_t *value = json_loadb(record->value, record->value_len, 0, NULL);
    const char *id = json_string_value(json_object_get(value, "order_id"));
    bool same = id != NULL && strcasecmp(id, record->key) == 0;
    json_decref(value);
    return same;
}

static bool is(const struct topics_record *record, const char *header, const char *wanted)
{
    const char *value = topics_header(record, header);
    return value != NULL && strcmp(value, wanted) == 0;
}

static bool readable(const struct topics_record *record, struct audit_id *ret_id)
{
    return text_uuid(record->key, record->key_len, ret_id) && record->value != NULL &&
           is(record, "ce_type", record->topic) && is(record, "ce_specversion", "1.0") &&
           is(record, "ce_schemaversion", "1") && topics_header(record, "ce_id") != NULL &&
           names_order(record);
}

/* A bit for each service that has parked it without an order. */
static uint8_t nameless_for(const struct records *records, const struct entry *entry)
{
    uint8_t mask = 0;
    for (enum audit_db db = 0; records->nameless_count > 0 && db < DBS; db++) {
        struct place place = {(uint8_t)db, entry->topic, entry->partition, entry->offset};
        if (bsearch(&place, records->nameless, records->nameless_count, sizeof place,
                    place_compare) != NULL)
            mask = (uint8_t)(mask | 1u << db);
    }
    return mask;
}

static uint8_t taken_by(const struct part *part, int64_t offset)
{
    uint8_t mask = 0;
    for (enum audit_db db = 0; part != NULL && db < DBS; db++)
        if (offset < part->stored[db])
            mask = (uint8_t)(mask | 1u << db);
    return mask;
}

/* Fills in who said it as what; false: under another epoch. A cursor of a backup is at an event of
 * the epoch before. */
static bool read_origin(struct records *records, const struct topics_record *record,
                        struct entry *entry)
{
    unsigned epoch;
    int lane;
    long long seq;
    if (sscanf(topics_header(record, "ce_id"), "%8x-%d-%lld", &epoch, &lane, &seq) != 3)
        return true;
    entry->lane = lane;
    entry->seq = seq;
    if (lane >= 0 && lane < LANES && seq == records->cursors[entry->db][lane].seq)
        records->cursors[entry->db][lane].seen = true;
    return epoch == records->epochs[entry->db];
}

static void add(struct records *records, struct entry *entry)
{
    records->full = records->full || !spill_add(records->spill, entry);
}

static void on_record(void *opaque, const struct topics_record *record)
{
    struct records *records = opaque;
    enum audit_topic topic = saga_topic(record->topic);
    struct part *part = part_of(records, topic, record->partition);
    struct entry entry = {.topic = (uint8_t)topic,
                          .kind = ENTRY_RECORD,
                          .db = (uint8_t)saga_topics[topic].says,
                          .partition = record->partition,
                          .offset = record->offset,
                          .seq = -1,
                          .lane = -1,
                          .before = record->before,
                          .hash = text_hash(record->value, record->value_len)};
    if (part != NULL && part->oldest_ms == INT64_MAX)
        part->oldest_ms = record->time_ms;
    if (part != NULL && record->offset >= part->end)
        part->end = record->offset + 1;
    entry.readable = readable(record, &entry.id);
    uint8_t taken = taken_by(part, record->offset), nameless = nameless_for(records, &entry);
    if (entry.readable && !read_origin(records, record, &entry)) {
        records->formers++;
        entry.kind = ENTRY_FORMER;
        add(records, &entry);
        return;
    }
    if (entry.readable) {
        entry.taken = (uint8_t)(taken & ~nameless);
        add(records, &entry);
    } else {
        nameless = 0xff;
    }
    if (nameless == 0)
        return;
    records->unreadable++;
    memset(&entry.id, 0, sizeof entry.id);
    entry.readable = false;
    entry.taken = taken & nameless;
    add(records, &entry);
}

/* ---- all of them ---- */

struct records *records_look(const char *bootstrap)
{
    const char *names[TOPICS + 1] = {0};
    struct records *records = calloc(1, sizeof *records);
    if (records == NULL)
        abort();
    for (size_t i = 0; i < TOPICS; i++)
        names[i] = saga_topics[i].name;
    if (read_offsets(records, bootstrap))
        records->topics = topics_open(bootstrap, names, true, on_record, records);
    if (records->topics != NULL)
        return records;
    records_close(records);
    return NULL;
}

bool records_read(struct records *records, const uint32_t epochs[DBS], const struct place *nameless,
                  size_t nameless_count, struct spill *spill)
{
    records->epochs = epochs;
    records->nameless = nameless;
    records->nameless_count = nameless_count;
    records->spill = spill;
    if (!topics_catch_up(records->topics, STALL_S))
        return failed("the topics", "could not be read to their ends");
    for (enum audit_topic topic = 0; topic < TOPICS; topic++)
        for (int32_t i = 0; i < records->parts_count[topic]; i++)
            topics_range(records->topics, saga_topics[topic].name, i, &records->parts[topic][i].low,
                         &records->parts[topic][i].end);
    return !records->full || failed("the records", "there is no room for them on the disk");
}

/* NULL, or what is wrong with the offsets of one partition. */
static const char *beyond(const struct part *part, enum audit_topic topic, int32_t partition)
{
    static char text[200];
    for (enum audit_db db = 0; db < DBS; db++) {
        if (!(saga_topics[topic].hears & 1u << db) || part->stored[db] <= part->end)
            continue;
        snprintf(text, sizeof text, "the offset of %s on %s %d is %lld, and it ends at %lld",
                 saga_services[db], saga_topics[topic].name, partition, (long long)part->stored[db],
                 (long long)part->end);
        return text;
    }
    return NULL;
}

const char *records_beyond(const struct records *records)
{
    const char *text = NULL;
    for (enum audit_topic topic = 0; topic < TOPICS; topic++)
        for (int32_t i = 0; text == NULL && i < records->parts_count[topic]; i++)
            text = beyond(&records->parts[topic][i], topic, i);
    return text;
}

void records_expect(struct records *records, enum audit_db db, int32_t lane, int64_t seq)
{
    if (lane >= 0 && lane < LANES)
        records->cursors[db][lane].seq = seq;
}

/* Retention has taken records that this database said. */
static bool trimmed(const struct records *records, enum audit_db db)
{
    for (enum audit_topic topic = 0; topic < TOPICS; topic++)
        for (int32_t i = 0; saga_topics[topic].says == db && i < records->parts_count[topic]; i++)
            if (records->parts[topic][i].low > 0)
                return true;
    return false;
}

const char *records_unsaid(const struct records *records)
{
    static char text[200];
    for (enum audit_db db = 0; db < DBS; db++)
        for (int32_t lane = 0; !trimmed(records, db) && lane < LANES; lane++) {
            if (records->cursors[db][lane].seq == 0 || records->cursors[db][lane].seen)
                continue;
            snprintf(text, sizeof text,
                     "the cursor of %s on lane %d is %lld: no such event is there",
                     saga_services[db], lane, (long long)records->cursors[db][lane].seq);
            return text;
        }
    return NULL;
}

bool records_never_was(const struct records *records, const struct entry *letter)
{
    const int32_t i = letter->partition;
    if (i < 0 || i >= records->parts_count[letter->topic] ||
        letter->offset < records->parts[letter->topic][i].end)
        return false;
    int64_t oldest_ms = INT64_MAX - SLACK_MS;
    for (int32_t k = 0; k < records->parts_count[letter->topic]; k++)
        if (records->parts[letter->topic][k].oldest_ms < oldest_ms)
            oldest_ms = records->parts[letter->topic][k].oldest_ms;
    return letter->seq > oldest_ms + SLACK_MS;
}

int64_t records_kept_since_ms(const struct records *records, enum audit_topic topic,
                              const struct audit_id *id)
{
    char key[TEXT_UUID_SIZE];
    text_format_uuid(id, key);
    int32_t partition = rd_kafka_msg_partitioner_murmur2(NULL, key, sizeof key - 1,
                                                         records->parts_count[topic], NULL, NULL);
    const struct part *part = &records->parts[topic][partition];
    return part->low > 0 ? part->oldest_ms : 0;
}

int64_t records_unreadable(const struct records *records)
{
    return records->unreadable;
}

int64_t records_formers(const struct records *records)
{
    return records->formers;
}

void records_close(struct records *records)
{
    if (records == NULL)
        return;
    topics_close(records->topics);
    for (size_t i = 0; i < TOPICS; i++)
        free(records->parts[i]);
    free(records);
}
