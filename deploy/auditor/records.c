/* records.c: all topics from their beginning, read without a group. */
#include "records.h"

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/topics.h"
#include "text.h"

#define PARTITIONS_MAX 1024
#define TIMEOUT_MS 10000
#define STALL_S 30

/* How far one partition was read by whom. */
struct part {
    enum audit_topic topic;
    int32_t partition;
    int64_t stored[DBS], low, end;
};

struct records {
    struct topics *topics;
    struct part parts[PARTITIONS_MAX];
    size_t parts_count;
    /* while it reads */
    const uint32_t *epochs;
    const struct place *nameless;
    size_t nameless_count;
    struct spill *spill;
    bool full;
    int64_t unreadable, of_others;
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
    for (size_t i = 0; i < records->parts_count; i++)
        if (records->parts[i].topic == topic && records->parts[i].partition == partition)
            return &records->parts[i];
    return NULL;
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

static bool read_partitions(struct records *records, rd_kafka_t *kafka)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(kafka, 1, NULL, &metadata, TIMEOUT_MS);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return failed("cannot be reached", rd_kafka_err2str(error));
    for (int i = 0; i < metadata->topic_cnt; i++) {
        enum audit_topic topic = saga_topic(metadata->topics[i].topic);
        for (int p = 0; topic != TOPICS && p < metadata->topics[i].partition_cnt; p++)
            if (records->parts_count < PARTITIONS_MAX)
                records->parts[records->parts_count++] =
                    (struct part){.topic = topic, .partition = p};
    }
    rd_kafka_metadata_destroy(metadata);
    return records->parts_count > 0 || failed("the topics", "there are none");
}

/* Asks for the offsets of the group without joining it. */
static bool read_stored(struct records *records, rd_kafka_t *kafka, enum audit_db db)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)records->parts_count);
    for (size_t i = 0; i < records->parts_count; i++)
        rd_kafka_topic_partition_list_add(list, saga_topics[records->parts[i].topic].name,
                                          records->parts[i].partition);
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

/* Fills in who said it as what; false: it is of another database. */
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
    if (part != NULL && record->offset >= part->end)
        part->end = record->offset + 1;
    entry.readable = readable(record, &entry.id);
    uint8_t taken = taken_by(part, record->offset), nameless = nameless_for(records, &entry);
    if (entry.readable && !read_origin(records, record, &entry)) {
        records->of_others++;
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
    for (size_t i = 0; i < records->parts_count; i++) {
        struct part *part = &records->parts[i];
        topics_range(records->topics, saga_topics[part->topic].name, part->partition, &part->low,
                     &part->end);
    }
    return !records->full || failed("the records", "there is no room for them on the disk");
}

const char *records_beyond(const struct records *records)
{
    static char text[200];
    for (size_t i = 0; i < records->parts_count; i++) {
        const struct part *part = &records->parts[i];
        for (enum audit_db db = 0; db < DBS; db++) {
            if (!(saga_topics[part->topic].hears & 1u << db) || part->stored[db] <= part->end)
                continue;
            snprintf(text, sizeof text, "the offset of %s on %s %d is %lld, and it ends at %lld",
                     saga_services[db], saga_topics[part->topic].name, part->partition,
                     (long long)part->stored[db], (long long)part->end);
            return text;
        }
    }
    return NULL;
}

bool records_whole(const struct records *records)
{
    for (size_t i = 0; i < records->parts_count; i++)
        if (records->parts[i].low > 0)
            return false;
    return true;
}

int64_t records_unreadable(const struct records *records)
{
    return records->unreadable;
}

int64_t records_of_others(const struct records *records)
{
    return records->of_others;
}

void records_close(struct records *records)
{
    if (records == NULL)
        return;
    topics_close(records->topics);
    free(records);
}
