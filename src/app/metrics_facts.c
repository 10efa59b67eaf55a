/*
 * metrics_facts.c - what takes longer than an answer may: figures of the store, and a walk through the whole
 * queue, on a work thread. Snapshots are short, FACTS_ROWS entries each, so the index does not grow because of us.
 */
#include "metrics.h"

#include "ms/base/clock.h"
#include "ms/queue.h"

#define FACTS_ROWS 2048

static struct metrics_channel *channel_get(struct metrics_facts *f, struct slice name)
{
    for (unsigned i = 0; i < f->channel_count; i++)
        if (slice_eq_cstr(name, f->channels[i].name))
            return &f->channels[i];
    if (f->channel_count == METRICS_CHANNELS_MAX || name.len >= METRICS_NAME_MAX)
        return NULL;
    struct metrics_channel *c = &f->channels[f->channel_count++];
    *c = (struct metrics_channel){.oldest_us = UINT64_MAX};
    memcpy(c->name, name.ptr, name.len);
    return c;
}

static void count_entry(struct metrics_facts *f, const struct queue_entry *e, uint64_t now_us)
{
    struct metrics_channel *c = channel_get(f, e->channel);
    if (!c)
        return;
    if (e->held)
        c->held++;
    else if (e->due_us <= now_us)
        c->due++;
    else
        c->later++;
    c->oldest_us = MS_MIN(c->oldest_us, e->arrival_us);
}

/* MS_OK: there is more behind *after. */
static enum ms_err walk_rows(struct metrics *m, struct queue_id *after, bool *begun)
{
    struct queue_entry e;
    struct part_snap snap;
    uint64_t now_us = clock_wall_us();
    MS_TRY(part_snap_begin(m->server->partition, &snap));
    enum ms_err err = MS_OK;
    for (unsigned n = 0; n < FACTS_ROWS && !err; n++) {
        err = queue_next(&snap, *begun ? after : NULL, &e);
        if (err)
            break;
        *begun = true;
        *after = e.id;
        count_entry(&m->next, &e, now_us);
    }
    part_snap_end(&snap);
    return err;
}

static void on_work(struct loop_work *work)
{
    struct metrics *m = MS_CONTAINER_OF(work, struct metrics, work);
    uint64_t begun_ms = clock_mono_ms();
    struct queue_id after;
    bool begun = false;
    enum ms_err err = MS_OK;
    partition_stats(m->server->partition, &m->next.store);
    while (!err && !atomic_load_explicit(&m->quit, memory_order_relaxed))
        err = walk_rows(m, &after, &begun);
    m->next.queue_is_whole = err == MS_ENOTFOUND;
    m->next.made_ms = clock_mono_ms();
    m->next.took_ms = m->next.made_ms - begun_ms;
}

static void facts_begin(struct metrics *m);

static void on_refresh(struct loop_timer *timer)
{
    facts_begin(MS_CONTAINER_OF(timer, struct metrics, refresh));
}

static void on_done(struct loop_work *work)
{
    struct metrics *m = MS_CONTAINER_OF(work, struct metrics, work);
    m->working = false;
    m->facts = m->next;
    if (clock_mono_ms() - m->asked_ms < METRICS_ASKED_MS)
        loop_timer_start(m->control, &m->refresh, MS_MAX(METRICS_REFRESH_MS, 20 * m->facts.took_ms),
                         on_refresh);
}

void metrics_facts_want(struct metrics *m)
{
    m->asked_ms = clock_mono_ms();
    if (!m->working && !loop_timer_is_running(&m->refresh))
        facts_begin(m);
}

static void facts_begin(struct metrics *m)
{
    const struct conf *conf = m->server->conf;
    MS_ASSERT(!m->working);
    memset(&m->next, 0, sizeof m->next);
    for (size_t i = 0; i < conf_map_count(conf, "channels.*"); i++) {
        const char *name; /* an empty queue is told of, too */
        (void)conf_map_entry(conf, "channels.*", i, &name);
        (void)channel_get(&m->next, slice_cstr(name));
    }
    m->work.work = on_work;
    m->work.done = on_done;
    m->working = loop_pool_post(m->pool, m->control, &m->work) == MS_OK;
    if (!m->working)
        loop_timer_start(m->control, &m->refresh, METRICS_REFRESH_MS, on_refresh);
}
