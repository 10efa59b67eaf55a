/*
 * imapd_login.c - from a name and a password to a user whose mailboxes can be opened; for LOGIN and
 * AUTHENTICATE.
 *
 *   VERIFY --directory: the password is right; the local peer: there is such a user--> OPEN --has an INBOX--> done
 *                         OPEN --account_create, visible--> CREATED --> done
 *
 * Every reason for which a login can fail for good has the same answer, so that nobody learns which names
 * exist.
 */
#include "ms/crypt.h"

#include "imapd_priv.h"

static void wipe(struct slice secret)
{
    if (secret.len)
        crypt_wipe((void *)(uintptr_t)secret.ptr, secret.len);
}

static enum imapd_step login_denied(struct imapd_session *s, const struct imapd_login *l)
{
    s->login_failures++;
    obs_count(MET_IMAPD_LOGINS_FAILED, 1);
    OBS_EVENT(OBS_IMAPD_LOGIN_FAILED, s->id, OBS_S("user", slice_sub(l->user, 0, ACCOUNT_LOGIN_MAX)),
              OBS_C("rip", net_peer(s->stream)->host), OBS_C("method", l->method));
    s->cmd.close_after = s->login_failures >= (uint64_t)s->w->conf->login_failures_max;
    if (l->is_external) /* the administrator may know which names exist */
        return imapd__no(s, "AUTHORIZATIONFAILED", "There is no such user");
    return imapd__no(s, "AUTHENTICATIONFAILED", "Authentication failed."); /* RFC 5530 3 */
}

static void on_verified(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    struct imapd_session *s = owner;
    struct imapd_login *l = s->cmd.priv;

    s->account_request = 0;
    l->err = err;
    if (!err)
        l->entry = *entry;
    imapd__wake(s);
}

/* The administrator names a login, not an address that leads to one; its status is no hindrance to him. */
static enum ms_err find_external(struct imapd_session *s, struct imapd_login *l)
{
    char login[ACCOUNT_LOGIN_MAX + 1];

    MS_TRY(account_canonical(account_of_client(s->w->accounts), l->user, login));
    l->user = arena_dup(&s->arena, slice_cstr(login));
    return account_find(s->w->accounts, l->user, &l->entry, NULL, on_verified, s, &s->account_request);
}

static enum imapd_step login_verify(struct imapd_session *s, struct imapd_login *l)
{
    l->stage = IMAPD_LOGIN_ANSWER;
    if (l->is_external) {
        l->err = find_external(s, l);
        return l->err == MS_EMORE ? IMAPD_WAIT : IMAPD_GO;
    }
    l->err =
        account_verify(s->w->accounts, l->user, l->password, &l->entry, on_verified, s, &s->account_request);
    wipe(l->password); /* the directory has its own copy until the check is done */
    return l->err == MS_EMORE ? IMAPD_WAIT : IMAPD_GO;
}

static enum imapd_step login_answer(struct imapd_session *s, struct imapd_login *l)
{
    enum ms_errclass class = ms_err_class(l->err);

    l->stage = IMAPD_LOGIN_OPEN;
    if (l->err == MS_OK && l->is_external && !slice_eq_cstr(l->user, l->entry.login))
        l->err = MS_ENOTFOUND; /* an alias, or a name with a detail */
    if (l->err == MS_OK)
        return IMAPD_GO;
    if (class == MS_CLASS_TEMP || class == MS_CLASS_WAIT)
        return imapd__no(s, "UNAVAILABLE", "Temporary authentication failure"); /* RFC 5530 3 */
    return login_denied(s, l);
}

static enum imapd_step login_ok(struct imapd_session *s, const struct imapd_login *l)
{
    struct str caps;
    const char *code;

    imapd_enter(s, IMAPD_ST_AUTH);
    obs_count(MET_IMAPD_LOGINS, 1);
    if (l->is_external)
        OBS_EVENT(OBS_IMAPD_LOGIN, s->id, OBS_C("user", s->user->login),
                  OBS_C("rip", net_peer(s->stream)->host), OBS_C("method", l->method),
                  OBS_U("uid", s->peer_uid));
    else
        OBS_EVENT(OBS_IMAPD_LOGIN, s->id, OBS_C("user", s->user->login),
                  OBS_C("rip", net_peer(s->stream)->host), OBS_C("method", l->method),
                  OBS_C("tls", net_tls_version(s->stream)));
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
        return login_ok(s, l);
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
    case IMAPD_LOGIN_VERIFY:
        return login_verify(s, l);
    case IMAPD_LOGIN_ANSWER:
        return login_answer(s, l);
    case IMAPD_LOGIN_OPEN:
        return login_open(s, l);
    case IMAPD_LOGIN_CREATED:
        if (imapd__post_result(s, &res))
            return login_undo(s, res.err);
        return login_ok(s, l);
    }
    MS_UNREACHABLE();
}
