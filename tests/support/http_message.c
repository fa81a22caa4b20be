/* http_message.c: reads HTTP/1.1 answers and writes requests. */
#include "http_message.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void http_buffer_reserve(struct http_buffer *buffer, size_t more)
{
    if (buffer->len + more <= buffer->size)
        return;
    size_t size = buffer->size == 0 ? 4096 : buffer->size;
    while (size < buffer->len + more)
        size *= 2;
    buffer->at = realloc(buffer->at, size);
    if (buffer->at == NULL)
        abort();
    buffer->size = size;
}

struct sockaddr_in http_address(const char *base)
{
    unsigned a, b, c, d, port;
    int used = 0;

    if (sscanf(base, "http://%3u.%3u.%3u.%3u:%5u%n", &a, &b, &c, &d, &port, &used) != 5 ||
        base[used] != '\0' || a != 127 || b > 255 || c > 255 || d > 255 || port > 65535) {
        fprintf(stderr, "%s: refused: only http://127.x.x.x:port may be put under load\n", base);
        exit(2);
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(a << 24 | b << 16 | c << 8 | d);
    return address;
}

void http_loopback_only(const char *base)
{
    http_address(base);
}

bool http_header(const struct http_answer *answer, const char *name, char *buffer, size_t size)
{
    size_t name_len = strlen(name);
    const char *line = answer->head, *end = answer->head + answer->head_len;

    while (line < end) {
        const char *next = memmem(line, (size_t)(end - line), "\r\n", 2);
        const char *stop = next == NULL ? end : next;
        if ((size_t)(stop - line) > name_len && line[name_len] == ':' &&
            strncasecmp(line, name, name_len) == 0) {
            line += name_len + 1;
            while (line < stop && *line == ' ')
                line++;
            snprintf(buffer, size, "%.*s", (int)(stop - line), line);
            return true;
        }
        line = stop + 2;
    }
    return false;
}

/* The length of all chunks and where they end; HTTP_MORE while the last one is missing. */
static enum http_parsed join_chunks(char *at, size_t len, bool join, size_t *ret_len)
{
    size_t from = 0, to = 0;

    for (;;) {
        char *line_end = memmem(at + from, len - from, "\r\n", 2);
        if (line_end == NULL)
            return HTTP_MORE;
        char *stop;
        size_t chunk = strtoul(at + from, &stop, 16);
        if (stop == at + from || chunk > 1u << 30)
            return HTTP_BAD;
        from = (size_t)(line_end - at) + 2;
        if (from + chunk + 2 > len)
            return HTTP_MORE;
        if (chunk == 0)
            break;
        if (join)
            memmove(at + to, at + from, chunk);
        to += chunk;
        from += chunk + 2;
    }
    if (join)
        at[to] = '\0';
    *ret_len = to;
    return HTTP_COMPLETE;
}

enum http_parsed http_parse(struct http_buffer *buffer, bool ended, struct http_answer *ret)
{
    char *head_end = memmem(buffer->at, buffer->len, "\r\n\r\n", 4);
    if (head_end == NULL)
        return ended ? HTTP_BAD : HTTP_MORE;
    http_buffer_reserve(buffer, 1);
    buffer->at[buffer->len] = '\0';
    head_end = memmem(buffer->at, buffer->len, "\r\n\r\n", 4);

    struct http_answer answer = {.head = buffer->at, .body = head_end + 4};
    answer.head_len = (size_t)(head_end - buffer->at);
    answer.body_len = buffer->len - answer.head_len - 4;
    if (sscanf(answer.head, "HTTP/1.%*1d %3d", &answer.status) != 1)
        return HTTP_BAD;
    char value[64];
    bool bodyless = answer.status == 204 || answer.status == 304;
    if (bodyless) {
        answer.body_len = 0;
    } else if (http_header(&answer, "Transfer-Encoding", value, sizeof value)) {
        char *body = head_end + 4;
        size_t len = answer.body_len;
        enum http_parsed parsed = join_chunks(body, len, false, &answer.body_len);
        if (parsed == HTTP_MORE && ended)
            return HTTP_BAD;
        if (parsed != HTTP_COMPLETE)
            return parsed;
        join_chunks(body, len, true, &answer.body_len);
    } else if (http_header(&answer, "Content-Length", value, sizeof value)) {
        size_t length = strtoul(value, NULL, 10);
        if (answer.body_len < length)
            return ended ? HTTP_BAD : HTTP_MORE;
        answer.body_len = length;
    } else if (!ended) {
        return HTTP_MORE;
    }
    *ret = answer;
    return HTTP_COMPLETE;
}

void http_write_request(struct http_buffer *buffer, const char *base, const char *method,
                        const char *path, const char *headers, const char *body, size_t body_len)
{
    char length[48] = "";
    if (body != NULL)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", body_len);
    http_buffer_reserve(buffer, strlen(method) + strlen(path) + strlen(base) + strlen(length) +
                                    (headers == NULL ? 0 : strlen(headers)) + body_len + 64);
    buffer->len +=
        (size_t)sprintf(buffer->at + buffer->len, "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n", method,
                        path, base + strlen("http://"), headers == NULL ? "" : headers, length);
    if (body != NULL)
        memcpy(buffer->at + buffer->len, body, body_len);
    buffer->len += body_len;
}
