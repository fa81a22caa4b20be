/* text.h: ids and hashes. */
#ifndef AUDITOR_TEXT_H
#define AUDITOR_TEXT_H

#include "spill.h"

#define TEXT_UUID_SIZE 37

/* 36 characters, as RFC 9562 writes it; false if it is none. */
bool text_uuid(const char *at, size_t len, struct audit_id *ret_id);
void text_format_uuid(const struct audit_id *id, char ret_text[TEXT_UUID_SIZE]);
/* When an id of version 7 was made (Unix time); -1 of another one. */
int64_t text_uuid_ms(const struct audit_id *id);
/* The first eight bytes of SHA-256, as the queries have them. */
int64_t text_hash(const char *at, size_t len);

#endif
