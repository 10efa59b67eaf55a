/*
 * smtpd_session.c - a session's life, its input and its replies.
 *
 * Everything that happens is an event (input, an answer, a timer); after each one smtpd__settle looks whether
 * the session is to be closed and tells net whether to read on. Handlers change the state first and reply
 * last.
 */
#include "smtpd_priv.h"

#include <stdarg.h>
#include <stdio.h>

/* -- life */

/* What the service says of itself, else what all are told. */
static const struct smtpd_conf *conf_of(const struct conf *conf, const struct smtpd_worker *w)
{
    bool lmtp = w->kind == SMTPD_LMTP;
    const struct smtpd_conf *own =
        conf_map_find(conf, lmtp ? "lmtp.services.*" : "smtp.services.*", w->service);
    return own ? own : conf_section(conf, lmtp ? "lmtp" : "smtp");
}

struct smtpd_session *smtpd__session_create(struct smtpd_worker *w, uint64_t id)
{
    struct smtpd_session *s = ms_new(struct smtpd_session);
    s->worker = w;
    s->conf_ref = conf_ref((struct conf *)(uintptr_t)w->mine->conf);
    s->conf = conf_of(s->conf_ref, w);
    s->hostname = w->mine->hostname;
    s->detail_mailbox = w->mine->detail_mailbox;
    s->reads = true;
    smtp_line_init(&s->line, SMTP_LINE_EXT_MAX);
    list_init(&s->waiter.node);
    str_init(&s->kept, 0);
    dispatch_members_add(&w->sessions, &s->member, id, loop_now_ms(w->loop));
    obs_count(MET_SMTPD_SESSIONS, 1);
    return s;
}

static void greet(struct smtpd_session *s)
{
    smtpd_enter(s, SMTPD_ST_GREET);
    smtpd__replyf(s, 220, NULL, "%s %s ready", s->hostname, smtpd__is_lmtp(s) ? "LMTP" : "ESMTP");
}

void smtpd__session_begin(struct smtpd_session *s, struct net_stream *stream)
{
    struct smtpd_worker *w = s->worker;
    s->stream = stream;
    OBS_EVENT(OBS_SMTPD_CONNECTED, s->member.id, OBS_C("svc", w->service), OBS_S("peer", smtpd__rip(s)));
    if (w->tls_mode != DISPATCH_TLS_IMPLICIT) {
        greet(s);
    } else {
        smtpd_enter(s, SMTPD_ST_TLS);
        if (!w->mine->tls || net_tls_start(stream, w->mine->tls) != MS_OK)
            smtpd__close(s, NET_CLOSED_TLS);
    }
    smtpd__settle(s);
}

void smtpd__wait_cancel(struct smtpd_session *s)
{
    switch (s->wait) {
    case SMTPD_WAIT_NONE:
    case SMTPD_WAIT_VERIFY: /* smtpd__auth_end does it */
        break;
    case SMTPD_WAIT_ROUTE:
        route_forget(s->worker->mine->route, s->wait_request);
        break;
    case SMTPD_WAIT_SENDER:
    case SMTPD_WAIT_VRFY:
        account_forget(s->worker->mine->accounts, s->wait_request);
        break;
    case SMTPD_WAIT_ROOM:
        bus_waiter_cancel(&s->waiter);
        break;
    case SMTPD_WAIT_INBOX:
        part_forget(s->wait_client, s->wait_request);
        break;
    }
    s->wait = SMTPD_WAIT_NONE;
}

void smtpd__session_free(struct smtpd_session *s)
{
    smtpd__wait_cancel(s);
    smtpd__auth_end(s);
    smtpd__tx_end(s);
    loop_timer_stop(s->worker->loop, &s->timer);
    loop_timer_stop(s->worker->loop, &s->pause);
    str_fini(&s->kept);
    list_remove(&s->member.node);
    conf_unref(&s->conf_ref);
    ms_free(s->account);
    ms_free(s->helo);
    ms_free(s);
}

static void on_closed(void *owner, enum net_close_why why)
{
    struct smtpd_session *s = owner;
    struct dispatch_worker *handle = s->worker->handle;
    OBS_EVENT(OBS_SMTPD_CLOSED, s->member.id, OBS_C("svc", s->worker->service),
              OBS_C("why", net_close_why_name(why)), OBS_U("transactions", s->tx_number),
              OBS_U("errors", s->errors));
    smtpd__metric_closed(s, why);
    uint64_t id = s->member.id;
    smtpd__session_free(s);
    if (handle)
        dispatch_session_closed(handle, id); /* may close the worker */
}

void smtpd__close(struct smtpd_session *s, enum net_close_why why)
{
    smtpd__wait_cancel(s);
    smtpd__auth_end(s);
    smtpd__tx_end(s);
    smtpd__pause_end(s);
    smtpd_enter(s, SMTPD_ST_CLOSED);
    net_close(s->stream, why);
}

void smtpd__goodbye(struct smtpd_session *s, struct smtp_reply reply, enum net_close_why why)
{
    smtpd__reply(s, reply);
    smtpd__close(s, why);
}

/* -- replies */

void smtpd__pause_end(struct smtpd_session *s)
{
    loop_timer_stop(s->worker->loop, &s->pause);
    if (s->kept.len == 0)
        return;
    net_write(s->stream, str_slice(&s->kept));
    str_fini(&s->kept);
    str_init(&s->kept, 0);
}

static void on_pause(struct loop_timer *timer)
{
    struct smtpd_session *s = MS_CONTAINER_OF(timer, struct smtpd_session, pause);
    smtpd__pause_end(s);
    smtpd__timer_arm(s);
    smtpd__settle(s);
}

/* RFC 5321 7.8 leaves it to us: who makes too many errors is answered slowly. */
void smtpd__send(struct smtpd_session *s, struct slice bytes)
{
    s->member.bytes_out += bytes.len;
    if (s->errors < (uint64_t)s->conf->errors_soft || s->conf->error_delay_ms == 0) {
        net_write(s->stream, bytes);
        return;
    }
    str_add_slice(&s->kept, bytes);
    if (!loop_timer_is_running(&s->pause))
        loop_timer_start(s->worker->loop, &s->pause, s->conf->error_delay_ms, on_pause);
}

void smtpd__reply(struct smtpd_session *s, struct smtp_reply reply)
{
    struct str *out = &s->worker->out;
    str_reset(out);
    smtp_reply_emit(out, reply);
    smtpd__send(s, str_slice(out));
    smtpd__metric_reply(s, reply.code);
    if (reply.code >= 500)
        s->errors++;
}

void smtpd__replyf(struct smtpd_session *s, unsigned code, const char *enhanced, const char *fmt, ...)
{
    char text[2 * SMTP_REPLY_LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    smtpd__reply(s, SMTPD_REPLY((uint16_t)code, enhanced, text));
}

/* -- events */

static bool wants_input(const struct smtpd_session *s)
{
    if (s->choked || loop_timer_is_running(&s->pause) || !smtpd__state_reads(s->state))
        return false;
    return !s->tx || !smtpd__sinks_are_holding(s->tx);
}

void smtpd__settle(struct smtpd_session *s)
{
    if (s->state == SMTPD_ST_CLOSED)
        return;
    if (smtpd__state_is_between(s->state) && !loop_timer_is_running(&s->pause)) {
        if (s->errors > (uint64_t)s->conf->errors_max) {
            OBS_EVENT(OBS_SMTPD_ERROR_LIMIT, s->member.id, OBS_S("rip", smtpd__rip(s)),
                      OBS_U("errors", s->errors));
            smtpd__goodbye(s, SMTPD_REPLY(421, "4.7.0", "Too many errors, closing connection"),
                           NET_CLOSED_BY_US);
            return;
        }
        if (s->is_kicked) {
            smtpd__goodbye(s, SMTPD_REPLY(421, "4.7.0", "Session ended by the operator"), NET_CLOSED_BY_US);
            return;
        }
        if (s->worker->draining) {
            /* RFC 5321 3.8: 421 tells that the session ends although nothing is wrong with it. */
            smtpd__goodbye(s, SMTPD_REPLY(421, "4.3.2", "Service shutting down, closing connection"),
                           NET_CLOSED_BY_US);
            return;
        }
    }
    if (net_out_bytes(s->stream) > NET_OUT_HIGH)
        s->choked = true;
    if (wants_input(s) == s->reads)
        return;
    s->reads = !s->reads;
    if (s->reads)
        net_read_start(s->stream);
    else
        net_read_stop(s->stream);
}

static size_t line_input(struct smtpd_session *s, struct slice in)
{
    struct slice line;
    size_t used;
    enum ms_err err = smtp_line_find(&s->line, in, &line, &used);
    if (err == MS_OK)
        smtpd__line(s, line);
    else if (err == MS_ELIMIT && s->state == SMTPD_ST_AUTH)
        smtpd__auth_too_long(s);
    else if (err != MS_EMORE)
        smtpd__reply(s, smtp_reply_for_fault(err == MS_ELIMIT ? SMTP_FAULT_LINE_LONG : SMTP_FAULT_LINE_END));
    return used;
}

/* Bytes used; 0: more must come first. */
static size_t input(struct smtpd_session *s, struct slice in)
{
    switch (s->state) {
    case SMTPD_ST_DATA:
        return smtpd__data_input(s, in);
    case SMTPD_ST_CHUNK:
    case SMTPD_ST_SWALLOW:
        return smtpd__chunk_input(s, in);
    default:
        return line_input(s, in);
    }
}

static size_t on_data(void *owner, struct slice in)
{
    struct smtpd_session *s = owner;
    size_t used = 0, n = 1;
    while (n > 0 && s->reads && s->state != SMTPD_ST_CLOSED && s->state != SMTPD_ST_TLS) {
        struct slice rest = slice_sub(in, used, in.len);
        n = input(s, rest);
        used += n;
        smtpd__settle(s);
    }
    s->member.bytes_in += used;
    if (used > 0)
        s->member.heard_ms = loop_now_ms(s->worker->loop);
    if (used > 0 && s->state != SMTPD_ST_CLOSED)
        smtpd__timer_arm(s);
    return used;
}

static void on_drain(void *owner)
{
    struct smtpd_session *s = owner;
    s->choked = false;
    smtpd__settle(s);
}

static void on_tls(void *owner, enum ms_err result)
{
    struct smtpd_session *s = owner;
    if (result || s->state != SMTPD_ST_TLS)
        return; /* the stream closes next */
    if (s->worker->tls_mode == DISPATCH_TLS_IMPLICIT)
        greet(s);
    else
        smtpd_enter(s, SMTPD_ST_GREET); /* RFC 3207 4.2: what was known is forgotten, no second banner */
    smtpd__settle(s);
}

const struct net_callbacks smtpd__callbacks = {
    .on_data = on_data, .on_drain = on_drain, .on_tls = on_tls, .on_closed = on_closed};
