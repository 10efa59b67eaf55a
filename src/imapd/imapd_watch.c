/*
 * imapd_watch.c - sessions as an operator sees them, and how one is ended from outside.
 */
#include "imapd_priv.h"

static const char *state_word(const struct imapd_session *s)
{
    switch (s->state) {
    case IMAPD_ST_NOAUTH:
        return s->tls_starting ? "tls" : s->phase == IMAPD_PH_READ ? "noauth" : "auth";
    case IMAPD_ST_AUTH:
        return s->phase == IMAPD_PH_LINE ? "idling" : s->phase == IMAPD_PH_LITERAL ? "append" : "idle";
    case IMAPD_ST_SELECTED:
        return s->phase == IMAPD_PH_LINE ? "idling" : s->phase == IMAPD_PH_LITERAL ? "append" : "selected";
    case IMAPD_ST_LOGOUT:
        break;
    }
    return "closing";
}

static struct dispatch_session_view view_of(const struct imapd_session *s)
{
    uint64_t now_ms = loop_now_ms(s->w->loop);
    return (struct dispatch_session_view){.session = s->id,
                                          .peer = net_peer(s->stream)->text,
                                          .user = s->user ? s->user->login : "",
                                          .state = state_word(s),
                                          .tls = net_tls_version(s->stream),
                                          .age_ms = now_ms - s->begun_ms,
                                          .idle_ms = now_ms - s->heard_ms,
                                          .bytes_in = s->bytes_in,
                                          .bytes_out = s->bytes_out};
}

void imapd__session_each(void *worker, uint64_t after,
                         bool (*fn)(void *owner, const struct dispatch_session_view *view), void *owner)
{
    struct imapd_worker *w = worker;
    LIST_FOREACH(&w->sessions, it)
    {
        struct imapd_session *s = LIST_ENTRY(it, struct imapd_session, node);
        if (s->id <= after)
            continue;
        w->shown = s;
        struct dispatch_session_view view = view_of(s);
        if (!fn(owner, &view))
            break;
    }
    w->shown = NULL;
}

static struct imapd_session *find(const struct imapd_worker *w, uint64_t session)
{
    if (w->shown && w->shown->id == session)
        return w->shown;
    LIST_FOREACH(&w->sessions, it)
    {
        struct imapd_session *s = LIST_ENTRY(it, struct imapd_session, node);
        if (s->id == session)
            return s;
    }
    return NULL;
}

bool imapd__session_kick(void *worker, uint64_t session, const char *why)
{
    struct imapd_worker *w = worker;
    struct imapd_session *s = find(w, session);
    if (!s || s->phase == IMAPD_PH_CLOSE)
        return false;
    OBS_EVENT(OBS_IMAPD_KICKED, s->id, OBS_S("peer", slice_cstr(net_peer(s->stream)->host)),
              OBS_C("user", s->user ? s->user->login : ""), OBS_C("why", why));
    s->is_kicked = true; /* RFC 9051 7.1.5: BYE, unless a command is in the middle of something */
    if (s->phase == IMAPD_PH_READ || s->phase == IMAPD_PH_LINE)
        imapd__session_bye(s, IMAPD_KICKED_TEXT, NET_CLOSED_BY_US);
    return true;
}
