/*
 * sasl_login.c - LOGIN, which no RFC has and many programs speak: the server asks for the name, then for the
 * password. A client may send the name as its initial response.
 */
#include "sasl_priv.h"

#include "ms/base/codec.h"

static enum ms_err login_step(struct sasl *s, struct slice message)
{
    bool is_name = s->steps == 0;
    /* As PLAIN has it (RFC 4616 2): neither is empty, both are UTF-8 without NUL. */
    if (message.len == 0 || slice_find_byte(message, 0) >= 0 || !utf8_is_valid(message))
        return sasl__fail(s, MS_ESYNTAX);
    if (is_name && message.len > SASL_NAME_MAX)
        return sasl__fail(s, MS_ELIMIT);
    str_add_slice(is_name ? &s->authcid : &s->password, message);
    if (is_name)
        str_add_cstr(&s->challenge, "Password:");
    else
        s->state = SASL_HAVE_PASSWORD;
    return MS_OK;
}

const struct sasl_mech sasl__login = {.name = "LOGIN", .first = "Username:", .step = login_step};
