/*
 * smtpd_trace.h - the Received field of a transaction. Pure.
 */
#ifndef SMTPD_TRACE_H
#define SMTPD_TRACE_H

#include "ms/base/str.h"

struct smtpd_trace {
    struct slice helo;
    struct slice peer_addr; /* empty: not an internet address */
    struct slice by;
    const char *tls_version; /* "" without TLS */
    const char *tls_cipher;
    struct slice id;
    struct slice for_path; /* empty: none, or more than one recipient */
    bool is_lmtp;
    bool is_utf8;     /* the transaction is SMTPUTF8 */
    bool is_extended; /* EHLO, not HELO */
    bool is_authenticated;
    uint64_t wall_us;
};

/* "ESMTPSA" and its kin: RFC 3848, RFC 6531 4.3. */
const char *smtpd_trace_with(const struct smtpd_trace *t);
void smtpd_trace_emit(struct str *out, const struct smtpd_trace *t);

#endif
