/*
 * sasl_plain.c - PLAIN (RFC 4616): one message, [authzid] NUL authcid NUL passwd, all UTF-8.
 */
#include "sasl_priv.h"

#include "ms/base/codec.h"

static enum ms_err plain_step(struct sasl *s, struct slice message)
{
    struct slice rest = message;
    struct slice authzid, authcid;
    if (!slice_cut(&rest, 0, &authzid) || !slice_cut(&rest, 0, &authcid))
        return sasl__fail(s, MS_ESYNTAX);
    /* RFC 4616 2: authcid and passwd are at least one character, NUL is in none of the three. */
    if (authcid.len == 0 || rest.len == 0 || slice_find_byte(rest, 0) >= 0)
        return sasl__fail(s, MS_ESYNTAX);
    if (authcid.len > SASL_NAME_MAX || authzid.len > SASL_NAME_MAX)
        return sasl__fail(s, MS_ELIMIT);
    if (!utf8_is_valid(message))
        return sasl__fail(s, MS_ESYNTAX);
    str_add_slice(&s->authzid, authzid);
    str_add_slice(&s->authcid, authcid);
    str_add_slice(&s->password, rest);
    s->state = SASL_HAVE_PASSWORD;
    return MS_OK;
}

const struct sasl_mech sasl__plain = {.name = "PLAIN", .first = "", .step = plain_step};
