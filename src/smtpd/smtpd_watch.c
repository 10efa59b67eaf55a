/*
 * smtpd_watch.c - sessions as an operator sees them, and how one is ended from outside.
 */
#include "smtpd_priv.h"

/* For people: fewer words than there are states. */
static const char *state_word(enum smtpd_state state)
{
    switch (state) {
    case SMTPD_ST_START:
    case SMTPD_ST_TLS:
        return "tls";
    case SMTPD_ST_GREET:
    case SMTPD_ST_READY:
        return "idle";
    case SMTPD_ST_AUTH:
    case SMTPD_ST_VERIFY:
        return "auth";
    case SMTPD_ST_MAIL:
    case SMTPD_ST_RCPT:
    case SMTPD_ST_LOOKUP:
    case SMTPD_ST_ASK:
        return "envelope";
    case SMTPD_ST_DATA:
    case SMTPD_ST_CHUNK:
    case SMTPD_ST_BDAT:
    case SMTPD_ST_SWALLOW:
        return "data";
    case SMTPD_ST_DRAIN:
    case SMTPD_ST_COMMIT:
        return "commit";
    case SMTPD_ST_CLOSED:
    case SMTPD_ST_COUNT:
        break;
    }
    return "closing";
}

static void describe(const struct dispatch_member *m, struct dispatch_session_view *view)
{
    const struct smtpd_session *s = LIST_ENTRY(m, struct smtpd_session, member);
    view->peer = net_peer(s->stream)->text;
    view->user = s->account ? s->account->login : "";
    view->state = state_word(s->state);
    view->tls = net_tls_version(s->stream);
}

void smtpd__session_each(void *worker, uint64_t after,
                         bool (*fn)(void *owner, const struct dispatch_session_view *view), void *owner)
{
    struct smtpd_worker *w = worker;
    dispatch_members_each(&w->sessions, after, loop_now_ms(w->loop), describe, fn, owner);
}

bool smtpd__session_kick(void *worker, uint64_t session, const char *why)
{
    struct smtpd_worker *w = worker;
    struct dispatch_member *m = dispatch_members_find(&w->sessions, session);
    struct smtpd_session *s = m ? LIST_ENTRY(m, struct smtpd_session, member) : NULL;
    if (!s || s->state == SMTPD_ST_CLOSED)
        return false;
    OBS_EVENT(OBS_SMTPD_KICKED, s->member.id, OBS_C("svc", w->service), OBS_S("peer", smtpd__rip(s)),
              OBS_C("user", s->account ? s->account->login : ""), OBS_C("why", why));
    s->is_kicked = true;
    smtpd__settle(s); /* RFC 5321 3.8: 421, unless it is in the middle of something */
    return true;
}
