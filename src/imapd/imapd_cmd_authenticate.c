/*
 * imapd_cmd_authenticate.c - AUTHENTICATE, with initial response. RFC 3501 6.2.2, RFC 4959
 *
 *   start --no initial response--> "+", LINE --line--> auth_step --> "+ challenge", LINE ... --> imapd__login_step
 */
#include "ms/base/codec.h"
#include "ms/crypt.h"

#include "imapd_cmds.h"

/* mech: the exchange begins with this; empty: it goes on. */
static enum imapd_step take_response(struct imapd_session *s, struct imapd_login *l, struct slice mech,
                                     struct slice text)
{
    struct str message;
    enum ms_err err;

    str_init(&message, SASL_MESSAGE_MAX);
    err = mech.len && slice_eq_cstr(text, "=") ? MS_OK : base64_parse(text, &message);
    if (!err)
        l->state = mech.len ? auth_begin(s->w->auth, &l->peer, mech, true, str_slice(&message),
                                         imapd__login_on_auth, s, &l->exchange)
                            : auth_step(l->exchange, str_slice(&message));
    if (message.ptr)
        crypt_wipe(message.ptr, message.cap);
    str_fini(&message);
    return err ? imapd__bad(s, "Bad response") : imapd__login_step(s, l);
}

static enum imapd_step begin(struct imapd_session *s)
{
    struct imapd_login *l = imapd__login_begin(s);
    struct slice mech = s->cmd.args->authenticate.mech;

    if (s->cmd.args->authenticate.has_initial)
        return take_response(s, l, mech, s->cmd.args->authenticate.initial);
    l->state = auth_begin(s->w->auth, &l->peer, mech, false, slice_make(NULL, 0), imapd__login_on_auth, s,
                          &l->exchange);
    return imapd__login_step(s, l);
}

enum imapd_step imapd_authenticate_run(struct imapd_session *s)
{
    struct imapd_login *l = s->cmd.priv;

    if (!l)
        return begin(s);
    if (!s->cmd.line.ptr)
        return imapd__login_step(s, l);
    if (slice_eq_cstr(s->cmd.line, "*")) /* RFC 3501 6.2.2 */
        return imapd__bad(s, "Authentication cancelled");
    return take_response(s, l, slice_make(NULL, 0), s->cmd.line);
}
