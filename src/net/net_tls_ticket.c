/*
 * net_tls_ticket.c - keys of session tickets (RFC 5077, RFC 8446 4.6.1), shared by all loops and by the snapshots that
 * follow each other.
 *
 * The library keeps two keys: the first handshake after life_ms makes a new one, and the one before stays good until
 * the next change. A mutex inside is held for some microseconds a handshake.
 */
#include "net_tls.h"

enum ms_err net__tls_tickets_create(uint64_t life_ms, struct net_tls_tickets **out,
                                    struct ms_errinfo *why_out)
{
    struct net_tls_tickets *t = ms_new(struct net_tls_tickets);
    uint64_t life_s = MS_MIN(MS_MAX(life_ms / 1000, 1), 7 * 86400); /* RFC 8446 4.6.1: a week at most */

    atomic_store(&t->refs, 1);
    t->life_ms = life_ms;
    mbedtls_ssl_ticket_init(&t->ctx);
    int rc = mbedtls_ssl_ticket_setup(&t->ctx, net__tls_random, NULL, MBEDTLS_CIPHER_AES_256_GCM,
                                      (uint32_t)life_s);
    if (rc) {
        net__tls_tickets_unref(&t);
        return net__tls_fail(why_out, MS_EINVAL, rc, "TLS", "ticket keys");
    }
    *out = t;
    return MS_OK;
}

struct net_tls_tickets *net__tls_tickets_ref(struct net_tls_tickets *t)
{
    if (t)
        atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void net__tls_tickets_unref(struct net_tls_tickets **tickets)
{
    struct net_tls_tickets *t = *tickets;

    *tickets = NULL;
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    mbedtls_ssl_ticket_free(&t->ctx);
    ms_free(t);
}

/* The connection whose handshake runs on this thread: the library tells the ticket callback none. */
_Thread_local struct net_tls_conn *net__tls_shaking;

/* Notes that the client's ticket was good: the handshake resumes its session. */
static int on_parse(void *arg, mbedtls_ssl_session *session, unsigned char *buf, size_t len)
{
    int rc = mbedtls_ssl_ticket_parse(arg, session, buf, len);

    if (rc == 0 && net__tls_shaking)
        net__tls_shaking->resumed = true;
    return rc;
}

void net__tls_tickets_conf(struct net_tls_tickets *t, mbedtls_ssl_config *conf)
{
    mbedtls_ssl_conf_session_tickets_cb(conf, mbedtls_ssl_ticket_write, on_parse, &t->ctx);
}
