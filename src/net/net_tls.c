/*
 * net_tls.c - one certificate and key with the settings of every connection that uses it.
 */
#include "net_tls.h"

#include <errno.h>
#include <sys/random.h>

#define NET_TICKET_LIFE_S 86400

/* Server preference: ChaCha20 first, faster than AES-GCM in this library. Forward secrecy and AEAD only. */
static const int tls_suites[] = {
#if NET_MBEDTLS_3
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    0,
};

/* -- random numbers */

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

/* -- loading */

enum ms_err net__tls_fail(struct ms_errinfo *why, enum ms_err err, int rc, const char *what, const char *name)
{
    char text[160];

    mbedtls_strerror(rc, text, sizeof(text));
    return ms_fail(why, err, "%s %s: %s (-0x%04x)", what, name, text, (unsigned)-rc);
}

/* Counts what a client brings back. */
static int ticket_parse(void *arg, mbedtls_ssl_session *session, unsigned char *buf, size_t len)
{
    int rc = mbedtls_ssl_ticket_parse(arg, session, buf, len);

    if (rc == 0)
        obs_count(MET_TLS_RESUMED, 1);
    return rc;
}

static enum ms_err tls_load_files(struct net_tls *tls, const char *cert_path, const char *key_path,
                                  struct ms_errinfo *why_out)
{
    int rc = mbedtls_x509_crt_parse_file(&tls->chain, cert_path);

    if (rc > 0)
        return ms_fail(why_out, MS_EINVAL, "certificate %s: %d of the certificates in it cannot be read",
                       cert_path, rc);
    if (rc < 0)
        return net__tls_fail(why_out, MS_EINVAL, rc, "certificate", cert_path);
    rc = net_tls_parse_keyfile(&tls->key, key_path, net__tls_random);
    if (rc)
        return net__tls_fail(why_out, MS_EINVAL, rc, "key", key_path);
    if (net_tls_check_pair(&tls->chain.pk, &tls->key, net__tls_random))
        return ms_fail(why_out, MS_EINVAL, "key %s does not belong to the first certificate of %s", key_path,
                       cert_path);
    return MS_OK;
}

static enum ms_err tls_configure(struct net_tls *tls, struct ms_errinfo *why_out)
{
    int rc = mbedtls_ssl_config_defaults(&tls->conf, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc == 0)
        rc = mbedtls_ssl_conf_own_cert(&tls->conf, &tls->chain, &tls->key);
    if (rc == 0)
        rc = mbedtls_ssl_ticket_setup(&tls->tickets, net__tls_random, NULL, MBEDTLS_CIPHER_AES_256_GCM,
                                      NET_TICKET_LIFE_S);
    if (rc)
        return net__tls_fail(why_out, MS_EINVAL, rc, "TLS", "settings");
    net_tls_conf_min_1_2(&tls->conf);
    mbedtls_ssl_conf_ciphersuites(&tls->conf, tls_suites);
    mbedtls_ssl_conf_rng(&tls->conf, net__tls_random, NULL);
    mbedtls_ssl_conf_authmode(&tls->conf, MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_session_tickets_cb(&tls->conf, mbedtls_ssl_ticket_write, ticket_parse, &tls->tickets);
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(&tls->conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
    return MS_OK;
}

static void tls_free(struct net_tls *tls)
{
    mbedtls_ssl_config_free(&tls->conf);
    mbedtls_ssl_ticket_free(&tls->tickets);
    mbedtls_pk_free(&tls->key);
    mbedtls_x509_crt_free(&tls->chain);
    ms_free(tls);
}

enum ms_err net_tls_load(const char *cert_path, const char *key_path, struct net_tls **out,
                         struct ms_errinfo *why_out)
{
    if (net_tls_global_init())
        return ms_fail(why_out, MS_EUNSUPPORTED, "the TLS library does not start");
    struct net_tls *tls = ms_new(struct net_tls);

    atomic_store(&tls->refs, 1);
    mbedtls_x509_crt_init(&tls->chain);
    mbedtls_pk_init(&tls->key);
    mbedtls_ssl_config_init(&tls->conf);
    mbedtls_ssl_ticket_init(&tls->tickets);
    enum ms_err err = tls_load_files(tls, cert_path, key_path, why_out);
    if (!err)
        err = tls_configure(tls, why_out);
    if (err) {
        tls_free(tls);
        return err;
    }
    *out = tls;
    return MS_OK;
}

struct net_tls *net_tls_ref(struct net_tls *tls)
{
    atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
    return tls;
}

void net_tls_unref(struct net_tls **tls)
{
    struct net_tls *t = *tls;

    *tls = NULL;
    if (t && atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1)
        tls_free(t);
}
