/*
 * sasl_external.c - EXTERNAL (RFC 4422 appendix A): one message, the authzid in UTF-8; empty: the one that belongs to
 * the credentials of the peer.
 */
#include "sasl_priv.h"

#include "ms/base/codec.h"

static enum ms_err external_step(struct sasl *s, struct slice message)
{
    if (message.len > SASL_NAME_MAX)
        return sasl__fail(s, MS_ELIMIT);
    /* RFC 4422 A.1: UTF8-char-no-nul */
    if (slice_find_byte(message, 0) >= 0 || !utf8_is_valid(message))
        return sasl__fail(s, MS_ESYNTAX);
    str_add_slice(&s->authzid, message);
    s->state = SASL_HAVE_EXTERNAL;
    return MS_OK;
}

const struct sasl_mech sasl__external = {.name = "EXTERNAL", .first = "", .step = external_step};
