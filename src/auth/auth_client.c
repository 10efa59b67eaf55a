/*
 * auth_client.c - what the exchanges of one loop share: options, the guard, the directory.
 */
#include "auth_jwt.h"
#include "auth_priv.h"

#include "ms/crypt.h"

static void read_networks(struct auth_client *c, const struct conf_strlist *list)
{
    c->network_count = 0;
    for (size_t i = 0; i < list->count && c->network_count < AUTH_NETWORKS_MAX; i++)
        if (net_network_parse(slice_cstr(list->items[i]), &c->networks[c->network_count]) == MS_OK)
            c->network_count++; /* all are: the table's check has looked */
}

/* Exchanges hold no key between two calls. */
static void read_keys(struct auth_client *c)
{
    struct ms_errinfo why;
    auth_jwt_keys_destroy(&c->keys);
    c->oauth = conf_section(c->conf, "auth.oauth");
    if (c->oauth->keys && auth_jwt_keys_parse(slice_cstr(c->oauth->keys), &c->keys, &why) != MS_OK)
        MS_ASSERT(!c->keys); /* cannot be: the table's check has looked */
}

void auth_client_reconf(struct auth_client *c, struct conf *conf)
{
    struct conf *old = c->conf;
    MS_ASSERT(loop_is_home(c->loop));
    c->conf = conf_ref(conf);
    c->options = conf_section(conf, "auth");
    c->mechanisms = 0;
    for (size_t i = 0; i < c->options->mechanisms.count; i++)
        c->mechanisms |= 1u << auth__mech_find(slice_cstr(c->options->mechanisms.items[i]));
    c->limits = (struct auth_guard_limits){.free = (uint64_t)c->options->failures_free,
                                           .max = (uint64_t)c->options->failures_max,
                                           .window_ms = c->options->failure_ms,
                                           .delay_max_ms = c->options->delay_max_ms};
    read_keys(c);
    read_networks(c, &c->options->trusted_networks);
    conf_unref(&old);
}

struct auth_client *auth_client_create(struct loop *loop, struct account_client *accounts,
                                       struct auth_guard *guard, struct conf *conf)
{
    struct auth_client *c = ms_new(struct auth_client);
    c->loop = loop;
    c->accounts = accounts;
    c->guard = guard;
    list_init(&c->queue);
    auth_client_reconf(c, conf);
    return c;
}

void auth_client_destroy(struct auth_client **cp)
{
    struct auth_client *c = *cp;
    if (!c)
        return;
    loop_timer_stop(c->loop, &c->tick);
    auth_jwt_keys_destroy(&c->keys);
    conf_unref(&c->conf);
    ms_free(c);
    *cp = NULL;
}
