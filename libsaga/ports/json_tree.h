/* json_tree.h: HTTP bodies, read strictly, every fault found. The only place that knows jansson. */
#ifndef PORTS_JSON_TREE_H
#define PORTS_JSON_TREE_H

#include "core/arena.h"
#include "saga/shape.h"

/* Called for each faulty field; pointer: JSON pointer as a URI fragment, "#/items/0/quantity". */
typedef void (*json_tree_fault)(void *opaque, const char *pointer, const char *detail);

enum json_tree_result {
    JSON_TREE_OK,
    JSON_TREE_MALFORMED, /* not JSON as we take it; *ret_reason says why */
    JSON_TREE_FAULTY     /* well-formed, and fault was called at least once */
};

/*
 * Malformed: not JSON, not UTF-8, duplicate members, U+0000, lone surrogates, numbers out of range
 * of int64 or double, deeper than 16, trailing bytes. Faulty: a top that is no object, a member
 * that is missing, unknown, of the wrong type (2.0 is no integer), or against its rule. Texts and
 * lists go to the arena; SAGA_JSON values are dumped compact with sorted names, so that equal
 * orders read equal.
 */
enum json_tree_result json_tree_bind(struct arena *arena, struct saga_text body,
                                     const struct saga_shape *shape, void *ret_struct,
                                     json_tree_fault fault, void *opaque, const char **ret_reason);

#endif
