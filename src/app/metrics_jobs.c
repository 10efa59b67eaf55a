/*
 * metrics_jobs.c - the job controller in /metrics: asked of the scheduler when the page is made. Each view costs the
 * same however many entries wait.
 */
#include "metrics.h"

#include "app_why.h"

#include "ms/base/clock.h"

/* A family with one sample a channel. */
typedef double channel_fn(const struct jobctl_channel_view *v);

static double jobs_of(const struct jobctl_channel_view *v)
{
    return v->jobs + v->retiring;
}

static double maxjobs_of(const struct jobctl_channel_view *v)
{
    return (double)v->limits.maxjobs;
}

static double threads_of(const struct jobctl_channel_view *v)
{
    return v->jobs * (double)v->limits.max_client_threads;
}

static double hosts_of(const struct jobctl_channel_view *v)
{
    return (double)v->hosts;
}

static double stopped_of(const struct jobctl_channel_view *v)
{
    return v->stopped;
}

static double incomplete_of(const struct jobctl_channel_view *v)
{
    return v->overflow;
}

static double oldest_of(const struct jobctl_channel_view *v)
{
    uint64_t now_us = clock_wall_us();
    return v->oldest_us < now_us ? (double)((now_us - v->oldest_us) / 1000) / 1e3 : 0;
}

static void emit_each(const struct jobctl_sched *sched, struct str *out, enum obs_family f, channel_fn *fn)
{
    struct jobctl_channel_view v;
    for (uint32_t i = 0; jobctl_sched_channel_view(sched, i, &v); i++) {
        if (i == 0)
            obs_metric_begin(out, f);
        obs_metric_sample(out, f, v.name, NULL, NULL, fn(&v));
    }
}

/* All reasons, those of no entry too: a series that comes and goes is hard to sum up. */
static void emit_reasons(const struct jobctl_sched *sched, struct str *out)
{
    struct jobctl_channel_view v;
    for (uint32_t i = 0; jobctl_sched_channel_view(sched, i, &v); i++) {
        if (i == 0)
            obs_metric_begin(out, FAM_CHANNEL_ENTRIES);
        for (unsigned why = JOBCTL_WHY_UNKNOWN + 1; why < JOBCTL_WHY_COUNT; why++)
            obs_metric_sample(out, FAM_CHANNEL_ENTRIES, v.name, app_why_word((enum jobctl_why)why), NULL,
                              (double)v.by_why[why]);
    }
}

/* Channels for which nothing waits for a time have no sample. */
static void emit_next(const struct jobctl_sched *sched, struct str *out)
{
    struct jobctl_channel_view v;
    bool begun = false;
    for (uint32_t i = 0; jobctl_sched_channel_view(sched, i, &v); i++) {
        if (v.next_us == UINT64_MAX)
            continue;
        if (!begun)
            obs_metric_begin(out, FAM_CHANNEL_NEXT);
        begun = true;
        obs_metric_sample(out, FAM_CHANNEL_NEXT, v.name, NULL, NULL, (double)(v.next_us / 1000) / 1e3);
    }
}

static void emit_pools(const struct jobctl_sched *sched, struct str *out)
{
    struct jobctl_pool_view v;
    for (unsigned i = 0; jobctl_sched_pool_view(sched, i, &v); i++) {
        if (i == 0)
            obs_metric_begin(out, FAM_POOL_JOBS);
        obs_metric_sample(out, FAM_POOL_JOBS, v.name, NULL, NULL, (double)v.running);
    }
    for (unsigned i = 0; jobctl_sched_pool_view(sched, i, &v); i++) {
        if (i == 0)
            obs_metric_begin(out, FAM_POOL_LIMIT);
        obs_metric_sample(out, FAM_POOL_LIMIT, v.name, NULL, NULL, (double)v.limit);
    }
}

static void emit_one(struct str *out, enum obs_family f, double value)
{
    obs_metric_begin(out, f);
    obs_metric_sample(out, f, NULL, NULL, NULL, value);
}

void metrics_jobs_emit(struct metrics *m, struct str *out)
{
    const struct jobctl_conf *conf = conf_section(m->server->conf, "job_controller");
    const struct jobctl_sched *sched = jobctl_scheduler(m->server->jobctl);
    emit_reasons(sched, out);
    emit_each(sched, out, FAM_CHANNEL_OLDEST, oldest_of);
    emit_next(sched, out);
    emit_each(sched, out, FAM_CHANNEL_HOSTS, hosts_of);
    emit_each(sched, out, FAM_CHANNEL_JOBS, jobs_of);
    emit_each(sched, out, FAM_CHANNEL_MAXJOBS, maxjobs_of);
    emit_each(sched, out, FAM_CHANNEL_THREADS, threads_of);
    emit_each(sched, out, FAM_CHANNEL_STOPPED, stopped_of);
    emit_each(sched, out, FAM_CHANNEL_INCOMPLETE, incomplete_of);
    emit_pools(sched, out);
    emit_one(out, FAM_JOBCTL_ENTRIES, (double)jobctl_sched_count(sched));
    emit_one(out, FAM_JOBCTL_MAX, (double)conf->max_messages);
    emit_one(out, FAM_JOBCTL_MEMORY, (double)jobctl_sched_bytes(sched));
}
