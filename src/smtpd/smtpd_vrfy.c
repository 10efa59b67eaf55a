/*
 * smtpd_vrfy.c - VRFY and EXPN (RFC 5321 3.5, 7.3): who may ask whether there is somebody.
 */
#include "smtpd_priv.h"

static void unsure(struct smtpd_session *s)
{
    smtpd__reply(s, SMTPD_REPLY(252, "2.0.0", "Cannot verify, send the mail and see"));
}

static void answer(struct smtpd_session *s, enum ms_err err, const struct account_entry *entry)
{
    if (err)
        smtpd__reply(s, smtp_reply_for_err(err == MS_EDENIED ? MS_ENOTFOUND : err, SMTP_AT_RCPT));
    else
        smtpd__replyf(s, 250, "2.1.5", "<%s>", entry->login);
}

static void on_found(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    struct smtpd_session *s = owner;
    MS_ASSERT(s->wait == SMTPD_WAIT_VRFY && s->wait_request == request);
    s->wait = SMTPD_WAIT_NONE;
    smtpd_enter(s, SMTPD_ST_READY);
    answer(s, err, entry);
    smtpd__settle(s);
}

/* The argument: a mailbox, in brackets or not (RFC 5321 3.5.1), perhaps with SMTPUTF8 behind it (RFC 6531
 * 3.7.4.2). */
static enum ms_err parse(struct smtpd_session *s, struct slice text, struct smtp_path *path_out)
{
    static const struct slice word = SLICE_LIT(" SMTPUTF8");
    enum smtp_fault fault;
    bool utf8 = text.len > word.len && slice_ieq(slice_sub(text, text.len - word.len, SIZE_MAX), word);
    if (utf8)
        text.len -= word.len;
    if (text.len > 2 && text.ptr[0] == '<' && text.ptr[text.len - 1] == '>')
        text = slice_sub(text, 1, text.len - 2);
    *path_out = (struct smtp_path){.address = text};
    if (text.len <= SMTP_LOCAL_MAX && slice_find_byte(text, '@') < 0)
        return MS_OK; /* a bare name: of the default domain */
    enum ms_err err = smtp_mailbox_parse(text, utf8, &s->worker->cmd_arena, path_out, &fault);
    if (err)
        smtpd__reply(s, smtp_reply_for_fault(fault));
    return err;
}

void smtpd__vrfy_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    struct account_entry entry;
    struct smtp_path path;
    if (s->conf->vrfy == SMTPD_VRFY_REFUSE) {
        smtpd__reply(s, SMTPD_REPLY(550, "5.7.1", "VRFY is not permitted"));
        return;
    }
    /* Whether there is such a user is not told to everybody who asks; and not in the middle of a transaction,
     * where nobody needs it. */
    if (s->conf->vrfy != SMTPD_VRFY_USERS || !s->account || s->state != SMTPD_ST_READY) {
        unsure(s);
        return;
    }
    if (parse(s, cmd->text.text, &path))
        return;
    enum ms_err err =
        account_find(s->worker->mine->accounts, path.address, &entry, NULL, on_found, s, &s->wait_request);
    if (err != MS_EMORE) {
        answer(s, err, &entry);
        return;
    }
    s->wait = SMTPD_WAIT_VRFY;
    smtpd_enter(s, SMTPD_ST_ASK);
}

void smtpd__expn_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    if (s->conf->vrfy == SMTPD_VRFY_REFUSE)
        smtpd__reply(s, SMTPD_REPLY(550, "5.7.1", "EXPN is not permitted"));
    else
        smtpd__reply(s, smtp_reply_for_err(MS_EUNSUPPORTED, SMTP_AT_COMMAND));
}
