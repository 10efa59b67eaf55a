/*
 * net_tls_random.c - random numbers for mbedTLS: a generator per thread, seeded by the kernel.
 */
#include "net_tls.h"

#include <errno.h>
#include <sys/random.h>

struct tls_rng {
    bool seeded;
    mbedtls_ctr_drbg_context drbg;
};

static _Thread_local struct tls_rng tls_rng;

static int kernel_entropy(void *unused, unsigned char *out, size_t len)
{
    while (len > 0) {
        ssize_t n = getrandom(out, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
        out += n;
        len -= (size_t)n;
    }
    return 0;
}

int net__tls_random(void *unused, unsigned char *out, size_t len)
{
    struct tls_rng *rng = &tls_rng;

    if (!rng->seeded) {
        mbedtls_ctr_drbg_init(&rng->drbg);
        int rc = mbedtls_ctr_drbg_seed(&rng->drbg, kernel_entropy, NULL, NULL, 0);
        if (rc)
            return rc;
        rng->seeded = true;
    }
    return mbedtls_ctr_drbg_random(&rng->drbg, out, len);
}
