/* text.c: ids and hashes. */
#include "text.h"

#include <endian.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_uuid(const char *at, size_t len, struct audit_id *ret_id)
{
    size_t digits = 0;
    if (at == NULL || len != TEXT_UUID_SIZE - 1)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash != (at[i] == '-') || (!dash && digit(at[i]) < 0))
            return false;
        if (dash)
            continue;
        unsigned char *byte = &ret_id->bytes[digits++ / 2];
        *byte = (unsigned char)(*byte << 4 | digit(at[i]));
    }
    return true;
}

void text_format_uuid(const struct audit_id *id, char ret_text[TEXT_UUID_SIZE])
{
    size_t len = 0;
    for (size_t i = 0; i < sizeof id->bytes; i++)
        len += (size_t)snprintf(ret_text + len, TEXT_UUID_SIZE - len, "%s%02x",
                                i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id->bytes[i]);
}

int64_t text_uuid_ms(const struct audit_id *id)
{
    int64_t ms = 0;
    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | id->bytes[i];
    return id->bytes[6] >> 4 == 7 ? ms : -1;
}

int64_t text_hash(const char *at, size_t len)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    uint64_t first;
    SHA256((const unsigned char *)(at ? at : ""), len, digest);
    memcpy(&first, digest, sizeof first);
    return (int64_t)be64toh(first);
}
