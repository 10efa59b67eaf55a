/*
 * jobctl_sched.c - settings and decisions of the pure scheduler.
 *
 * Every event changes one entry or one job and the numbers above it; jobctl_sched_next then finds the next
 * thing to do:
 *
 *   1  due entries become ready, ended deferrals ask for jobs, old jobs take no more work
 *   2  a ready entry goes to the job of its channel with the least work: the best entry of a host that may have a
 *      further thread; when a job has no work at all, of any host
 *   3  a job is opened where the formula of semantics 4.5 wants one and maxjobs and job_limit allow it
 *   4  a job without work is closed when its lingering ends, or when another channel needs its place in the pool
 *   5  else: wait until the next of these times
 */
#include "jobctl_sched.h"

struct jobctl_sched *jobctl_sched_create(uint64_t max_entries)
{
    struct jobctl_sched *s = ms_new(struct jobctl_sched);
    s->max_entries = max_entries;
    s->free_job = JOBCTL_JOBS_MAX;
    heap_init(&s->idle);
    heap_init(&s->lives);
    heap_init(&s->times);
    list_init(&s->busy);
    return s;
}

void jobctl_sched_set_max(struct jobctl_sched *s, uint64_t max_entries)
{
    if (max_entries > s->max_entries) /* what was left out may have room now */
        s->has_overflowed |= s->table.count >= s->max_entries;
    s->max_entries = max_entries;
}

static void channel_fini(struct sched_channel *c)
{
    size_t cursor = 0;
    struct slice key;
    void *value;
    while (map_next(&c->hosts, &cursor, &key, &value)) {
        struct sched_host *h = value;
        heap_fini(&h->late);
        if (h->node.index != HEAP_NOT_IN)
            heap_remove(h->is_open ? &c->open : &c->full, &h->node);
        ms_free(h);
    }
    map_fini(&c->hosts);
    jobctl__age_fini(c);
    heap_fini(&c->open);
    heap_fini(&c->full);
    heap_fini(&c->delayed);
    heap_fini(&c->deferred);
    heap_fini(&c->jobs_free);
}

void jobctl_sched_destroy(struct jobctl_sched **sp)
{
    struct jobctl_sched *s = *sp;
    if (!s)
        return;
    for (unsigned i = 0; i < s->channel_count; i++)
        channel_fini(&s->channels[i]);
    heap_fini(&s->idle);
    heap_fini(&s->lives);
    heap_fini(&s->times);
    jobctl__rank_fini(s);
    jobctl__table_fini(s); /* the heaps' nodes go with it */
    ms_free(s);
    *sp = NULL;
}

/* -- settings */
static void name_copy(char out[JOBCTL_NAME_MAX + 1], const char *name)
{
    size_t len = MS_MIN(strlen(name), (size_t)JOBCTL_NAME_MAX);
    memcpy(out, name, len);
    out[len] = '\0';
}

static struct sched_pool *pool_find(struct jobctl_sched *s, const char *name)
{
    for (unsigned i = 0; i < s->pool_count; i++)
        if (strcmp(s->pools[i].name, name) == 0)
            return &s->pools[i];
    return NULL;
}

void jobctl_sched_set_pool(struct jobctl_sched *s, const char *name, uint64_t job_limit)
{
    struct sched_pool *pool = pool_find(s, name);
    if (!pool) {
        MS_ASSERT(s->pool_count < JOBCTL_POOLS_MAX);
        pool = &s->pools[s->pool_count++];
        name_copy(pool->name, name);
    }
    pool->limit = job_limit;
    s->look_for_open = true;
}

static struct sched_channel *channel_add(struct jobctl_sched *s, const char *name)
{
    struct sched_channel *c = &s->channels[s->channel_count];
    name_copy(c->name, name);
    c->index = s->channel_count++;
    map_init(&c->hosts);
    map_init(&c->ages);
    heap_init(&c->by_age);
    heap_init(&c->open);
    heap_init(&c->full);
    heap_init(&c->delayed);
    heap_init(&c->deferred);
    heap_init(&c->jobs_free);
    c->time.index = HEAP_NOT_IN;
    list_init(&c->busy);
    return c;
}

/* Another pool: its jobs count there from now on. */
static void channel_move(struct sched_channel *c, struct sched_pool *pool)
{
    if (c->pool)
        c->pool->running -= c->jobs + c->leaving;
    pool->running += c->jobs + c->leaving;
    c->pool = pool;
}

static void jobs_again(struct jobctl_sched *s, const struct sched_channel *c)
{
    for (uint32_t i = 0; i < s->jobs_used; i++)
        if (s->jobs[i].channel == c->index && s->jobs[i].state != JOB_FREE)
            jobctl__job_settle(s, i);
}

/* Threads of hosts and jobs by the new limits. */
static void channel_again(struct jobctl_sched *s, struct sched_channel *c, uint64_t now_us)
{
    size_t cursor = 0;
    struct slice key;
    void *value;
    while (map_next(&c->hosts, &cursor, &key, &value))
        jobctl__host_settle(value);
    jobctl__deferred_again(s, c, now_us);
    jobs_again(s, c);
    jobctl__channel_time(s, c);
}

enum ms_err jobctl_sched_set_channel(struct jobctl_sched *s, const char *name, const char *pool_name,
                                     const struct jobctl_limits *limits, uint64_t now_us, uint32_t *index_out)
{
    struct sched_pool *pool = pool_find(s, pool_name);
    struct sched_channel *c = NULL;
    MS_ASSERT(limits->maxjobs > 0 && limits->threaddepth > 0 && limits->max_client_threads > 0);
    for (unsigned i = 0; i < s->channel_count; i++)
        if (strcmp(s->channels[i].name, name) == 0)
            c = &s->channels[i];
    if (!pool)
        return MS_ENOTFOUND;
    if (!c && s->channel_count == JOBCTL_CHANNELS_MAX)
        return MS_ELIMIT;
    if (!c)
        c = channel_add(s, name);
    channel_move(c, pool);
    s->is_regrouped |= c->hosts.count && jobctl__has_hosts(&c->limits) != jobctl__has_hosts(limits);
    c->limits = *limits;
    channel_again(s, c, now_us);
    s->look_for_open = true;
    *index_out = c->index;
    return MS_OK;
}

void jobctl_sched_stop_channel(struct jobctl_sched *s, uint32_t channel, bool stop)
{
    struct sched_channel *c = &s->channels[channel];
    if (c->is_stopped != stop)
        jobctl__rank_fini(s); /* its entries have other places there */
    c->is_stopped = stop;
    jobs_again(s, c); /* those of the least number go, or stay; who has a thread free looks for work */
    s->look_for_open = true;
}

void jobctl_sched_done(struct jobctl_sched *s, uint32_t job, const struct queue_id *id, bool retry,
                       uint64_t due_us, uint64_t now_us)
{
    struct sched_entry *e = jobctl__entry_find(s, id);
    MS_ASSERT(e && e->state == ENTRY_ASSIGNED && e->job == job);
    jobctl__job_gives(s, job, now_us);
    jobctl__entry_unassign(s, e);
    if (!retry || e->is_dropped) {
        jobctl__entry_free(s, e);
        return;
    }
    e->due_us = due_us;
    e->is_retry = true;
    jobctl__entry_place(s, e, now_us);
}

/* -- decisions */
static bool channel_assign(struct jobctl_sched *s, struct sched_channel *c, struct jobctl_decision *out)
{
    const struct heap_node *free = heap_min(&c->jobs_free);
    if (c->is_stopped || !free)
        return false;
    const struct heap_node *host = heap_min(&c->open);
    if (!host && free->key == 0)
        host = heap_min(&c->full);
    if (!host)
        return false;
    struct sched_entry *e = jobctl__host_best(MS_CONTAINER_OF(host, struct sched_host, node));
    uint32_t job = (uint32_t)(MS_CONTAINER_OF(free, struct sched_job, free) - s->jobs);
    jobctl__entry_assign(s, e, job);
    jobctl__job_takes(s, job);
    *out = (struct jobctl_decision){.act = JOBCTL_ACT_ASSIGN, .channel = c->index, .job = job, .id = e->id};
    return true;
}

static bool try_assign(struct jobctl_sched *s, struct jobctl_decision *out)
{
    while (!list_is_empty(&s->busy)) {
        struct sched_channel *c = LIST_ENTRY(s->busy.next, struct sched_channel, busy);
        if (channel_assign(s, c, out))
            return true;
        list_remove(&c->busy);
    }
    return false;
}

static bool try_open(struct jobctl_sched *s, uint64_t now_us, struct jobctl_decision *out)
{
    struct sched_channel *c = s->look_for_open ? jobctl__next_to_open(s) : NULL;
    uint32_t job = c ? jobctl__job_new(s, c, now_us) : JOBCTL_JOBS_MAX;
    if (job == JOBCTL_JOBS_MAX)
        return false;
    *out = (struct jobctl_decision){.act = JOBCTL_ACT_OPEN_JOB, .channel = c->index, .job = job};
    return true;
}

static bool try_close(struct jobctl_sched *s, uint64_t now_us, struct jobctl_decision *out)
{
    uint32_t job = jobctl__job_to_close(s, now_us);
    if (job == JOBCTL_JOBS_MAX)
        return false;
    jobctl__job_closing(s, job);
    *out = (struct jobctl_decision){.act = JOBCTL_ACT_CLOSE_JOB, .channel = s->jobs[job].channel, .job = job};
    return true;
}

static uint64_t min_key(const struct heap *h)
{
    const struct heap_node *node = heap_min(h);
    return node ? node->key : UINT64_MAX;
}

struct jobctl_decision jobctl_sched_next(struct jobctl_sched *s, uint64_t now_us)
{
    struct jobctl_decision d = {.act = JOBCTL_ACT_WAIT};
    jobctl__entries_settle(s, now_us);
    jobctl__jobs_settle(s, now_us);
    if (try_assign(s, &d) || try_open(s, now_us, &d) || try_close(s, now_us, &d))
        return d;
    s->look_for_open = false;
    d.wake_us = MS_MIN(min_key(&s->times), MS_MIN(min_key(&s->idle), min_key(&s->lives)));
    return d;
}
