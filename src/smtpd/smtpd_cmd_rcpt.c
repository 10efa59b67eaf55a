/*
 * smtpd_cmd_rcpt.c - RCPT: one look-up a recipient. SMTP keeps the way the router found; LMTP goes on to the
 * mailbox (smtpd_inbox.c).
 */
#include "smtpd_priv.h"

struct smtp_reply smtpd__rcpt_check(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    if (s->tx->rcpt_count >= (uint64_t)s->conf->recipients_max) /* RFC 5321 4.5.3.1.10 */
        return smtp_reply_for_err(MS_ELIMIT, SMTP_AT_RCPT);
    return SMTPD_GO_ON;
}

static struct smtp_reply reply_for(const struct smtpd_session *s, enum ms_err err)
{
    if (err == MS_EDENIED)
        return SMTPD_REPLY(550, "5.7.1", "Relaying denied");
    if (err == MS_EOFFLINE || err == MS_ECLOSED) /* of one partition; the session stays */
        return SMTPD_REPLY(451, "4.3.0", "Storage not available, try again later");
    return smtp_reply_for_err(err, SMTP_AT_RCPT);
}

void smtpd__rcpt_done(struct smtpd_session *s, enum ms_err err)
{
    enum smtpd_state next = s->tx->rcpt_count > 0 ? SMTPD_ST_RCPT : SMTPD_ST_MAIL;
    if (s->state != next)
        smtpd_enter(s, next);
    if (err)
        obs_count(MET_SMTPD_RCPT_REFUSED, 1);
    smtpd__reply(s, reply_for(s, err));
}

static void routed(struct smtpd_session *s, const struct route_result *result)
{
    if (result->err) {
        smtpd__rcpt_done(s, result->err);
    } else if (smtpd__is_lmtp(s)) {
        smtpd__inbox_find(s, result);
    } else {
        smtpd__tx_add_route(s->tx, result);
        smtpd__rcpt_done(s, MS_OK);
    }
}

static void on_route(void *owner, uint64_t request, const struct route_result *result)
{
    struct smtpd_session *s = owner;
    MS_ASSERT(s->wait == SMTPD_WAIT_ROUTE && s->wait_request == request);
    s->wait = SMTPD_WAIT_NONE;
    routed(s, result);
    smtpd__settle(s);
}

void smtpd__rcpt_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    struct route_result *result = &s->worker->route;
    struct slice address = cmd->rcpt.to.address;
    MS_ASSERT(address.len <= QUEUE_ADDRESS_MAX); /* the parser's bounds are narrower */
    memcpy(s->tx->asked, address.ptr, address.len);
    s->tx->asked[address.len] = '\0';
    smtpd__rcpt_keep_dsn(s->tx, cmd);
    enum ms_err err = route_recipient(s->worker->mine->route, address, result, on_route, s, &s->wait_request);
    if (err == MS_OK) {
        routed(s, result);
    } else if (err == MS_EMORE) {
        s->wait = SMTPD_WAIT_ROUTE;
        smtpd_enter(s, SMTPD_ST_LOOKUP);
    } else {
        smtpd__rcpt_done(s, err);
    }
}
