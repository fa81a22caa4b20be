/*
 * scan.h: reads a JSON event straight into its struct.
 *
 * Strict RFC 8259: one pass, no tree, no allocation but for unescaped strings and lists, which go
 * to the arena; unescaped strings and SAGA_JSON values are slices of the input. Members that the
 * shape does not name are checked and skipped (a newer producer may say more). Duplicate members,
 * depth over 16, invalid UTF-8, lone surrogates and U+0000 are errors.
 */
#ifndef SCAN_H
#define SCAN_H

#include "core/arena.h"
#include "saga/shape.h"

/* NULL on success and *ret_body filled (it is zeroed first); else a static reason for people:
 * "member 'amount' must be an integer". The input must outlive the body. */
const char *scan_object(struct arena *arena, struct saga_text json, const struct saga_shape *shape,
                        void *ret_body);
/* Only checks that it is one strict JSON value. */
const char *scan_check(struct saga_text json);

#endif
