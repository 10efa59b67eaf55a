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
     .help = "Queue entries the job controller keeps in memory (some 200 bytes each). Of a larger queue it "
             "has the best, by "
             "class and age, and reads on when a quarter of them has gone."},
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

const struct conf_table jobctl_pools_table = {.path = "job_controller.pools.*",
                                              CONF_OPTS(pool_opts),
                                              CONF_STRUCT(struct jobctl_pool_conf),
                                              .help = "A pool of job slots."};

const struct conf_table jobctl_table = {.path = "job_controller",
                                        CONF_OPTS(jobctl_opts),
                                        CONF_STRUCT(struct jobctl_conf),
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
                                  .filesperjob = channel->filesperjob,
                                  .addrsperjob = channel->addrsperjob,
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
