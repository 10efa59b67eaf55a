/*
 * server_reload.c - another configuration for the running server: SIGHUP, `reload`, and `config diff`, which
 * goes half the way.
 *
 *   REST --somebody asks--> LOAD   the file is read and judged, TLS is built, parts look at files        (work thread)
 *                             |    all of it without a mistake: every part makes its plan                (control loop)
 *                             |      one has a mistake: the others drop theirs, nothing has changed --> REST
 *                             v
 *                           SPREAD the snapshot is published, plans are carried out; each loop answers --> REST
 *
 * One runs at a time. Who asks meanwhile waits for the next one, which reads the files again; all who wait
 * get the same answer.
 */
#include "server_priv.h"

#define RELOAD_WAIT_MS    10
#define RELOAD_EVENTS_MAX 100 /* lines of one reload in the log */

enum reload_state { RELOAD_REST, RELOAD_LOAD, RELOAD_SPREAD };

struct server_reload {
    struct server *server;
    struct loop_pool *pool;
    enum reload_state state;
    struct list waiting, in_work; /* server_reload_request */
    struct server_reload_request hup;
    bool hup_again; /* SIGHUP while one of an earlier signal is in work */
    bool apply;
    struct loop_timer again;
    uint64_t began_ms;
    /* the work thread's, from post to done */
    struct loop_work work;
    struct conf *next;
    struct net_tls *tls, *old_tls;
    struct str errors, changes;
    size_t change_count, restart_count;
};

static void start(struct server_reload *r);

/* -- work thread */
static void work_load(struct loop_work *work)
{
    struct server_reload *r = MS_CONTAINER_OF(work, struct server_reload, work);
    struct conf_report report;
    conf_report_init(&report);
    enum ms_err err =
        conf_load(app_tables, app_table_count, conf_file(r->server->start_conf), &report, &r->next);
    if (err)
        conf_report_emit(&report, &r->errors);
    conf_report_fini(&report);
    if (err || !r->apply)
        return;
    err = app_tls_build(r->next, r->old_tls, &r->tls, &r->errors);
    MS_ASSERT(!err || r->errors.len);
    for (size_t i = 0; i < server_part_count; i++)
        if (server_parts[i].check)
            server_parts[i].check(r->next, &r->errors);
}

/* -- the end of one */
static size_t count_lines(struct slice text)
{
    size_t n = 0;
    struct slice line;
    while (slice_cut(&text, '\n', &line))
        n++;
    return n;
}

static void tell_errors(struct slice text)
{
    struct slice line;
    for (unsigned n = 0; n < RELOAD_EVENTS_MAX && slice_cut(&text, '\n', &line); n++)
        OBS_EVENT(OBS_APP_RELOAD_ERROR, 0, OBS_S("text", line));
}

static void tell_changes(const struct server_reload *r)
{
    struct slice text = str_slice(&r->changes), line;
    for (unsigned n = 0; n < RELOAD_EVENTS_MAX && slice_cut(&text, '\n', &line); n++) {
        if (slice_has_suffix(line, SLICE_LIT(" (restart)")))
            OBS_EVENT(OBS_APP_RELOAD_RESTART, 0, OBS_S("change", line));
        else
            OBS_EVENT(OBS_APP_RELOAD_CHANGE, 0, OBS_S("change", line));
    }
}

static void tell(const struct server_reload *r, size_t error_count)
{
    if (error_count) {
        obs_count(MET_APP_RELOADS_FAILED, 1);
        tell_errors(str_slice(&r->errors));
        OBS_EVENT(OBS_APP_RELOAD_FAILED, 0, OBS_U("errors", error_count));
        return;
    }
    obs_count(MET_APP_RELOADS, 1);
    tell_changes(r);
    OBS_EVENT(OBS_APP_RELOADED, 0, OBS_U("changes", r->change_count), OBS_U("restart", r->restart_count),
              OBS_U("ms", loop_now_ms(r->server->control.loop) - r->began_ms));
}

static void finish(struct server_reload *r)
{
    struct server_reload_result res = {.errors = str_slice(&r->errors),
                                       .changes = str_slice(&r->changes),
                                       .error_count = count_lines(str_slice(&r->errors)),
                                       .change_count = r->change_count,
                                       .restart_count = r->restart_count};
    r->state = RELOAD_REST;
    if (r->apply) {
        tell(r, res.error_count);
        server_notify_ready(r->server);
    }
    while (!list_is_empty(&r->in_work)) {
        struct server_reload_request *req =
            LIST_ENTRY(r->in_work.next, struct server_reload_request, node);
        list_remove(&req->node);
        req->done(req, &res);
    }
    str_reset(&r->errors);
    str_reset(&r->changes);
    net_tls_unref(&r->tls);
    net_tls_unref(&r->old_tls);
    conf_unref(&r->next);
    if (!list_is_empty(&r->waiting))
        start(r);
}

/* -- control loop */
static void on_spread(struct loop_timer *timer)
{
    struct server_reload *r = MS_CONTAINER_OF(timer, struct server_reload, again);
    if (server_publish_is_idle(r->server) || r->server->stopping)
        finish(r);
    else
        loop_timer_start(r->server->control.loop, timer, 1, on_spread);
}

/* What a reload applies is compared with what there is, what it does not with what there was at the start. */
static void differ(struct server_reload *r)
{
    r->change_count = conf_emit_diff(r->server->conf, r->next, CONF_DIFF_RELOAD, &r->changes);
    r->restart_count = conf_emit_diff(r->server->start_conf, r->next, CONF_DIFF_RESTART, &r->changes);
    r->change_count += r->restart_count;
}

static void commit(struct server_reload *r)
{
    struct server *s = r->server;
    differ(r);
    server_publish_both(s, conf_ref(r->next), r->tls);
    r->tls = NULL;
    for (size_t i = 0; i < server_part_count; i++)
        if (server_parts[i].commit)
            server_parts[i].commit(s, r->next);
    r->state = RELOAD_SPREAD;
    on_spread(&r->again);
}

static void plan(struct server_reload *r)
{
    struct server *s = r->server;
    for (size_t i = 0; i < server_part_count; i++)
        if (server_parts[i].plan)
            server_parts[i].plan(s, r->next, &r->errors);
    if (r->errors.len == 0) {
        commit(r);
        return;
    }
    for (size_t i = 0; i < server_part_count; i++)
        if (server_parts[i].drop)
            server_parts[i].drop(s);
    finish(r);
}

/* Mistakes of plans are told together with those of files, so plans are made whenever there is a tree. */
static void on_again(struct loop_timer *timer)
{
    struct server_reload *r = MS_CONTAINER_OF(timer, struct server_reload, again);
    struct server *s = r->server;
    if (s->stopping && r->apply)
        str_add_cstr(&r->errors, "the server is being stopped\n");
    if (!r->next || (s->stopping && r->apply)) {
        finish(r);
    } else if (!r->apply) {
        differ(r);
        finish(r);
    } else if (!server_publish_is_idle(s)) {
        loop_timer_start(s->control.loop, timer, RELOAD_WAIT_MS, on_again);
    } else {
        plan(r);
    }
}

static void on_loaded(struct loop_work *work)
{
    struct server_reload *r = MS_CONTAINER_OF(work, struct server_reload, work);
    on_again(&r->again);
}

/* All who wait, when the first of them wants to apply it; else those in front who only look. */
static void choose(struct server_reload *r)
{
    r->apply = LIST_ENTRY(r->waiting.next, struct server_reload_request, node)->apply;
    LIST_FOREACH_SAFE(&r->waiting, it)
    {
        struct server_reload_request *req = LIST_ENTRY(it, struct server_reload_request, node);
        if (req->apply != r->apply)
            continue;
        list_remove(&req->node);
        list_push_back(&r->in_work, &req->node);
    }
}

static void start(struct server_reload *r)
{
    struct server *s = r->server;
    choose(r);
    r->state = RELOAD_LOAD;
    r->began_ms = loop_now_ms(s->control.loop);
    r->change_count = r->restart_count = 0;
    r->old_tls = s->tls ? net_tls_ref(s->tls) : NULL;
    if (r->apply)
        server_notify_reloading(s);
    enum ms_err err = loop_pool_post(r->pool, s->control.loop, &r->work);
    MS_ASSERT(err == MS_OK); /* the pool has this one work */
}

void server_reload_ask(struct server *s, struct server_reload_request *req)
{
    struct server_reload *r = s->reload;
    list_push_back(&r->waiting, &req->node);
    if (r->state == RELOAD_REST)
        start(r);
}

void server_reload_cancel(struct server_reload_request *req)
{
    list_remove(&req->node);
}

/* -- SIGHUP */
static void on_hup_done(struct server_reload_request *req, const struct server_reload_result *res)
{
    struct server_reload *r = MS_CONTAINER_OF(req, struct server_reload, hup);
    if (!r->hup_again)
        return;
    r->hup_again = false;
    list_push_back(&r->waiting, &req->node); /* finish() starts it */
}

void server_reload_hup(struct server *s)
{
    struct server_reload *r = s->reload;
    if (list_is_empty(&r->hup.node))
        server_reload_ask(s, &r->hup);
    else
        r->hup_again = true;
}

void server_make_reload(struct server *s)
{
    struct server_reload *r = ms_new(struct server_reload);
    r->server = s;
    r->pool = loop_pool_create("reload", 1, 1);
    r->work.work = work_load;
    r->work.done = on_loaded;
    r->hup.apply = true;
    r->hup.done = on_hup_done;
    list_init(&r->hup.node);
    list_init(&r->waiting);
    list_init(&r->in_work);
    str_init(&r->errors, 0);
    str_init(&r->changes, 0);
    s->reload = r;
}

void server_reload_destroy(struct server *s)
{
    struct server_reload *r = s->reload;
    s->reload = NULL;
    if (!r)
        return;
    loop_pool_destroy(&r->pool);
    loop_timer_stop(s->control.loop, &r->again);
    conf_unref(&r->next);
    net_tls_unref(&r->tls);
    net_tls_unref(&r->old_tls);
    str_fini(&r->errors);
    str_fini(&r->changes);
    ms_free(r);
}
