/* tables.c: the columns of each table, in the order of its statements. */
#include "tables.h"

#include "shipping_sql.h"

const struct saga_table parcel_table = {
    .name = "parcel",
    .shape = &(const struct saga_shape)SAGA_SHAPE(
        struct parcel, SAGA_FIELD(struct parcel, order_id, SAGA_UUID),
        SAGA_FIELD(struct parcel, state, SAGA_INT16),
        SAGA_FIELD(struct parcel, country, SAGA_STRING),
        SAGA_FIELD(struct parcel, tracking_number, SAGA_STRING),
        SAGA_FIELD(struct parcel, reason, SAGA_STRING),
        SAGA_FIELD(struct parcel, shipped_at, SAGA_TIME)),
    .load = sql_parcel_load,
    .insert = sql_parcel_insert,
};
