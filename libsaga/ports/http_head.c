/*
 * http_head.c: whether a request's head can be relied on. libmicrohttpd takes more than a strict
 * reader would, and who stands before us may have taken it otherwise: then one of us sees a request
 * where the other sees the body of the one before.
 *
 * libmicrohttpd reads the head in place: it puts a NUL where a word ends, and two for CRLF, one for
 * a line feed alone. So where the parts of a head lie tells what stood between them: anything but
 * one blank, or CRLF, refuses the request. That is a line that ends otherwise or goes on in the
 * next one, and a NUL, behind which a line or the whole head would be over (RFC 9112, 2.2, 3, 5).
 * Two things leave as many NULs as CRLF does, and are taken for it: a NUL at the end of a line, and
 * a colon that has a line to itself where that line or the one before ends with a line feed alone.
 */
#include <stdlib.h>

#include "ports/http_inside.h"

struct head {
    const char *at; /* where the next part has to begin */
    size_t bytes, fields, hosts;
    bool malformed;
};

/* RFC 9110, 5.6.2. */
static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr("-!#$%&'*+.^_`|~", c) != NULL)))
            return false;
    }
    return len > 0;
}

static bool is_target(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7F)
            return false;
    return true;
}

/* "Content-Length : 9" would be a field of another name. */
static enum MHD_Result look_at_field(void *opaque, enum MHD_ValueKind kind, const char *name,
                                     size_t name_len, const char *value, size_t value_len)
{
    (void)kind;
    struct head *head = opaque;
    head->bytes += name_len + value_len + 4;
    head->fields++;
    head->hosts += name_len == 4 && strncasecmp(name, "Host", 4) == 0;
    if (name != head->at || !is_token(name, name_len) ||
        (value_len > 0 && memchr(value, '\r', value_len) != NULL))
        head->malformed = true;
    head->at = value + value_len + 2;
    return MHD_YES;
}

/* method, version: as libmicrohttpd has them, in place. */
static struct head look_at_head(const struct http_exchange *exchange, const char *method,
                                const char *version)
{
    struct MHD_Connection *library = exchange->connection->library;
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const char *target = method + strlen(method) + 1;
    struct head head = {.at = version + strlen(version) + 2};
    if (!is_token(method, strlen(method)) || target != exchange->target_at ||
        !is_target(exchange->target) || version != target + strlen(exchange->target) + 1)
        head.malformed = true;
    MHD_get_connection_values_n(library, MHD_HEADER_KIND, look_at_field, &head);
    if (size == NULL || head.at + 2 != method + size->header_size ||
        memcmp(head.at - 2, "\0\0\0", 4) != 0)
        head.malformed = true;
    return head;
}

const char *http_raw_header(const struct http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection->library, MHD_HEADER_KIND, name);
}

/* Whether it is in doubt where the body ends: who stands before us may have read it otherwise, and
 * taken for a second request what we take for the body, or the other way round (RFC 9112, 6.3).
 * HTTP/1.0 has no chunks: who speaks it and sends them is passing on what he has not read (6.1). */
static bool is_ambiguous(const struct http_exchange *exchange, const char *version)
{
    const char *encoding = http_raw_header(exchange, "Transfer-Encoding");
    size_t lengths = http_header_count(exchange, "Content-Length");
    if (encoding == NULL)
        return lengths > 1;
    return lengths > 0 || strcmp(version, MHD_HTTP_VERSION_1_0) == 0 ||
           http_header_count(exchange, "Transfer-Encoding") > 1 ||
           strcasecmp(encoding, "chunked") != 0;
}

size_t http_body_length(const struct http_exchange *exchange)
{
    const char *length = http_raw_header(exchange, "Content-Length");
    return length != NULL ? strtoull(length, NULL, 10) : HTTP_BODY_MAX;
}

enum http_refusal http_head_refusal(const struct http_exchange *exchange, const char *method,
                                    const char *version)
{
    struct head head = look_at_head(exchange, method, version);
    if (strlen(exchange->target) > HTTP_TARGET_MAX)
        return HTTP_TARGET_TOO_LONG;
    if (head.bytes > HTTP_HEADERS_MAX || head.fields > HTTP_FIELDS_MAX)
        return HTTP_HEAD_TOO_LARGE;
    if (head.malformed || head.hosts > 1)
        return HTTP_MALFORMED;
    if (is_ambiguous(exchange, version))
        return HTTP_AMBIGUOUS;
    if (http_body_length(exchange) > HTTP_BODY_MAX)
        return HTTP_BODY_TOO_LARGE;
    return HTTP_NOT_REFUSED;
}
