/*
 * dispatch_conf.c - option rows of "dispatcher", "dispatcher.defaults" and "dispatcher.services.*".
 */
#include "ms/dispatch.h"
#include "ms/dns.h"

const char *const dispatch_protocol_names[] = {"smtp", "submission", "lmtp", "imap", NULL};
static const char *const tls_names[] = {"none", "starttls", "implicit", NULL};

#define DISPATCH_LIMIT_ROWS                                                                                  \
    {.key = "min_procs",                                                                                     \
     .type = CONF_INT,                                                                                       \
     CONF_AT(struct dispatch_service_conf, min_procs),                                                       \
     .dflt = "1",                                                                                            \
     .min = "0",                                                                                             \
     .max = "64",                                                                                            \
     .flags = CONF_RELOAD, \
     .help = "Workers that always exist."},                                                                  \
        {.key = "max_procs",                                                                                 \
         .type = CONF_INT,                                                                                   \
         CONF_AT(struct dispatch_service_conf, max_procs),                                                   \
         .dflt = "8",                                                                                        \
         .min = "1",                                                                                         \
         .max = "64",                                                                                        \
         .flags = CONF_RELOAD, \
         .help = "Most workers of a service."},                                                              \
        {.key = "min_conns",                                                                                 \
         .type = CONF_INT,                                                                                   \
         CONF_AT(struct dispatch_service_conf, min_conns),                                                   \
         .dflt = "50",                                                                                       \
         .min = "1",                                                                                         \
         .max = "1000000",                                                                                   \
         .flags = CONF_RELOAD, \
         .help = "A worker with this many connections is busy enough: when all are, another is made."},      \
        {.key = "max_conns",                                                                                 \
         .type = CONF_INT,                                                                                   \
         CONF_AT(struct dispatch_service_conf, max_conns),                                                   \
         .dflt = "5000",                                                                                     \
         .min = "1",                                                                                         \
         .max = "1000000",                                                                                   \
         .flags = CONF_RELOAD, \
         .help = "Most connections of one worker."},                                                         \
        {.key = "max_life_conns",                                                                            \
         .type = CONF_INT,                                                                                   \
         CONF_AT(struct dispatch_service_conf, max_life_conns),                                              \
         .dflt = "1000000",                                                                                  \
         .min = "0",                                                                                         \
         .max = "1000000000000",                                                                             \
         .flags = CONF_RELOAD, \
         .help = "Connections a worker takes in its life; then another replaces it. 0: no limit."},          \
        {.key = "max_life_time",                                                                             \
         .type = CONF_DURATION,                                                                              \
         CONF_AT(struct dispatch_service_conf, max_life_time_ms),                                            \
         .dflt = "1d",                                                                                       \
         .min = "0s",                                                                                        \
         .max = "365d",                                                                                      \
         .flags = CONF_RELOAD, \
         .help = "Age at which a worker is replaced; it ends with its last connection. 0s: no limit."},      \
        {.key = "max_idle_time",                                                                             \
         .type = CONF_DURATION,                                                                              \
         CONF_AT(struct dispatch_service_conf, max_idle_time_ms),                                            \
         .dflt = "10m",                                                                                      \
         .min = "0s",                                                                                        \
         .max = "365d",                                                                                      \
         .flags = CONF_RELOAD, \
         .help = "A worker without connections for so long ends while there are more than min_procs. 0s: no limit."}, \
        {.key = "max_shutdown",                                                                              \
         .type = CONF_INT,                                                                                   \
         CONF_AT(struct dispatch_service_conf, max_shutdown),                                                \
         .dflt = "2",                                                                                        \
         .min = "1",                                                                                         \
         .max = "64",                                                                                        \
         .flags = CONF_RELOAD, \
         .help = "Workers of a service that may be ending at a time; the others go on meanwhile."},          \
        {.key = "max_handoffs",                                                                              \
         .type = CONF_INT,                                                                                   \
         CONF_AT(struct dispatch_service_conf, max_handoffs),                                                \
         .dflt = "64",                                                                                       \
         .min = "1",                                                                                         \
         .max = "4096",                                                                                      \
         .flags = CONF_RELOAD, \
         .help = "Connections of a service on their way to workers; past it the listener waits."},           \
        {.key = "historical_time",                                                                           \
         .type = CONF_DURATION,                                                                              \
         CONF_AT(struct dispatch_service_conf, historical_time_ms),                                          \
         .dflt = "0s",                                                                                       \
         .min = "0s",                                                                                        \
         .max = "30d",                                                                                       \
         .flags = CONF_RELOAD, \
         .help = "How long ended workers and closed connections stay in `dispatcher status`."},              \
        {.key = "proxy_protocol",                                                                            \
         .type = CONF_BOOL,                                                                                  \
         CONF_AT(struct dispatch_service_conf, proxy_protocol),                                              \
         .dflt = "no",                                                                                       \
         .flags = CONF_RELOAD, \
         .help = "Every connection begins with a PROXY header; only dispatcher.trusted_networks may connect."}, \
        {.key = "max_conns_per_address",                                                                     \
         .type = CONF_INT,                                                                                   \
         CONF_AT(struct dispatch_service_conf, address_conns),                                               \
         .dflt = "10000",                                                                                    \
         .min = "1",                                                                                         \
         .max = "1000000",                                                                                   \
         .flags = CONF_CAN_BE_NONE | CONF_RELOAD, \
         .help = "Connections at a time from one address (IPv6: one /64); more are turned away."},           \
        {.key = "max_conns_per_network",                                                                     \
         .type = CONF_INT,                                                                                   \
         CONF_AT(struct dispatch_service_conf, network_conns),                                               \
         .dflt = "20000",                                                                                    \
         .min = "1",                                                                                         \
         .max = "1000000",                                                                                   \
         .flags = CONF_CAN_BE_NONE | CONF_RELOAD, \
         .help = "Connections at a time from one network."},                                                 \
        {.key = "max_rate_per_address",                                                                      \
         .type = CONF_INT,                                                                                   \
         CONF_AT(struct dispatch_service_conf, address_rate),                                                \
         .dflt = "6000",                                                                                     \
         .min = "1",                                                                                         \
         .max = "10000000",                                                                                  \
         .flags = CONF_CAN_BE_NONE | CONF_RELOAD, \
         .help = "New connections a minute from one address, all of them at once if it had none before."},   \
        {.key = "max_rate_per_network",                                                                      \
         .type = CONF_INT,                                                                                   \
         CONF_AT(struct dispatch_service_conf, network_rate),                                                \
         .dflt = "30000",                                                                                    \
         .min = "1",                                                                                         \
         .max = "10000000",                                                                                  \
         .flags = CONF_CAN_BE_NONE | CONF_RELOAD, \
         .help = "New connections a minute from one network."},                                              \
        {.key = "network_bits",                                                                              \
         .type = CONF_INT,                                                                                   \
         CONF_AT(struct dispatch_service_conf, network_bits_v4),                                             \
         .dflt = "24",                                                                                       \
         .min = "1",                                                                                         \
         .max = "32",                                                                                        \
         .flags = CONF_RELOAD, \
         .help = "Leading bits of an IPv4 address that are its network, for the two limits of networks."},   \
        {.key = "network_bits_v6",                                                                           \
         .type = CONF_INT,                                                                                   \
         CONF_AT(struct dispatch_service_conf, network_bits_v6),                                             \
         .dflt = "48",                                                                                       \
         .min = "1",                                                                                         \
         .max = "64",                                                                                        \
         .flags = CONF_RELOAD, \
         .help = "The same of an IPv6 address."},                                                            \
        {.key = "dns_block_lists",                                                                           \
         .type = CONF_STRLIST,                                                                               \
         CONF_AT(struct dispatch_service_conf, dns_block_lists),                                             \
         .list_max = DISPATCH_ZONES_MAX,                                                                     \
         .flags = CONF_RELOAD,                                                                               \
         .example = "bl.example.org",                                                                        \
         .help = "Zones of DNS block lists, at most five: a client that one of them lists is turned away. "  \
                 "A list that does not answer within two seconds turns nobody away."},                       \
    {                                                                                                        \
        .key = "backlog", .type = CONF_INT, CONF_AT(struct dispatch_service_conf, backlog), .dflt = "auto",  \
        .min = "5", .max = "65535", .flags = CONF_CAN_BE_AUTO | CONF_RELOAD, \
        .help = "Connections the kernel queues while all workers are full. auto: max_procs * max_conns."     \
    }

/* clang-format off */
static const struct conf_opt dispatch_opts[] = {
    {.key = "trusted_networks", .type = CONF_STRLIST, CONF_AT(struct dispatch_conf, trusted_networks),
     .list_max = DISPATCH_TRUSTED_MAX, .example = "192.0.2.7 2001:db8:7::/64",
     .flags = CONF_RELOAD, .help = "Addresses and networks of proxies whose PROXY header is believed."},
};
static const struct conf_opt dispatch_defaults_opts[] = {
    DISPATCH_LIMIT_ROWS,
};
static const struct conf_opt dispatch_service_opts[] = {
    {.key = "listen", .type = CONF_STRLIST, CONF_AT(struct dispatch_service_conf, listen),
     .flags = CONF_REQUIRED | CONF_RELOAD,
     .list_max = DISPATCH_LISTEN_MAX, .example = "127.0.0.1:25 [::1]:25",
     .help = "Addresses to listen on: ADDRESS:PORT, [IPV6]:PORT or unix:PATH."},
    {.key = "protocol", .type = CONF_ENUM, CONF_AT(struct dispatch_service_conf, protocol),
     .names = dispatch_protocol_names,
     .flags = CONF_REQUIRED | CONF_RELOAD, .example = "smtp", .help = "What is spoken there."},
    {.key = "tls", .type = CONF_ENUM, CONF_AT(struct dispatch_service_conf, tls), .names = tls_names, .dflt = "none",
     .flags = CONF_RELOAD,
     .help = "none, by command after the greeting (starttls), or from the first byte (implicit)."},
    DISPATCH_LIMIT_ROWS,
};
/* clang-format on */

/* semantics 2.4: such limits are brought into range; an operator who wrote both hears of it at once. */
static enum ms_err service_check(const void *entry, const char *name, struct conf_check *check)
{
    const struct dispatch_service_conf *conf = entry;
    char zone[DNS_NAME_MAX + 1];
    if (conf->min_procs > conf->max_procs)
        conf_check_error(check, "min_procs", NULL, "min_procs is greater than max_procs");
    if (conf->min_conns > conf->max_conns)
        conf_check_error(check, "min_conns", NULL, "min_conns is greater than max_conns");
    for (size_t i = 0; i < conf->dns_block_lists.count; i++)
        if (dns_reverse_name("ffff::", conf->dns_block_lists.items[i], zone))
            conf_check_item_error(check, "dns_block_lists", i, NULL, "\"%s\" is no zone",
                                  conf->dns_block_lists.items[i]);
    for (size_t i = 0; conf->proxy_protocol && i < conf->listen.count; i++)
        if (strncmp(conf->listen.items[i], "unix:", 5) == 0)
            conf_check_item_error(check, "listen", i, NULL, "with proxy_protocol: no unix sockets");
    return MS_OK;
}

static enum ms_err dispatch_check(const void *entry, const char *name, struct conf_check *check)
{
    const struct dispatch_conf *conf = entry;
    struct net_network network;
    for (size_t i = 0; i < conf->trusted_networks.count; i++) {
        const char *text = conf->trusted_networks.items[i];
        enum ms_err err = net_network_parse(slice_cstr(text), &network);
        if (err)
            conf_check_item_error(check, "trusted_networks", i, "192.0.2.0/24, 2001:db8::/32, a single address",
                                  err == MS_EINVAL ? "\"%s\" has bits set behind its prefix, or too long a prefix"
                                                   : "\"%s\" is no network",
                                  text);
    }
    return MS_OK;
}

const struct conf_table dispatch_table = {.path = "dispatcher",
                                          CONF_OPTS(dispatch_opts),
                                          CONF_STRUCT(struct dispatch_conf),
                                          .check = dispatch_check,
                                          .help = "What all services share."};
const struct conf_table dispatch_defaults_table = {.path = "dispatcher.defaults",
                                                   CONF_OPTS(dispatch_defaults_opts),
                                                   CONF_STRUCT(struct dispatch_service_conf),
                                                   .help = "Limits for services that do not set their own."};
const struct conf_table dispatch_services_table = {.path = "dispatcher.services.*",
                                                   CONF_OPTS(dispatch_service_opts),
                                                   CONF_STRUCT(struct dispatch_service_conf),
                                                   .defaults_path = "dispatcher.defaults",
                                                   .check = service_check,
                                                   .help = "A service: addresses, protocol, limits."};
