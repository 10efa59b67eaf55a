/*
 * server_tls_watch.c - files of section tls that change while the server runs.
 *
 *   REST --a name in one of their folders, or TLS_LOOK_MS--> (TLS_SETTLE_MS) --> LOOK (work thread) --> REST
 *
 * A look compares what the files are with what the snapshot in use was made of (its tag); when that is
 * another, it builds a new one. Success publishes it to every loop. A mistake (half a pair, as renewals write
 * one file after the other) is told once, and what is in use stays; the next change is looked at again.
 */
#include "server_priv.h"

#define TLS_LOOK_MS     60000 /* folders that cannot be watched, links whose target changes */
#define TLS_SETTLE_MS   500   /* certificate and key come one after the other */
#define TLS_FOLDERS_MAX (2 * NET_TLS_CERTS_MAX + 1)

struct server_tls_watch {
    struct server *server;
    struct loop_pool *pool;
    struct loop_timer timer;
    struct loop_watch *watches[TLS_FOLDERS_MAX];
    char *folders[TLS_FOLDERS_MAX];
    size_t folder_count;
    bool is_looking;
    bool again;       /* something changed while a look was on */
    uint64_t refused; /* the files that were told to be wrong */
    /* the work thread's, from post to done */
    struct loop_work work;
    struct conf *conf;
    struct net_tls *before, *after;
    uint64_t print;
    struct str errors;
};

/* -- work thread */
static void look(struct loop_work *work)
{
    struct server_tls_watch *w = MS_CONTAINER_OF(work, struct server_tls_watch, work);

    w->print = app_tls_fingerprint(w->conf);
    if (w->print == net_tls_tag(w->before) || w->print == w->refused)
        return;
    if (app_tls_build(w->conf, w->before, &w->after, &w->errors) != MS_OK)
        w->after = NULL; /* errors has the lines */
}

/* -- control loop */
static void look_later(struct server_tls_watch *w, uint64_t ms);

static void tell_errors(struct server_tls_watch *w)
{
    struct slice rest = str_slice(&w->errors), line;

    w->refused = w->print;
    while (slice_cut(&rest, '\n', &line))
        OBS_EVENT(OBS_APP_TLS_KEPT, 0, OBS_S("text", line));
}

static void take(struct server_tls_watch *w)
{
    struct server *s = w->server;
    struct net_tls_cert_info info;
    size_t n = 0;

    while (net_tls_cert_info(w->after, n, &info))
        n++;
    w->refused = 0;
    OBS_EVENT(OBS_APP_TLS_LOADED, 0, OBS_U("certificates", n));
    server_tls_tell(w->after);
    server_publish(s, NULL, w->after);
    w->after = NULL;
}

static void on_looked(struct loop_work *work)
{
    struct server_tls_watch *w = MS_CONTAINER_OF(work, struct server_tls_watch, work);
    struct server *s = w->server;
    bool is_current =
        s->conf == w->conf && s->tls == w->before; /* else a reload came between, and has its own */

    w->is_looking = false;
    if (is_current && w->errors.len > 0)
        tell_errors(w);
    else if (is_current && w->after)
        take(w);
    net_tls_unref(&w->after);
    net_tls_unref(&w->before);
    conf_unref(&w->conf);
    str_reset(&w->errors);
    look_later(w, w->again ? TLS_SETTLE_MS : TLS_LOOK_MS);
    w->again = false;
}

static void on_timer(struct loop_timer *timer)
{
    struct server_tls_watch *w = MS_CONTAINER_OF(timer, struct server_tls_watch, timer);
    struct server *s = w->server;

    if (s->stopping || !s->tls)
        return; /* without TLS there are no files */
    w->conf = conf_ref(s->conf);
    w->before = net_tls_ref(s->tls);
    w->is_looking = true;
    enum ms_err err = loop_pool_post(w->pool, s->control.loop, &w->work);
    MS_ASSERT(err == MS_OK); /* the pool has this one work */
}

static void look_later(struct server_tls_watch *w, uint64_t ms)
{
    loop_timer_start(w->server->control.loop, &w->timer, ms, on_timer);
}

/* Any name: what changed may be the target of a link. A look costs some system calls. */
static void on_name(void *owner, const char *name)
{
    struct server_tls_watch *w = owner;

    if (w->is_looking)
        w->again = true;
    else
        look_later(w, TLS_SETTLE_MS);
}

/* -- folders */

static void folder_add(void *arg, const char *path)
{
    struct server_tls_watch *w = arg;
    ssize_t slash = slice_rfind_byte(slice_cstr(path), '/');
    struct slice folder = slash > 0 ? slice_make(path, (size_t)slash) : SLICE_LIT("/");

    for (size_t i = 0; i < w->folder_count; i++)
        if (slice_eq_cstr(folder, w->folders[i]))
            return;
    if (w->folder_count < TLS_FOLDERS_MAX)
        w->folders[w->folder_count++] = slice_dup_cstr(folder);
}

static void folders_close(struct server_tls_watch *w)
{
    for (size_t i = 0; i < w->folder_count; i++) {
        loop_watch_close(&w->watches[i]);
        ms_free(w->folders[i]);
    }
    w->folder_count = 0;
}

void server_tls_watch_files(struct server *s, struct conf *conf)
{
    struct server_tls_watch *w = s->tls_watch;
    struct ms_errinfo why;

    if (!w)
        return;
    folders_close(w);
    app_tls_each_file(conf, folder_add, w);
    for (size_t i = 0; i < w->folder_count; i++)
        if (loop_watch_open(s->control.loop, w->folders[i], on_name, w, &w->watches[i], &why) != MS_OK)
            w->watches[i] = NULL; /* the look each minute stays */
    w->refused = 0;
    if (w->is_looking)
        w->again = true;
    else
        look_later(w, TLS_LOOK_MS);
}

/* -- life */

void server_make_tls_watch(struct server *s)
{
    struct server_tls_watch *w = ms_new(struct server_tls_watch);

    w->server = s;
    w->pool = loop_pool_create("tls-files", 1, 1);
    w->work.work = look;
    w->work.done = on_looked;
    str_init(&w->errors, 0);
    s->tls_watch = w;
    server_tls_watch_files(s, s->conf);
}

/* The control loop has stopped. */
void server_tls_watch_destroy(struct server *s)
{
    struct server_tls_watch *w = s->tls_watch;

    s->tls_watch = NULL;
    if (!w)
        return;
    loop_pool_destroy(&w->pool);
    loop_timer_stop(s->control.loop, &w->timer);
    folders_close(w);
    net_tls_unref(&w->after);
    net_tls_unref(&w->before);
    conf_unref(&w->conf);
    str_fini(&w->errors);
    ms_free(w);
}
