/*
 * smtpd_deliver.c - LMTP: one record a partition, answered when it is visible, and one reply a recipient
 * (RFC 2033 4.2), in the order of the RCPT commands.
 *
 * A record has a deliver op for the recipients that have one mailbox each, and in the queue's partition the
 * enqueue ops for what all others lead to: one body, and both or nothing.
 */
#include "smtpd_priv.h"

#include <stdio.h>

#include "ms/base/clock.h"

#define RELAY_MAX (ACCOUNT_PARTITION_MAX + 8) /* "store[name]" */

/* Recipient i makes a target of the sink's deliver op. */
static bool makes_target(const struct smtpd_tx *tx, size_t i, unsigned sink)
{
    const struct smtpd_rcpt *rcpt = &tx->rcpts[i];
    return !rcpt->is_queued && rcpt->sink == sink && rcpt->same == i && rcpt->result == MS_OK;
}

static bool takes_queued(const struct smtpd_session *s, unsigned sink)
{
    return s->tx->queued_count > 0 && s->tx->sinks[sink].client == s->worker->mine->queue_client;
}

static enum ms_err queue_results(struct rd *r)
{
    enum ms_err err = MS_EIO, each;
    while (rd_left(r) > 0) { /* one a channel and reason to hold */
        err = queue_result_next(r, &each) == MS_OK ? each : MS_EIO;
        if (err)
            break;
    }
    return err;
}

static void take_results(struct smtpd_session *s, unsigned sink, const struct part_reply *reply)
{
    struct smtpd_tx *tx = s->tx;
    struct rd r = rd_make(reply->result);
    for (size_t i = 0; i < tx->rcpt_count; i++) {
        struct store_result result;
        if (makes_target(tx, i, sink))
            tx->rcpts[i].result = store_result_next(&r, &result) == MS_OK ? result.err : MS_EIO;
    }
    if (takes_queued(s, sink))
        tx->queued_result = queue_results(&r);
}

static void on_visible(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct smtpd_sink *sink = owner;
    struct smtpd_tx *tx = sink->session->tx;
    MS_ASSERT(sink->state == SMTPD_SINK_POSTED && sink->request == request);
    if (reply->err == MS_OK)
        take_results(sink->session, (unsigned)(sink - tx->sinks), reply);
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

/* A user takes no message bigger than this, whatever the quota says. */
static void refuse_too_big(struct smtpd_tx *tx)
{
    for (size_t i = 0; i < tx->rcpt_count; i++) {
        uint64_t limit = tx->rcpts[i].way.target.message_max;
        if (!tx->rcpts[i].is_queued && limit && tx->data.bytes > limit)
            tx->rcpts[i].result = MS_ELIMIT;
    }
}

static size_t make_targets(struct smtpd_tx *tx, unsigned sink, struct slice prefix, struct store_target *out)
{
    size_t n = 0;
    for (size_t i = 0; i < tx->rcpt_count; i++) {
        const struct smtpd_rcpt *rcpt = &tx->rcpts[i];
        if (!makes_target(tx, i, sink))
            continue;
        out[n++] = (struct store_target){.account = rcpt->way.target.account,
                                         .mailbox = rcpt->mailbox,
                                         .owner = rcpt->way.target.login,
                                         .name = rcpt->folder,
                                         .prefix = prefix,
                                         .bytes_max = rcpt->way.target.quota_bytes,
                                         .messages_max = rcpt->way.target.quota_messages};
    }
    return n;
}

static enum ms_err build(struct smtpd_session *s, unsigned sink, struct part_rec *rec)
{
    struct smtpd_tx *tx = s->tx;
    struct part_body *body = tx->sinks[sink].body;
    struct str *prefix = &s->worker->out;
    const struct store_delivery delivery = {.internaldate_us = tx->posted_us};
    struct store_target *targets = arena_new_array(&tx->arena, struct store_target, tx->rcpt_count);
    struct route_message mail;
    str_reset(prefix);
    mime_return_path_emit(prefix, tx->sender); /* RFC 5321 4.4: by the one who makes final delivery */
    size_t n = make_targets(tx, sink, str_slice(prefix), targets);
    if (n > 0)
        MS_TRY(store_op_deliver(rec, body, 0, &delivery, targets, n));
    if (!takes_queued(s, sink))
        return n > 0 ? MS_OK : MS_ENOTFOUND;
    smtpd__queue_mail(tx, body, &mail);
    return route_add(s->worker->mine->route, &mail, rec, &tx->queue_id);
}

void smtpd__deliver_post(struct smtpd_session *s, unsigned sink)
{
    struct smtpd_tx *tx = s->tx;
    struct part_rec *rec = &s->worker->rec;
    tx->body_bytes = part_body_bytes(tx->sinks[sink].body);
    if (tx->posted_us == 0)
        tx->posted_us = clock_wall_us();
    refuse_too_big(tx);
    enum ms_err err = build(s, sink, rec);
    if (!err) {
        post(&tx->sinks[sink], rec);
        return;
    }
    part_rec_fini(rec);
    part_rec_init(rec);
    smtpd__sink_end(&tx->sinks[sink], err == MS_ENOTFOUND ? MS_OK : err); /* nobody here takes it */
}

/* -- answers */

static enum ms_err rcpt_result(const struct smtpd_tx *tx, const struct smtpd_rcpt *rcpt)
{
    enum ms_err err = tx->refused ? tx->refused : tx->sinks[rcpt->sink].err;
    if (err)
        return err;
    return rcpt->is_queued ? tx->queued_result : tx->rcpts[rcpt->same].result;
}

static struct smtp_reply rcpt_reply(struct smtpd_session *s, const struct smtpd_rcpt *rcpt, enum ms_err err)
{
    const struct route_target *target = &rcpt->way.target;
    switch (err) {
    case MS_EQUOTA: /* semantics 11; RFC 2033 4.2 leaves it to the sender how long to try */
        if (target->quota_bytes && s->tx->body_bytes > target->quota_bytes)
            return SMTPD_REPLY(552, "5.2.2", "Message is bigger than the mailbox may be");
        return SMTPD_REPLY(452, "4.2.2", "Mailbox full");
    case MS_ENOTFOUND: /* its mailbox went away since it was looked up */
        smtpd__inbox_forget(s->worker, target->account);
        return SMTPD_REPLY(451, "4.2.0", "Mailbox is changing, try again later");
    default:
        return smtpd__end_reply(s, err);
    }
}

static void refuse(struct smtpd_session *s, const struct smtpd_rcpt *rcpt, enum ms_err err, struct str *out)
{
    struct smtp_reply reply = rcpt_reply(s, rcpt, err);
    smtp_reply_emit(out, reply);
    if (!s->tx->refused) /* else one line says it for all */
        smtpd__rcpt_log_refused(s, rcpt->way.original, reply);
}

/* The line of every driver's deliveries: orig_to only where it differs, delays = before the queue, in it,
 * connection, transfer. */
static void log_sent(const struct smtpd_tx *tx, const struct smtpd_rcpt *rcpt, const char *relay,
                     const char *delay, const char *delays)
{
    struct slice to = rcpt->way.target.address;
    struct obs_kv kv[10];
    size_t n = 0;
    kv[n++] = OBS_C("trace", tx->id);
    kv[n++] = OBS_S("from", tx->sender);
    kv[n++] = OBS_S("to", to);
    if (!slice_eq(to, rcpt->way.original))
        kv[n++] = OBS_S("orig_to", rcpt->way.original);
    kv[n++] = OBS_C("relay", relay);
    kv[n++] = OBS_C("delay", delay);
    kv[n++] = OBS_C("delays", delays);
    kv[n++] = OBS_C("dsn", "2.1.5");
    kv[n++] = OBS_C("status", "sent");
    kv[n++] = OBS_C("reply", "2.1.5 delivered");
    obs_event_emit(OBS_DELIVERY_SENT, 0, kv, n);
}

static void deliver_log(const struct smtpd_tx *tx)
{
    uint64_t ms = (clock_wall_us() - tx->posted_us) / 1000;
    char delay[32], delays[48], relay[RELAY_MAX];
    const struct smtpd_sink *sink = NULL;
    snprintf(delay, sizeof delay, "%u.%02u", (unsigned)(ms / 1000), (unsigned)(ms % 1000 / 10));
    snprintf(delays, sizeof delays, "0/0/0/%s", delay);
    for (size_t i = 0; i < tx->rcpt_count; i++) {
        const struct smtpd_rcpt *rcpt = &tx->rcpts[i];
        if (rcpt->is_queued || rcpt_result(tx, rcpt) != MS_OK)
            continue;
        if (sink != &tx->sinks[rcpt->sink]) { /* as a rule one for all */
            sink = &tx->sinks[rcpt->sink];
            snprintf(relay, sizeof relay, "store[%s]", partition_name(part_client_partition(sink->client)));
        }
        log_sent(tx, rcpt, relay, delay, delays);
    }
}

/* The same words to many: written once, then copied. */
struct accepted {
    size_t at, len;
};

static void accept(const struct smtpd_tx *tx, bool is_queued, struct accepted *seen, struct str *out)
{
    if (seen->len > 0) {
        str_reserve(out, seen->len); /* its own bytes: they must not move meanwhile */
        str_add_slice(out, slice_sub(str_slice(out), seen->at, seen->len));
        return;
    }
    seen->at = out->len;
    smtp_reply_emitf(out, 250, "2.1.5", "%s, id %s", is_queued ? "Queued" : "Delivered", tx->id);
    seen->len = out->len - seen->at;
}

void smtpd__deliver_reply(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    struct str *out = &s->worker->out;
    struct accepted seen[2] = {{0}};
    bool is_unknown = false;
    str_reset(out);
    for (size_t i = 0; i < tx->rcpt_count && !is_unknown; i++) {
        const struct smtpd_rcpt *rcpt = &tx->rcpts[i];
        enum ms_err err = rcpt_result(tx, rcpt);
        is_unknown = err == MS_EUNKNOWN;
        if (!err)
            accept(tx, rcpt->is_queued, &seen[rcpt->is_queued], out);
        else if (!is_unknown)
            refuse(s, rcpt, err, out);
    }
    smtpd__send(s, str_slice(out));
    if (tx->refused)
        s->errors++;
    deliver_log(tx);
    if (is_unknown) { /* storage rule 1.6: neither yes nor no for this one and those behind it */
        tx->is_posted = true;
        smtpd__close(s, NET_CLOSED_BY_US);
    }
}
