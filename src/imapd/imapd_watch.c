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

static void describe(const struct dispatch_member *m, struct dispatch_session_view *view)
{
    const struct imapd_session *s = LIST_ENTRY(m, struct imapd_session, member);
    view->peer = net_peer(s->stream)->text;
    view->user = s->user ? s->user->login : "";
    view->state = state_word(s);
    view->tls = net_tls_version(s->stream);
}

void imapd__session_each(void *worker, uint64_t after,
                         bool (*fn)(void *owner, const struct dispatch_session_view *view), void *owner)
{
    struct imapd_worker *w = worker;
    dispatch_members_each(&w->sessions, after, loop_now_ms(w->loop), describe, fn, owner);
}

bool imapd__session_kick(void *worker, uint64_t session, const char *why)
{
    struct imapd_worker *w = worker;
    struct dispatch_member *m = dispatch_members_find(&w->sessions, session);
    struct imapd_session *s = m ? LIST_ENTRY(m, struct imapd_session, member) : NULL;
    if (!s || s->phase == IMAPD_PH_CLOSE)
        return false;
    OBS_EVENT(OBS_IMAPD_KICKED, s->member.id, OBS_S("peer", slice_cstr(net_peer(s->stream)->host)),
              OBS_C("user", s->user ? s->user->login : ""), OBS_C("why", why));
    s->is_kicked = true; /* RFC 9051 7.1.5: BYE, unless a command is in the middle of something */
    if (s->phase == IMAPD_PH_READ || s->phase == IMAPD_PH_LINE)
        imapd__session_bye(s, IMAPD_KICKED_TEXT, NET_CLOSED_BY_US);
    return true;
}
