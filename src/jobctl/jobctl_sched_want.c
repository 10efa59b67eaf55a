/*
 * jobctl_sched_want.c - how many jobs a channel wants and may have, and which channel is next (semantics 4.3, 4.5).
 */
#include "jobctl_sched.h"

static uint64_t ceil_div(uint64_t n, uint64_t d)
{
    return n / d + (n % d != 0);
}

/* Entries eligible now, assigned ones included, those that wait for their deferral left out. */
uint64_t jobctl__jobs_wanted_static(const struct sched_channel *c)
{
    const struct jobctl_limits *l = &c->limits;
    uint64_t n = c->ready - c->waiting + c->assigned;
    if (n == 0)
        return 0;
    uint64_t by_files = l->filesperjob ? ceil_div(n, l->filesperjob) : 1;
    uint64_t by_addrs = l->addrsperjob ? ceil_div(c->recipients, l->addrsperjob) : 1;
    return MS_MAX(MS_MAX(by_files, by_addrs), 1);
}

uint64_t jobctl__jobs_wanted(const struct sched_channel *c)
{
    uint64_t want = jobctl__jobs_wanted_static(c);
    return want ? MS_MAX(want, ceil_div(c->threads_asked, c->limits.max_client_threads)) : 0;
}

bool jobctl__may_open(const struct sched_channel *c)
{
    return c->jobs + c->leaving < c->limits.maxjobs && c->pool->running < c->pool->limit;
}

bool jobctl__wants_job(const struct sched_channel *c)
{
    if (c->is_stopped || !jobctl__may_open(c))
        return false;
    if (c->jobs < c->limits.minjobs)
        return true;
    return c->ready > c->waiting && jobctl__jobs_wanted(c) > c->jobs;
}

/* The first entry that asks for a job: of those open to a further thread, else of all. */
static const struct heap_node *best_of(const struct sched_channel *c)
{
    const struct heap_node *open = heap_min(&c->open);
    return open ? open : heap_min(&c->full);
}

/* Its jobs that hold places in the pool, of those it could have: a.jobs / a.cap < b.jobs / b.cap. */
static bool has_smaller_share(const struct sched_channel *a, const struct sched_channel *b)
{
    uint64_t cap_a = MS_MIN(a->limits.maxjobs, a->pool->limit);
    uint64_t cap_b = MS_MIN(b->limits.maxjobs, b->pool->limit);
    return (a->jobs + a->leaving) * cap_b < (b->jobs + b->leaving) * cap_a;
}

/* Fairness in a pool: class of the entry that a job would take first, then its due time, then the smaller
 * share of the cap. */
static bool comes_before(const struct sched_channel *a, const struct sched_channel *b)
{
    const struct heap_node *x = best_of(a), *y = best_of(b);
    if (!x || !y)
        return x != NULL;
    if (x->key >> 60 != y->key >> 60)
        return x->key >> 60 < y->key >> 60;
    if (x->tie != y->tie)
        return x->tie < y->tie;
    return has_smaller_share(a, b);
}

struct sched_channel *jobctl__next_to_open(struct jobctl_sched *s)
{
    struct sched_channel *best = NULL;
    for (unsigned i = 0; i < s->channel_count; i++) {
        struct sched_channel *c = &s->channels[i];
        if (jobctl__wants_job(c) && (!best || comes_before(c, best)))
            best = c;
    }
    return best;
}
