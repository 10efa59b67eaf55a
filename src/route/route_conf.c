/*
 * route_conf.c - option rows of section "route".
 */
#include "ms/route.h"

static const struct conf_opt route_opts[] = {
    {.key = "local_channel",
     .type = CONF_STRING,
     CONF_AT(struct route_conf, local_channel),
     .dflt = "store",
     .flags = CONF_RELOAD,
     .help = "Channel of recipients that have an account here."},
    {.key = "postmaster",
     .type = CONF_STRING,
     CONF_AT(struct route_conf, postmaster),
     .example = "admin@example.org",
     .flags = CONF_RELOAD,
     .help = "Login that gets mail for postmaster of a local domain that has no such account. Without it: "
             "the first account."},
    {.key = "remote_channel",
     .type = CONF_STRING,
     CONF_AT(struct route_conf, remote_channel),
     .dflt = "tcp_local",
     .flags = CONF_RELOAD,
     .help =
         "Channel named by reports to senders elsewhere. They wait in the queue, held, until a version that "
         "sends mail."},
};

static enum ms_err route_check(const void *entry, const char *name, struct conf_check *check)
{
    const struct route_conf *conf = entry;
    if (conf->local_channel && !conf_map_find(conf_check_conf(check), "channels.*", conf->local_channel))
        conf_check_error(check, "local_channel", "channels", "there is no channel \"%s\"",
                         conf->local_channel);
    if (strlen(conf->remote_channel) > CHANNEL_NAME_MAX || conf->remote_channel[0] == '\0')
        conf_check_error(check, "remote_channel", NULL, "a channel name has 1 to %d octets",
                         CHANNEL_NAME_MAX);
    return MS_OK;
}

const struct conf_table route_table = {.path = "route",
                                       CONF_OPTS(route_opts),
                                       CONF_STRUCT(struct route_conf),
                                       .check = route_check,
                                       .help = "From an address to a channel."};
