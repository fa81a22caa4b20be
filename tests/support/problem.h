/*
 * problem.h: an answer that says no, compared as a whole: every member of its application/problem+
 * json as the contract has it, and no other. Only request_id differs from one to the next: it must
 * be the one of X-Request-Id.
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

#endif
