/*
 * dns_conf.c - option rows of section "dns".
 */
#include "dns_priv.h"

static const struct conf_opt dns_opts[] = {
    {.key = "servers",
     .type = CONF_STRLIST,
     CONF_AT(struct dns_conf, servers),
     .list_max = DNS_SERVERS_MAX,
     .flags = CONF_RELOAD,
     .example = "127.0.0.1 [::1]:5353",
     .help = "Recursive name servers, each with a port or at 53. Without them: those of resolv_conf. A "
             "validating one on this "
             "machine is best."},
    {.key = "resolv_conf",
     .type = CONF_PATH,
     CONF_AT(struct dns_conf, resolv_conf),
     .dflt = "/etc/resolv.conf",
     .flags = CONF_RELOAD,
     .help = "File that names the servers (nameserver lines) and may trust them (options trust-ad), see "
             "resolv.conf(5). Read at "
             "the start and by a reload. Without a server in it: 127.0.0.1."},
    {.key = "trust_ad",
     .type = CONF_BOOL,
     CONF_AT(struct dns_conf, trust_ad),
     .dflt = "no",
     .flags = CONF_RELOAD,
     .help = "Believe the servers that an answer is authentic (DNSSEC), although they, or the way to them, "
             "are not on this "
             "machine. Servers on a loopback address are always believed."},
    {.key = "timeout",
     .type = CONF_DURATION,
     CONF_AT(struct dns_conf, timeout_ms),
     .dflt = "15s",
     .min = "100ms",
     .max = "1m",
     .flags = CONF_RELOAD,
     .help = "How long a question may take, with all its attempts (after 2, 3, 5, 5 ... s the next server is "
             "asked)."},
    {.key = "cache_size",
     .type = CONF_SIZE,
     CONF_AT(struct dns_conf, cache_bytes),
     .dflt = "4 MiB",
     .min = "16 KiB",
     .max = "1 GiB",
     .flags = CONF_RELOAD,
     .help = "Room for answers, of each loop; what was not asked for the longest time goes first."},
};

static enum ms_err dns_check(const void *entry, const char *name, struct conf_check *check)
{
    const struct dns_conf *conf = entry;
    struct dns__server server;

    for (size_t i = 0; i < conf->servers.count; i++)
        if (dns__server_parse(conf->servers.items[i], &server))
            conf_check_item_error(check, "servers", i, "127.0.0.1, [::1]:5353",
                                  "not the address of a DNS server: \"%s\"", conf->servers.items[i]);
    return MS_OK;
}

const struct conf_table dns_table = {.path = "dns",
                                     CONF_OPTS(dns_opts),
                                     CONF_STRUCT(struct dns_conf),
                                     .check = dns_check,
                                     .help = "Looking up names."};
