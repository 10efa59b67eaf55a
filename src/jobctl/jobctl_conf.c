/*
 * jobctl_conf.c - option rows of "job_controller.pools.*".
 */
#include "ms/jobctl.h"

static const struct conf_opt pool_opts[] = {
    {.key = "job_limit",
     .type = CONF_INT,
     CONF_AT(struct jobctl_pool_conf, job_limit),
     .dflt = "10",
     .min = "1",
     .max = "1000",
     .help = "Most jobs that run at a time in this pool, over all its channels."},
};

const struct conf_table jobctl_pools_table = {.path = "job_controller.pools.*",
                                              CONF_OPTS(pool_opts),
                                              CONF_STRUCT(struct jobctl_pool_conf),
                                              .help = "A pool of job slots."};
