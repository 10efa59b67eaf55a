/*
 * dispatch_sessions_loop.c - a walk over sessions: the half on a worker's loop, and the form of its messages.
 */
#include "dispatch_priv.h"

#include "dispatch_sessions.h"

/* -- bodies: texts have a length and their NUL */
static void put_text(struct str *out, const char *text)
{
    text = text ? text : "";
    str_add_bytes16(out, slice_make(text, strlen(text) + 1));
}

static const char *get_text(struct rd *rd)
{
    struct slice s = rd_bytes16(rd);
    return s.len && s.ptr[s.len - 1] == 0 ? (const char *)s.ptr : "";
}

struct mbuf *dispatch__sessions_ask(const char *user, const char *why)
{
    struct str text;
    str_init(&text, 0);
    put_text(&text, user);
    put_text(&text, why);
    struct mbuf *body = mbuf_from(str_slice(&text));
    str_fini(&text);
    return body;
}

static void session_write(struct str *out, const struct dispatch_session_view *v)
{
    str_add_le64(out, v->session);
    str_add_le64(out, v->age_ms);
    str_add_le64(out, v->idle_ms);
    str_add_le64(out, v->bytes_in);
    str_add_le64(out, v->bytes_out);
    put_text(out, v->peer);
    put_text(out, v->user);
    put_text(out, v->state);
    put_text(out, v->tls);
}

bool dispatch__session_read(struct rd *rd, struct dispatch_session_view *out)
{
    if (rd_left(rd) == 0)
        return false;
    *out = (struct dispatch_session_view){.session = rd_u64(rd)};
    out->age_ms = rd_u64(rd);
    out->idle_ms = rd_u64(rd);
    out->bytes_in = rd_u64(rd);
    out->bytes_out = rd_u64(rd);
    out->peer = get_text(rd);
    out->user = get_text(rd);
    out->state = get_text(rd);
    out->tls = get_text(rd);
    return !rd->bad;
}

/* -- one chunk */
struct chunk {
    struct dispatch_worker *worker;
    const char *why;  /* NULL: only looked at */
    uint64_t session; /* 0: all */
    const char *user; /* "": everybody */
    uint64_t nobodys_idle_ms;
    struct str rows;
    unsigned seen;
    uint64_t last;
    bool more;
};

/* A login without its domain means every user of that name. */
static bool is_user(const char *user, const char *wanted)
{
    struct slice have = slice_cstr(user), want = slice_cstr(wanted), name = have;
    if (slice_ieq(have, want))
        return true;
    return slice_find_byte(want, '@') < 0 && slice_cut(&have, '@', &name) && slice_ieq(name, want);
}

/* Nobody's, silent, and nothing is under way in it. */
static bool is_nobodys(const struct dispatch_session_view *v, uint64_t idle_ms)
{
    static const char *const states[] = {"idle", "noauth", "tls"};
    for (size_t i = 0; i < MS_ARRAY_LEN(states); i++)
        if (strcmp(v->state, states[i]) == 0)
            return v->idle_ms >= idle_ms && (!v->user || !v->user[0]);
    return false;
}

static bool on_view(void *owner, const struct dispatch_session_view *v)
{
    struct chunk *c = owner;
    if (c->seen == SESSIONS_CHUNK || c->rows.len > SESSIONS_CHUNK_BYTES) {
        c->more = true;
        return false;
    }
    c->seen++;
    c->last = v->session;
    if (c->session && v->session != c->session)
        return true;
    if (c->user[0] && !is_user(v->user ? v->user : "", c->user))
        return true;
    if (c->nobodys_idle_ms && !is_nobodys(v, c->nobodys_idle_ms))
        return true;
    if (!c->why || c->worker->service->proto->session_kick(c->worker->impl, v->session, c->why))
        session_write(&c->rows, v);
    return true;
}

static void on_ask(void *owner, const struct bus_msg *msg)
{
    struct dispatch_lane *lane = owner;
    struct dispatch_worker *w = dispatch__worker(lane->dispatch, msg->a[0]);
    struct mbuf *body = msg->body;
    struct rd rd = rd_make(mbuf_slice(body));
    struct chunk c = {.worker = w, .session = msg->a[2], .user = get_text(&rd), .nobodys_idle_ms = msg->a[4]};
    if (msg->a[3])
        c.why = get_text(&rd);
    str_init(&c.rows, 0);
    if (w->impl) /* else it has ended meanwhile */
        w->service->proto->session_each(w->impl, msg->a[1], on_view, &c);
    struct bus_msg reply = {.kind = DISPATCH_MSG_FOUND, .id = msg->id, .a = {msg->a[0], c.last, c.more}};
    if (c.rows.len)
        reply.body = mbuf_from(str_slice(&c.rows));
    bus_reply(lane->ep, lane->ep, msg->from, &reply);
    str_fini(&c.rows);
    mbuf_unref(&body);
}

void dispatch__sessions_lane_init(struct dispatch_lane *lane)
{
    bus_on(lane->ep, DISPATCH_MSG_SESSIONS, on_ask, lane);
}
