/* orders.c: orders as a customer sees them; see orders.h. */
#include "orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "stack.h"

#define TIMEOUT_MS 40000

const char *order_body(const char *payment_method, const char *sku, const char *country)
{
    static _Thread_local char body[512];
    snprintf(body, sizeof body,
             "{\"customer_id\":\"cus_42\",\"currency\":\"EUR\",\"items\":[{\"sku\":\"%s\","
             "\"quantity\":2,\"unit_amount\":1999}],\"payment_method\":\"%s\","
             "\"shipping_address\":{\"country\":\"%s\"}}",
             sku ? sku : "SKU-1", payment_method ? payment_method : "pm_card",
             country ? country : "DE");
    return body;
}

static struct order_answer take(struct http_answer *answer)
{
    struct order_answer ret = {.status = answer->status};
    ret.body = json_loadb(answer->body, answer->body_len, 0, NULL);
    http_header(answer, "Location", ret.location, sizeof ret.location);
    http_header(answer, "Idempotent-Replayed", ret.replayed, sizeof ret.replayed);
    http_header(answer, "Preference-Applied", ret.applied, sizeof ret.applied);
    http_header(answer, "Retry-After", ret.retry_after, sizeof ret.retry_after);
    snprintf(ret.id, sizeof ret.id, "%s", order_text(&ret, "id"));
    http_answer_free(answer);
    return ret;
}

struct order_answer order_send(const char *body, const char *headers)
{
    char all[1024];
    snprintf(all, sizeof all, "Content-Type: application/json\r\n%s", headers ? headers : "");
    return take(http_call(stack_address("ORDER_API"), "POST", "/v1/orders", all, body, TIMEOUT_MS));
}

struct order_answer order_get(const char *id)
{
    char path[80];
    snprintf(path, sizeof path, "/v1/orders/%s", id);
    return take(http_call(stack_address("ORDER_API"), "GET", path, NULL, NULL, TIMEOUT_MS));
}

struct order_answer order_cancel(const char *id)
{
    char path[80];
    snprintf(path, sizeof path, "/v1/orders/%s/cancel", id);
    return take(http_call(stack_address("ORDER_API"), "POST", path, NULL, NULL, TIMEOUT_MS));
}

void order_answer_free(struct order_answer *answer)
{
    json_decref(answer->body);
    answer->body = NULL;
}

const char *order_text(const struct order_answer *answer, const char *member)
{
    const char *text = json_string_value(json_object_get(answer->body, member));
    return text ? text : "";
}

static bool has_status(const char *id, const char *status)
{
    struct order_answer answer = order_get(id);
    bool has = strcmp(order_text(&answer, "status"), status) == 0;
    order_answer_free(&answer);
    return has;
}

bool order_reaches(const char *id, const char *status, int seconds)
{
    return CLOCK_UNTIL(seconds, has_status(id, status));
}

char *order_timeline(const char *id)
{
    char path[96], *text = calloc(1, 4096);
    size_t i;
    json_t *entry;
    snprintf(path, sizeof path, "/v1/orders/%s/timeline", id);
    struct http_answer *answer =
        http_call(stack_address("ORDER_API"), "GET", path, NULL, NULL, TIMEOUT_MS);
    json_t *body = json_loadb(answer->body, answer->body_len, 0, NULL);
    json_array_foreach(json_object_get(body, "data"), i, entry)
    {
        size_t len = strlen(text);
        snprintf(text + len, 4096 - len, "%s%s", len ? " " : "",
                 json_string_value(json_object_get(entry, "event")));
    }
    json_decref(body);
    http_answer_free(answer);
    return text;
}
