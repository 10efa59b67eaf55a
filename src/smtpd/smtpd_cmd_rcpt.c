/*
 * smtpd_cmd_rcpt.c - RCPT: the router says what a recipient leads to.
 *
 *   route_resolve ─▶ refused, or 1..n targets ─▶ room? ─▶ LMTP and one mailbox: direct (smtpd_inbox.c)
 *                                                         else: through the queue
 *
 * What is being asked for lives in tx->asked_arena and is copied when it is accepted.
 */
#include "smtpd_priv.h"

struct smtp_reply smtpd__rcpt_check(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    if (s->tx->rcpt_count >= smtpd__recipients_max(s)) /* RFC 5321 4.5.3.1.10 */
        return smtp_reply_for_err(MS_ELIMIT, SMTP_AT_RCPT);
    return SMTPD_GO_ON;
}

void smtpd__rcpt_log_refused(const struct smtpd_session *s, struct slice address, struct smtp_reply reply)
{
    obs_count(MET_SMTPD_RCPT_REFUSED, 1);
    smtpd__metric_refused("rcpt", reply);
    OBS_EVENT(OBS_SMTPD_RCPT_REFUSED, s->member.id, OBS_C("trace", s->tx->id),
              OBS_C("svc", s->worker->service), OBS_S("peer", smtpd__rip(s)),
              OBS_C("user", s->account ? s->account->login : ""), OBS_S("from", s->tx->sender),
              OBS_S("to", address), OBS_C("dsn", reply.enhanced), OBS_C("reason", reply.text));
}

void smtpd__rcpt_done(struct smtpd_session *s, struct smtp_reply reply)
{
    enum smtpd_state next = s->tx->rcpt_count > 0 ? SMTPD_ST_RCPT : SMTPD_ST_MAIL;
    if (s->state != next)
        smtpd_enter(s, next);
    if (reply.code >= 400)
        smtpd__rcpt_log_refused(s, s->tx->asked.way.original, reply);
    smtpd__reply(s, reply);
}

void smtpd__rcpt_failed(struct smtpd_session *s, enum ms_err err)
{
    if (err == MS_EOFFLINE || err == MS_ECLOSED) /* of one partition; the session stays */
        smtpd__rcpt_done(s, SMTPD_REPLY(451, "4.3.0", "Storage not available, try again later"));
    else
        smtpd__rcpt_done(s, smtp_reply_for_err(err, SMTP_AT_RCPT));
}

static struct smtp_reply answer_check(struct smtpd_session *s, const struct route_answer *answer)
{
    if (answer->err == MS_EDENIED && s->worker->kind == SMTPD_SUBMISSION &&
        strcmp(answer->reply.enhanced, "5.7.1") == 0)
        return SMTPD_REPLY(550, "5.7.1",
                           "Not a local address: outgoing mail is not available in this version");
    if (answer->err)
        return answer->reply;
    if (!smtpd__rcpts_have_room(s, answer)) /* RFC 5321 4.5.3.1.10: the others in another transaction */
        return smtp_reply_for_err(MS_ELIMIT, SMTP_AT_RCPT);
    return answer->count == 1 ? smtpd__room_check(s, &answer->targets[0]) : SMTPD_GO_ON;
}

static void through_queue(struct smtpd_session *s, const struct route_answer *answer)
{
    struct part_client *queue = s->worker->mine->queue_client;
    int sink = partition_is_serving(part_client_partition(queue)) ? smtpd__tx_sink(s, queue) : -1;
    if (sink < 0) {
        smtpd__rcpt_failed(s, partition_is_serving(part_client_partition(queue)) ? MS_ELIMIT : MS_EOFFLINE);
        return;
    }
    smtpd__rcpts_add_queued(s, answer, (unsigned)sink);
    smtpd__rcpt_done(s, smtp_reply_for_err(MS_OK, SMTP_AT_RCPT));
}

static void resolved(struct smtpd_session *s, const struct route_answer *answer)
{
    struct smtp_reply refused = answer_check(s, answer);
    if (refused.code) {
        smtpd__rcpt_done(s, refused);
        return;
    }
    const struct route_target *only = answer->count == 1 ? &answer->targets[0] : NULL;
    if (smtpd__is_lmtp(s) && only && only->account && only->hold.len == 0) {
        s->tx->asked.way.target = *only;
        smtpd__inbox_find(s);
    } else {
        through_queue(s, answer);
    }
}

static void on_resolved(void *owner, uint64_t request, const struct route_answer *answer)
{
    struct smtpd_session *s = owner;
    MS_ASSERT(s->wait == SMTPD_WAIT_ROUTE && s->wait_request == request);
    s->wait = SMTPD_WAIT_NONE;
    resolved(s, answer);
    smtpd__settle(s);
}

/* "type;address" (RFC 3461 4.2). */
static struct slice orcpt_text(struct arena *arena, struct slice type, struct slice address)
{
    uint8_t *text = arena_alloc(arena, type.len + 1 + address.len);
    memcpy(text, type.ptr, type.len);
    text[type.len] = ';';
    if (address.len)
        memcpy(text + type.len + 1, address.ptr, address.len);
    return slice_make(text, type.len + 1 + address.len);
}

static struct slice asked_keep(struct smtpd_tx *tx, const struct smtp_cmd *cmd)
{
    struct route_rcpt *way = &tx->asked.way;
    MS_ASSERT(cmd->rcpt.to.address.len <= QUEUE_ADDRESS_MAX); /* the parser's bounds are narrower */
    arena_reset(&tx->asked_arena);
    tx->asked = (struct smtpd_rcpt){0};
    way->original = arena_dup(&tx->asked_arena, cmd->rcpt.to.address);
    way->notify = (uint8_t)cmd->rcpt.notify;
    if (cmd->rcpt.params & SMTP_PARAM_ORCPT)
        way->orcpt = orcpt_text(&tx->asked_arena, cmd->rcpt.orcpt_type, cmd->rcpt.orcpt);
    return way->original;
}

void smtpd__rcpt_run(struct smtpd_session *s, const struct smtp_cmd *cmd)
{
    struct slice address = asked_keep(s->tx, cmd);
    struct route_answer answer;
    enum ms_err err = route_resolve(s->worker->mine->route, address, 0, &s->tx->asked_arena, &answer,
                                    on_resolved, s, &s->wait_request);
    if (err == MS_OK) {
        resolved(s, &answer);
    } else if (err == MS_EMORE) {
        s->wait = SMTPD_WAIT_ROUTE;
        smtpd_enter(s, SMTPD_ST_LOOKUP);
    } else {
        smtpd__rcpt_failed(s, err);
    }
}
