/*
 * metrics.c - listener, routes and life of the HTTP side.
 */
#include "metrics.h"

#include "ms/base/clock.h"

void server_metrics_emit(struct server *s, struct str *out)
{
    metrics_emit(s->metrics, out);
}

static void on_metrics(void *owner, struct slice query, struct httpd_reply *reply)
{
    struct metrics *m = owner;
    uint64_t begun = clock_mono_ns();
    reply->content_type = OBS_METRICS_TYPE;
    metrics_emit(m, &reply->body);
    m->scrape_ns = clock_mono_ns() - begun;
}

static void verdict(struct httpd_reply *reply, bool good)
{
    if (good)
        str_add_cstr(&reply->body, "ok\n");
    else
        reply->status = 503;
}

static void on_healthz(void *owner, struct slice query, struct httpd_reply *reply)
{
    verdict(reply, metrics_is_healthy(owner, &reply->body));
}

static void on_readyz(void *owner, struct slice query, struct httpd_reply *reply)
{
    verdict(reply, metrics_is_ready(owner, &reply->body));
}

static const struct httpd_route routes[] = {
    {"/metrics", on_metrics}, {"/healthz", on_healthz}, {"/readyz", on_readyz}, {NULL, NULL}};

struct metrics *metrics_create(struct server *s)
{
    struct metrics *m = ms_new(struct metrics);
    m->server = s;
    m->control = s->control.loop;
    m->pool = loop_pool_create("metrics", 1, 4);
    metrics_health_wire(m);
    return m;
}

void metrics_start(struct metrics *m)
{
    const struct admin_conf *ac = conf_section(m->server->conf, "admin");
    struct ms_errinfo why;
    metrics_health_start(m);
    if (strcmp(ac->metrics_listen, "none") == 0)
        return;
    if (httpd_open(m->control, ac->metrics_listen, routes, m, &m->http, &why) != MS_OK) {
        OBS_EVENT(OBS_APP_NO_METRICS, 0, OBS_C("address", ac->metrics_listen), OBS_C("error", why.text));
        return;
    }
    OBS_EVENT(OBS_APP_METRICS, 0, OBS_C("address", httpd_addr(m->http)->text));
    metrics_facts_want(m);
}

void metrics_stop(struct metrics *m)
{
    if (!m)
        return;
    httpd_close(&m->http);
    loop_timer_stop(m->control, &m->refresh);
    metrics_health_stop(m);
    atomic_store(&m->quit, true);
    loop_pool_destroy(&m->pool);
}

void metrics_destroy(struct metrics **m)
{
    ms_free(*m);
    *m = NULL;
}
