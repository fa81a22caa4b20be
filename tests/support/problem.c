/* problem.c: what each code of the contract says; see problem.h. */
#include "problem.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char why[1024];

/* Written anew: a title that changes is a change of the contract. */
static const struct {
    const char *code, *title;
} titles[] = {
    {"malformed_json", "The body is not acceptable JSON"},
    {"malformed_request", "The request is not well-formed HTTP"},
    {"ambiguous_length", "It is in doubt where the body ends"},
    {"invalid_order", "The order breaks a rule"},
    {"invalid_stock", "The stock breaks a rule"},
    {"invalid_idempotency_key", "The Idempotency-Key is not acceptable"},
    {"order_not_found", "There is no such order"},
    {"order_not_cancellable", "The order can no longer be cancelled"},
    {"sku_not_found", "There is no such SKU"},
    {"later_version", "A later version of the service knows more of this order"},
    {"not_found", "Nothing is here"},
    {"method_not_allowed", "The method is not taken here"},
    {"unsupported_media_type", "The body is of another type"},
    {"body_too_large", "The body is too large"},
    {"target_too_long", "The request target is too long"},
    {"headers_too_large", "The headers are too large"},
};

static const char *title_of(const char *code)
{
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (strcmp(titles[i].code, code) == 0)
            return titles[i].title;
    return "";
}

/* What may be any text becomes what is wanted. */
static void allow_any(json_t *object, const char *name, const char *wanted)
{
    const char *said = json_string_value(json_object_get(object, name));
    if (wanted == NULL && said != NULL && *said != '\0')
        json_object_set_new(object, name, json_string(""));
}

static json_t *wanted_body(int status, const char *code, const char *detail, const char *pointer,
                           const char *fault)
{
    char type[64];
    snprintf(type, sizeof type, "/problems/%s", code);
    json_t *wanted = json_pack("{ss ss si ss ss}", "type", type, "title", title_of(code), "status",
                               status, "detail", detail ? detail : "", "code", code);
    if (pointer != NULL)
        json_object_set_new(
            wanted, "errors",
            json_pack("[{ss ss}]", "pointer", pointer, "detail", fault ? fault : ""));
    return wanted;
}

static bool is_well_told(const struct http_answer *answer, json_t *body)
{
    char type[64] = "", id[80] = "";
    http_header(answer, "Content-Type", type, sizeof type);
    http_header(answer, "X-Request-Id", id, sizeof id);
    const char *said = json_string_value(json_object_get(body, "request_id"));
    return strcmp(type, "application/problem+json") == 0 && *id != '\0' && said != NULL &&
           strcmp(said, id) == 0;
}

const char *problem_differs(const struct http_answer *answer, int status, const char *code,
                            const char *detail, const char *pointer, const char *fault)
{
    json_t *body = json_loadb(answer->body, answer->body_len, JSON_REJECT_DUPLICATES, NULL);
    json_t *wanted = wanted_body(status, code, detail, pointer, fault);
    bool told = is_well_told(answer, body);
    json_object_del(body, "request_id");
    allow_any(body, "detail", detail);
    allow_any(json_array_get(json_object_get(body, "errors"), 0), "detail", fault);
    bool same = answer->status == status && told && json_equal(body, wanted);
    char *text = json_dumps(wanted, JSON_COMPACT);
    snprintf(why, sizeof why, "%d, not %d: %.400s, not %.400s%s", answer->status, status,
             answer->body, text, told ? "" : " (and its headers are wrong)");
    free(text);
    json_decref(body);
    json_decref(wanted);
    return same ? NULL : why;
}
