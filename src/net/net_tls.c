/*
 * net_tls.c - the snapshot: certificates with their names, and the settings of every connection that uses it.
 *
 * A lane is a set of settings with RSA keys of its own; connections take lanes in turn. The library locks an RSA key
 * for a whole operation (its blinding state), so with one key handshakes would run one at a time on all threads
 * together. An EC key needs no lock once it has signed: its table of multiples, made by the first signature, is then
 * only read (invariant 1).
 *
 * Invariants:
 *  1. A key has signed once before another thread sees it.
 *  2. conf's own certificates are those for a client that names no host; the SNI callback adds for one connection.
 */
#include "net_tls.h"

#include <unistd.h>

#define NET_TICKET_LIFE_MS 43200000
#define NET_TLS_SHAKE_MS   30000

/* Server preference: ECDSA first (a third of the work), then ChaCha20, faster than AES-GCM in this library. Forward
 * secrecy and AEAD only. The library takes the first of these that the client offers, has the hash for, and that one
 * of the certificates can do. */
static const int tls_suites[] = {
#if NET_TLS_VERSION_MAX == 13
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    0,
};

/* -- certificates */

static enum ms_err entry_read_keys(struct net_tls *tls, struct net_tls_entry *e,
                                   const struct net_tls_cert *cert, struct ms_errinfo *why_out)
{
    bool is_rsa = mbedtls_pk_can_do(&e->chain.pk, MBEDTLS_PK_RSA);

    e->key_count = is_rsa ? tls->lane_count : 1;
    MS_TRY(net__tls_read_key(e->keys, e->key_count, cert->key_path, why_out));
    if (net_tls_check_pair(&e->chain.pk, &e->keys[0], net__tls_random))
        return ms_fail(why_out, MS_EINVAL, "key %s does not belong to the first certificate of %s",
                       cert->key_path, cert->cert_path);
    for (unsigned i = 0; i < e->key_count; i++) {
        int rc = net_tls_try_sign(&e->keys[i], net__tls_random); /* invariant 1 */
        if (rc)
            return net__tls_fail(why_out, MS_EINVAL, rc, "key", cert->key_path);
    }
    return MS_OK;
}

static enum ms_err entry_load(struct net_tls *tls, const struct net_tls_cert *cert,
                              struct ms_errinfo *why_out)
{
    struct net_tls_entry *e = &tls->entries[tls->entry_count++];

    mbedtls_x509_crt_init(&e->chain);
    for (size_t i = 0; i < MS_ARRAY_LEN(e->keys); i++)
        mbedtls_pk_init(&e->keys[i]);
    MS_TRY(net__tls_read_chain(&e->chain, "certificate", cert->cert_path, why_out));
    net__tls_names_of(&e->chain, &e->names);
    return entry_read_keys(tls, e, cert, why_out);
}

static void entry_fini(struct net_tls_entry *e)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(e->keys); i++)
        mbedtls_pk_free(&e->keys[i]);
    mbedtls_x509_crt_free(&e->chain);
    net__tls_names_fini(&e->names);
}

/* -- which certificates a connection offers */

typedef int offer_fn(void *arg, mbedtls_x509_crt *chain, mbedtls_pk_context *key);

static int offer_matching(struct net_tls_lane *lane, struct slice host, enum net_tls_match least,
                          offer_fn *offer, void *arg, unsigned *count_out)
{
    for (size_t i = 0; i < lane->tls->entry_count; i++) {
        struct net_tls_entry *e = &lane->tls->entries[i];
        if (net__tls_names_match(&e->names, host) < least)
            continue;
        ++*count_out;
        int rc = offer(arg, &e->chain, &e->keys[lane->index % e->key_count]);
        if (rc)
            return rc;
    }
    return 0;
}

/* Those that carry the name itself; else those with a wildcard for it. */
static int offer_for(struct net_tls_lane *lane, struct slice host, offer_fn *offer, void *arg)
{
    unsigned count = 0;
    int rc = offer_matching(lane, host, NET_TLS_MATCH_EXACT, offer, arg, &count);

    if (rc == 0 && count == 0)
        rc = offer_matching(lane, host, NET_TLS_MATCH_WILDCARD, offer, arg, &count);
    return rc;
}

static int offer_to_client(void *ssl, mbedtls_x509_crt *chain, mbedtls_pk_context *key)
{
    return mbedtls_ssl_set_hs_own_cert(ssl, chain, key);
}

static int offer_to_all(void *conf, mbedtls_x509_crt *chain, mbedtls_pk_context *key)
{
    return mbedtls_ssl_conf_own_cert(conf, chain, key);
}

/* RFC 6066 3. A name that nobody has: the certificates without a name are offered, many mail clients do not look. */
static int on_sni(void *lane, mbedtls_ssl_context *ssl, const unsigned char *name, size_t len)
{
    return offer_for(lane, slice_make(name, len), offer_to_client, ssl);
}

/* Without a name: the first certificate, and others that carry its first name (the same host with another kind of
 * key). */
static int conf_default_certs(struct net_tls_lane *lane)
{
    struct net_tls_entry *first = &lane->tls->entries[0];

    if (first->names.count > 0)
        return offer_for(lane, slice_cstr(first->names.items[0]), offer_to_all, &lane->conf);
    return offer_to_all(&lane->conf, &first->chain, &first->keys[lane->index % first->key_count]);
}

/* -- settings */

static enum ms_err lane_init(struct net_tls *tls, const struct net_tls_spec *spec, unsigned index,
                             struct ms_errinfo *why_out)
{
    struct net_tls_lane *lane = &tls->lanes[index];
    mbedtls_ssl_config *conf = &lane->conf;

    *lane = (struct net_tls_lane){.tls = tls, .index = index};
    mbedtls_ssl_config_init(conf);
    int rc = mbedtls_ssl_config_defaults(conf, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc == 0)
        rc = conf_default_certs(lane);
    if (rc)
        return net__tls_fail(why_out, MS_EINVAL, rc, "TLS", "settings");
    net_tls_conf_min(conf, spec->min_version ? spec->min_version : 12);
    mbedtls_ssl_conf_ciphersuites(conf, tls_suites);
    mbedtls_ssl_conf_rng(conf, net__tls_random, NULL);
    mbedtls_ssl_conf_sni(conf, on_sni, lane);
    mbedtls_ssl_conf_authmode(conf, tls->has_ca ? MBEDTLS_SSL_VERIFY_OPTIONAL : MBEDTLS_SSL_VERIFY_NONE);
    if (tls->has_ca)
        mbedtls_ssl_conf_ca_chain(conf, &tls->ca, NULL);
    if (tls->tickets)
        net__tls_tickets_conf(tls->tickets, conf);
    /* A ticket of TLS 1.3 carries no client certificate: who resumed would lose his name. */
    net_tls_conf_13(conf, tls->tickets && !tls->has_ca);
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
    return MS_OK;
}

static bool ca_equal(const struct net_tls *a, const struct net_tls *b)
{
    const mbedtls_x509_crt *x = &a->ca, *y = &b->ca;

    if (!a->has_ca || !b->has_ca)
        return a->has_ca == b->has_ca;
    for (; x && y; x = x->next, y = y->next)
        if (!slice_eq(slice_make(x->raw.p, x->raw.len), slice_make(y->raw.p, y->raw.len)))
            return false;
    return !x && !y;
}

static bool names_equal(const struct net_tls_names *a, const struct net_tls_names *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return a->count == b->count;
}

/* The same names with the same kinds of keys: every client gets the suite that it had. The library announces the suite
 * it would choose now also when it resumes, and a client that sees another one breaks the handshake off. */
static bool choice_equal(const struct net_tls *a, const struct net_tls *b)
{
    for (size_t i = 0; i < a->entry_count && i < b->entry_count; i++) {
        const struct net_tls_entry *x = &a->entries[i], *y = &b->entries[i];
        if (mbedtls_pk_get_type(&x->chain.pk) != mbedtls_pk_get_type(&y->chain.pk) ||
            mbedtls_pk_get_bitlen(&x->chain.pk) != mbedtls_pk_get_bitlen(&y->chain.pk) ||
            !names_equal(&x->names, &y->names))
            return false;
    }
    return a->entry_count == b->entry_count;
}

/* Keys go on when tickets made by them still say the truth: a ticket holds a suite, and that its client was
 * verified. */
static enum ms_err tickets_init(struct net_tls *tls, const struct net_tls_spec *spec,
                                struct ms_errinfo *why_out)
{
    const struct net_tls *before = spec->inherit;

    if (spec->ticket_ms == 0)
        return MS_OK;
    if (before && before->tickets && before->tickets->life_ms == spec->ticket_ms && ca_equal(before, tls) &&
        choice_equal(before, tls)) {
        tls->tickets = net__tls_tickets_ref(before->tickets);
        return MS_OK;
    }
    return net__tls_tickets_create(spec->ticket_ms, &tls->tickets, why_out);
}

/* -- life */

static unsigned lanes_wanted(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return cores < 1 ? 1 : (unsigned)MS_MIN(cores, NET_TLS_LANES_MAX);
}

static enum ms_err tls_fill(struct net_tls *tls, const struct net_tls_spec *spec, struct ms_errinfo *why_out)
{
    for (size_t i = 0; i < spec->cert_count; i++)
        MS_TRY(entry_load(tls, &spec->certs[i], why_out));
    if (spec->client_ca) {
        tls->has_ca = true;
        MS_TRY(net__tls_read_chain(&tls->ca, "client_ca", spec->client_ca, why_out));
    }
    MS_TRY(tickets_init(tls, spec, why_out));
    for (unsigned i = 0; i < tls->lane_count; i++)
        MS_TRY(lane_init(tls, spec, i, why_out));
    return MS_OK;
}

static void tls_free(struct net_tls *tls)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(tls->lanes); i++)
        mbedtls_ssl_config_free(&tls->lanes[i].conf);
    net__tls_tickets_unref(&tls->tickets);
    mbedtls_x509_crt_free(&tls->ca);
    for (size_t i = 0; i < tls->entry_count; i++)
        entry_fini(&tls->entries[i]);
    ms_free(tls->entries);
    ms_free(tls);
}

enum ms_err net_tls_build(const struct net_tls_spec *spec, struct net_tls **out, struct ms_errinfo *why_out)
{
    if (spec->cert_count < 1 || spec->cert_count > NET_TLS_CERTS_MAX)
        return ms_fail(why_out, MS_ELIMIT, "%zu certificates; 1 to %d are possible", spec->cert_count,
                       NET_TLS_CERTS_MAX);
    if (spec->min_version > NET_TLS_VERSION_MAX)
        return ms_fail(why_out, MS_EUNSUPPORTED,
                       "TLS 1.3 needs mbedTLS 3.6; this is " MBEDTLS_VERSION_STRING);
    if (net_tls_global_init())
        return ms_fail(why_out, MS_EUNSUPPORTED, "the TLS library does not start");
    struct net_tls *tls = ms_new(struct net_tls);

    atomic_store(&tls->refs, 1);
    tls->lane_count = lanes_wanted();
    tls->tag = spec->tag;
    tls->handshake_ms = spec->handshake_ms ? spec->handshake_ms : NET_TLS_SHAKE_MS;
    tls->entries = ms_realloc_array(NULL, spec->cert_count, sizeof(tls->entries[0]));
    memset(tls->entries, 0, spec->cert_count * sizeof(tls->entries[0]));
    mbedtls_x509_crt_init(&tls->ca);
    for (size_t i = 0; i < MS_ARRAY_LEN(tls->lanes); i++)
        mbedtls_ssl_config_init(&tls->lanes[i].conf);
    enum ms_err err = tls_fill(tls, spec, why_out);
    if (err)
        tls_free(tls);
    else
        *out = tls;
    return err;
}

enum ms_err net_tls_load(const char *cert_path, const char *key_path, struct net_tls **out,
                         struct ms_errinfo *why_out)
{
    const struct net_tls_cert cert = {.cert_path = cert_path, .key_path = key_path};
    const struct net_tls_spec spec = {
        .certs = &cert, .cert_count = 1, .ticket_ms = NET_TICKET_LIFE_MS, .min_version = 12};

    return net_tls_build(&spec, out, why_out);
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
