/* problem.c: what each code of the contract says, and each page of libmicrohttpd; see problem.h. */
#include "problem.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char why[2048];

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
    {"request_timeout", "The request took too long to arrive"},
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

/* ---- libmicrohttpd's own ---- */

#define PAGE(title, text) "<html><head><title>" title "</title></head><body>" text "</body></html>"

/* It sends some heads twice: what they tell of the length of the page holds for neither. */
static const struct page {
    const char *name, *status;
    int heads;
    const char *text;
} pages[] = {
    {"page:syntax", "400 Bad Request", 1,
     PAGE("Request malformed", "Your HTTP request was syntactically incorrect.")},
    {"page:host", "400 Bad Request", 2,
     PAGE("&quot;Host:&quot; header required",
          "In HTTP 1.1, requests must include a &quot;Host:&quot; header, and your HTTP 1.1 "
          "request lacked such a header.")},
    {"page:length", "400 Bad Request", 2,
     PAGE("Request malformed",
          "Your HTTP request has wrong value for <b>Content-Length</b> header.")},
    {"page:length_too_large", "413 Content Too Large", 2,
     PAGE("Request content too large",
          "Your HTTP request has too large value for <b>Content-Length</b> header.")},
    {"page:chunk", "400 Bad Request", 1,
     PAGE("Request malformed", "Your HTTP chunked encoding was syntactically incorrect.")},
    {"page:chunk_too_large", "413 Content Too Large", 1,
     PAGE("Request content too large",
          "The chunk size used in your HTTP chunked encoded request is too large.")},
    {"page:version", "505 HTTP Version Not Supported", 1,
     PAGE("Requested HTTP version is not supported", "Requested HTTP version is not supported.")},
};

bool problem_is_page(const char *code)
{
    return code != NULL && strncmp(code, "page:", 5) == 0;
}

const char *page_differs(const char *bytes, size_t len, const char *name)
{
    char date[64] = "", head[256], wanted[1024];
    const struct page *page = pages;
    struct http_answer answer = {.head = bytes, .head_len = len};
    while (strcmp(page->name, name) != 0)
        if (++page == pages + sizeof pages / sizeof *pages)
            abort();
    http_header(&answer, "Date", date, sizeof date);
    snprintf(head, sizeof head,
             "HTTP/1.1 %s\r\nDate: %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
             page->status, date, strlen(page->text));
    size_t wanted_len = (size_t)snprintf(wanted, sizeof wanted, "%s%s%s", head,
                                         page->heads == 2 ? head : "", page->text);
    snprintf(why, sizeof why, "%.*s, not %s", len < 1000 ? (int)len : 1000, bytes, wanted);
    return len == wanted_len && *date != '\0' && memcmp(bytes, wanted, len) == 0 ? NULL : why;
}

/* ---- an order ---- */

static json_int_t total_of(json_t *items)
{
    json_int_t total = 0;
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        total += json_integer_value(json_object_get(item, "quantity")) *
                 json_integer_value(json_object_get(item, "unit_amount"));
    }
    return total;
}

/* What was sent becomes what is to be answered. */
static void complete(json_t *order)
{
    json_t *metadata = json_object_get(order, "metadata");
    json_object_set_new(order, "object", json_string("order"));
    json_object_set_new(order, "status", json_string("pending"));
    json_object_set_new(order, "status_reason", json_null());
    json_object_set_new(order, "tracking_number", json_null());
    json_object_set_new(
        order, "amount",
        json_pack("{sI si}", "total", total_of(json_object_get(order, "items")), "refunded", 0));
    if (metadata == NULL || json_is_null(metadata))
        json_object_set_new(order, "metadata", json_object());
}

/* Those of the order; they are taken out of it. */
static bool are_times(json_t *order)
{
    char text[3][32];
    static const char *const names[] = {"created_at", "updated_at", "deadline_at"};
    for (size_t i = 0; i < 3; i++) {
        const char *said = json_string_value(json_object_get(order, names[i]));
        snprintf(text[i], sizeof text[i], "%s", said ? said : "");
        json_object_del(order, names[i]);
        if (strlen(text[i]) != strlen("2026-11-28T09:51:24.010Z") || text[i][23] != 'Z')
            return false;
    }
    return strcmp(text[0], text[1]) == 0 && strcmp(text[0], text[2]) < 0;
}

/* The id is taken out of the order. */
static bool is_at(const struct http_answer *answer, json_t *order)
{
    char location[80] = "", wanted[80], type[64] = "", request[80] = "";
    const char *id = json_string_value(json_object_get(order, "id"));
    snprintf(wanted, sizeof wanted, "/v1/orders/%s", id ? id : "");
    bool whole = id != NULL && strlen(id) == 36;
    json_object_del(order, "id");
    http_header(answer, "Location", location, sizeof location);
    http_header(answer, "Content-Type", type, sizeof type);
    http_header(answer, "X-Request-Id", request, sizeof request);
    return whole && strcmp(location, wanted) == 0 && strcmp(type, "application/json") == 0 &&
           *request != '\0';
}

const char *order_differs(const struct http_answer *answer, const char *body, size_t len)
{
    json_t *order = json_loadb(answer->body, answer->body_len, JSON_REJECT_DUPLICATES, NULL);
    json_t *wanted = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
    complete(wanted);
    bool placed = is_at(answer, order), timed = are_times(order);
    bool same = answer->status == 201 && placed && timed && json_equal(order, wanted);
    char *text = json_dumps(wanted, JSON_COMPACT);
    snprintf(why, sizeof why, "%d, not 201: %.*s, not %.900s%s%s", answer->status,
             answer->body_len < 900 ? (int)answer->body_len : 900, answer->body, text,
             placed ? "" : " (and its headers are wrong)", timed ? "" : " (and its times are)");
    free(text);
    json_decref(order);
    json_decref(wanted);
    return same ? NULL : why;
}
