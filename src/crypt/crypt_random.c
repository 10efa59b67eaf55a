/*
 * crypt_random.c - random bytes from the kernel, wiping, comparison in constant time.
 */
#include "ms/crypt.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

void crypt_random(void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        MS_ASSERT(got > 0);
        at += got;
        len -= (size_t)got;
    }
}

void crypt_wipe(void *ptr, size_t len)
{
    if (len > 0)
        explicit_bzero(ptr, len);
}

bool crypt_equal(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    uint8_t diff = 0;
    for (size_t i = 0; i < len; i++)
        diff |= (uint8_t)(x[i] ^ y[i]);
    return diff == 0;
}
