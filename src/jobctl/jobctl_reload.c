/*
 * jobctl_reload.c - what a snapshot says of pools and channels becomes what the scheduler goes by; at the start too.
 *
 * Rows of channels stay where they are for good, since jobs and entries name them by number: one that is not
 * configured any more is stopped, and goes on when it comes back.
 */
#include "jobctl_priv.h"

#include <stdio.h>

#include "ms/base/clock.h"

static struct jobctl_chan *row_find(struct jobctl *j, const char *name)
{
    for (unsigned i = 0; i < j->channel_count; i++)
        if (strcmp(j->channels[i].name, name) == 0)
            return &j->channels[i];
    return NULL;
}

static bool pool_is_known(const struct jobctl *j, const char *name)
{
    for (unsigned i = 0; i < j->pool_count; i++)
        if (strcmp(j->pools[i], name) == 0)
            return true;
    return false;
}

static void plan_channel(struct jobctl *j, const struct conf *conf, const char *name,
                         const struct channel_conf *chan, struct str *errors)
{
    void *env;
    if (!channel_driver_find(j->registry, chan->driver, &env))
        str_addf(errors, "channel %s: driver \"%s\" is not built\n", name, chan->driver);
    if (!conf_map_find(conf, "job_controller.pools.*", chan->pool))
        str_addf(errors, "channel %s: there is no pool \"%s\"\n", name, chan->pool);
}

enum ms_err jobctl_plan(struct jobctl *j, const struct conf *conf, struct str *errors)
{
    size_t before = errors->len, rows = j->channel_count, pools = j->pool_count;
    for (size_t i = 0; i < conf_map_count(conf, "job_controller.pools.*"); i++) {
        const char *name;
        (void)conf_map_entry(conf, "job_controller.pools.*", i, &name);
        if (strlen(name) > CHANNEL_NAME_MAX)
            str_addf(errors, "pool %s: the name is longer than %d octets\n", name, CHANNEL_NAME_MAX);
        pools += !pool_is_known(j, name);
    }
    for (size_t i = 0; i < conf_map_count(conf, "channels.*"); i++) {
        const char *name;
        const struct channel_conf *chan = conf_map_entry(conf, "channels.*", i, &name);
        plan_channel(j, conf, name, chan, errors);
        rows += !row_find(j, name);
    }
    if (pools > JOBCTL_POOLS_MAX || rows > JOBCTL_CHANNELS_MAX)
        str_addf(errors, "more than %d pools or %d channels, with those that there were since the start\n",
                 JOBCTL_POOLS_MAX, JOBCTL_CHANNELS_MAX);
    return errors->len == before ? MS_OK : MS_EINVAL;
}

/* semantics 5: a bare number is an instant; one long ago was probably meant as a wait. */
static void warn_of_past(const char *name, const struct jobctl_limits *limits)
{
    uint64_t now_us = clock_wall_us();
    for (unsigned i = 0; i < QUEUE_CLASS_COUNT; i++)
        if (limits->after[i].absolute && limits->after[i].us < now_us) {
            OBS_EVENT(OBS_JOBCTL_AFTER_PAST, 0, OBS_C("channel", name),
                      OBS_U("after", limits->after[i].us / 1000000));
            return;
        }
}

static void take_channel(struct jobctl *j, const char *name, const struct channel_conf *conf)
{
    struct jobctl_chan *chan = row_find(j, name);
    struct jobctl_limits limits;
    bool was_there = chan && chan->conf;
    if (!chan) {
        chan = &j->channels[j->channel_count++];
        snprintf(chan->name, sizeof chan->name, "%s", name);
        jobctl__stop_init(j, chan);
    }
    chan->conf = conf;
    chan->driver = channel_driver_find(j->registry, conf->driver, &chan->env);
    jobctl_limits_make(conf, chan->driver->by_host, &limits);
    warn_of_past(name, &limits);
    enum ms_err err =
        jobctl_sched_set_channel(j->sched, name, conf->pool, &limits, clock_wall_us(), &chan->index);
    MS_ASSERT(!err && chan->index == chan - j->channels);
    if (was_there)
        return;
    jobctl__stop_warn(chan);
    jobctl__stop_apply(chan); /* one that an operator stopped stays so */
}

static void take_pool(struct jobctl *j, const char *name, const struct jobctl_pool_conf *pool)
{
    jobctl_sched_set_pool(j->sched, name, pool->job_limit);
    if (!pool_is_known(j, name))
        snprintf(j->pools[j->pool_count++], sizeof j->pools[0], "%s", name);
}

void jobctl_reload(struct jobctl *j, const struct conf *conf)
{
    const struct jobctl_conf *jc = conf_section(conf, "job_controller");
    struct conf *old = j->conf;
    const char *name;
    j->conf = conf_ref((struct conf *)(uintptr_t)conf);
    jobctl_sched_set_max(j->sched, jc->max_messages);
    for (unsigned i = 0; i < j->channel_count; i++) {
        struct jobctl_chan *chan = &j->channels[i];
        if (!chan->conf || conf_map_find(conf, "channels.*", chan->name))
            continue; /* take_channel gives it the new one */
        chan->conf = NULL;
        jobctl__stop_apply(chan);
    }
    for (size_t i = 0; i < conf_map_count(conf, "job_controller.pools.*"); i++) {
        const struct jobctl_pool_conf *pool = conf_map_entry(conf, "job_controller.pools.*", i, &name);
        take_pool(j, name, pool);
    }
    for (size_t i = 0; i < conf_map_count(conf, "channels.*"); i++) {
        const struct channel_conf *chan = conf_map_entry(conf, "channels.*", i, &name);
        take_channel(j, name, chan);
    }
    map_fini(&j->unknown);
    map_init(&j->unknown);
    /* Entries of a channel that was not there before; hosts, when grouping by them has changed. */
    jobctl__scan(j, old ? "reload" : "start");
    conf_unref(&old);
}

enum ms_err jobctl_start(struct jobctl *j, const struct conf *conf, struct ms_errinfo *why_out)
{
    struct str errors;
    enum ms_err err = jobctl__stops_read(j);
    if (err)
        return ms_fail(why_out, err,
                       "which channels are stopped cannot be read from the queue: %s; `store "
                       "rebuild` makes the index anew",
                       ms_err_text(err));
    str_init(&errors, 0);
    err = jobctl_plan(j, conf, &errors);
    if (err)
        (void)ms_fail(why_out, err, "%s", str_cstr(&errors));
    else
        jobctl_reload(j, conf);
    str_fini(&errors);
    return err;
}
