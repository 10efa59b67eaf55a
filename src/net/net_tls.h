/*
 * net_tls.h - the TLS half from the inside: snapshot and random numbers.
 */
#ifndef MS_NET_TLS_H
#define MS_NET_TLS_H

#include <stdatomic.h>

#include "net_priv.h"
#include "net_tls_compat.h"

struct net_tls {
    atomic_uint refs;
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    mbedtls_ssl_config conf; /* read-only once loaded */
    mbedtls_ssl_ticket_context tickets;
};

/* mbedTLS's callback type. A generator per thread, so that loops do not meet at a lock. */
int net__tls_random(void *unused, unsigned char *out, size_t len);
/* "net: text (-0x7780)" into why. */
enum ms_err net__tls_fail(struct ms_errinfo *why, enum ms_err err, int rc, const char *what,
                          const char *name);

#endif
