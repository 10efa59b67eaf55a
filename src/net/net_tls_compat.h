/*
 * net_tls_compat.h - the differences between mbedTLS 2.28 and 3.6 that this module meets, in one place.
 */
#ifndef MS_NET_TLS_COMPAT_H
#define MS_NET_TLS_COMPAT_H

#include <mbedtls/version.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>

#define NET_MBEDTLS_3 (MBEDTLS_VERSION_NUMBER >= 0x03000000)

#if NET_MBEDTLS_3
#include <psa/crypto.h>
#endif

/* The tickets' mutex and the keys' blinding state are only there with this. */
#if !defined(MBEDTLS_THREADING_C)
#error "mbedTLS must be built with MBEDTLS_THREADING_C: one certificate is used by every loop"
#endif

typedef int net_tls_rng_fn(void *unused, unsigned char *out, size_t len);

static inline int net_tls_global_init(void)
{
#if NET_MBEDTLS_3
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1; /* TLS 1.3 needs it */
#else
    return 0;
#endif
}

static inline int net_tls_parse_keyfile(mbedtls_pk_context *key, const char *path, net_tls_rng_fn *rng)
{
#if NET_MBEDTLS_3
    return mbedtls_pk_parse_keyfile(key, path, NULL, rng, NULL);
#else
    (void)rng;
    return mbedtls_pk_parse_keyfile(key, path, NULL);
#endif
}

static inline int net_tls_check_pair(const mbedtls_pk_context *pub, const mbedtls_pk_context *key,
                                     net_tls_rng_fn *rng)
{
#if NET_MBEDTLS_3
    return mbedtls_pk_check_pair(pub, key, rng, NULL);
#else
    (void)rng;
    return mbedtls_pk_check_pair(pub, key);
#endif
}

static inline void net_tls_conf_min_1_2(mbedtls_ssl_config *conf)
{
#if NET_MBEDTLS_3
    mbedtls_ssl_conf_min_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    mbedtls_ssl_conf_min_version(conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
}

#endif
