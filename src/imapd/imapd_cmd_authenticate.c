/*
 * imapd_cmd_authenticate.c - AUTHENTICATE, with initial response. RFC 3501 6.2.2, RFC 4959
 *
 *   start --no initial response--> "+", LINE --line--> sasl_step --> SASL_WANT_CLIENT: "+ challenge", LINE
 * ...
 *                                                                --> SASL_HAVE_PASSWORD, SASL_HAVE_EXTERNAL:
 *                                                                    imapd__login_step ...
 */
#include "ms/base/codec.h"
#include "ms/crypt.h"
#include "ms/sasl.h"

#include "imapd_cmds.h"

struct authenticate {
    struct imapd_login login; /* first: imapd_login.c finds it in cmd.priv */
    struct sasl sasl;
};

void imapd__authenticate_cleanup(struct imapd_session *s)
{
    struct authenticate *a = s->cmd.priv;

    sasl_fini(&a->sasl);
}

static enum imapd_step ask(struct imapd_session *s, const struct authenticate *a)
{
    struct str *out = imapd__out(s);

    str_add_cstr(out, "+ ");
    base64_emit(out, str_slice(&a->sasl.challenge));
    str_add_cstr(out, "\r\n");
    return IMAPD_LINE;
}

static enum imapd_step identity(struct imapd_session *s, struct authenticate *a)
{
    struct slice authzid = str_slice(&a->sasl.authzid), authcid = str_slice(&a->sasl.authcid);

    a->login.user = arena_dup(&s->arena, authcid);
    a->login.password = str_slice(&a->sasl.password);
    if (authzid.len && !slice_eq(authzid, authcid)) /* RFC 4616 2: to act as somebody else is not offered */
        return imapd__no(s, "AUTHORIZATIONFAILED", "Acting as another user is not permitted");
    return imapd__login_step(s, &a->login);
}

/* RFC 4422 A.1: without a name it is the one of the credentials. A process of the machine has no mailboxes of
 * its own. */
static enum imapd_step external_identity(struct imapd_session *s, struct authenticate *a)
{
    a->login.user = arena_dup(&s->arena, str_slice(&a->sasl.authzid));
    if (a->login.user.len == 0)
        return imapd__no(s, "AUTHORIZATIONFAILED", "Name the user to act as");
    a->login.is_external = true;
    return imapd__login_step(s, &a->login);
}

static enum imapd_step take_response(struct imapd_session *s, struct authenticate *a, struct slice text)
{
    struct str message;
    enum ms_err err;

    str_init(&message, SASL_MESSAGE_MAX);
    err = slice_eq_cstr(text, "=") ? MS_OK : base64_parse(text, &message);
    if (!err)
        err = sasl_step(&a->sasl, str_slice(&message));
    crypt_wipe(message.ptr, message.len);
    str_fini(&message);
    if (err == MS_ESYNTAX || err == MS_ELIMIT) /* RFC 3501 6.2.2: cannot be decoded */
        return imapd__bad(s, "Bad response");
    if (err || a->sasl.state == SASL_FAILED)
        return imapd__fail(s, err ? err : MS_EDENIED);
    if (a->sasl.state == SASL_HAVE_EXTERNAL)
        return external_identity(s, a);
    return a->sasl.state == SASL_HAVE_PASSWORD ? identity(s, a) : ask(s, a);
}

static const struct sasl_mech *find_mech(const struct imapd_session *s, struct slice name)
{
    const struct sasl_mech *external = sasl_mech_external();

    if (s->is_local && slice_ieq_cstr(name, sasl_mech_name(external)))
        return external;
    return sasl_mech_find(name);
}

static enum imapd_step begin(struct imapd_session *s)
{
    const struct sasl_mech *mech = find_mech(s, s->cmd.args->authenticate.mech);
    struct authenticate *a;

    if (!mech)
        return imapd__no(s, "CANNOT", "Unknown authentication mechanism");
    s->cmd.priv = a = arena_new(&s->arena, struct authenticate);
    sasl_init(&a->sasl, mech);
    a->login.method = sasl_mech_name(mech);
    if (s->cmd.args->authenticate.has_initial)
        return take_response(s, a, s->cmd.args->authenticate.initial);
    return ask(s, a);
}

enum imapd_step imapd_authenticate_run(struct imapd_session *s)
{
    struct authenticate *a = s->cmd.priv;

    if (!a)
        return begin(s);
    if (!s->cmd.line.ptr)
        return imapd__login_step(s, &a->login);
    if (slice_eq_cstr(s->cmd.line, "*")) /* RFC 3501 6.2.2 */
        return imapd__bad(s, "Authentication cancelled");
    return take_response(s, a, s->cmd.line);
}
