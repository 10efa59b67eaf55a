/*
 * jobctl_sched_view.c - what can be asked of the scheduler: numbers, and why an entry waits.
 */
#include "jobctl_sched.h"

uint64_t jobctl_sched_count(const struct jobctl_sched *s)
{
    return s->table.count;
}

static uint64_t heap_bytes(const struct heap *h)
{
    return h->cap * sizeof *h->nodes;
}

uint64_t jobctl_sched_bytes(const struct jobctl_sched *s)
{
    uint64_t bytes = s->rank.cap * sizeof *s->rank.nodes +
                     s->chunk_count * JOBCTL__CHUNK_ENTRIES * sizeof(struct sched_entry) +
                     (s->table.size + (s->table.old ? s->table.old_size : 0)) * sizeof *s->table.buckets;
    for (unsigned i = 0; i < s->channel_count; i++) {
        const struct sched_channel *c = &s->channels[i];
        bytes += heap_bytes(&c->delayed) + heap_bytes(&c->deferred) + heap_bytes(&c->open) +
                 heap_bytes(&c->full) + heap_bytes(&c->by_age) + jobctl__age_bytes(c) + c->host_bytes;
    }
    return bytes;
}

bool jobctl_sched_is_partial(const struct jobctl_sched *s)
{
    return s->has_overflowed;
}

bool jobctl_sched_overflowed(struct jobctl_sched *s)
{
    if (s->is_regrouped) {
        s->is_regrouped = false;
        return true;
    }
    if (!s->has_overflowed || s->table.count > s->max_entries - s->max_entries / 4)
        return false;
    s->has_overflowed = false;
    for (unsigned i = 0; i < s->channel_count; i++)
        s->channels[i].has_overflowed = false;
    return true;
}

/* What keeps the channel from the jobs it wants. */
static enum jobctl_why why_no_job(const struct sched_channel *c, uint64_t want, enum jobctl_why else_)
{
    if (want <= c->jobs)
        return else_;
    if (c->jobs + c->leaving >= c->limits.maxjobs)
        return JOBCTL_WHY_CHANNEL_LIMIT;
    return c->pool->running >= c->pool->limit ? JOBCTL_WHY_POOL_LIMIT : JOBCTL_WHY_NEXT;
}

/* Entries that do not wait for a deferral, of hosts that may have a further thread, when no job has one free. */
static enum jobctl_why why_open(const struct sched_channel *c)
{
    return why_no_job(c, jobctl__jobs_wanted(c), JOBCTL_WHY_OTHERS_FIRST);
}

/* The same of hosts that may not: only a job without any work takes them. */
static enum jobctl_why why_full(const struct sched_channel *c)
{
    if (c->jobs_free.count > 0)
        return JOBCTL_WHY_HOST_THREADS;
    return why_no_job(c, jobctl__jobs_wanted_static(c), JOBCTL_WHY_HOST_THREADS);
}

/* Why a ready entry is not in work. by_why_count says the same of all. */
static enum jobctl_why why_ready(const struct sched_entry *e, struct jobctl_reason *out)
{
    const struct sched_channel *c = e->host->channel;
    bool has_room = c->jobs_free.count > 0;
    if (c->is_stopped)
        return JOBCTL_WHY_STOPPED;
    if (has_room && e->host->is_open)
        return jobctl__host_best(e->host) == e ? JOBCTL_WHY_NEXT : JOBCTL_WHY_OTHERS_FIRST;
    if (e->is_waiting) {
        out->until_us = heap_min(&c->deferred)->key; /* rule 5: the first that ends is for all */
        return JOBCTL_WHY_DEFERRED;
    }
    return e->host->is_open ? why_open(c) : why_full(c);
}

static void by_why_count(const struct sched_channel *c, uint64_t by_why[JOBCTL_WHY_COUNT])
{
    uint64_t waiting = c->waiting, open = c->ready - c->full_ready; /* of hosts in open */
    by_why[JOBCTL_WHY_IN_WORK] = c->assigned;
    by_why[JOBCTL_WHY_TAKEN] = c->taken;
    by_why[JOBCTL_WHY_DUE] = c->delayed.count;
    if (c->is_stopped) {
        by_why[JOBCTL_WHY_STOPPED] = c->ready;
        return;
    }
    if (c->jobs_free.count > 0) {
        by_why[JOBCTL_WHY_NEXT] = c->open.count;
        by_why[JOBCTL_WHY_OTHERS_FIRST] = open - c->open.count;
        waiting = c->full_waiting;
    } else {
        by_why[why_open(c)] += open - (c->waiting - c->full_waiting);
    }
    by_why[JOBCTL_WHY_DEFERRED] = waiting;
    by_why[why_full(c)] += c->full_ready - c->full_waiting;
}

void jobctl_sched_explain(const struct jobctl_sched *s, const struct queue_id *id, uint64_t now_us,
                          struct jobctl_reason *out)
{
    const struct sched_entry *e = jobctl__entry_find(s, id);
    *out = (struct jobctl_reason){.why = JOBCTL_WHY_UNKNOWN};
    if (!e || (e->is_dropped && !e->host))
        return;
    out->channel = e->host->channel->index;
    out->ahead = e->host->ready_count;
    if (e->state == ENTRY_ASSIGNED) {
        out->why = JOBCTL_WHY_IN_WORK;
        out->job = e->job;
    } else if (e->state == ENTRY_TAKEN) {
        out->why = JOBCTL_WHY_TAKEN;
    } else if (e->state == ENTRY_DELAYED) {
        out->why = e->due_us > now_us ? JOBCTL_WHY_DUE : JOBCTL_WHY_NEXT;
        out->until_us = e->due_us;
    } else {
        out->why = why_ready(e, out);
    }
}

bool jobctl_sched_channel_view(const struct jobctl_sched *s, uint32_t channel,
                               struct jobctl_channel_view *out)
{
    if (channel >= s->channel_count)
        return false;
    const struct sched_channel *c = &s->channels[channel];
    *out = (struct jobctl_channel_view){.name = c->name,
                                        .pool = c->pool->name,
                                        .limits = c->limits,
                                        .stopped = c->is_stopped,
                                        .overflow = c->has_overflowed,
                                        .ready = c->ready,
                                        .waiting = c->waiting,
                                        .delayed = c->delayed.count,
                                        .assigned = c->assigned,
                                        .hosts = c->hosts.count,
                                        .jobs = c->jobs,
                                        .retiring = c->leaving,
                                        .next_us = c->time.index == HEAP_NOT_IN ? UINT64_MAX : c->time.key,
                                        .oldest_us = jobctl__age_oldest(c)};
    by_why_count(c, out->by_why);
    return true;
}

static const char *job_state_name(const struct sched_job *j)
{
    if (j->state == JOB_OPENING)
        return "opening";
    if (j->state == JOB_CLOSING)
        return "closing";
    if (j->is_retiring)
        return "retiring";
    return j->in_work ? "busy" : "idle";
}

bool jobctl_sched_job_view(const struct jobctl_sched *s, uint32_t job, struct jobctl_job_view *out)
{
    if (job >= s->jobs_used || s->jobs[job].state == JOB_FREE)
        return false;
    const struct sched_job *j = &s->jobs[job];
    *out = (struct jobctl_job_view){.channel = j->channel,
                                    .state = job_state_name(j),
                                    .in_work = j->in_work,
                                    .entries = j->entries,
                                    .born_us = j->born_us,
                                    .idle_since_us = j->in_work ? 0 : j->idle_since_us};
    return true;
}

bool jobctl_sched_pool_view(const struct jobctl_sched *s, unsigned pool, struct jobctl_pool_view *out)
{
    if (pool >= s->pool_count)
        return false;
    *out = (struct jobctl_pool_view){
        .name = s->pools[pool].name, .limit = s->pools[pool].limit, .running = s->pools[pool].running};
    return true;
}

uint32_t jobctl_sched_jobs(const struct jobctl_sched *s, uint32_t channel)
{
    return s->channels[channel].jobs + s->channels[channel].leaving;
}
