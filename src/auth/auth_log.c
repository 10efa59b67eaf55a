/*
 * auth_log.c - who logged in, who did not, and why: one line each, with the peer's address always at the
 * same place (conf/fail2ban reads it). What was sent as a proof is in none of them.
 */
#include "auth_priv.h"

#include "ms/obs.h"

#define PEER_KEYS                                                                                            \
    OBS_C("method", x->result.method), OBS_C("rip", x->peer->rip), OBS_C("lip", x->peer->lip),               \
        OBS_C("tls", x->peer->tls), OBS_X("session", x->peer->session)

static struct slice typed_name(const struct auth_exchange *x)
{
    return slice_sub(x->name, 0, ACCOUNT_LOGIN_MAX);
}

/* auth_total{mech,result} */
static void count(const struct auth_exchange *x, const char *result)
{
    const char *mech = x->result.method ? x->result.method : "none";
    obs_series_add(obs_series(FAM_AUTH, mech, result, NULL), 1);
}

void auth__log_login(const struct auth_exchange *x)
{
    const struct auth_peer *p = x->peer;
    const struct auth_result *r = &x->result;
    bool as_other = strcmp(r->login, r->entry.login) != 0;
    obs_count(MET_AUTH_LOGINS, 1);
    count(x, "ok");
    if (!r->login[0]) /* no account stands behind it, but a process of the machine */
        OBS_EVENT(OBS_AUTH_LOGIN, p->session, OBS_C("svc", p->service), OBS_C("user", r->entry.login),
                  PEER_KEYS, OBS_U("uid", p->uid));
    else if (as_other)
        OBS_EVENT(OBS_AUTH_LOGIN, p->session, OBS_C("svc", p->service), OBS_C("user", r->entry.login),
                  PEER_KEYS, OBS_C("admin", r->login));
    else if (r->app_password[0])
        OBS_EVENT(OBS_AUTH_LOGIN, p->session, OBS_C("svc", p->service), OBS_C("user", r->entry.login),
                  PEER_KEYS, OBS_C("app_password", r->app_password));
    else
        OBS_EVENT(OBS_AUTH_LOGIN, p->session, OBS_C("svc", p->service), OBS_C("user", r->entry.login),
                  PEER_KEYS);
}

void auth__log_failed(struct auth_exchange *x, const char *reason)
{
    const struct auth_peer *p = x->peer;
    obs_count(MET_AUTH_FAILURES, 1);
    count(x, "failed");
    OBS_EVENT(OBS_AUTH_FAILED, p->session, OBS_C("svc", p->service), OBS_S("user", typed_name(x)), PEER_KEYS,
              OBS_C("reason", reason));
}

void auth__log_backed_off(struct auth_exchange *x)
{
    const struct auth_peer *p = x->peer;
    struct auth_named *n = &x->client->named[x->guess.address % AUTH_NAMED_SLOTS];
    uint64_t now = loop_now_ms(x->client->loop);
    obs_count(MET_AUTH_BACKED_OFF, 1);
    count(x, "backed_off");
    obs_count(MET_AUTH_FAILURES, 1);
    if (n->address != x->guess.address)
        *n = (struct auth_named){.address = x->guess.address};
    n->silent++;
    if (n->next_ms > now)
        return;
    OBS_EVENT(OBS_AUTH_FAILED, p->session, OBS_C("svc", p->service), OBS_S("user", typed_name(x)), PEER_KEYS,
              OBS_C("reason", "backed_off"), OBS_U("tries", n->silent));
    n->next_ms = now + AUTH_NAMED_MS;
    n->silent = 0;
}

void auth__log_unavailable(const struct auth_exchange *x, enum ms_err err)
{
    const struct auth_peer *p = x->peer;
    count(x, "unavailable");
    OBS_EVENT(OBS_AUTH_UNAVAILABLE, p->session, OBS_C("svc", p->service), OBS_S("user", typed_name(x)),
              PEER_KEYS, OBS_E("error", err));
}
