/*
 * server_names.c - what the door asks: mapping tables and name servers, at the start and after a reload.
 */
#include "server_priv.h"

#include "ms/dns.h"
#include "ms/mapping.h"

static void set_access(struct server *s, const struct conf *conf)
{
    struct mapping_set *set = app_mapping_set_create(conf);
    dispatch_set_access(s->dispatch, &set);
}

int server_open_names(struct server *s)
{
    struct ms_errinfo why;
    if (dns_client_create(s->control.loop, conf_section(s->conf, "dns"), &s->dns, &why) != MS_OK)
        return app_fail(EX_CONFIG, "%s", why.text);
    dispatch_set_dns(s->dispatch, s->dns);
    set_access(s, s->conf);
    return EX_OK;
}

void server_reload_names(struct server *s, const struct conf *conf)
{
    struct ms_errinfo why;
    if (dns_client_reconf(s->dns, conf_section(conf, "dns"), &why) != MS_OK) /* the servers before go on */
        OBS_EVENT(OBS_APP_DNS_SERVERS, 0, OBS_C("what", why.text));
    set_access(s, conf);
}
