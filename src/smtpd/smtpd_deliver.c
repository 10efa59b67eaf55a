/*
 * smtpd_deliver.c - LMTP: one deliver op a partition, answered when it is visible, and one reply a recipient
 * (RFC 2033 4.2), in the order of the RCPT commands.
 */
#include "smtpd_priv.h"

#include "ms/base/clock.h"

static void take_results(struct smtpd_tx *tx, unsigned sink, const struct part_reply *reply)
{
    struct rd r = rd_make(reply->result);
    for (size_t i = 0; i < tx->rcpt_count; i++) {
        struct smtpd_rcpt *rcpt = &tx->rcpts[i];
        struct store_result result;
        if (rcpt->sink != sink || rcpt->same != i)
            continue;
        rcpt->result = store_result_next(&r, &result) == MS_OK ? result.err : MS_EIO;
    }
}

static void on_visible(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct smtpd_sink *sink = owner;
    struct smtpd_tx *tx = sink->session->tx;
    MS_ASSERT(sink->state == SMTPD_SINK_POSTED && sink->request == request);
    if (reply->err == MS_OK)
        take_results(tx, (unsigned)(sink - tx->sinks), reply);
    smtpd__sink_end(sink, reply->err);
    smtpd__step(sink->session);
}

/* rec: the worker's, or the sink's own when it had to wait. */
static void post(struct smtpd_sink *sink, struct part_rec *rec);

static void on_room(void *owner)
{
    struct smtpd_sink *sink = owner;
    post(sink, &sink->rec);
    smtpd__step(sink->session);
}

static void post(struct smtpd_sink *sink, struct part_rec *rec)
{
    enum ms_err err = part_post(sink->client, rec, on_visible, sink, &sink->request);
    if (err == MS_EFULL) {
        if (rec != &sink->rec) { /* the message is in the record now: it stays with us */
            part_rec_fini(&sink->rec);
            sink->rec = *rec;
            part_rec_init(rec);
        }
        sink->state = SMTPD_SINK_ROOM;
        sink->waiter.fn = on_room;
        sink->waiter.owner = sink;
        part_wait_room(sink->client, &sink->waiter);
    } else if (err) {
        part_rec_fini(rec);
        part_rec_init(rec);
        smtpd__sink_end(sink, err);
    } else {
        sink->state = SMTPD_SINK_POSTED;
        sink->session->tx->is_posted = true;
        part_body_destroy(&sink->body);
    }
}

static size_t make_targets(struct smtpd_tx *tx, unsigned sink, struct slice prefix, struct store_target *out)
{
    size_t n = 0;
    for (size_t i = 0; i < tx->rcpt_count; i++) {
        const struct smtpd_rcpt *rcpt = &tx->rcpts[i];
        if (rcpt->sink != sink || rcpt->same != i)
            continue;
        out[n++] = (struct store_target){.account = rcpt->account,
                                         .mailbox = rcpt->mailbox,
                                         .owner = rcpt->owner,
                                         .name = SLICE_LIT("INBOX"),
                                         .prefix = prefix,
                                         .bytes_max = rcpt->bytes_max,
                                         .messages_max = rcpt->messages_max};
    }
    return n;
}

void smtpd__deliver_post(struct smtpd_session *s, unsigned sink)
{
    struct smtpd_tx *tx = s->tx;
    struct part_rec *rec = &s->worker->rec;
    struct str *prefix = &s->worker->out;
    const struct store_delivery delivery = {.internaldate_us = clock_wall_us()};
    struct store_target *targets = arena_new_array(&tx->arena, struct store_target, tx->rcpt_count);
    str_reset(prefix);
    mime_return_path_emit(prefix, tx->sender); /* RFC 5321 4.4: by the one who makes final delivery */
    size_t n = make_targets(tx, sink, str_slice(prefix), targets);
    enum ms_err err = store_op_deliver(rec, tx->sinks[sink].body, 0, &delivery, targets, n);
    if (err) {
        part_rec_fini(rec);
        part_rec_init(rec);
        smtpd__sink_end(&tx->sinks[sink], err);
        return;
    }
    post(&tx->sinks[sink], rec);
}

/* -- answers */

static struct smtp_reply rcpt_reply(struct smtpd_session *s, const struct smtpd_rcpt *rcpt, enum ms_err err)
{
    switch (err) {
    case MS_EQUOTA:
        return SMTPD_REPLY(452, "4.2.2",
                           "Mailbox full"); /* RFC 2033 4.2 leaves it to the sender how long to try */
    case MS_ENOTFOUND:                      /* its mailbox went away since it was looked up */
        smtpd__inbox_forget(s->worker, rcpt->account);
        return SMTPD_REPLY(451, "4.2.0", "Mailbox is changing, try again later");
    default:
        return smtpd__end_reply(s, err);
    }
}

void smtpd__deliver_reply(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    struct str *out = &s->worker->out;
    bool is_unknown = false;
    str_reset(out);
    for (size_t i = 0; i < tx->rcpt_count && !is_unknown; i++) {
        const struct smtpd_rcpt *rcpt = &tx->rcpts[i];
        enum ms_err err = tx->refused ? tx->refused : tx->sinks[rcpt->sink].err;
        if (!err)
            err = tx->rcpts[rcpt->same].result;
        is_unknown = err == MS_EUNKNOWN;
        if (!err)
            smtp_reply_emitf(out, 250, "2.1.5", "Delivered, id %s", tx->id);
        else if (!is_unknown)
            smtp_reply_emit(out, rcpt_reply(s, rcpt, err));
    }
    net_write(s->stream, str_slice(out));
    if (tx->refused)
        s->errors++;
    if (is_unknown) { /* storage rule 1.6: neither yes nor no for this one and those behind it */
        tx->is_posted = true;
        smtpd__close(s, NET_CLOSED_BY_US);
    }
}
