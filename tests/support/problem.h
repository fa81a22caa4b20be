/*
 * problem.h: an answer, compared as a whole.
 *
 * One that says no: every member of its application/problem+json as the contract has it, and no
 * other. Only request_id differs from one to the next: it must be the one of X-Request-Id. A page
 * that libmicrohttpd itself answers with: every byte but the Date. An order that was made: what
 * was asked for, and what follows from it.
 */
#ifndef SUPPORT_PROBLEM_H
#define SUPPORT_PROBLEM_H

#include "http.h"

/*
 * detail NULL: some text (a JSON parser's own words). pointer: of the one field that is wrong,
 * with `fault` as what is said of it (NULL: some text); pointer NULL: there are no errors in it.
 * NULL if the answer is that; otherwise how it differs, until the next call.
 */
const char *problem_differs(const struct http_answer *answer, int status, const char *code,
                            const char *detail, const char *pointer, const char *fault);

/* The names of libmicrohttpd's own pages begin so: "page:syntax". */
bool problem_is_page(const char *code);
/* bytes: all that came until the server closed. */
const char *page_differs(const char *bytes, size_t len, const char *page);

/* A 201 to this body. Its id and its times are its own, but Location has the id. */
const char *order_differs(const struct http_answer *answer, const char *body, size_t len);

#endif
