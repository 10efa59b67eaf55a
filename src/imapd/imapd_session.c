/*
 * imapd_session.c - life of a session: bytes in, states, timers, the end.
 *
 *   state:  NOAUTH --LOGIN--> AUTH <--CLOSE, failed SELECT--SELECT--> SELECTED        any --BYE--> LOGOUT
 *
 *   phase:  READ --command--> RUN --> READ             one step was enough
 *                             RUN --> WAIT --answer--> RUN ...
 *                             RUN --> DRAIN --client has read--> RUN ...
 *                             RUN --> LINE --line--> RUN ...        AUTHENTICATE, IDLE
 *                             RUN --> LITERAL --message is in--> RUN ...    APPEND
 *           any --> CLOSE
 *
 * Invariants: (1) cmd.row != NULL in every phase but READ and CLOSE; (2) input is read in READ, LINE and
 * LITERAL only, so commands are executed one after another in the order of their tags; (3) when a callback
 * returns to the loop, w->out is empty; (4) in CLOSE nothing is outstanding: no request, reader, hook or
 * timer.
 */
#include "imapd_priv.h"

static const unsigned imapd_edges[] = {
    [IMAPD_ST_NOAUTH] = IMAPD_IN(IMAPD_ST_AUTH) | IMAPD_IN(IMAPD_ST_LOGOUT),
    [IMAPD_ST_AUTH] = IMAPD_IN(IMAPD_ST_SELECTED) | IMAPD_IN(IMAPD_ST_LOGOUT),
    [IMAPD_ST_SELECTED] = IMAPD_IN(IMAPD_ST_AUTH) | IMAPD_IN(IMAPD_ST_LOGOUT),
    [IMAPD_ST_LOGOUT] = 0,
};

#define PH(phase) (1u << IMAPD_PH_##phase)
static const unsigned imapd_phase_edges[IMAPD_PH_COUNT] = {
    [IMAPD_PH_READ] = PH(RUN) | PH(CLOSE),
    [IMAPD_PH_LINE] = PH(RUN) | PH(CLOSE),
    [IMAPD_PH_LITERAL] = PH(RUN) | PH(CLOSE),
    [IMAPD_PH_RUN] = PH(READ) | PH(LINE) | PH(LITERAL) | PH(WAIT) | PH(DRAIN) | PH(CLOSE),
    [IMAPD_PH_WAIT] = PH(RUN) | PH(CLOSE),
    [IMAPD_PH_DRAIN] = PH(RUN) | PH(CLOSE),
    [IMAPD_PH_CLOSE] = 0,
};

static void session_check(const struct imapd_session *s)
{
    switch (s->state) {
    case IMAPD_ST_NOAUTH:
        MS_ASSERT(!s->user && !s->box);
        break;
    case IMAPD_ST_AUTH:
        MS_ASSERT(s->user && !s->box);
        break;
    case IMAPD_ST_SELECTED:
        MS_ASSERT(s->user && s->box);
        break;
    case IMAPD_ST_LOGOUT:
        break;
    }
}

/* imap_sessions{state}: by how many sessions a state grows. */
static void count_state(enum imapd_state state, int by)
{
    static _Atomic unsigned series[IMAPD_ST_LOGOUT + 1];
    static const char *const names[] = {[IMAPD_ST_NOAUTH] = "noauth",
                                        [IMAPD_ST_AUTH] = "auth",
                                        [IMAPD_ST_SELECTED] = "selected",
                                        [IMAPD_ST_LOGOUT] = "logout"};
    obs_series_add(obs_series_keep(&series[state], FAM_IMAP_SESSIONS, names[state], NULL, NULL), by);
}

void imapd_enter(struct imapd_session *s, enum imapd_state next)
{
    MS_ASSERT(imapd_edges[s->state] & IMAPD_IN(next));
    count_state(s->state, -1);
    count_state(next, 1);
    s->state = next;
    session_check(s);
    if (next == IMAPD_ST_AUTH)
        s->feed.limits = &s->rules->limits;
}

/* -- timers */
static const char *session_timeout_text(const struct imapd_session *s)
{
    return s->state == IMAPD_ST_NOAUTH ? "Login took too long" : "Idle for too long";
}

static void on_timer(struct loop_timer *timer)
{
    struct imapd_session *s = MS_CONTAINER_OF(timer, struct imapd_session, timer);

    if (s->phase == IMAPD_PH_LITERAL || s->phase == IMAPD_PH_DRAIN)
        imapd__session_abort(s, NET_CLOSED_TIMEOUT); /* a BYE would stand in the middle of something */
    else
        imapd__session_bye(s, session_timeout_text(s), NET_CLOSED_TIMEOUT);
}

static void session_arm_timer(struct imapd_session *s)
{
    const struct imapd_conf *c = s->rules->conf;

    /* Before login one timer runs for the whole of it, whatever the client does meanwhile. */
    if (s->state == IMAPD_ST_NOAUTH && s->phase != IMAPD_PH_CLOSE) {
        if (!loop_timer_is_running(&s->timer))
            loop_timer_start(s->w->loop, &s->timer, c->login_timeout_ms, on_timer);
        return;
    }
    switch (s->phase) {
    case IMAPD_PH_READ:
    case IMAPD_PH_LINE: /* RFC 3501 5.4 */
        loop_timer_start(s->w->loop, &s->timer, c->idle_timeout_ms, on_timer);
        break;
    case IMAPD_PH_LITERAL:
    case IMAPD_PH_DRAIN:
        loop_timer_start(s->w->loop, &s->timer, c->stall_timeout_ms, on_timer);
        break;
    case IMAPD_PH_RUN: /* soon left again */
    case IMAPD_PH_WAIT:
    case IMAPD_PH_CLOSE:
    case IMAPD_PH_COUNT:
        loop_timer_stop(s->w->loop, &s->timer);
        break;
    }
}

static bool phase_reads(enum imapd_phase phase)
{
    return phase == IMAPD_PH_READ || phase == IMAPD_PH_LINE || phase == IMAPD_PH_LITERAL;
}

void imapd__enter_phase(struct imapd_session *s, enum imapd_phase next)
{
    MS_ASSERT(imapd_phase_edges[s->phase] & (1u << next));
    MS_ASSERT(next == IMAPD_PH_CLOSE || (s->cmd.row != NULL) == (next != IMAPD_PH_READ));
    s->phase = next;
    if (next == IMAPD_PH_CLOSE)
        return;
    if (next != IMAPD_PH_RUN)
        session_arm_timer(s);
    if (phase_reads(next) && !s->in_data)
        net_read_start(s->stream);
}

/* -- input */
static void session_event_line(struct imapd_session *s, struct slice text)
{
    s->cmd.line = text.len ? text : SLICE_LIT("");
    imapd__enter_phase(s, IMAPD_PH_RUN);
    imapd_command_run(s);
}

/* A further message of the APPEND that runs (RFC 3502). */
static void session_event_next(struct imapd_session *s)
{
    s->cmd.literal_next = true;
    s->cmd.literal_sync = s->feed.literal_sync;
    s->cmd.literal_bytes = s->feed.literal_bytes;
    session_event_line(s, s->feed.text);
}

static void session_event(struct imapd_session *s, enum imap_feed_event ev)
{
    switch (ev) {
    case IMAP_FEED_MORE:
        break;
    case IMAP_FEED_CONTINUE:
        str_add_cstr(imapd__out(s), "+ OK\r\n");
        break;
    case IMAP_FEED_COMMAND:
        if (s->phase == IMAPD_PH_LINE)
            session_event_line(s, s->feed.text);
        else
            imapd__command_begin(s, s->feed.text, false);
        break;
    case IMAP_FEED_LITERAL:
        if (s->feed.literal_index == 0)
            imapd__command_begin(s, s->feed.text, true);
        else
            session_event_next(s);
        break;
    case IMAP_FEED_DATA:
        session_event_line(s, s->feed.run);
        break;
    case IMAP_FEED_END:
        s->cmd.literal_end = true;
        s->cmd.line = slice_make(NULL, 0);
        imapd__enter_phase(s, IMAPD_PH_RUN);
        imapd_command_run(s);
        break;
    case IMAP_FEED_BAD:
        imapd__command_bad(s, s->feed.text);
        break;
    }
}

/* A session that sends commands one behind the other has its turn until it has had slice_rows, as one long
 * command; a command counts as 1/TURN_COMMANDS of that and the rows it has looked at. Then the others have
 * theirs. */
#define TURN_COMMANDS 16

static int64_t turn_share(const struct imapd_session *s)
{
    return MS_MAX(s->rules->conf->slice_rows / TURN_COMMANDS, 1) + s->w->step_rows;
}

static size_t on_data(void *owner, struct slice in)
{
    struct imapd_session *s = owner;
    int64_t left = s->rules->conf->slice_rows;
    size_t used = 0, n;

    s->in_data = true;
    while (used < in.len && left > 0 && phase_reads(s->phase) && !s->tls_starting) {
        enum imap_feed_event ev = imap_feed(&s->feed, slice_sub(in, used, SIZE_MAX), &n);

        used += n;
        session_event(s, ev);
        if (ev != IMAP_FEED_DATA)
            left -= turn_share(s);
    }
    s->in_data = false;
    s->member.bytes_in += used;
    if (used > 0)
        s->member.heard_ms = loop_now_ms(s->w->loop);
    imapd__flush(s);
    if (s->phase == IMAPD_PH_CLOSE)
        return used;
    if (left <= 0 || !phase_reads(s->phase))
        net_read_stop(s->stream);
    if (left <= 0 && phase_reads(s->phase))
        imapd__session_soon(s); /* on_hook reads on */
    return used;
}

/* -- running */
static void on_hook(struct loop_hook *hook)
{
    struct imapd_session *s = MS_CONTAINER_OF(hook, struct imapd_session, hook);

    if (s->phase == IMAPD_PH_LINE && s->noted) {
        imapd__enter_phase(s, IMAPD_PH_RUN);
        s->cmd.line = slice_make(NULL, 0);
    }
    if (s->phase == IMAPD_PH_RUN)
        imapd_command_run(s);
    else if (phase_reads(s->phase))
        net_read_start(s->stream); /* it had had its turn */
    imapd__flush(s);
}

void imapd__session_soon(struct imapd_session *s)
{
    loop_hook_arm(s->w->loop, &s->hook, on_hook);
}

void imapd__wake(struct imapd_session *s)
{
    if (s->phase != IMAPD_PH_WAIT && s->phase != IMAPD_PH_DRAIN)
        return;
    imapd__enter_phase(s, IMAPD_PH_RUN);
    imapd_command_run(s);
    imapd__flush(s);
}

void imapd__note(struct imapd_session *s)
{
    s->noted = true;
    imapd__session_soon(s);
}

static void on_drain(void *owner)
{
    struct imapd_session *s = owner;

    if (s->phase == IMAPD_PH_DRAIN)
        imapd__wake(s);
}

/* RFC 3501 7.1: capabilities in the greeting save a round trip. With implicit TLS it waits for the
 * handshake, which tells who the client is, and so what is offered. */
static void session_greet(struct imapd_session *s)
{
    struct str *out = imapd__out(s);

    s->is_greeted = true;
    str_add_cstr(out, "* OK [CAPABILITY ");
    imapd__emit_capability(s, out);
    str_addf(out, "] %s IMAP4rev1 ready\r\n", s->rules->hostname ? s->rules->hostname : "mailserverd");
}

static void on_tls(void *owner, enum ms_err result)
{
    struct imapd_session *s = owner;

    s->tls_starting = false; /* on failure the stream closes next */
    if (!result && !s->is_greeted) {
        session_greet(s);
        imapd__flush(s);
    }
}

void imapd__session_start_tls(struct imapd_session *s)
{
    imapd__flush(s);
    s->tls_starting = true;
    imap_feed_shrink(&s->feed); /* RFC 3501 6.2.1: nothing learned in clear is used */
    if (net_tls_start(s->stream, s->w->mine->tls))
        imapd__session_abort(s, NET_CLOSED_TLS);
}

/* -- output */
void imapd__flush(struct imapd_session *s)
{
    struct str *out = &s->w->out;

    if (out->len == 0)
        return;
    s->w->step_bytes += out->len;
    s->member.bytes_out += out->len;
    net_write(s->stream, str_slice(out));
    if (out->cap > 16 * IMAPD_FLUSH_BYTES) {
        str_fini(out);
        str_init(out, 0);
    }
    str_reset(out);
}

enum imapd_step imapd__pace(struct imapd_session *s)
{
    struct imapd_worker *w = s->w;
    const struct imapd_conf *c = s->rules->conf;

    if (w->out.len >= IMAPD_FLUSH_BYTES)
        imapd__flush(s);
    if (net_out_bytes(s->stream) + w->out.len > NET_OUT_HIGH) {
        imapd__flush(s);
        return IMAPD_DRAIN;
    }
    if (++w->step_rows >= c->slice_rows || w->step_bytes + w->out.len >= c->slice_bytes)
        return IMAPD_AGAIN;
    return IMAPD_GO;
}

/* -- the end */
static void session_let_go(struct imapd_session *s)
{
    imapd__feed_unwatch(s);
    imapd__command_drop(s);
    imapd__post_drop(s);
    imapd__read_drop(s);
    loop_hook_disarm(s->w->loop, &s->hook);
    loop_timer_stop(s->w->loop, &s->timer);
}

void imapd__session_abort(struct imapd_session *s, enum net_close_why why)
{
    if (s->phase == IMAPD_PH_CLOSE)
        return;
    str_reset(&s->w->out);
    session_let_go(s);
    imapd__enter_phase(s, IMAPD_PH_CLOSE);
    net_abort(s->stream, why);
}

void imapd__session_bye(struct imapd_session *s, const char *text, enum net_close_why why)
{
    if (s->phase == IMAPD_PH_CLOSE)
        return;
    if (s->state != IMAPD_ST_LOGOUT) {
        imapd_enter(s, IMAPD_ST_LOGOUT);
        imap_emit_status(imapd__out(s), slice_make(NULL, 0), (struct imap_status){"BYE", NULL, text});
    }
    imapd__flush(s);
    session_let_go(s);
    imapd__enter_phase(s, IMAPD_PH_CLOSE);
    net_close(s->stream, why);
}

void imapd__session_drain(struct imapd_session *s)
{
    if (s->phase == IMAPD_PH_READ || s->phase == IMAPD_PH_LINE)
        imapd__session_bye(s, "Server is shutting down", NET_CLOSED_BY_US);
}

void imapd__session_discard(struct imapd_session *s)
{
    count_state(s->state, -1);
    list_remove(&s->member.node);
    imapd__saved_clear(s);
    imapd__box_destroy(&s->box);
    ms_free(s->user);
    imap_feed_fini(&s->feed);
    arena_fini(&s->arena);
    part_rec_fini(&s->post.rec);
    imapd__rules_drop(&s->rules);
    ms_free(s);
}

static void on_closed(void *owner, enum net_close_why why)
{
    struct imapd_session *s = owner;
    struct dispatch_worker *handle = s->w->handle;

    if (s->phase != IMAPD_PH_CLOSE) {
        session_let_go(s);
        imapd__enter_phase(s, IMAPD_PH_CLOSE);
    }
    OBS_EVENT(OBS_IMAPD_CLOSED, s->member.id, OBS_C("user", s->user ? s->user->login : ""),
              OBS_C("why", net_close_why_name(why)));
    uint64_t id = s->member.id;
    imapd__session_discard(s);
    if (handle)
        dispatch_session_closed(handle, id); /* may end the worker */
}

const struct net_callbacks imapd_callbacks = {
    .on_data = on_data, .on_drain = on_drain, .on_tls = on_tls, .on_closed = on_closed};

/* -- the beginning */
struct imapd_session *imapd__session_create(struct imapd_worker *w, uint64_t id)
{
    struct imapd_session *s = ms_new(struct imapd_session);

    s->w = w;
    s->state = IMAPD_ST_NOAUTH;
    count_state(s->state, 1);
    s->phase = IMAPD_PH_READ;
    s->is_local = w->is_local;
    s->peer_uid = w->peer_uid;
    arena_init(&s->arena, 0); /* bounded by the limits of the feed and of the parsers */
    part_rec_init(&s->post.rec);
    s->rules = imapd__rules_take(w->mine);
    imap_feed_init(&s->feed, &s->rules->limits_login);
    dispatch_members_add(&w->sessions, &s->member, id, loop_now_ms(w->loop));
    list_init(&s->idle_node);
    return s;
}

void imapd__session_start(struct imapd_session *s, struct net_stream *stream)
{
    s->stream = stream;
    obs_count(MET_IMAPD_SESSIONS, 1);
    session_arm_timer(s);
    if (s->tls_starting)
        return;
    session_greet(s);
    imapd__flush(s);
}
