/*
 * jobctl_conf.c - option rows of "job_controller" and "job_controller.pools.*", and what those of a channel mean to the
 * scheduler.
 */
#include "ms/jobctl.h"

static const struct conf_opt jobctl_opts[] = {
    {.key = "max_messages",
     .type = CONF_INT,
     CONF_AT(struct jobctl_conf, max_messages),
     .dflt = "1000000",
     .min = "100",
     .max = "100000000",
     .flags = CONF_RELOAD,
     .help =
         "Queue entries the job controller keeps in memory (some 200 bytes each). Of a larger queue it "
         "has the best, by class, then those that can go now, then by age, and reads on when a quarter of "
         "them has gone."},
    {.key = "synch_time",
     .type = CONF_DURATION,
     CONF_AT(struct jobctl_conf, synch_ms),
     .dflt = "15m",
     .min = "100ms",
     .max = "1d",
     .flags = CONF_RELOAD,
     .help = "While more entries wait than max_messages: time between two readings of the queue, for those "
             "not in "
             "memory that can go meanwhile."},
};

static const struct conf_opt pool_opts[] = {
    {.key = "job_limit",
     .type = CONF_INT,
     CONF_AT(struct jobctl_pool_conf, job_limit),
     .dflt = "10",
     .min = "1",
     .max = "1000",
     .flags = CONF_RELOAD,
     .help = "Most jobs that run at a time in this pool, over all its channels."},
};

/* Options of the reference that are elsewhere now, or not needed (semantics 4.4). */
#define JOBCTL_IS_DRIVER "what a channel does is what its driver does"
static const struct conf_old_name jobctl_old_names[] = {
    {"job_limit", "each pool has one: job_controller.pools"},
    {"max_life_age", "max_life_time, of a channel or in channels.defaults"},
    {"max_life_time", "it belongs to a channel, or to channels.defaults"},
    {"max_life_conns", "max_life_entries, of a channel or in channels.defaults"},
    {"max_life_askwork", "max_life_entries, of a channel or in channels.defaults"},
    {"idle_timeout", "it belongs to a channel, or to channels.defaults"},
    {"channel", "channels are a section of their own: channels"},
    {"master_command", JOBCTL_IS_DRIVER},
    {"slave_command", JOBCTL_IS_DRIVER},
    {"periodic_job", "leave it out: there are none"},
    {"debug", "see log.level"},
    {"tcp_port", "leave it out: commands use the admin socket"},
    {"interface_address", "leave it out: commands use the admin socket"},
    {"secret", "leave it out: commands use the admin socket"},
};

/* Jobs that are always kept do not give their places to other channels: one that gets none would never deliver. */
static enum ms_err pool_check(const void *entry, const char *name, struct conf_check *check)
{
    const struct jobctl_pool_conf *pool = entry;
    const struct conf *conf = conf_check_conf(check);
    const char *other = NULL;
    uint64_t kept = 0;
    if (strlen(name) > CHANNEL_NAME_MAX)
        conf_check_error(check, NULL, NULL, "the name of a pool has at most %d octets", CHANNEL_NAME_MAX);
    for (size_t i = 0; i < conf_map_count(conf, "channels.*"); i++) {
        const char *its;
        const struct channel_conf *channel = conf_map_entry(conf, "channels.*", i, &its);
        if (!channel->pool || strcmp(channel->pool, name) != 0)
            continue;
        kept += channel->minjobs;
        if (channel->minjobs == 0)
            other = its;
    }
    if (kept > pool->job_limit)
        conf_check_error(check, "job_limit", "minjobs",
                         "its channels keep %llu jobs running, more than this limit",
                         (unsigned long long)kept);
    else if (kept && kept == pool->job_limit && other)
        conf_check_error(check, "job_limit", "minjobs",
                         "jobs that are always running leave none for channel %s", other);
    return MS_OK;
}

static enum ms_err jobctl_check(const void *entry, const char *name, struct conf_check *check)
{
    const struct conf *conf = conf_check_conf(check);
    if (conf_map_count(conf, "job_controller.pools.*") > JOBCTL_POOLS_MAX)
        conf_check_error(check, NULL, NULL, "more than %d pools", JOBCTL_POOLS_MAX);
    if (conf_map_count(conf, "channels.*") > JOBCTL_CHANNELS_MAX)
        conf_check_error(check, NULL, NULL, "more than %d channels", JOBCTL_CHANNELS_MAX);
    return MS_OK;
}

const struct conf_table jobctl_pools_table = {.path = "job_controller.pools.*",
                                              CONF_OPTS(pool_opts),
                                              CONF_STRUCT(struct jobctl_pool_conf),
                                              .check = pool_check,
                                              .help = "A pool of job slots."};

const struct conf_table jobctl_table = {.path = "job_controller",
                                        CONF_OPTS(jobctl_opts),
                                        CONF_OLD(jobctl_old_names),
                                        CONF_STRUCT(struct jobctl_conf),
                                        .check = jobctl_check,
                                        .help = "What is delivered when, and by how many jobs."};

static struct jobctl_after after_of(const struct conf_after *after)
{
    return (struct jobctl_after){.absolute = after->absolute, .us = after->ms * 1000};
}

void jobctl_limits_make(const struct channel_conf *channel, bool by_host, struct jobctl_limits *out)
{
    struct conf_after after[QUEUE_CLASS_COUNT];
    channel_after_make(channel, after);
    *out = (struct jobctl_limits){.maxjobs = channel->maxjobs,
                                  .filesperjob = (uint64_t)MS_MAX(channel->filesperjob, (int64_t)0),
                                  .addrsperjob = (uint64_t)MS_MAX(channel->addrsperjob, (int64_t)0),
                                  .threaddepth = channel->threaddepth,
                                  .max_client_threads = channel->max_client_threads,
                                  /* semantics 4.5: one thread a job takes no notice of hosts */
                                  .by_host = by_host && channel->max_client_threads > 1,
                                  .minjobs = channel->minjobs,
                                  .idle_us = channel->idle_ms * 1000,
                                  .life_us = channel->life_ms * 1000,
                                  .life_entries = channel->life_entries};
    for (unsigned i = 0; i < QUEUE_CLASS_COUNT; i++)
        out->after[i] = after_of(&after[i]);
}
