/* told.c: an order as it is told; see told.h. */
#include "told.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wish.h"

/* FNV-1a. */
#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

static uint64_t hash(uint64_t value, const char *text)
{
    /* With the NUL: so that "ab", "c" is not "a", "bc". */
    for (size_t i = 0, len = strlen(text) + 1; i < len; i++)
        value = (value ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return value;
}

/* Whatever the order of members; those that are null count as absent. */
static uint64_t hash_json(uint64_t value, json_t *json)
{
    const char *name;
    json_t *member;
    void *next;

    if (json_is_object(json))
        json_object_foreach_safe(json, next, name, member)
        {
            if (json_is_null(member))
                json_object_del(json, name);
        }
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    value = hash(value, text == NULL ? "" : text);
    free(text);
    return value;
}

static const char *text_of(const json_t *order, const char *member)
{
    const char *text = json_string_value(json_object_get(order, member));
    return text == NULL ? "" : text;
}

static uint64_t hash_sent(json_t *order, int64_t total)
{
    char amount[24];
    uint64_t value = hash(HASH_BEGIN, text_of(order, "customer_id"));

    snprintf(amount, sizeof amount, "%" PRId64, total);
    value = hash(value, text_of(order, "currency"));
    value = hash(value, amount);
    value = hash(value, text_of(order, "payment_method"));
    value = hash_json(value, json_object_get(order, "items"));
    value = hash_json(value, json_object_get(order, "shipping_address"));
    return hash_json(value, json_object_get(order, "metadata"));
}

uint64_t told_hash_sent(const char *text, int64_t total)
{
    json_t *order = json_loads(text, 0, NULL);
    uint64_t value = hash_sent(order, total);

    json_decref(order);
    return value;
}

/* A step's refusal, and what it paid back, come with the very event that ends the order. */
static uint64_t hash_end(json_t *order)
{
    uint64_t value = hash(HASH_BEGIN, text_of(order, "status"));

    value = hash(value, text_of(order, "status_reason"));
    value = hash(value, text_of(order, "tracking_number"));
    return hash_json(value, json_object_get(json_object_get(order, "amount"), "refunded"));
}

static void read_order(json_t *order, int64_t total, struct told *told)
{
    const char *mark = text_of(json_object_get(order, "metadata"), "mark");

    snprintf(told->id, sizeof told->id, "%s", text_of(order, "id"));
    snprintf(told->status, sizeof told->status, "%s", text_of(order, "status"));
    snprintf(told->reason, sizeof told->reason, "%s", text_of(order, "status_reason"));
    told->marked = wish_read_key(mark, &told->mark);
    told->sent = hash_sent(order, total);
    told->body =
        hash(hash(hash(told->sent, text_of(order, "created_at")), text_of(order, "deadline_at")),
             told->id);
    told->end = told_is_final(told) ? hash_end(order) : 0;
}

bool told_read(const char *text, size_t len, struct told *ret_told)
{
    json_t *order = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    json_t *total = json_object_get(json_object_get(order, "amount"), "total");
    bool good = strcmp(text_of(order, "object"), "order") == 0 &&
                strlen(text_of(order, "id")) == 36 && json_is_integer(total);

    if (good) {
        *ret_told = (struct told){0};
        read_order(order, json_integer_value(total), ret_told);
        ret_told->whole = hash_json(HASH_BEGIN, order);
    }
    json_decref(order);
    return good;
}

bool told_is_final(const struct told *told)
{
    return strcmp(told->status, "completed") == 0 || strcmp(told->status, "cancelled") == 0;
}

void told_read_code(const char *text, size_t len, char ret_code[40])
{
    json_t *problem = json_loadb(text, len, 0, NULL);

    snprintf(ret_code, 40, "%s", text_of(problem, "code"));
    json_decref(problem);
}

/* When order-svc asked for it to be called off, by its own clock at that time. When the row was
 * changed last tells less: a clock that was ahead may be right again by then, and one that is too
 * early late enough. */
static bool is_overdue(const char *timeline, long long deadline_us)
{
    static const char called_off[] = " order.cancel_requested -1 -1 deadline_exceeded\n";

    const char *at = strstr(timeline, called_off);
    while (at != NULL && at > timeline && at[-1] != '\n')
        at--;
    return at != NULL && strtoll(at, NULL, 10) >= deadline_us;
}

bool told_read_row(const struct told_row *row, struct told *ret_told)
{
    json_t *order = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:o*, s:o*, s:o*}", "id", row->id, "customer_id",
        row->customer_id, "currency", row->currency, "payment_method", row->payment_method,
        "created_at", row->created_at, "deadline_at", row->deadline_at, "items",
        json_loads(row->items, 0, NULL), "shipping_address",
        json_loads(row->shipping_address, 0, NULL), "metadata", json_loads(row->metadata, 0, NULL));
    bool good = json_object_size(order) == 9;

    if (good) {
        *ret_told = (struct told){0};
        read_order(order, strtoll(row->total, NULL, 10), ret_told);
        ret_told->overdue = is_overdue(row->timeline, strtoll(row->deadline_us, NULL, 10));
    }
    json_decref(order);
    return good;
}
