/*
 * smtpd_cmd_mail.c - MAIL: who sends, and whether we can take it at all.
 */
#include "smtpd_priv.h"

struct smtp_reply smtpd__mail_check(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    if (cmd->mail.size > s->conf->message_size_max) /* RFC 1870 6.1 */
        return smtp_reply_for_err(MS_ELIMIT, SMTP_AT_MAIL);
    if (!smtpd__is_lmtp(s) && !partition_is_serving(part_client_partition(s->worker->mine->queue_client)))
        return SMTPD_REPLY(451, "4.3.0", "Storage not available, try again later");
    return SMTPD_GO_ON;
}

static void sender_done(struct smtpd_session *s, enum ms_err err, const struct account_entry *entry)
{
    if (!err && entry->id != s->account->id)
        err = MS_EDENIED;
    if (!err) {
        smtpd_enter(s, SMTPD_ST_MAIL);
        smtpd__reply(s, smtp_reply_for_err(MS_OK, SMTP_AT_MAIL));
        return;
    }
    smtpd__tx_end(s);
    smtpd_enter(s, SMTPD_ST_READY);
    if (err == MS_EDENIED || err == MS_ENOTFOUND)
        smtpd__reply(s, SMTPD_REPLY(553, "5.7.1", "Not your address"));
    else
        smtpd__reply(s, smtp_reply_for_err(err, SMTP_AT_MAIL));
}

static void on_sender(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    struct smtpd_session *s = owner;
    MS_ASSERT(s->wait == SMTPD_WAIT_SENDER && s->wait_request == request);
    s->wait = SMTPD_WAIT_NONE;
    sender_done(s, err, entry);
    smtpd__settle(s);
}

void smtpd__mail_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    const struct smtp_path *from = &cmd->mail.from;
    struct smtpd_tx *tx = smtpd__tx_create(s, from->address);
    struct account_entry entry;
    tx->body_type = cmd->mail.body;
    tx->smtputf8 = cmd->mail.params & SMTP_PARAM_SMTPUTF8;
    tx->ret = cmd->mail.ret;
    if (cmd->mail.envid.len > 0)
        tx->envid = arena_dup(&tx->arena, cmd->mail.envid);
    if (s->worker->kind != SMTPD_SUBMISSION || from->is_null) {
        smtpd_enter(s, SMTPD_ST_MAIL);
        smtpd__reply(s, smtp_reply_for_err(MS_OK, SMTP_AT_MAIL));
        return;
    }
    /* A user sends as himself: any address that the directory leads to his account. */
    enum ms_err err =
        account_find(s->worker->mine->accounts, from->address, &entry, NULL, on_sender, s, &s->wait_request);
    if (err != MS_EMORE) {
        sender_done(s, err, &entry);
        return;
    }
    s->wait = SMTPD_WAIT_SENDER;
    smtpd_enter(s, SMTPD_ST_LOOKUP);
}
