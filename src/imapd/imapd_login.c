/*
 * imapd_login.c - from a login to a user whose mailboxes can be opened; for LOGIN and AUTHENTICATE. Who may
 * log in is auth's.
 *
 *   EXCHANGE --"+ challenge", line--> EXCHANGE ... --auth: granted--> OPEN --has an INBOX--> done
 *                                                   OPEN --account_create, visible--> CREATED --> done
 */
#include "ms/base/codec.h"

#include "imapd_cmds.h"

struct auth_peer imapd__login_peer(const struct imapd_session *s)
{
    const char *tls = net_tls_version(s->stream);

    return (struct auth_peer){.service = s->w->service,
                              .protocol = "imap",
                              .rip = net_peer(s->stream)->host,
                              .lip = "",
                              /* Protocol scripts have no handshake. */
                              .tls = tls[0] || !s->w->implicit_tls ? tls : "TLS",
                              .certificate = net_tls_peer_name(s->stream),
                              .is_local = s->is_local,
                              .uid = s->peer_uid,
                              .session = s->member.id};
}

struct imapd_login *imapd__login_begin(struct imapd_session *s)
{
    struct imapd_login *l = s->cmd.priv = arena_new(&s->arena, struct imapd_login);

    l->peer = imapd__login_peer(s);
    l->peer.lip = l->lip;
    net_local_host(s->stream, l->lip);
    return l;
}

void imapd__login_cleanup(struct imapd_session *s)
{
    struct imapd_login *l = s->cmd.priv;

    auth_end(&l->exchange);
}

void imapd__login_on_auth(void *owner, enum auth_state state)
{
    struct imapd_session *s = owner;
    struct imapd_login *l = s->cmd.priv;

    l->state = state;
    imapd__wake(s);
}

static enum imapd_step ask(struct imapd_session *s, const struct imapd_login *l)
{
    struct str *out = imapd__out(s);

    str_add_cstr(out, "+ ");
    base64_emit(out, auth_challenge(l->exchange));
    str_add_cstr(out, "\r\n");
    return IMAPD_LINE;
}

static enum imapd_step login_denied(struct imapd_session *s)
{
    s->login_failures++;
    s->cmd.close_after = s->login_failures >= (uint64_t)s->rules->conf->login_failures_max;
    return imapd__no(s, "AUTHENTICATIONFAILED", "Authentication failed.");
}

/* RFC 5530 3 */
static enum imapd_step login_outcome(struct imapd_session *s, struct imapd_login *l)
{
    const struct auth_result *result = auth_result_of(l->exchange);

    switch (result->outcome) {
    case AUTH_OK:
        l->entry = result->entry;
        l->stage = IMAPD_LOGIN_OPEN;
        return IMAPD_GO;
    case AUTH_DENIED:
        return login_denied(s);
    case AUTH_NOT_PERMITTED:
        return imapd__no(s, "AUTHORIZATIONFAILED",
                         s->is_local ? "There is no such user" : "Acting as another user is not permitted");
    case AUTH_TEMPORARY:
        return imapd__no(s, "UNAVAILABLE", "Temporary authentication failure");
    case AUTH_NO_MECHANISM:
        return imapd__no(s, "CANNOT", "Unknown authentication mechanism");
    case AUTH_NEEDS_TLS:
        return imapd__no(s, "PRIVACYREQUIRED", "Passwords need TLS here");
    case AUTH_MALFORMED: /* RFC 3501 6.2.2: cannot be decoded */
        return imapd__bad(s, "Bad response");
    }
    MS_UNREACHABLE();
}

static enum imapd_step login_exchange(struct imapd_session *s, struct imapd_login *l)
{
    switch (l->state) {
    case AUTH_WAIT:
        return IMAPD_WAIT;
    case AUTH_CHALLENGE:
        return ask(s, l);
    case AUTH_DONE:
        return login_outcome(s, l);
    }
    MS_UNREACHABLE();
}

static enum imapd_step login_ok(struct imapd_session *s)
{
    struct str caps;
    const char *code;

    imapd_enter(s, IMAPD_ST_AUTH);
    str_init(&caps, 0);
    imapd__emit_capability(s, &caps);
    code = arena_printf(&s->arena, "CAPABILITY %s", str_cstr(&caps));
    str_fini(&caps);
    return imapd__ok(s, code, "Logged in");
}

static enum imapd_step login_undo(struct imapd_session *s, enum ms_err err)
{
    ms_free(s->user);
    s->user = NULL;
    return imapd__fail(s, err);
}

static enum imapd_step login_open(struct imapd_session *s, struct imapd_login *l)
{
    const struct imapd_env *env = s->w->env;
    struct part_client *client = env->partition_of(env->partition_owner, s->w->loop, l->entry.partition);
    uint64_t inbox;
    enum ms_err err;

    if (!client)
        return imapd__no(s, "UNAVAILABLE", "The partition of this account is not served here");
    s->user = ms_new(struct imapd_user);
    s->user->account = l->entry.id;
    s->user->quota_bytes = l->entry.quota_bytes;
    s->user->quota_messages = l->entry.quota_messages;
    s->user->client = client;
    memcpy(s->user->login, l->entry.login, sizeof(s->user->login));
    if (!partition_is_serving(part_client_partition(client)))
        return login_undo(s, MS_EOFFLINE);
    err = imapd__mailbox_find(s, SLICE_LIT("INBOX"), &inbox, NULL);
    if (!err)
        return login_ok(s);
    if (err != MS_ENOTFOUND)
        return login_undo(s, err);
    l->stage = IMAPD_LOGIN_CREATED;
    store_op_account_create(&s->post.rec, s->user->account, slice_cstr(s->user->login));
    return imapd__post(s);
}

enum imapd_step imapd__login_step(struct imapd_session *s, struct imapd_login *l)
{
    struct store_result res;

    switch (l->stage) {
    case IMAPD_LOGIN_EXCHANGE:
        return login_exchange(s, l);
    case IMAPD_LOGIN_OPEN:
        return login_open(s, l);
    case IMAPD_LOGIN_CREATED:
        if (imapd__post_result(s, &res))
            return login_undo(s, res.err);
        return login_ok(s);
    }
    MS_UNREACHABLE();
}
