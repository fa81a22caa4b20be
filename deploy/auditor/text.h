/* text.h: ids and hashes. */
#ifndef AUDITOR_TEXT_H
#define AUDITOR_TEXT_H

#include "spill.h"

#define TEXT_UUID_SIZE 37

/* 36 characters, as RFC 9562 writes it; false if it is none. */
bool text_uuid(const char *at, size_t len, struct audit_id *ret_id);
void text_format_uuid(const struct audit_id *id, char ret_text[TEXT_UUID_SIZE]);
/* The first eight bytes of SHA-256, as the queries have them. */
int64_t text_hash(const char *at, size_t len);

#endif
