/*
 * simulate_make.c - a run from a configuration and loads: the scheduler is told pools and channels as the
 * server tells them.
 */
#include "simulate_priv.h"

#include "ms/route.h"

static bool has_hosts(const struct sim *s, const char *channel)
{
    for (size_t i = 0; i < s->stream_count; i++)
        if (s->streams[i].load.hosts && strcmp(s->streams[i].load.channel, channel) == 0)
            return true;
    return false;
}

static enum ms_err channel_add(struct sim *s, struct sim_stream *st, struct ms_errinfo *why_out)
{
    const char *name = st->load.channel;
    const struct channel_conf *conf = conf_map_find(s->conf, "channels.*", name);
    const struct route_conf *route = conf_section(s->conf, "route");
    struct sim_channel *c = &s->channels[s->channel_count];
    struct jobctl_limits limits;
    uint32_t index;
    for (size_t i = 0; i < s->channel_count; i++)
        if (strcmp(s->channels[i].name, name) == 0) {
            st->channel = i;
            return MS_OK;
        }
    if (!conf)
        return ms_fail(why_out, MS_ENOTFOUND, "there is no channel \"%s\"", name);
    jobctl_limits_make(conf, has_hosts(s, name), &limits);
    c->result.by_host = limits.by_host;
    c->name = name;
    c->conf = conf;
    channel_times_make(conf, conf_map_find(s->conf, "channels.*", route->local_channel),
                       conf_section(s->conf, "queue"), &c->times);
    MS_TRY(jobctl_sched_set_channel(s->sched, name, conf->pool, &limits, s->base_us, &index));
    MS_ASSERT(index == s->channel_count); /* decisions name it */
    st->channel = s->channel_count++;
    return MS_OK;
}

/* Entries that a load makes at most. */
static uint64_t entries_max(const struct sim *s, const struct sim_stream *st)
{
    const struct sim_load *l = &st->load;
    const struct channel_conf *conf = s->channels[st->channel].conf;
    uint64_t rcpts = l->recipients.max, most = sim__rcpts_per_entry(conf);
    uint64_t each = conf->single_sys ? MS_MAX(l->hosts, 1) : 1;
    if (most)
        each += rcpts / most;
    return l->count * l->repeat * MS_MIN(each, rcpts);
}

static enum ms_err fill(struct sim *s, const struct sim_load *loads, struct ms_errinfo *why_out)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->stream_count; i++)
        s->streams[i] = (struct sim_stream){.load = loads[i], .gaps = sim__dice_for(s, i, CHANCE_GAPS, 0, 0)};
    for (size_t i = 0; i < s->stream_count; i++) {
        MS_TRY(channel_add(s, &s->streams[i], why_out));
        sum += entries_max(s, &s->streams[i]);
        sim__stream_next(s, &s->streams[i]);
    }
    if (sum > SIM_ENTRIES_MAX)
        return ms_fail(why_out, MS_ELIMIT, "these loads make up to %llu queue entries; a run has at most %d",
                       (unsigned long long)sum, SIM_ENTRIES_MAX);
    return MS_OK;
}

enum ms_err sim_create(struct conf *conf, const struct sim_load *loads, size_t count, uint64_t seed,
                       uint64_t begin_us, struct sim **out, struct ms_errinfo *why_out)
{
    const struct jobctl_conf *jc = conf_section(conf, "job_controller");
    struct sim *s = ms_new(struct sim);
    MS_ASSERT(count <= SIM_LOADS_MAX);
    s->conf = conf_ref(conf);
    s->sched = jobctl_sched_create(jc->max_messages);
    s->seed = seed;
    s->base_us = s->now_us = s->wake_us = begin_us;
    s->stream_count = count;
    heap_init(&s->ends);
    for (size_t i = 0; i < conf_map_count(conf, "job_controller.pools.*"); i++) {
        const char *name;
        const struct jobctl_pool_conf *pool = conf_map_entry(conf, "job_controller.pools.*", i, &name);
        jobctl_sched_set_pool(s->sched, name, pool->job_limit);
    }
    enum ms_err err = fill(s, loads, why_out);
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
    for (size_t i = 0; i < s->channel_count; i++)
        for (unsigned k = 0; k < QUEUE_CLASS_COUNT; k++)
            sim_waits_fini(&s->channels[i].classes[k].waits);
    heap_fini(&s->ends);
    sim_entries_fini(&s->entries);
    jobctl_sched_destroy(&s->sched);
    conf_unref(&s->conf);
    ms_free(s);
    *sp = NULL;
}
