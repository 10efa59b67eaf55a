/*
 * pool_table.h - stands for the job controller's table of pools where that module is not linked.
 */
#ifndef POOL_TABLE_H
#define POOL_TABLE_H

#include "ms/conf.h"

struct pool {
    uint64_t job_limit;
};
static const struct conf_opt pool_opts[] = {
    {.key = "job_limit",
     .type = CONF_INT,
     CONF_AT(struct pool, job_limit),
     .dflt = "10",
     .min = "1",
     .max = "99",
     .help = "Jobs."},
};
static const struct conf_table pool_table = {
    .path = "job_controller.pools.*", CONF_OPTS(pool_opts), CONF_STRUCT(struct pool), .help = "Pools."};

#endif
