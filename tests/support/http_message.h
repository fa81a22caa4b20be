/* http_message.h: HTTP/1.1 messages as bytes: what the two clients of http.h share. */
#ifndef SUPPORT_HTTP_MESSAGE_H
#define SUPPORT_HTTP_MESSAGE_H

#include <netinet/in.h>

#include "http.h"

struct http_buffer {
    char *at;
    size_t len, size;
};

void http_buffer_reserve(struct http_buffer *buffer, size_t more);

enum http_parsed { HTTP_MORE, HTTP_COMPLETE, HTTP_BAD };

/* ended: the peer has closed, so no more will come. A chunked body is put together in place. */
enum http_parsed http_parse(struct http_buffer *buffer, bool ended, struct http_answer *ret);

/* Appends a request; base gives the Host. */
void http_write_request(struct http_buffer *buffer, const char *base, const char *method,
                        const char *path, const char *headers, const char *body, size_t body_len);

struct sockaddr_in http_address(const char *base);

#endif
