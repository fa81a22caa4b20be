/* outbox.h: a row of the outbox, and how it becomes a record: the same one, however often. */
#ifndef RUNTIME_OUTBOX_H
#define RUNTIME_OUTBOX_H

#include "ports/kafka.h"
#include "ports/postgres.h"
#include "saga/service.h"

#define OUTBOX_LANES 64 /* as in schema.sql */
#define OUTBOX_SCHEMA 1 /* the version of the tables that this program knows */

struct outbox_row {
    int64_t seq;
    struct saga_uuid order_id;
    struct saga_text type, traceparent, payload;
    int64_t created_us;
};
extern const struct saga_shape outbox_shape;

/* Who says it: part of every event's ce_source and ce_id. */
struct outbox_source {
    char name[64];  /* "/payment-svc" */
    char epoch[9];  /* of the database: outbox_read_epoch */
    bool read_only; /* it takes no rows: a standby, or a server that is full */
};
void outbox_source_of(const struct saga_service *service, struct outbox_source *ret_source);

/* Reads the database's epoch. False: *ret_why tells: the database does not answer (pg_error), or
 * its tables are of a later version. */
bool outbox_read_epoch(struct pg *pg, struct outbox_source *ret_source, const char **ret_why);
/* Hands a row to the producer, whose verdict it is. */
enum saga_verdict outbox_send(const struct outbox_source *source, int32_t lane,
                              const struct outbox_row *row, struct kafka_producer *producer,
                              struct arena *arena);

/* `republish TOPIC` of a service's program. */
int republish_command(const struct saga_service *service, int argc, char **argv);

#endif
