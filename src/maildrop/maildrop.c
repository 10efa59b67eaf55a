/*
 * maildrop.c - the folder as the server sees it: it is watched and looked at from time to time; files
 * take turns.
 *
 *   a name appears ─▶ scan ─▶ ready ─▶ in work (MAILDROP_WORKS_MAX) ─▶ gone
 *                               ▲           │ trouble
 *                               └─ deferred ◀┘ due, seen by the scan of each minute
 *
 * A crash between the durable entry and the end of its file would give the message again: the file carries
 * its trace then, and the next start asks the queue (maildrop_taken.c). An orderly stop waits
 * (maildrop_is_idle).
 */
#include <stdio.h>

#include "maildrop_priv.h"
#include "ms/obs.h"

#define POOL_THREADS 2
#define POOL_QUEUE   (MAILDROP_WORKS_MAX + 4)

static void run(struct maildrop *m);
static void scan_want(struct maildrop *m);

/* -- files */

static void file_forget(struct maildrop *m, struct maildrop_file *f)
{
    map_remove(&m->known, slice_make(f->name, MAILDROP_FILE_NAME_BYTES));
    list_remove(&f->node);
    ms_free(f);
}

/* Known by what of the name does not change. */
static void file_add(struct maildrop *m, struct slice name)
{
    struct slice key = slice_sub(name, 0, MAILDROP_FILE_NAME_BYTES), trace = maildrop_name_trace(name);
    if (m->known.count >= MAILDROP_KNOWN_MAX || map_find(&m->known, key))
        return;
    struct maildrop_file *f = ms_new(struct maildrop_file);
    memcpy(f->name, name.ptr, name.len);
    memcpy(f->trace, trace.ptr, trace.len);
    map_put(&m->known, key, f);
    list_push_back(&m->ready, &f->node);
    if (trace.len > 0)
        return;
    uint64_t epoch = partition_epoch(part_client_partition(m->env.queue_client));
    snprintf(f->trace, sizeof f->trace, "%llx-m%llu", (unsigned long long)epoch,
             (unsigned long long)++m->messages);
}

static void file_defer(struct maildrop *m, struct maildrop_file *f)
{
    uint64_t wait = (uint64_t)MAILDROP_BACKOFF_MS << MS_MIN(f->failures, 6u);
    f->failures++;
    f->due_ms = loop_now_ms(m->env.loop) + MS_MIN(wait, (uint64_t)MAILDROP_BACKOFF_MAX_MS);
    list_remove(&f->node);
    list_push_back(&m->deferred, &f->node);
}

static void files_due(struct maildrop *m)
{
    uint64_t now = loop_now_ms(m->env.loop);
    LIST_FOREACH_SAFE(&m->deferred, it)
    {
        struct maildrop_file *f = LIST_ENTRY(it, struct maildrop_file, node);
        if (f->due_ms > now + MAILDROP_SCAN_MS / 2)
            continue;
        list_remove(&f->node);
        list_push_back(&m->ready, &f->node);
    }
}

/* stopping is read behind the count, which maildrop_is_idle reads behind stopping: one of the two sees
 * the other. */
static void run(struct maildrop *m)
{
    while (!list_is_empty(&m->ready) && atomic_load(&m->works) < MAILDROP_WORKS_MAX) {
        atomic_fetch_add(&m->works, 1);
        if (atomic_load(&m->stopping)) {
            atomic_fetch_sub(&m->works, 1);
            return;
        }
        maildrop__drop_start(m, LIST_ENTRY(list_pop_front(&m->ready), struct maildrop_file, node));
    }
}

void maildrop__drop_over(struct maildrop_drop *d)
{
    struct maildrop *m = d->m;
    struct maildrop_file *f = d->file;
    bool later = d->fate == DROP_LATER;
    maildrop__drop_free(d);
    if (later)
        file_defer(m, f);
    else
        file_forget(m, f);
    atomic_fetch_sub(&m->works, 1);
    run(m);
}

void maildrop__give_back(struct maildrop_drop *d)
{
    const struct maildrop_env *env = &d->env;
    for (size_t i = 0; env->give_back && i < d->held_count; i++)
        env->give_back(env->ctx, &d->held[i], d->held_why[i]);
}

/* -- scans */

static void on_name(void *owner, const char *name)
{
    if (!name || strncmp(name, "m.", 2) == 0)
        scan_want(owner);
}

/* The folder may be another one than it was: the watch is made anew. */
static void watch(struct maildrop *m)
{
    struct ms_errinfo why;
    loop_watch_close(&m->watch);
    enum ms_err err = loop_watch_open(m->env.loop, m->env.folder, on_name, m, &m->watch, &why);
    if (err && !m->is_unwatched)
        OBS_EVENT(OBS_MAILDROP_FOLDER, 0, OBS_C("folder", m->env.folder), OBS_C("error", why.text));
    m->is_unwatched = err != MS_OK;
}

static void on_scanned(struct loop_work *work)
{
    struct maildrop_scan *s = MS_CONTAINER_OF(work, struct maildrop_scan, work);
    struct maildrop *m = s->m;
    struct slice names = str_slice(&s->names);
    m->scanning = false;
    m->scanned_ms = loop_now_ms(m->env.loop);
    if (s->err && !m->complained)
        OBS_EVENT(OBS_MAILDROP_FOLDER, 0, OBS_C("folder", m->env.folder), OBS_C("error", s->why.text));
    m->complained = s->err != MS_OK;
    if (!s->err && !m->watch) {
        watch(m);
        m->scan_again = true; /* what came before the watch */
    }
    for (; names.len; names = slice_sub(names, MAILDROP_NAME_ROOM, names.len))
        file_add(m, slice_cstr((const char *)names.ptr));
    run(m);
    if (m->scan_again && m->watch)
        scan_want(m);
}

static void scan(struct maildrop *m)
{
    if (atomic_load(&m->stopping))
        return;
    m->scanning = true;
    m->scan_again = false;
    enum ms_err err = loop_pool_post(m->pool, m->env.loop, &m->scan.work);
    MS_ASSERT(err == MS_OK);
}

static void on_soon(struct loop_timer *timer)
{
    scan_want(MS_CONTAINER_OF(timer, struct maildrop, soon));
}

static void scan_want(struct maildrop *m)
{
    uint64_t since = loop_now_ms(m->env.loop) - m->scanned_ms;
    if (m->scanning) {
        m->scan_again = true;
    } else if (m->scanned_ms && since < MAILDROP_SCAN_GAP_MS) {
        if (!loop_timer_is_running(&m->soon))
            loop_timer_start(m->env.loop, &m->soon, MAILDROP_SCAN_GAP_MS - since, on_soon);
    } else {
        scan(m);
    }
}

static void on_time(struct loop_timer *timer)
{
    struct maildrop *m = MS_CONTAINER_OF(timer, struct maildrop, timer);
    loop_watch_close(&m->watch);
    files_due(m);
    scan_want(m);
    loop_timer_start(m->env.loop, &m->timer, MAILDROP_SCAN_MS, on_time);
}

/* -- life */

struct maildrop *maildrop_create(const struct maildrop_env *env)
{
    struct maildrop *m = ms_new(struct maildrop);
    m->env = *env;
    if (m->env.conf)
        (void)conf_ref(m->env.conf);
    m->pool = loop_pool_create("maildrop", POOL_THREADS, POOL_QUEUE);
    m->scan = (struct maildrop_scan){
        .m = m, .folder = m->env.folder, .work = {.work = maildrop__scan_run, .done = on_scanned}};
    str_init(&m->scan.names, 0);
    map_init(&m->known);
    list_init(&m->ready);
    list_init(&m->deferred);
    list_init(&m->drops);
    loop_timer_start(m->env.loop, &m->timer, 0, on_time);
    maildrop__held_start(m);
    return m;
}

void maildrop_reload(struct maildrop *m, const struct maildrop_env *env)
{
    struct conf *old = m->env.conf;
    m->env.hostname = env->hostname;
    m->env.default_domain = env->default_domain;
    m->env.local_channel = env->local_channel;
    m->env.message_size_max = env->message_size_max;
    m->env.hops_max = env->hops_max;
    m->env.local_hops_max = env->local_hops_max;
    m->env.conf = env->conf ? conf_ref(env->conf) : NULL;
    conf_unref(&old);
}

void maildrop_stop(struct maildrop *m)
{
    atomic_store(&m->stopping, true);
}

bool maildrop_is_idle(const struct maildrop *m)
{
    return atomic_load(&m->stopping) && atomic_load(&m->works) == 0;
}

void maildrop_destroy(struct maildrop **mp)
{
    struct maildrop *m = *mp;
    size_t cursor = 0;
    void *file;
    struct slice name;
    *mp = NULL;
    if (!m)
        return;
    loop_pool_destroy(&m->pool); /* from here on no thread has a drop */
    loop_watch_close(&m->watch);
    loop_timer_stop(m->env.loop, &m->timer);
    loop_timer_stop(m->env.loop, &m->soon);
    loop_timer_stop(m->env.loop, &m->held_timer);
    LIST_FOREACH_SAFE(&m->drops, it)
    {
        maildrop__drop_free(LIST_ENTRY(it, struct maildrop_drop, node));
    }
    while (map_next(&m->known, &cursor, &name, &file)) {
        map_remove(&m->known, name);
        ms_free(file);
    }
    map_fini(&m->known);
    str_fini(&m->scan.names);
    conf_unref(&m->env.conf);
    ms_free(m);
}
