/*
 * server_confine.c - the server gives up what it does not need, in the order of app_sandbox.h. What came of it is
 * logged in one line when everything stands.
 */
#include "server_priv.h"

#include <sys/prctl.h>
#include <unistd.h>

/* auto: what cannot be had is noted; on: it ends the start. */
static int not_confined(struct server *s, const char *what, const char *why)
{
    struct server_confined *c = &s->confined;
    if (s->sc->sandbox == APP_SANDBOX_ON)
        return app_fail(EX_CONFIG, "server.sandbox is on, but %s: %s", what, why);
    snprintf(c->reason, sizeof c->reason, "%s", why);
    return EX_OK;
}

static int become_user(struct server *s, struct app_identity *who)
{
    struct ms_errinfo why;
    *who = (struct app_identity){.uid = (uid_t)-1, .gid = (gid_t)-1};
    if (!s->sc->user)
        return s->sc->group ? app_fail(EX_CONFIG, "server.group needs server.user") : EX_OK;
    enum ms_err err = app_identity_find(s->sc->user, s->sc->group, who, &why);
    if (err)
        return app_fail(EX_CONFIG, "%s", why.text);
    if (geteuid() == who->uid && who->uid != 0)
        return EX_OK; /* the service manager did it */
    int rc = server_sockets_bind(s);
    if (rc)
        return rc;
    err = app_paths_make(&s->confined.allowed, who->uid, who->gid, &why);
    if (!err)
        err = app_privileges_drop(who, &why);
    return err ? app_fail(app_exit_for_err(err), "%s", why.text) : EX_OK;
}

int server_confine_files(struct server *s)
{
    struct server_confined *c = &s->confined;
    struct app_identity who;
    struct ms_errinfo why;
    app_paths_collect(&c->allowed, s->conf, app_tables, app_table_count, false);
    int rc = become_user(s, &who);
    if (rc)
        return rc;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return app_fail(EX_OSERR, "no_new_privs cannot be set");
    if (s->sc->sandbox == APP_SANDBOX_OFF)
        return EX_OK;
    if (app_sandbox_obstacle())
        return not_confined(s, "this build cannot be confined", app_sandbox_obstacle());
    if (app_seccomp_no_rings(&why) != MS_OK)
        rc = not_confined(s, "system calls cannot be confined", why.text);
    if (rc)
        return rc;
    if (app_paths_make(&c->allowed, (uid_t)-1, (gid_t)-1, &why) != MS_OK)
        return app_fail(EX_CANTCREAT, "%s", why.text);
    app_paths_add_system(&c->allowed, geteuid() == 0);
    enum ms_err err = app_landlock_apply(&c->allowed, &c->landlock, &why);
    if (err && err != MS_EUNSUPPORTED)
        return app_fail(EX_OSERR, "%s", why.text);
    return err ? not_confined(s, "files cannot be confined", why.text) : EX_OK;
}

int server_confine_calls(struct server *s)
{
    struct server_confined *c = &s->confined;
    struct ms_errinfo why;
    int rc = EX_OK;
    if (s->sc->sandbox != APP_SANDBOX_OFF && !app_sandbox_obstacle()) {
        if (app_seccomp_apply(&why) == MS_OK)
            c->seccomp = true;
        else
            rc = not_confined(s, "system calls cannot be confined", why.text);
    }
    OBS_EVENT(OBS_APP_SANDBOX, 0, OBS_U("uid", geteuid()), OBS_I("landlock", c->landlock),
              OBS_C("seccomp", c->seccomp ? "yes" : "no"),
              OBS_C("mode", app_sandbox_mode_names[s->sc->sandbox]), OBS_C("reason", c->reason));
    return rc;
}

enum ms_err server_confine_check(const struct server *s, const struct conf *conf, struct ms_errinfo *why_out)
{
    struct app_paths wanted;
    enum ms_err err = MS_OK;
    if (!s->confined.landlock)
        return MS_OK;
    app_paths_init(&wanted);
    app_paths_collect(&wanted, conf, app_tables, app_table_count, true);
    for (size_t i = 0; !err && i < wanted.count; i++)
        if (!app_paths_cover(&s->confined.allowed, wanted.items[i].name, wanted.items[i].access))
            err = ms_fail(why_out, MS_EDENIED,
                          "%s is outside of what this server may %s since its start; restart it",
                          wanted.items[i].name, wanted.items[i].access == APP_MAY_WRITE ? "write" : "read");
    app_paths_fini(&wanted);
    return err;
}
