/*
 * smtpd_commit.c - from the end of the data to the answer.
 *
 *   DRAIN: what is held goes into the bodies, the parsed cache is made once, the bodies are finished
 *   COMMIT: one record a sink is posted; when all have answered the client is
 *
 * A refused message skips both.
 */
#include "smtpd_priv.h"

struct smtp_reply smtpd__end_reply(const struct smtpd_session *s, enum ms_err err)
{
    struct smtp_reply reply;
    if (s->tx->refused == MS_ESYNTAX && (reply = smtp_reply_for_data_flags(s->tx->data.flags)).code)
        return reply;
    if (s->tx->refused == MS_EDENIED)
        return SMTPD_REPLY(554, "5.4.6", "Too many hops, this message goes in circles");
    if (err == MS_EOFFLINE || err == MS_ECLOSED) /* of one partition; the session stays */
        return SMTPD_REPLY(451, "4.3.0", "Storage not available, try again later");
    return smtp_reply_for_err(err, SMTP_AT_END);
}

/* -- DRAIN */

static void flush_held(struct smtpd_tx *tx)
{
    for (unsigned i = 0; i < tx->sink_count; i++) {
        struct smtpd_sink *sink = &tx->sinks[i];
        enum ms_err err;
        if (sink->state != SMTPD_SINK_OPEN || sink->held.len == 0)
            continue;
        err = part_body_add(sink->body, str_slice(&sink->held));
        if (err == MS_OK)
            str_reset(&sink->held);
        else if (err != MS_EFULL)
            smtpd__sink_end(sink, err == MS_EUNKNOWN ? MS_EIO : err);
    }
}

/* The message as parsed, in place until the caller is done with it. */
static struct mime_message *parse(struct smtpd_session *s, const struct part_body *body)
{
    struct slice pieces[SMTPD_PIECES_MAX];
    unsigned n = 0;
    if (s->tx->parser) {
        mime_parser_finish(s->tx->parser);
        return s->tx->message;
    }
    while (n < SMTPD_PIECES_MAX && part_body_piece(body, n, &pieces[n]))
        n++;
    MS_ASSERT(n < SMTPD_PIECES_MAX);
    mime_message_reset(&s->worker->message);
    mime_message_parse(pieces, n, &s->worker->message);
    return &s->worker->message;
}

/* For the log, which is to tell what became of a message that somebody asks about. */
static void keep_message_id(struct smtpd_tx *tx, const struct mime_message *m)
{
    const struct mime_field *id = mime_part_field(m, mime_message_root(m), MIME_FIELD_MESSAGE_ID, NULL);
    if (id)
        tx->msgid = arena_dup(&tx->arena, slice_sub(slice_trim(mime_field_value(id)), 0, SMTPD_MSGID_MAX));
}

static void make_cache(struct smtpd_session *s, const struct part_body *body)
{
    struct mime_message *m = parse(s, body);
    s->tx->class_ = route_class_of(m, conf_section(s->conf_ref, "queue"));
    keep_message_id(s->tx, m);
    str_reset(&s->worker->cache);
    enum ms_err err = mime_cache_emit(m, &s->worker->cache);
    MS_ASSERT(err == MS_OK); /* the buffer has no bound */
}

/* A body that has no room for its last part says MS_EMORE and calls back. The cache is taken by the first
 * call. */
static void finish_bodies(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    for (unsigned i = 0; i < tx->sink_count; i++) {
        struct smtpd_sink *sink = &tx->sinks[i];
        enum ms_err err;
        if (sink->state != SMTPD_SINK_OPEN)
            continue;
        err = part_body_finish(sink->body, str_slice(&s->worker->cache), false);
        if (err == MS_OK)
            sink->state = SMTPD_SINK_FINISHED;
        else if (err != MS_EMORE)
            smtpd__sink_end(sink, err == MS_EUNKNOWN ? MS_EIO : err);
    }
}

static bool is_finished(const struct smtpd_tx *tx)
{
    for (unsigned i = 0; i < tx->sink_count; i++)
        if (tx->sinks[i].state == SMTPD_SINK_OPEN)
            return false;
    return true;
}

/* -- COMMIT */

/* MS_OK or the first error, for the log. */
static enum ms_err tx_result(const struct smtpd_tx *tx)
{
    if (tx->refused)
        return tx->refused;
    for (unsigned i = 0; i < tx->sink_count; i++)
        if (tx->sinks[i].err)
            return tx->sinks[i].err;
    for (size_t i = 0; i < tx->rcpt_count; i++)
        if (tx->rcpts[i].result)
            return tx->rcpts[i].result;
    return tx->queued_result;
}

static void log_end(struct smtpd_session *s)
{
    const struct smtpd_tx *tx = s->tx;
    enum ms_err err = tx_result(tx);
    char qid[QUEUE_ID_TEXT_MAX] = "";
    if (err) {
        obs_count(MET_SMTPD_REFUSED, 1);
        smtpd__metric_refused("data", smtpd__end_reply(s, err));
    } else {
        obs_count(MET_SMTPD_MESSAGES, 1);
        obs_count(MET_SMTPD_BYTES, tx->data.bytes);
        smtpd__metric_received(s, tx->data.bytes);
        if (tx->queued_count > 0)
            queue_id_emit(&tx->queue_id, qid);
    }
    OBS_EVENT(OBS_SMTPD_TX_FINISHED, s->member.id, OBS_C("trace", tx->id), OBS_C("qid", qid),
              OBS_C("svc", s->worker->service), OBS_S("peer", smtpd__rip(s)),
              OBS_C("user", s->account ? s->account->login : ""), OBS_S("from", tx->sender),
              OBS_S("to", tx->rcpts[0].way.original), OBS_U("size", tx->data.bytes),
              OBS_U("nrcpt", tx->rcpt_count), OBS_E("result", err), OBS_S("msgid", tx->msgid));
}

static void tx_answer(struct smtpd_session *s)
{
    s->tx->is_posted = false;
    if (smtpd__is_lmtp(s))
        smtpd__deliver_reply(s);
    else
        smtpd__enqueue_reply(s);
    if (s->state == SMTPD_ST_CLOSED)
        return;
    log_end(s);
    smtpd__tx_end(s);
    smtpd_enter(s, SMTPD_ST_READY);
}

static void post_all(struct smtpd_session *s)
{
    for (unsigned i = 0; i < s->tx->sink_count; i++) {
        if (s->tx->sinks[i].state != SMTPD_SINK_FINISHED)
            continue;
        if (smtpd__is_lmtp(s))
            smtpd__deliver_post(s, i);
        else
            smtpd__enqueue_post(s);
    }
}

/* -- steps */

static void commit_step(struct smtpd_session *s)
{
    if (smtpd__sinks_all(s->tx, SMTPD_SINK_DONE))
        tx_answer(s);
}

static void drain_step(struct smtpd_session *s)
{
    flush_held(s->tx);
    if (smtpd__sinks_are_holding(s->tx))
        return;
    finish_bodies(s);
    if (!is_finished(s->tx))
        return;
    smtpd_enter(s, SMTPD_ST_COMMIT);
    post_all(s);
    commit_step(s);
}

void smtpd__step(struct smtpd_session *s)
{
    switch (s->state) {
    case SMTPD_ST_DATA:
    case SMTPD_ST_CHUNK:
    case SMTPD_ST_BDAT:
        flush_held(s->tx);
        break;
    case SMTPD_ST_DRAIN:
        drain_step(s);
        break;
    case SMTPD_ST_COMMIT:
        commit_step(s);
        break;
    default:
        MS_UNREACHABLE(); /* sinks live in these states only */
    }
    smtpd__settle(s);
}

void smtpd__drain_begin(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    if (!tx->refused)
        tx->refused = smtpd__end_check(s);
    if (tx->refused || smtpd__sinks_all(tx, SMTPD_SINK_DONE)) {
        tx_answer(s);
        return;
    }
    smtpd_enter(s, SMTPD_ST_DRAIN);
    for (unsigned i = 0; i < tx->sink_count; i++) {
        if (tx->sinks[i].state == SMTPD_SINK_OPEN) {
            make_cache(s, tx->sinks[i].body);
            break;
        }
    }
    drain_step(s);
}
