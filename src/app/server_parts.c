/*
 * server_parts.c - what the parts of the server do with another snapshot; server_priv.h has the rules.
 */
#include "server_priv.h"

/* -- sandbox */
static void confine_plan(struct server *s, struct conf *next, struct str *errors)
{
    struct ms_errinfo why;
    if (server_confine_check(s, next, &why) != MS_OK)
        str_addf(errors, "%s\n", why.text);
}

/* -- log */
static void log_commit(struct server *s, struct conf *next)
{
    const struct log_conf *lc = conf_section(next, "log");
    obs_set_level((enum obs_level)lc->level, (enum obs_format)lc->format);
}

/* -- services */
static void doors_plan(struct server *s, struct conf *next, struct str *errors)
{
    enum ms_err err = dispatch_plan_make(s->dispatch, next, errors, &s->dispatch_plan);
    MS_ASSERT(!err || errors->len);
}

static void doors_commit(struct server *s, struct conf *next)
{
    dispatch_plan_commit(&s->dispatch_plan);
}

static void doors_drop(struct server *s)
{
    dispatch_plan_drop(&s->dispatch_plan);
}

/* -- mapping tables and name servers of the door */
static void names_commit(struct server *s, struct conf *next)
{
    server_reload_names(s, next);
}

/* -- channels and pools */
static void jobs_plan(struct server *s, struct conf *next, struct str *errors)
{
    enum ms_err err = jobctl_plan(s->jobctl, next, errors);
    MS_ASSERT(!err || errors->len);
}

static void jobs_commit(struct server *s, struct conf *next)
{
    jobctl_reload(s->jobctl, next);
}

/* -- clearing up */
static void store_commit(struct server *s, struct conf *next)
{
    const struct store_conf *store = conf_section(next, "store");
    store_janitor_set(s->janitor, store->expunge_keep_ms, store->purge_interval_ms);
    app_user_janitor_set(s->user_janitor, store);
}

/* -- on each loop */
static void route_on_loop(struct server *s, struct server_loop *l)
{
    route_reload(l->route, l->conf);
}

static void smtpd_on_loop(struct server *s, struct server_loop *l)
{
    const struct server_conf *sc = conf_section(l->conf, "server");
    const struct store_conf *store = conf_section(l->conf, "store");
    struct smtpd_loop_env *env = &s->smtpd.loops[loop_index(l->loop)];
    env->conf = l->conf;
    env->tls = l->tls;
    env->hostname = sc->hostname;
    env->detail_mailbox = store->detail_mailbox;
}

static void imapd_on_loop(struct server *s, struct server_loop *l)
{
    const struct server_conf *sc = conf_section(l->conf, "server");
    struct imapd_loop_env *env = &s->imapd.loops[loop_index(l->loop)];
    env->conf = l->conf;
    env->tls = l->tls;
    env->hostname = sc->hostname;
    imapd_loop_reload(env);
}

static void chan_on_loop(struct server *s, struct server_loop *l)
{
    const struct server_conf *sc = conf_section(l->conf, "server");
    const struct store_conf *store = conf_section(l->conf, "store");
    struct chan_env_loop *env = &s->chan.loops[loop_index(l->loop)];
    env->conf = l->conf;
    env->hostname = sc->hostname;
    env->detail_mailbox = store->detail_mailbox;
    env->version = l->version;
}

static void auth_on_loop(struct server *s, struct server_loop *l)
{
    if (l->auth)
        auth_client_reconf(l->auth, l->conf);
}

static void maildrop_on_loop(struct server *s, struct server_loop *l)
{
    if (l == &s->loops[0] && s->maildrop)
        app_maildrop_reload(s->maildrop, l->conf);
}

const struct server_part server_parts[] = {
    {.name = "sandbox", .plan = confine_plan},
    {.name = "tls", .commit = server_tls_watch_files},
    {.name = "log", .commit = log_commit},
    {.name = "route", .on_loop = route_on_loop},
    {.name = "auth", .on_loop = auth_on_loop},
    {.name = "smtpd", .on_loop = smtpd_on_loop},
    {.name = "imapd", .on_loop = imapd_on_loop},
    {.name = "chan", .on_loop = chan_on_loop},
    {.name = "maildrop", .on_loop = maildrop_on_loop},
    {.name = "dispatch", .plan = doors_plan, .commit = doors_commit, .drop = doors_drop},
    {.name = "names", .commit = names_commit},
    {.name = "jobctl", .plan = jobs_plan, .commit = jobs_commit},
    {.name = "store", .commit = store_commit},
};
const size_t server_part_count = MS_ARRAY_LEN(server_parts);
