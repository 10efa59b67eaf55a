/*
 * jobctl_sched_job.c - jobs: threads in use, lingering without work, the end of their life.
 */
#include "jobctl_sched.h"

static struct sched_channel *channel_of(struct jobctl_sched *s, const struct sched_job *j)
{
    return &s->channels[j->channel];
}

uint32_t jobctl__job_new(struct jobctl_sched *s, struct sched_channel *c, uint64_t now_us)
{
    uint32_t job = s->free_job;
    if (job != JOBCTL_JOBS_MAX)
        s->free_job = s->jobs[job].next_free;
    else if (s->jobs_used < JOBCTL_JOBS_MAX)
        job = s->jobs_used++;
    else
        return JOBCTL_JOBS_MAX;
    s->jobs[job] = (struct sched_job){.state = JOB_OPENING,
                                      .channel = c->index,
                                      .born_us = now_us,
                                      .free = {.index = HEAP_NOT_IN},
                                      .idle = {.index = HEAP_NOT_IN},
                                      .life = {.index = HEAP_NOT_IN}};
    c->jobs++;
    c->pool->running++;
    return job;
}

static void idle_set(struct jobctl_sched *s, struct sched_job *j, uint64_t end_us)
{
    if (j->idle.index != HEAP_NOT_IN) {
        heap_update(&s->idle, &j->idle, end_us, 0);
        return;
    }
    j->idle.key = end_us;
    heap_insert(&s->idle, &j->idle);
}

static void idle_begin(struct jobctl_sched *s, struct sched_job *j, uint64_t now_us)
{
    const struct sched_pool *pool = channel_of(s, j)->pool;
    j->idle_since_us = now_us;
    s->look_for_open |= pool->running >= pool->limit; /* another channel may want its place */
    idle_set(s, j, j->is_retiring ? 0 : now_us + channel_of(s, j)->limits.idle_us);
}

static void job_retire(struct jobctl_sched *s, struct sched_job *j);

/* Where it stands among the jobs of its channel that can take work. */
static void free_settle(struct jobctl_sched *s, struct sched_job *j)
{
    struct sched_channel *c = channel_of(s, j);
    bool takes = j->state == JOB_OPEN && !j->is_retiring && j->in_work < c->limits.max_client_threads;
    if (j->free.index != HEAP_NOT_IN && !takes) {
        heap_remove(&c->jobs_free, &j->free);
    } else if (j->free.index != HEAP_NOT_IN) {
        heap_update(&c->jobs_free, &j->free, j->in_work, 0);
    } else if (takes) {
        j->free.key = j->in_work;
        heap_insert(&c->jobs_free, &j->free);
    }
    if (takes && !list_is_linked(&c->busy))
        list_push_back(&s->busy, &c->busy);
}

void jobctl__job_settle(struct jobctl_sched *s, uint32_t job)
{
    struct sched_job *j = &s->jobs[job];
    uint64_t life_entries = channel_of(s, j)->limits.life_entries;
    if (life_entries && j->entries >= life_entries)
        job_retire(s, j);
    free_settle(s, j);
    if (j->idle.index != HEAP_NOT_IN && !j->is_retiring)
        idle_set(s, j, j->idle_since_us + channel_of(s, j)->limits.idle_us);
    if (j->life.index != HEAP_NOT_IN)
        heap_remove(&s->lives, &j->life);
    if (j->state == JOB_OPEN && !j->is_retiring && channel_of(s, j)->limits.life_us) {
        j->life.key = j->born_us + channel_of(s, j)->limits.life_us;
        heap_insert(&s->lives, &j->life);
    }
}

static void job_retire(struct jobctl_sched *s, struct sched_job *j)
{
    struct sched_channel *c = channel_of(s, j);
    if (j->is_retiring)
        return;
    j->is_retiring = true;
    c->jobs--;
    c->leaving++;
    free_settle(s, j);
    if (j->idle.index != HEAP_NOT_IN)
        idle_set(s, j, 0);
    s->look_for_open = true; /* another one, when work remains */
}

void jobctl_sched_job_opened(struct jobctl_sched *s, uint32_t job, uint64_t now_us)
{
    struct sched_job *j = &s->jobs[job];
    uint64_t life_us = channel_of(s, j)->limits.life_us;
    MS_ASSERT(j->state == JOB_OPENING);
    j->state = JOB_OPEN;
    j->born_us = now_us;
    idle_begin(s, j, now_us);
    free_settle(s, j);
    if (life_us) {
        j->life.key = now_us + life_us;
        heap_insert(&s->lives, &j->life);
    }
}

void jobctl__job_takes(struct jobctl_sched *s, uint32_t job)
{
    struct sched_job *j = &s->jobs[job];
    uint64_t life_entries = channel_of(s, j)->limits.life_entries;
    j->in_work++;
    j->entries++;
    if (j->idle.index != HEAP_NOT_IN)
        heap_remove(&s->idle, &j->idle);
    free_settle(s, j);
    if (life_entries && j->entries >= life_entries)
        job_retire(s, j);
}

void jobctl__job_gives(struct jobctl_sched *s, uint32_t job, uint64_t now_us)
{
    struct sched_job *j = &s->jobs[job];
    MS_ASSERT(j->in_work > 0);
    if (--j->in_work == 0)
        idle_begin(s, j, now_us);
    free_settle(s, j);
}

void jobctl__jobs_settle(struct jobctl_sched *s, uint64_t now_us)
{
    struct heap_node *node;
    while ((node = heap_min(&s->lives)) && node->key <= now_us) {
        heap_remove(&s->lives, node);
        job_retire(s, MS_CONTAINER_OF(node, struct sched_job, life));
    }
}

static bool may_leave(struct jobctl_sched *s, const struct sched_job *j)
{
    const struct sched_channel *c = channel_of(s, j);
    return j->is_retiring || c->is_stopped || c->jobs > c->limits.minjobs;
}

/* A pool that is full, in which a channel has work and no job, does not let idle jobs linger. */
static bool pool_is_wanted(const struct jobctl_sched *s, const struct sched_pool *pool)
{
    if (pool->running < pool->limit)
        return false;
    for (unsigned i = 0; i < s->channel_count; i++) {
        const struct sched_channel *c = &s->channels[i];
        if (c->pool == pool && !c->is_stopped && c->jobs + c->leaving == 0 && jobctl__jobs_wanted(c) > 0)
            return true;
    }
    return false;
}

uint32_t jobctl__job_to_close(struct jobctl_sched *s, uint64_t now_us)
{
    struct heap_node *node;
    while ((node = heap_min(&s->idle)) && node->key <= now_us) {
        struct sched_job *j = MS_CONTAINER_OF(node, struct sched_job, idle);
        if (may_leave(s, j))
            return (uint32_t)(j - s->jobs);
        idle_set(s, j, UINT64_MAX); /* one of the least number; a change of limits looks at it again */
    }
    if (!s->look_for_open) /* nobody was refused a job since the last look */
        return JOBCTL_JOBS_MAX;
    for (size_t i = 0; i < s->idle.count; i++) {
        struct sched_job *j = MS_CONTAINER_OF(s->idle.nodes[i], struct sched_job, idle);
        if (may_leave(s, j) && pool_is_wanted(s, channel_of(s, j)->pool))
            return (uint32_t)(j - s->jobs);
    }
    return JOBCTL_JOBS_MAX;
}

void jobctl__job_closing(struct jobctl_sched *s, uint32_t job)
{
    struct sched_job *j = &s->jobs[job];
    MS_ASSERT(j->state == JOB_OPEN && j->in_work == 0);
    job_retire(s, j);
    heap_remove(&s->idle, &j->idle);
    if (j->life.index != HEAP_NOT_IN)
        heap_remove(&s->lives, &j->life);
    j->state = JOB_CLOSING;
}

void jobctl_sched_job_closed(struct jobctl_sched *s, uint32_t job)
{
    struct sched_job *j = &s->jobs[job];
    struct sched_channel *c = channel_of(s, j);
    MS_ASSERT(j->state == JOB_CLOSING);
    j->state = JOB_FREE;
    c->leaving--;
    c->pool->running--;
    j->next_free = s->free_job;
    s->free_job = job;
    s->look_for_open = true;
}
