/*
 * smtpd_trace.c - the Received field of a transaction (RFC 5321 4.4).
 */
#include "smtpd_trace.h"

#include <stdio.h>

#include "ms/mime.h"

const char *smtpd_trace_with(const struct smtpd_trace *t)
{
    /* RFC 3848: S behind TLS, A behind AUTH; [UTF8][TLS][AUTH] */
    static const char *const esmtp[2][2][2] = {{{"ESMTP", "ESMTPA"}, {"ESMTPS", "ESMTPSA"}},
                                               {{"UTF8SMTP", "UTF8SMTPA"}, {"UTF8SMTPS", "UTF8SMTPSA"}}};
    static const char *const lmtp[2][2][2] = {{{"LMTP", "LMTPA"}, {"LMTPS", "LMTPSA"}},
                                              {{"UTF8LMTP", "UTF8LMTPA"}, {"UTF8LMTPS", "UTF8LMTPSA"}}};
    bool tls = t->tls_version[0] != '\0';
    if (t->is_lmtp)
        return lmtp[t->is_utf8][tls][t->is_authenticated];
    /* A client that said HELO can have neither: both need EHLO. */
    return t->is_extended ? esmtp[t->is_utf8][tls][t->is_authenticated] : "SMTP";
}

void smtpd_trace_emit(struct str *out, const struct smtpd_trace *t)
{
    char tls[160];
    int tls_len = snprintf(tls, sizeof tls, "%s %s", t->tls_version, t->tls_cipher);
    struct mime_received r = {.helo = t->helo,
                              .peer_addr = t->peer_addr,
                              .by = t->by,
                              .with = slice_cstr(smtpd_trace_with(t)),
                              .id = t->id,
                              .for_path = t->for_path,
                              .wall_us = t->wall_us};
    if (t->tls_version[0] != '\0')
        r.tls = slice_make(tls, MS_MIN((size_t)tls_len, sizeof tls - 1));
    mime_received_emit(out, &r);
}
