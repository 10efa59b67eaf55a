/*
 * smtpd_enqueue.c - SMTP and submission: the message goes into the queue, and 250 is said when it is durable
 * there (storage rule 2.3: what is durable needs nothing else to be accepted).
 */
#include "smtpd_priv.h"

static void on_durable(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct smtpd_sink *sink = owner;
    MS_ASSERT(sink->state == SMTPD_SINK_POSTED && sink->request == request);
    smtpd__sink_end(sink, reply->err);
    smtpd__step(sink->session);
}

static void on_room(void *owner)
{
    struct smtpd_sink *sink = owner;
    sink->state = SMTPD_SINK_FINISHED;
    smtpd__enqueue_post(sink->session);
    smtpd__step(sink->session);
}

void smtpd__queue_mail(const struct smtpd_tx *tx, struct part_body *body, struct route_message *out)
{
    *out = (struct route_message){.sender = tx->sender,
                                  .rcpts = tx->queued,
                                  .rcpt_count = tx->queued_count,
                                  .body = body,
                                  .trace = slice_cstr(tx->id),
                                  .envid = tx->envid,
                                  .ret = (uint8_t)tx->ret,
                                  .class_ = tx->class_,
                                  .body_type = (uint8_t)tx->body_type,
                                  .smtputf8 = tx->smtputf8};
}

void smtpd__enqueue_post(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    struct smtpd_sink *sink = &tx->sinks[0];
    struct route_message mail;
    smtpd__queue_mail(tx, sink->body, &mail);
    enum ms_err err =
        route_submit(s->worker->mine->route, &mail, &tx->queue_id, on_durable, sink, &sink->request);
    if (err == MS_EFULL) {
        sink->state = SMTPD_SINK_ROOM;
        sink->waiter.fn = on_room;
        sink->waiter.owner = sink;
        part_wait_room(sink->client, &sink->waiter);
    } else if (err) {
        smtpd__sink_end(sink, err);
    } else {
        sink->state = SMTPD_SINK_POSTED;
        tx->is_posted = true;
    }
}

void smtpd__enqueue_reply(struct smtpd_session *s)
{
    enum ms_err err = s->tx->refused ? s->tx->refused : s->tx->sinks[0].err;
    if (err == MS_EUNKNOWN) { /* storage rule 1.6: neither yes nor no */
        s->tx->is_posted = true;
        smtpd__close(s, NET_CLOSED_BY_US);
        return;
    }
    if (err)
        smtpd__reply(s, smtpd__end_reply(s, err));
    else
        smtpd__replyf(s, 250, "2.0.0", "Accepted, id %s", s->tx->id);
}
