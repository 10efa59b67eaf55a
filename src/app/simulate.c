/*
 * simulate.c - events in virtual time: messages arrive, attempts end, the scheduler wakes.
 */
#include "simulate.h"

#include <stdio.h>
#include <stdlib.h>

#include "ms/base/clock.h"
#include "ms/base/heap.h"

struct sim_message {
    struct heap_node node; /* the end of its attempt */
    uint64_t arrived_us, due_us;
    uint32_t attempts, job;
    uint16_t load;
};

struct sim_channel {
    const char *name;
    uint32_t index;
    struct channel_times times;
    uint64_t arrived, delivered, failed, returned, wait_sum_us, wait_max_us;
};

struct sim {
    struct jobctl_sched *sched;
    struct sim_load loads[SIM_LOADS_MAX];
    uint64_t made[SIM_LOADS_MAX]; /* messages of each load so far */
    size_t load_of_channel[SIM_LOADS_MAX], load_count;
    struct sim_channel channels[SIM_LOADS_MAX];
    size_t channel_count;
    struct sim_message **messages; /* by number, from 1 */
    uint64_t count, room, alive;
    struct heap ends;
    uint64_t base_us, now_us, wake_us;
    unsigned seed;
};

/* -- making it */
static bool has_hosts(const struct sim *s, const char *channel)
{
    for (size_t i = 0; i < s->load_count; i++)
        if (s->loads[i].hosts && strcmp(s->loads[i].channel, channel) == 0)
            return true;
    return false;
}

static enum ms_err channel_add(struct sim *s, const struct conf *conf, size_t load,
                               struct ms_errinfo *why_out)
{
    const char *name = s->loads[load].channel;
    const struct channel_conf *channel = conf_map_find(conf, "channels.*", name);
    struct sim_channel *c = &s->channels[s->channel_count];
    struct jobctl_limits limits;
    for (size_t i = 0; i < s->channel_count; i++)
        if (strcmp(s->channels[i].name, name) == 0) {
            s->load_of_channel[load] = i;
            return MS_OK;
        }
    if (!channel)
        return ms_fail(why_out, MS_ENOTFOUND, "there is no channel \"%s\"", name);
    jobctl_limits_make(channel, has_hosts(s, name), &limits);
    c->name = name;
    channel_times_make(channel, NULL, conf_section(conf, "queue"), &c->times);
    MS_TRY(jobctl_sched_set_channel(s->sched, name, channel->pool, &limits, s->base_us, &c->index));
    s->load_of_channel[load] = s->channel_count++;
    return MS_OK;
}

enum ms_err sim_create(const struct conf *conf, const struct sim_load *loads, size_t count, unsigned seed,
                       struct sim **out, struct ms_errinfo *why_out)
{
    const struct jobctl_conf *jc = conf_section(conf, "job_controller");
    struct sim *s = ms_new(struct sim);
    enum ms_err err = MS_OK;
    MS_ASSERT(count <= SIM_LOADS_MAX);
    s->sched = jobctl_sched_create(jc->max_messages);
    s->seed = seed;
    s->base_us = s->now_us = clock_wall_us();
    s->load_count = count;
    heap_init(&s->ends);
    memcpy(s->loads, loads, count * sizeof *loads);
    for (size_t i = 0; i < conf_map_count(conf, "job_controller.pools.*"); i++) {
        const char *name;
        const struct jobctl_pool_conf *pool = conf_map_entry(conf, "job_controller.pools.*", i, &name);
        jobctl_sched_set_pool(s->sched, name, pool->job_limit);
    }
    for (size_t i = 0; i < count && !err; i++)
        err = channel_add(s, conf, i, why_out);
    *out = s;
    if (err)
        sim_destroy(out);
    return err;
}

void sim_destroy(struct sim **sp)
{
    struct sim *s = *sp;
    if (!s)
        return;
    heap_fini(&s->ends);
    for (uint64_t n = 0; n < s->count; n++)
        ms_free(s->messages[n]);
    ms_free(s->messages);
    jobctl_sched_destroy(&s->sched);
    ms_free(s);
    *sp = NULL;
}

/* -- messages */
static struct queue_id id_of(uint64_t n)
{
    struct queue_id id = {{0}};
    ms_put_be64(id.b + 8, n);
    return id;
}

static struct sim_message *message_of(const struct sim *s, const struct queue_id *id)
{
    return s->messages[ms_get_be64(id->b + 8) - 1];
}

static struct sim_channel *channel_of(struct sim *s, const struct sim_message *m)
{
    return &s->channels[s->load_of_channel[m->load]];
}

static struct sim_message *message_new(struct sim *s, size_t load)
{
    struct sim_message *m = ms_new(struct sim_message);
    m->node.index = HEAP_NOT_IN;
    m->arrived_us = s->now_us;
    m->load = (uint16_t)load;
    if (s->count == s->room) {
        s->room = MS_MAX(2 * s->room, (uint64_t)1024);
        s->messages = ms_realloc_array(s->messages, s->room, sizeof *s->messages);
    }
    s->messages[s->count++] = m;
    s->alive++;
    return m;
}

static void tell(struct sim *s, uint64_t n)
{
    struct sim_message *m = s->messages[n - 1];
    const struct sim_load *l = &s->loads[m->load];
    char host[32];
    struct jobctl_entry e = {.id = id_of(n),
                             .arrival_us = m->arrived_us,
                             .due_us = m->due_us,
                             .class_ = l->class_,
                             .recipients = l->recipients,
                             .is_retry = m->attempts > 0};
    snprintf(host, sizeof host, "h%llu", (unsigned long long)(l->hosts ? n % l->hosts : 0));
    e.host = slice_cstr(host);
    enum ms_err err = jobctl_sched_put(s->sched, channel_of(s, m)->index, &e, s->now_us);
    MS_ASSERT(!err || err == MS_ELIMIT); /* what there is no room for comes when others have gone: on_overflow */
}

static void arrive(struct sim *s, size_t load)
{
    struct sim_message *m = message_new(s, load);
    s->made[load]++;
    channel_of(s, m)->arrived++;
    tell(s, s->count);
}

/* semantics 4.6: the queue is read anew. */
static void on_overflow(struct sim *s)
{
    for (uint64_t n = 1; n <= s->count; n++)
        if (s->messages[n - 1] && s->messages[n - 1]->node.index == HEAP_NOT_IN)
            tell(s, n);
}

static void message_gone(struct sim *s, uint64_t n)
{
    ms_free(s->messages[n - 1]);
    s->messages[n - 1] = NULL;
    s->alive--;
}

static void attempt_end(struct sim *s, struct sim_message *m, uint64_t n)
{
    struct sim_channel *c = channel_of(s, m);
    const struct sim_load *l = &s->loads[m->load];
    struct queue_id id = id_of(n);
    bool failed = (unsigned)rand_r(&s->seed) % 100 < l->fail_percent;
    uint64_t waited_us = s->now_us - m->arrived_us;
    m->attempts++;
    if (failed) {
        c->failed++;
        m->due_us = s->now_us + channel_backoff_us(&c->times, l->class_, m->attempts);
    }
    bool again = failed && waited_us < channel_return_us(&c->times, l->class_);
    jobctl_sched_done(s->sched, m->job, &id, again, m->due_us, s->now_us);
    if (again)
        return;
    if (failed) {
        c->returned++;
    } else {
        c->delivered++;
        c->wait_sum_us += waited_us;
        c->wait_max_us = MS_MAX(c->wait_max_us, waited_us);
    }
    message_gone(s, n);
}

/* -- time */
static void decide(struct sim *s)
{
    for (;;) {
        struct jobctl_decision d = jobctl_sched_next(s->sched, s->now_us);
        if (d.act == JOBCTL_ACT_OPEN_JOB) {
            jobctl_sched_job_opened(s->sched, d.job, s->now_us);
        } else if (d.act == JOBCTL_ACT_CLOSE_JOB) {
            jobctl_sched_job_closed(s->sched, d.job);
        } else if (d.act == JOBCTL_ACT_ASSIGN) {
            struct sim_message *m = message_of(s, &d.id);
            m->job = d.job;
            m->node.key = s->now_us + s->loads[m->load].time_us;
            m->node.tie = ms_get_be64(d.id.b + 8);
            heap_insert(&s->ends, &m->node);
        } else if (jobctl_sched_overflowed(s->sched)) {
            on_overflow(s);
        } else {
            s->wake_us = d.wake_us;
            return;
        }
    }
}

/* When the next message of a load arrives; UINT64_MAX: there is none. */
static uint64_t next_arrival(const struct sim *s, size_t load)
{
    const struct sim_load *l = &s->loads[load];
    if (s->made[load] >= l->count)
        return UINT64_MAX;
    return s->base_us + l->from_us + (uint64_t)((double)l->for_us * (double)s->made[load] / (double)l->count);
}

static uint64_t next_event(const struct sim *s)
{
    const struct heap_node *end = heap_min(&s->ends);
    uint64_t next = MS_MIN(s->wake_us ? s->wake_us : s->now_us, end ? end->key : UINT64_MAX);
    for (size_t i = 0; i < s->load_count; i++)
        next = MS_MIN(next, next_arrival(s, i));
    return next;
}

void sim_run(struct sim *s, uint64_t until_us)
{
    uint64_t stop_us = s->base_us + until_us, next;
    while ((next = next_event(s)) <= stop_us) {
        struct heap_node *end;
        s->now_us = MS_MAX(next, s->now_us);
        for (size_t i = 0; i < s->load_count; i++)
            while (next_arrival(s, i) <= s->now_us)
                arrive(s, i);
        while ((end = heap_min(&s->ends)) && end->key <= s->now_us) {
            heap_remove(&s->ends, end);
            attempt_end(s, MS_CONTAINER_OF(end, struct sim_message, node), end->tie);
        }
        decide(s);
    }
    s->now_us = stop_us;
}

bool sim_is_over(const struct sim *s)
{
    for (size_t i = 0; i < s->load_count; i++)
        if (s->made[i] < s->loads[i].count)
            return false;
    return s->alive == 0;
}

/* -- looking */
size_t sim_channels(const struct sim *s)
{
    return s->channel_count;
}

const char *sim_channel_name(const struct sim *s, size_t channel)
{
    return s->channels[channel].name;
}

void sim_look(const struct sim *s, size_t channel, struct sim_point *out)
{
    const struct sim_channel *c = &s->channels[channel];
    struct jobctl_channel_view v;
    bool found = jobctl_sched_channel_view(s->sched, c->index, &v);
    MS_ASSERT(found);
    *out = (struct sim_point){.at_us = s->now_us - s->base_us,
                              .queued = c->arrived - c->delivered - c->returned,
                              .ready = v.ready - v.waiting,
                              .deferred = v.waiting,
                              .delayed = v.delayed,
                              .in_work = v.assigned,
                              .jobs = v.jobs + v.retiring,
                              .arrived = c->arrived,
                              .delivered = c->delivered,
                              .failed = c->failed,
                              .returned = c->returned,
                              .wait_us = c->delivered ? c->wait_sum_us / c->delivered : 0,
                              .wait_max_us = c->wait_max_us};
}
