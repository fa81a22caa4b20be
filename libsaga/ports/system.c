/* system.c: clocks, random bytes and digests by the C library, the kernel and OpenSSL. */
#include "ports/system.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t system_now_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t system_monotonic_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static void fill_random(char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t got = getrandom(bytes, len, 0);
        if (got < 0)
            continue; /* interrupted */
        bytes += got;
        len -= (size_t)got;
    }
}

/* Asking the kernel costs more than the bytes do: a thread asks for some ids' worth at once. What
 * is given out is forgotten, so that it stands nowhere twice. */
void system_random(void *bytes, size_t len)
{
    static _Thread_local char store[1024];
    static _Thread_local size_t left;
    if (len > sizeof store / 4) {
        fill_random(bytes, len);
        return;
    }
    if (left < len) {
        fill_random(store, sizeof store);
        left = sizeof store;
    }
    left -= len;
    memcpy(bytes, store + left, len);
    explicit_bzero(store + left, len);
}

/* RFC 9562, 6.2, method 1: 12 bits of counter behind the milliseconds, so that the ids of one
 * process rise even within a millisecond; 62 random bits make them unique. */
struct saga_uuid system_uuid7(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t last_ms;
    static unsigned counter;
    struct saga_uuid id;
    system_random(&id, sizeof id);
    uint64_t ms = (uint64_t)(system_now_us() / 1000);
    pthread_mutex_lock(&lock);
    if (ms > last_ms) {
        last_ms = ms;
        counter = id.bytes[6] & 7u; /* low, to leave room to count */
    } else if (++counter > 0xfff) {
        last_ms++; /* more than 4000 in a millisecond: borrow from the next one */
        counter = 0;
    }
    ms = last_ms;
    unsigned sequence = counter;
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    id.bytes[6] = (uint8_t)(0x70 | sequence >> 8);
    id.bytes[7] = (uint8_t)sequence;
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
    return id;
}

void system_sha256(struct saga_text text, char ret_hex[65])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_Digest(text.at ? text.at : "", text.len, digest, &len, EVP_sha256(), NULL) != 1)
        abort(); /* without memory, or without SHA-256: neither can go on */
    for (unsigned i = 0; i < 32; i++) {
        ret_hex[2 * i] = hex[digest[i] >> 4];
        ret_hex[2 * i + 1] = hex[digest[i] & 15];
    }
    ret_hex[64] = '\0';
}
