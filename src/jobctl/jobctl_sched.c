/*
 * jobctl_sched.c - the pure scheduler: events in, decisions out.
 *
 * An entry is delayed (in its channel's `delayed` heap by due time), ready (in the `ready` heap by class,
 * then arrival; those the operator wants to go now before all classes), assigned to a job or taken by the
 * operator (in no heap). A held entry is not here. Every event changes one entry or one job;
 * jobctl_sched_next then finds the next thing to do:
 *
 *   1  due entries become ready
 *   2  a ready entry goes to the open job of its channel with the least work, while threads are wanted
 *   3  a job is opened where the formula of semantics 4.5 wants one and pool and channel allow it
 *   4  a job idle for JOBCTL_LINGER_MS is closed
 *   5  else: wait until the next due time or linger end
 *
 * Cost per event O(log n) in entries; channels and jobs are few and scanned.
 */
#include "jobctl_sched.h"

struct jobctl_sched *jobctl_sched_create(void)
{
    struct jobctl_sched *s = ms_new(struct jobctl_sched);
    map_init(&s->entries);
    return s;
}

void jobctl_sched_destroy(struct jobctl_sched **sp)
{
    struct jobctl_sched *s = *sp;
    size_t cursor = 0;
    struct slice key;
    void *value;
    if (!s)
        return;
    for (unsigned i = 0; i < s->channel_count; i++) { /* before their nodes go */
        heap_fini(&s->channels[i].ready);
        heap_fini(&s->channels[i].delayed);
    }
    while (map_next(&s->entries, &cursor, &key, &value))
        ms_free(value);
    map_fini(&s->entries);
    ms_free(s);
    *sp = NULL;
}

static void name_copy(char out[CHANNEL_NAME_MAX + 1], const char *name)
{
    size_t len = MS_MIN(strlen(name), (size_t)CHANNEL_NAME_MAX);
    memcpy(out, name, len);
    out[len] = '\0';
}

void jobctl_sched_add_pool(struct jobctl_sched *s, const char *name, uint64_t job_limit)
{
    MS_ASSERT(s->pool_count < JOBCTL_POOLS_MAX);
    struct sched_pool *pool = &s->pools[s->pool_count++];
    name_copy(pool->name, name);
    pool->limit = job_limit;
}

enum ms_err jobctl_sched_add_channel(struct jobctl_sched *s, const char *name,
                                     const struct channel_conf *conf, uint32_t *index_out)
{
    MS_ASSERT(s->channel_count < JOBCTL_CHANNELS_MAX);
    struct sched_channel *c = &s->channels[s->channel_count];
    for (unsigned i = 0; i < s->pool_count; i++)
        if (strcmp(s->pools[i].name, conf->pool) == 0)
            c->pool = &s->pools[i];
    if (!c->pool)
        return MS_ENOTFOUND;
    name_copy(c->name, name);
    c->conf = conf;
    heap_init(&c->ready);
    heap_init(&c->delayed);
    *index_out = s->channel_count++;
    return MS_OK;
}

void jobctl_sched_done(struct jobctl_sched *s, uint32_t job, const struct queue_id *id, bool retry,
                       uint64_t due_us)
{
    struct sched_entry *e = jobctl__entry_find(s, id);
    struct sched_job *j = &s->jobs[job];
    MS_ASSERT(e && e->state == ENTRY_ASSIGNED && e->job == job && j->in_work > 0);
    struct sched_channel *c = &s->channels[e->channel];
    j->in_work--;
    c->assigned--;
    c->recipients -= e->e.recipients;
    if (!retry || e->dropped) {
        jobctl__entry_free(s, e);
        return;
    }
    e->e.due_us = due_us;
    jobctl__entry_place(s, e,
                        0); /* whether it is due is looked at by the next decision, which knows the time */
}

void jobctl_sched_job_opened(struct jobctl_sched *s, uint32_t job, uint64_t now_us)
{
    MS_ASSERT(s->jobs[job].state == JOB_OPENING);
    s->jobs[job].state = JOB_OPEN;
    s->jobs[job].idle_since_us = now_us;
}

void jobctl_sched_job_closed(struct jobctl_sched *s, uint32_t job)
{
    struct sched_job *j = &s->jobs[job];
    MS_ASSERT(j->state == JOB_CLOSING && j->in_work == 0);
    j->state = JOB_FREE;
}

static uint64_t ceil_div(uint64_t n, uint64_t d)
{
    return (n + d - 1) / d;
}

/* semantics 4.5: entries eligible now, assigned ones included. */
static uint64_t eligible(const struct sched_channel *c)
{
    return c->ready.count + c->assigned;
}

static uint64_t want_threads(const struct sched_channel *c)
{
    return ceil_div(eligible(c), c->conf->threaddepth);
}

static uint64_t want_jobs(const struct sched_channel *c)
{
    uint64_t n = eligible(c);
    if (n == 0)
        return 0;
    uint64_t by_files = c->conf->filesperjob ? ceil_div(n, c->conf->filesperjob) : 1;
    uint64_t by_threads = ceil_div(want_threads(c), c->conf->max_client_threads);
    uint64_t want = MS_MAX(by_files, by_threads);
    uint64_t room = c->pool->limit > c->pool->running ? c->pool->limit - c->pool->running : 0;
    return MS_MIN(want, MS_MIN(c->conf->maxjobs, c->jobs + room));
}

static void settle_due(struct jobctl_sched *s, uint64_t now_us)
{
    for (unsigned i = 0; i < s->channel_count; i++) {
        struct sched_channel *c = &s->channels[i];
        struct heap_node *node;
        while ((node = heap_min(&c->delayed)) && node->key <= now_us) {
            struct sched_entry *e = MS_CONTAINER_OF(node, struct sched_entry, node);
            heap_remove(&c->delayed, node);
            jobctl__entry_place(s, e, now_us);
        }
    }
}

/* The open job of a channel with the least work, or JOBCTL_JOBS_MAX. */
static uint32_t best_job(const struct jobctl_sched *s, uint32_t channel)
{
    uint32_t best = JOBCTL_JOBS_MAX;
    uint64_t threads = s->channels[channel].conf->max_client_threads;
    for (uint32_t i = 0; i < s->jobs_used; i++) {
        const struct sched_job *j = &s->jobs[i];
        if (j->state == JOB_OPEN && j->channel == channel && j->in_work < threads &&
            (best == JOBCTL_JOBS_MAX || j->in_work < s->jobs[best].in_work))
            best = i;
    }
    return best;
}

static bool try_assign(struct jobctl_sched *s, uint32_t channel, struct jobctl_decision *out)
{
    struct sched_channel *c = &s->channels[channel];
    if (c->ready.count == 0 || c->assigned >= MS_MAX(want_threads(c), c->jobs))
        return false;
    uint32_t job = best_job(s, channel);
    if (job == JOBCTL_JOBS_MAX)
        return false;
    struct sched_entry *e = MS_CONTAINER_OF(heap_pop(&c->ready), struct sched_entry, node);
    e->state = ENTRY_ASSIGNED;
    e->first = false;
    e->job = job;
    c->assigned++;
    s->jobs[job].in_work++;
    *out = (struct jobctl_decision){.act = JOBCTL_ACT_ASSIGN, .channel = channel, .job = job, .id = e->e.id};
    return true;
}

/* Fairness in a pool (semantics 4.5): the freed slot goes to the channel whose best entry is first by class,
 * then due time, then to the one with the smaller share of its cap. */
static bool comes_before(const struct sched_channel *a, const struct sched_channel *b)
{
    const struct heap_node *x = heap_min(&a->ready), *y = heap_min(&b->ready);
    if (x->key >> 60 != y->key >> 60)
        return x->key >> 60 < y->key >> 60;
    if (x->tie != y->tie)
        return x->tie < y->tie;
    return (uint64_t)a->jobs * b->conf->maxjobs < (uint64_t)b->jobs * a->conf->maxjobs;
}

static uint32_t free_job(struct jobctl_sched *s)
{
    for (uint32_t i = 0; i < s->jobs_used; i++)
        if (s->jobs[i].state == JOB_FREE)
            return i;
    return s->jobs_used < JOBCTL_JOBS_MAX ? s->jobs_used++ : JOBCTL_JOBS_MAX;
}

static bool try_open(struct jobctl_sched *s, struct jobctl_decision *out)
{
    struct sched_channel *best = NULL;
    for (unsigned i = 0; i < s->channel_count; i++) {
        struct sched_channel *c = &s->channels[i];
        if (c->ready.count > 0 && want_jobs(c) > c->jobs && (!best || comes_before(c, best)))
            best = c;
    }
    uint32_t job = best ? free_job(s) : JOBCTL_JOBS_MAX;
    if (job == JOBCTL_JOBS_MAX)
        return false;
    s->jobs[job] = (struct sched_job){.state = JOB_OPENING, .channel = (uint32_t)(best - s->channels)};
    best->jobs++;
    best->pool->running++;
    *out = (struct jobctl_decision){.act = JOBCTL_ACT_OPEN_JOB, .channel = s->jobs[job].channel, .job = job};
    return true;
}

/* A pool with waiting channels does not let idle jobs linger. */
static bool pool_is_wanted(const struct jobctl_sched *s, const struct sched_pool *pool)
{
    if (pool->running < pool->limit)
        return false;
    for (unsigned i = 0; i < s->channel_count; i++)
        if (s->channels[i].pool == pool && s->channels[i].ready.count > 0 && s->channels[i].jobs == 0)
            return true;
    return false;
}

static bool try_close(struct jobctl_sched *s, uint64_t now_us, struct jobctl_decision *out)
{
    uint64_t wake = UINT64_MAX;
    for (uint32_t i = 0; i < s->jobs_used; i++) {
        struct sched_job *j = &s->jobs[i];
        struct sched_channel *c = &s->channels[j->channel];
        if (j->state != JOB_OPEN)
            continue;
        if (j->in_work > 0) {
            j->idle_since_us = now_us;
            continue;
        }
        uint64_t end = j->idle_since_us + JOBCTL_LINGER_MS * 1000ull;
        if (end <= now_us || pool_is_wanted(s, c->pool)) {
            j->state = JOB_CLOSING;
            c->jobs--;
            c->pool->running--;
            *out = (struct jobctl_decision){.act = JOBCTL_ACT_CLOSE_JOB, .channel = j->channel, .job = i};
            return true;
        }
        wake = MS_MIN(wake, end);
    }
    out->wake_us = wake;
    return false;
}

struct jobctl_decision jobctl_sched_next(struct jobctl_sched *s, uint64_t now_us)
{
    struct jobctl_decision d = {.act = JOBCTL_ACT_WAIT, .wake_us = UINT64_MAX};
    settle_due(s, now_us);
    for (uint32_t i = 0; i < s->channel_count; i++)
        if (try_assign(s, i, &d))
            return d;
    if (try_open(s, &d) || try_close(s, now_us, &d))
        return d;
    for (unsigned i = 0; i < s->channel_count; i++) {
        const struct heap_node *node = heap_min(&s->channels[i].delayed);
        if (node)
            d.wake_us = MS_MIN(d.wake_us, node->key);
    }
    return d;
}

uint64_t jobctl_sched_count(const struct jobctl_sched *s)
{
    return s->entries.count;
}

uint32_t jobctl_sched_jobs(const struct jobctl_sched *s, uint32_t channel)
{
    return s->channels[channel].jobs;
}

bool jobctl_sched_overflowed(struct jobctl_sched *s)
{
    bool overflow = s->overflow;
    s->overflow = false;
    return overflow;
}
