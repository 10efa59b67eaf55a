/*
 * sasl_oauth.c - bearer tokens: OAUTHBEARER (RFC 7628) and XOAUTH2, its forerunner, which no RFC has.
 *
 *   OAUTHBEARER  n,[a=authzid], ^A *(key=value ^A) ^A     keys: auth (must be there), host, port, others
 *   XOAUTH2      user=name ^A auth=Bearer token ^A ^A
 *
 * The name (a=, user=) is whom the client wants to be: authzid. The token says who it is; whoever checks it must hold
 * the two against each other. A refused token is told in JSON, and the client's answer to that ends the exchange.
 */
#include "sasl_priv.h"

#include "ms/base/codec.h"

#define SEPARATOR 1 /* RFC 7628 3.1: kvsep */

/* RFC 6750 2.1: b64token */
static bool is_token(struct slice text)
{
    while (text.len && text.ptr[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (!ms_ascii_is_alpha(c) && !ms_ascii_is_digit(c) && c != '-' && c != '.' && c != '_' && c != '~' &&
            c != '+' && c != '/')
            return false;
    }
    return text.len > 0;
}

/* "Bearer token"; nothing at all is a question for what is wanted (RFC 7628 4.3), whose answer is a refusal. */
static enum ms_err take_auth(struct sasl *s, struct slice value)
{
    static const struct slice scheme = SLICE_LIT("Bearer ");
    struct slice token = slice_sub(value, scheme.len, SIZE_MAX);
    if (value.len == 0)
        return MS_OK;
    if (!slice_has_iprefix(value, scheme))
        return MS_ESYNTAX;
    while (token.len && token.ptr[0] == ' ') /* RFC 7235 2.1: 1*SP */
        token = slice_sub(token, 1, SIZE_MAX);
    if (!is_token(token))
        return MS_ESYNTAX;
    str_add_slice(&s->password, token);
    return MS_OK;
}

/* RFC 7628 3.1: kvpair = key "=" value kvsep; key = 1*(ALPHA), value: visible ASCII, blanks and line ends. */
static bool is_pair(struct slice pair, struct slice *key_out, struct slice *value_out)
{
    *value_out = pair;
    if (!slice_cut(value_out, '=', key_out) || key_out->len == 0)
        return false;
    for (size_t i = 0; i < key_out->len; i++)
        if (!ms_ascii_is_alpha(key_out->ptr[i]))
            return false;
    for (size_t i = 0; i < value_out->len; i++) {
        uint8_t c = value_out->ptr[i];
        if ((c < 0x20 || c > 0x7e) && c != '\t' && c != '\r' && c != '\n')
            return false;
    }
    return true;
}

/* The pairs up to an empty one, which is the end. */
static enum ms_err take_pairs(struct sasl *s, struct slice rest)
{
    struct slice pair, key, value;
    bool has_auth = false;
    while (slice_cut(&rest, SEPARATOR, &pair)) {
        if (pair.len == 0)
            return has_auth && rest.len == 0 ? MS_OK : MS_ESYNTAX;
        if (!is_pair(pair, &key, &value))
            return MS_ESYNTAX;
        if (!slice_eq_cstr(key,
                           "auth")) /* host, port and what else is there say nothing that we do not know */
            continue;
        if (has_auth)
            return MS_ESYNTAX;
        has_auth = true;
        MS_TRY(take_auth(s, value));
    }
    return MS_ESYNTAX;
}

static enum ms_err have_token(struct sasl *s, enum ms_err err)
{
    if (err)
        return sasl__fail(s, err);
    s->state = SASL_HAVE_TOKEN;
    return MS_OK;
}

static enum ms_err oauthbearer_step(struct sasl *s, struct slice message)
{
    struct slice rest = message;
    enum ms_err err = sasl__gs2_parse(&rest, &s->authzid);
    if (!err && (rest.len == 0 || rest.ptr[0] != SEPARATOR))
        err = MS_ESYNTAX;
    return have_token(s, err ? err : take_pairs(s, slice_sub(rest, 1, SIZE_MAX)));
}

static enum ms_err xoauth2_step(struct sasl *s, struct slice message)
{
    struct slice rest = message, user;
    if (!slice_cut(&rest, SEPARATOR, &user) || !slice_has_prefix(user, SLICE_LIT("user=")))
        return sasl__fail(s, MS_ESYNTAX);
    user = slice_sub(user, 5, SIZE_MAX);
    if (user.len == 0 || slice_find_byte(user, 0) >= 0 || !utf8_is_valid(user))
        return sasl__fail(s, MS_ESYNTAX);
    if (user.len > SASL_NAME_MAX)
        return sasl__fail(s, MS_ELIMIT);
    str_add_slice(&s->authzid, user);
    return have_token(s, take_pairs(s, rest));
}

const struct sasl_mech sasl__oauthbearer = {.name = "OAUTHBEARER", .first = "", .step = oauthbearer_step};
const struct sasl_mech sasl__xoauth2 = {.name = "XOAUTH2",
                                        .first = "",
                                        .step = xoauth2_step,
                                        .refusal = "{\"status\":\"401\",\"schemes\":\"Bearer\"}"};
