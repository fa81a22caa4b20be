/* letter.c: a dead letter as its row has it, read back: bytes and headers of any kind. */
#include <stdlib.h>

#include "runtime/engine_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    struct envelope_header headers[ENVELOPE_HEADERS_MAX];
    struct saga_text kept = {(const char *)data, size};
    struct saga_text bytes = park_bytes(&arena, kept);
    if (bytes.at != NULL && bytes.len > size)
        abort();
    bool too_many;
    if (park_headers(&arena, kept, headers, &too_many) > ENVELOPE_HEADERS_MAX)
        abort();
    arena_reset(&arena);
    return 0;
}
