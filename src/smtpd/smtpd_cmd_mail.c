/*
 * smtpd_cmd_mail.c - MAIL: who sends, and whether we can take it at all.
 */
#include "smtpd_priv.h"

struct smtp_reply smtpd__mail_check(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    if (s->conf->messages_max > 0 && ++s->mails > (uint64_t)s->conf->messages_max)
        return SMTPD_REPLY(421, "4.5.3", "Too many messages in one connection");
    if (cmd->mail.size > smtpd__message_max(s)) /* RFC 1870 6.1 */
        return smtp_reply_for_err(MS_ELIMIT, SMTP_AT_MAIL);
    if (!smtpd__is_lmtp(s) && !partition_is_serving(part_client_partition(s->worker->mine->queue_client)))
        return SMTPD_REPLY(451, "4.3.0", "Storage not available, try again later");
    return SMTPD_GO_ON;
}

static void sender_refused(struct smtpd_session *s, enum ms_err err)
{
    struct smtp_reply reply = err == MS_EDENIED ? SMTPD_REPLY(553, "5.7.1", "Not your address")
                                                : smtp_reply_for_err(err, SMTP_AT_MAIL);
    OBS_EVENT(OBS_SMTPD_SENDER_REFUSED, s->member.id, OBS_C("trace", s->tx->id),
              OBS_C("svc", s->worker->service), OBS_S("peer", smtpd__rip(s)),
              OBS_C("user", s->account->login), OBS_S("from", s->tx->sender), OBS_C("dsn", reply.enhanced),
              OBS_C("reason", reply.text));
    smtpd__metric_refused("mail", reply);
    smtpd__tx_end(s);
    smtpd_enter(s, SMTPD_ST_READY);
    smtpd__reply(s, reply);
}

static void sender_done(struct smtpd_session *s, enum ms_err err)
{
    if (err) {
        sender_refused(s, err);
        return;
    }
    smtpd_enter(s, SMTPD_ST_MAIL);
    smtpd__reply(s, smtp_reply_for_err(MS_OK, SMTP_AT_MAIL));
}

static void on_sender(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    struct smtpd_session *s = owner;
    MS_ASSERT(s->wait == SMTPD_WAIT_SENDER && s->wait_request == request);
    s->wait = SMTPD_WAIT_NONE;
    sender_done(s, err);
    smtpd__settle(s);
}

static void keep(struct smtpd_tx *tx, const struct smtp_cmd *cmd)
{
    tx->size = cmd->mail.size;
    tx->body_type = cmd->mail.body;
    tx->smtputf8 = (cmd->mail.params & SMTP_PARAM_SMTPUTF8) != 0;
    tx->ret = cmd->mail.ret;
    if (cmd->mail.envid.len > 0)
        tx->envid = arena_dup(&tx->arena, cmd->mail.envid);
}

void smtpd__mail_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    const struct smtp_path *from = &cmd->mail.from;
    keep(smtpd__tx_create(s, from->address), cmd);
    if (s->worker->kind != SMTPD_SUBMISSION ||
        from->is_null) { /* RFC 6409 5.2: reports and receipts have none */
        sender_done(s, MS_OK);
        return;
    }
    enum ms_err err = account_may_send(s->worker->mine->accounts, s->account->id, from->address, on_sender, s,
                                       &s->wait_request);
    if (err != MS_EMORE) {
        sender_done(s, err);
        return;
    }
    s->wait = SMTPD_WAIT_SENDER;
    smtpd_enter(s, SMTPD_ST_LOOKUP);
}
