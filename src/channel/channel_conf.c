/*
 * channel_conf.c - option rows of "channels.defaults" and "channels.*".
 */
#include "ms/channel.h"

/* clang-format off */
#define CHANNEL_COMMON_ROWS \
    {.key = "pool", .type = CONF_STRING, CONF_AT(struct channel_conf, pool), .dflt = "DEFAULT", \
     .help = "Pool of job slots (job_controller.pools) that the channel's jobs use."}, \
    {.key = "maxjobs", .type = CONF_INT, CONF_AT(struct channel_conf, maxjobs), .dflt = "100", .min = "1", \
     .max = "1000", .help = "Most jobs of the channel at a time; the pool's job_limit bounds it too."}, \
    {.key = "filesperjob", .type = CONF_INT, CONF_AT(struct channel_conf, filesperjob), .dflt = "0", .min = "0", \
     .max = "1000000", \
     .help = "Queue entries wanted for each further job. 0: one job, unless threaddepth asks for more."}, \
    {.key = "threaddepth", .type = CONF_INT, CONF_AT(struct channel_conf, threaddepth), .dflt = "10", .min = "1", \
     .max = "1000000", .help = "Entries one thread of delivery carries before another one is used."}, \
    {.key = "max_client_threads", .type = CONF_INT, CONF_AT(struct channel_conf, max_client_threads), .dflt = "10", \
     .min = "1", .max = "1000", .help = "Entries one job works on at a time."}, \
    {.key = "backoff", .type = CONF_DURLIST, CONF_AT(struct channel_conf, backoff), \
     .dflt = "PT1H PT2H PT2H PT4H PT4H PT4H PT8H", .min = "1s", .max = "30d", .list_max = 16, \
     .help = "Waits after failed attempts, one after the other; the last one repeats."}

static const struct conf_opt channel_defaults_opts[] = {
    CHANNEL_COMMON_ROWS,
};
static const struct conf_opt channel_opts[] = {
    {.key = "driver", .type = CONF_STRING, CONF_AT(struct channel_conf, driver), .flags = CONF_REQUIRED,
     .example = "store",
     .help = "How the channel delivers: store puts messages into local mailboxes."},
    CHANNEL_COMMON_ROWS,
};
/* clang-format on */

static enum ms_err channel_check(const void *entry, const char *name, struct conf_check *check)
{
    const struct channel_conf *conf = entry;
    if (strlen(name) > CHANNEL_NAME_MAX)
        conf_check_error(check, "driver", NULL, "channel name longer than %d octets", CHANNEL_NAME_MAX);
    if (conf->backoff.count == 0)
        conf_check_error(check, "backoff", NULL, "at least one duration is needed");
    if (conf->driver && strcmp(conf->driver, "store") != 0)
        conf_check_error(check, "driver", "store", "no driver of this name is built");
    if (conf->pool && !conf_map_find(conf_check_conf(check), "job_controller.pools.*", conf->pool))
        conf_check_error(check, "pool", "job_controller.pools", "there is no pool \"%s\"", conf->pool);
    return MS_OK;
}

const struct conf_table channel_defaults_table = {.path = "channels.defaults",
                                                  CONF_OPTS(channel_defaults_opts),
                                                  CONF_STRUCT(struct channel_conf),
                                                  .help = "Options of channels that do not set their own."};
const struct conf_table channel_table = {.path = "channels.*",
                                         CONF_OPTS(channel_opts),
                                         CONF_STRUCT(struct channel_conf),
                                         .defaults_path = "channels.defaults",
                                         .check = channel_check,
                                         .help = "A channel: a queue and the way its messages leave it."};
