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
#define NET_TLS_FIELD(name) MBEDTLS_PRIVATE(name)
#else
#define NET_TLS_FIELD(name) name
#endif

/* Highest version the library speaks: 12 or 13. */
#if NET_MBEDTLS_3 && defined(MBEDTLS_SSL_PROTO_TLS1_3)
#define NET_TLS_VERSION_MAX 13
#else
#define NET_TLS_VERSION_MAX 12
#endif

/* The tickets' mutex and the keys' blinding state are only there with this. */
#if !defined(MBEDTLS_THREADING_C)
#error "mbedTLS must be built with MBEDTLS_THREADING_C: one certificate is used by every loop"
#endif

/* Whether the record buffers of a context are where net_tls_doze.c looks for them: versions that were read and
 * measured, whole buffers of at least MBEDTLS_SSL_IN_CONTENT_LEN bytes that nothing resizes. */
#if defined(MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH) || MBEDTLS_SSL_IN_CONTENT_LEN < 16384 ||                     \
    MBEDTLS_SSL_OUT_CONTENT_LEN < 16384
#define NET_TLS_CAN_DOZE 0
#elif MBEDTLS_VERSION_NUMBER >= 0x021c0000 && MBEDTLS_VERSION_NUMBER < 0x021d0000
#define NET_TLS_CAN_DOZE 1
#elif MBEDTLS_VERSION_NUMBER >= 0x03060000 && MBEDTLS_VERSION_NUMBER < 0x03070000
#define NET_TLS_CAN_DOZE 1
#else
#define NET_TLS_CAN_DOZE 0
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

/* pem: with the NUL behind it, which len counts. */
static inline int net_tls_parse_key(mbedtls_pk_context *key, const unsigned char *pem, size_t len,
                                    net_tls_rng_fn *rng)
{
#if NET_MBEDTLS_3
    return mbedtls_pk_parse_key(key, pem, len, NULL, 0, rng, NULL);
#else
    (void)rng;
    return mbedtls_pk_parse_key(key, pem, len, NULL, 0);
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

/* Signs 32 bytes and throws the signature away. */
static inline int net_tls_try_sign(mbedtls_pk_context *key, net_tls_rng_fn *rng)
{
    static const unsigned char hash[32];
    unsigned char sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t len;

#if NET_MBEDTLS_3
    return mbedtls_pk_sign(key, MBEDTLS_MD_SHA256, hash, sizeof(hash), sig, sizeof(sig), &len, rng, NULL);
#else
    return mbedtls_pk_sign(key, MBEDTLS_MD_SHA256, hash, sizeof(hash), sig, &len, rng, NULL);
#endif
}

/* version: 12 or 13, at most NET_TLS_VERSION_MAX. */
static inline void net_tls_conf_min(mbedtls_ssl_config *conf, int version)
{
#if NET_MBEDTLS_3
    mbedtls_ssl_conf_min_tls_version(conf,
                                     version == 13 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2);
#else
    (void)version;
    mbedtls_ssl_conf_min_version(conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
}

/* TLS 1.3: fresh keys also behind a ticket (RFC 8446 2.2). */
static inline void net_tls_conf_13(mbedtls_ssl_config *conf, bool tickets)
{
#if NET_TLS_VERSION_MAX == 13
    mbedtls_ssl_conf_tls13_key_exchange_modes(conf, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ALL);
#if defined(MBEDTLS_SSL_SESSION_TICKETS)
    mbedtls_ssl_conf_new_session_tickets(conf, tickets ? 1 : 0);
#endif
#else
    (void)conf;
    (void)tickets;
#endif
}

#endif
