/*
 * net_tls_info.c - what a snapshot and its certificates are, for logs and commands.
 */
#include "net_tls.h"

#include <stdio.h>

#include "ms/base/clock.h"

static int64_t time_seconds(const mbedtls_x509_time *t)
{
    int64_t days = clock_days_from_civil(t->year, (unsigned)t->mon, (unsigned)t->day);

    return days * 86400 + t->hour * 3600 + t->min * 60 + t->sec;
}

/* Whole names, as many as fit. */
static void names_emit(const struct net_tls_names *names, char *out, size_t room)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < names->count; i++) {
        size_t len = strlen(names->items[i]), need = len + (at > 0);
        if (at + need + 1 > room)
            return;
        if (at > 0)
            out[at++] = ',';
        memcpy(out + at, names->items[i], len + 1);
        at += len;
    }
}

bool net_tls_cert_info(const struct net_tls *tls, size_t i, struct net_tls_cert_info *out)
{
    if (i >= tls->entry_count)
        return false;
    const struct net_tls_entry *e = &tls->entries[i];
    const mbedtls_pk_context *pk = &e->chain.pk;
    const char *kind = mbedtls_pk_can_do(pk, MBEDTLS_PK_RSA) ? "RSA" : "ECDSA";

    *out = (struct net_tls_cert_info){.not_after = time_seconds(&e->chain.valid_to)};
    names_emit(&e->names, out->names, sizeof(out->names));
    snprintf(out->key, sizeof(out->key), "%s-%zu", kind, mbedtls_pk_get_bitlen(pk));
    return true;
}

uint64_t net_tls_tag(const struct net_tls *tls)
{
    return tls->tag;
}
