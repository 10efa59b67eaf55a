/*
 * smtpd_auth.c - AUTH (RFC 4954): the exchange of lines, and the password check behind it.
 *
 *   READY ──AUTH PLAIN xxx──▶ step ──▶ VERIFY ──▶ READY
 *     └───AUTH PLAIN──▶ 334, AUTH ──line──▶ step ──LOGIN: 334──▶ AUTH
 */
#include "smtpd_priv.h"

#include "ms/base/codec.h"
#include "ms/crypt.h"

void smtpd__auth_end(struct smtpd_session *s)
{
    if (!s->sasl)
        return;
    sasl_fini(s->sasl);
    ms_free(s->sasl);
    s->sasl = NULL;
}

struct smtp_reply smtpd__auth_check(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    if (s->account)
        return SMTPD_REPLY(503, "5.5.1", "Already authenticated");
    if (!s->is_esmtp)
        return SMTPD_REPLY(503, "5.5.1", "Send EHLO first");
    if (!smtpd__auth_is_offered(s))
        return SMTPD_REPLY(538, "5.7.11", "Encryption required for this mechanism");
    if (!sasl_mech_find(cmd->auth.mech))
        return smtp_reply_for_err(MS_EUNSUPPORTED, SMTP_AT_AUTH);
    return SMTPD_GO_ON;
}

static void auth_fail(struct smtpd_session *s, struct smtp_reply reply)
{
    smtpd__auth_end(s);
    if (s->state != SMTPD_ST_READY)
        smtpd_enter(s, SMTPD_ST_READY);
    smtpd__reply(s, reply);
}

static void verified(struct smtpd_session *s, enum ms_err err, const struct account_entry *entry)
{
    struct slice user = str_slice(&s->sasl->authcid);
    if (err) {
        OBS_EVENT(OBS_SMTPD_LOGIN_FAILED, s->id, OBS_S("user", user), OBS_S("rip", smtpd__rip(s)),
                  OBS_E("error", err));
        auth_fail(s, smtp_reply_for_err(err, SMTP_AT_AUTH));
        return;
    }
    OBS_EVENT(OBS_SMTPD_LOGIN, s->id, OBS_C("user", entry->login), OBS_S("rip", smtpd__rip(s)));
    s->account = ms_memdup(entry, sizeof *entry);
    smtpd__auth_end(s);
    smtpd_enter(s, SMTPD_ST_READY);
    smtpd__reply(s, smtp_reply_for_err(MS_OK, SMTP_AT_AUTH));
}

static void on_verify(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    struct smtpd_session *s = owner;
    MS_ASSERT(s->wait == SMTPD_WAIT_VERIFY && s->wait_request == request);
    s->wait = SMTPD_WAIT_NONE;
    verified(s, err, entry);
    smtpd__settle(s);
}

static void verify(struct smtpd_session *s)
{
    struct slice user = str_slice(&s->sasl->authcid);
    struct slice other = str_slice(&s->sasl->authzid);
    struct account_entry entry;
    enum ms_err err = MS_EDENIED;
    /* RFC 4616 2: nobody may act for somebody else here. */
    if (other.len == 0 || slice_ieq(user, other))
        err = account_verify(s->worker->mine->accounts, user, str_slice(&s->sasl->password), &entry,
                             on_verify, s, &s->wait_request);
    if (err == MS_EMORE) {
        s->wait = SMTPD_WAIT_VERIFY;
        smtpd_enter(s, SMTPD_ST_VERIFY);
        return;
    }
    verified(s, err, &entry);
}

static void challenge(struct smtpd_session *s)
{
    struct str *out = &s->worker->out;
    str_reset(out);
    str_add_cstr(out, "334 ");
    base64_emit(out, str_slice(&s->sasl->challenge));
    str_add_cstr(out, "\r\n");
    if (s->state != SMTPD_ST_AUTH)
        smtpd_enter(s, SMTPD_ST_AUTH);
    smtpd__send(s, str_slice(out));
}

/* line: base64 */
static void step(struct smtpd_session *s, struct slice line)
{
    struct str message;
    str_init(&message, SASL_MESSAGE_MAX);
    enum ms_err err = base64_parse(line, &message);
    if (!err)
        err = sasl_step(s->sasl, str_slice(&message));
    if (message.ptr)
        crypt_wipe(message.ptr, message.cap);
    str_fini(&message);
    if (err) {
        auth_fail(s, err == MS_ELIMIT ? SMTPD_REPLY(500, "5.5.6", "Authentication exchange line is too long")
                                      : SMTPD_REPLY(501, "5.5.2", "Cannot decode the response"));
        return;
    }
    if (s->sasl->state == SASL_HAVE_PASSWORD) {
        verify(s);
        return;
    }
    challenge(s);
}

void smtpd__auth_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    s->sasl = ms_new(struct sasl);
    sasl_init(s->sasl, sasl_mech_find(cmd->auth.mech));
    if (cmd->auth.has_initial) {
        bool is_empty = slice_eq_cstr(cmd->auth.initial, "=");
        step(s, is_empty ? slice_make(NULL, 0) : cmd->auth.initial);
        return;
    }
    challenge(s); /* empty where the client has the first word (RFC 4954 4) */
}

void smtpd__auth_line(struct smtpd_session *s, struct slice line)
{
    if (slice_eq_cstr(line, "*"))
        auth_fail(s, SMTPD_REPLY(501, "5.7.0", "Authentication cancelled"));
    else
        step(s, line);
}

void smtpd__auth_too_long(struct smtpd_session *s)
{
    auth_fail(s, SMTPD_REPLY(500, "5.5.6", "Authentication exchange line is too long"));
}
