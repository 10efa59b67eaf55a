/*
 * smtpd_auth.c - AUTH (RFC 4954): the lines of an exchange. What they mean, and who may log in, is auth's.
 *
 *   READY ──AUTH PLAIN xxx──▶ begin ─┬─▶ VERIFY ──▶ READY
 *                                    └─▶ 334, AUTH ──line──▶ step ──▶ ...
 */
#include "smtpd_priv.h"

#include "ms/base/codec.h"
#include "ms/crypt.h"

struct smtpd_auth {
    struct auth_exchange *exchange;
    struct auth_peer peer;
    char lip[NET_ADDR_TEXT_MAX];
};

/* lip stays empty: only the log needs it. */
static struct auth_peer peer_of(const struct smtpd_session *s)
{
    return (struct auth_peer){.service = s->worker->service,
                              .protocol = "submission",
                              .rip = net_peer(s->stream)->host,
                              .lip = "",
                              .tls = net_tls_version(s->stream),
                              .certificate = net_tls_peer_name(s->stream),
                              .session = s->member.id};
}

void smtpd__auth_offered(const struct smtpd_session *s, struct str *out)
{
    struct auth_peer peer = peer_of(s);
    if (s->worker->kind == SMTPD_SUBMISSION && !s->account)
        auth_mechanisms(s->worker->mine->auth, &peer, out);
}

void smtpd__auth_end(struct smtpd_session *s)
{
    if (!s->auth)
        return;
    auth_end(&s->auth->exchange);
    ms_free(s->auth);
    s->auth = NULL;
}

struct smtp_reply smtpd__auth_check(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    if (s->account)
        return SMTPD_REPLY(503, "5.5.1", "Already authenticated");
    if (!s->is_esmtp)
        return SMTPD_REPLY(503, "5.5.1", "Send EHLO first");
    return SMTPD_GO_ON;
}

static void auth_fail(struct smtpd_session *s, struct smtp_reply reply)
{
    smtpd__auth_end(s);
    if (s->state != SMTPD_ST_READY)
        smtpd_enter(s, SMTPD_ST_READY);
    smtpd__reply(s, reply);
}

/* RFC 4954 6 */
static struct smtp_reply reply_for(enum auth_outcome outcome)
{
    switch (outcome) {
    case AUTH_OK:
        return smtp_reply_for_err(MS_OK, SMTP_AT_AUTH);
    case AUTH_DENIED:
        return smtp_reply_for_err(MS_EDENIED, SMTP_AT_AUTH);
    case AUTH_TEMPORARY:
        return SMTPD_REPLY(454, "4.7.0", "Temporary authentication failure");
    case AUTH_NO_MECHANISM:
        return smtp_reply_for_err(MS_EUNSUPPORTED, SMTP_AT_AUTH);
    case AUTH_NEEDS_TLS:
        return SMTPD_REPLY(538, "5.7.11", "Encryption required for this mechanism");
    case AUTH_MALFORMED:
        return SMTPD_REPLY(501, "5.5.2", "Cannot decode the response");
    case AUTH_NOT_PERMITTED:
        return SMTPD_REPLY(535, "5.7.8", "Acting as another user is not permitted");
    }
    MS_UNREACHABLE();
}

static void challenge(struct smtpd_session *s)
{
    struct str *out = &s->worker->out;
    str_reset(out);
    str_add_cstr(out, "334 ");
    base64_emit(out, auth_challenge(s->auth->exchange));
    str_add_cstr(out, "\r\n");
    if (s->state != SMTPD_ST_AUTH)
        smtpd_enter(s, SMTPD_ST_AUTH);
    smtpd__send(s, str_slice(out));
}

static void done(struct smtpd_session *s)
{
    const struct auth_result *result = auth_result_of(s->auth->exchange);
    struct smtp_reply reply = reply_for(result->outcome);
    if (result->outcome != AUTH_OK) {
        auth_fail(s, reply);
        return;
    }
    s->account = ms_memdup(&result->entry, sizeof result->entry);
    smtpd__auth_end(s);
    if (s->state != SMTPD_ST_READY)
        smtpd_enter(s, SMTPD_ST_READY);
    smtpd__reply(s, reply);
}

static void go_on(struct smtpd_session *s, enum auth_state state)
{
    switch (state) {
    case AUTH_WAIT:
        s->wait = SMTPD_WAIT_VERIFY;
        smtpd_enter(s, SMTPD_ST_VERIFY);
        break;
    case AUTH_CHALLENGE:
        challenge(s);
        break;
    case AUTH_DONE:
        done(s);
        break;
    }
}

static void on_auth(void *owner, enum auth_state state)
{
    struct smtpd_session *s = owner;
    MS_ASSERT(s->wait == SMTPD_WAIT_VERIFY);
    s->wait = SMTPD_WAIT_NONE;
    go_on(s, state);
    smtpd__settle(s);
}

/* line: base64. mech: the exchange begins with it; empty: it goes on. */
static void step(struct smtpd_session *s, struct slice mech, struct slice line)
{
    struct smtpd_auth *a = s->auth;
    enum auth_state state = AUTH_DONE;
    struct str message;
    str_init(&message, SASL_MESSAGE_MAX);
    enum ms_err err = base64_parse(line, &message);
    if (!err)
        state = mech.len ? auth_begin(s->worker->mine->auth, &a->peer, mech, true, str_slice(&message),
                                      on_auth, s, &a->exchange)
                         : auth_step(a->exchange, str_slice(&message));
    if (message.ptr)
        crypt_wipe(message.ptr, message.cap);
    str_fini(&message);
    if (err)
        auth_fail(s, err == MS_ELIMIT ? SMTPD_REPLY(500, "5.5.6", "Authentication exchange line is too long")
                                      : reply_for(AUTH_MALFORMED));
    else
        go_on(s, state);
}

void smtpd__auth_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    struct smtpd_auth *a = s->auth = ms_new(struct smtpd_auth);
    a->peer = peer_of(s);
    a->peer.lip = a->lip;
    net_local_host(s->stream, a->lip);
    if (cmd->auth.has_initial) {
        bool is_empty = slice_eq_cstr(cmd->auth.initial, "=");
        step(s, cmd->auth.mech, is_empty ? slice_make(NULL, 0) : cmd->auth.initial);
        return;
    }
    /* The challenge is empty where the client has the first word (RFC 4954 4). */
    go_on(s, auth_begin(s->worker->mine->auth, &a->peer, cmd->auth.mech, false, slice_make(NULL, 0), on_auth,
                        s, &a->exchange));
}

void smtpd__auth_line(struct smtpd_session *s, struct slice line)
{
    if (slice_eq_cstr(line, "*"))
        auth_fail(s, SMTPD_REPLY(501, "5.7.0", "Authentication cancelled"));
    else
        step(s, slice_make(NULL, 0), line);
}

void smtpd__auth_too_long(struct smtpd_session *s)
{
    auth_fail(s, SMTPD_REPLY(500, "5.5.6", "Authentication exchange line is too long"));
}
