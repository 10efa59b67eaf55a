/*
 * dispatch_proxy.c - the first gate: behind a trusted proxy the client is whom the proxy's header names.
 *
 * Only services with proxy_protocol look for a header, and then everybody has to send one: a port that took
 * clients with and without would let each choose who it is. The list of proxies is empty at first; not even
 * 127.0.0.1 is trusted unasked.
 */
#include <stdio.h>

#include "dispatch_priv.h"

#define PROXY_WAIT_MS 5000

/* The networks of the snapshot in use, read when it has changed. */
static void trusted_update(struct dispatch *d)
{
    const struct dispatch_conf *conf = conf_section(d->conf, "dispatcher");

    if (d->trusted_conf == d->conf)
        return;
    conf_unref(&d->trusted_conf);
    d->trusted_conf = conf_ref(d->conf); /* so that no other snapshot has its address */
    d->trusted_count = 0;
    for (size_t i = 0; i < conf->trusted_networks.count && d->trusted_count < DISPATCH_TRUSTED_MAX; i++)
        if (net_network_parse(slice_cstr(conf->trusted_networks.items[i]), &d->trusted[d->trusted_count]) ==
            MS_OK)
            d->trusted_count++; /* the configuration's check has told of others */
}

static bool is_trusted(struct dispatch *d, const struct net_addr *peer)
{
    trusted_update(d);
    for (unsigned i = 0; i < d->trusted_count && !peer->is_unix; i++)
        if (net_network_has(&d->trusted[i], peer->host))
            return true;
    return false;
}

static void refuse(struct dispatch_answer *answer, const char *text)
{
    answer->verdict = DISPATCH_REFUSE;
    answer->kind = DISPATCH_PERMANENT;
    answer->reason = DISPATCH_R_PROXY;
    snprintf(answer->text, sizeof(answer->text), "%s", text);
}

static void on_header(void *owner, enum ms_err err, const struct net_proxy *proxy)
{
    struct dispatch_conn *c = owner;
    struct dispatch_answer answer = {.verdict = DISPATCH_PASS};

    c->gate_data = NULL;
    if (err)
        refuse(&answer, err == MS_ETIMEOUT ? "no PROXY header came" : "that is no PROXY header");
    else if (!proxy->is_local) {
        c->peer = proxy->peer;
        c->local = proxy->local;
    }
    dispatch__door_answer(c, &answer);
}

static void proxy_ask(struct dispatch_conn *c, struct dispatch_answer *answer)
{
    struct dispatch *d = c->service->dispatch;
    struct net_proxy_wait *wait = NULL;

    if (!c->service->conf.proxy_protocol)
        return;
    if (!is_trusted(d, &c->peer)) {
        refuse(answer, "only proxies are served here");
        return;
    }
    if (net_proxy_wait(d->control, c->fd, PROXY_WAIT_MS, on_header, c, &wait) != MS_OK) {
        refuse(answer, "the socket cannot be read");
        return;
    }
    c->gate_data = wait;
    answer->verdict = DISPATCH_LATER;
}

static void proxy_forget(struct dispatch_conn *c)
{
    struct net_proxy_wait *wait = c->gate_data;

    net_proxy_wait_stop(&wait);
    c->gate_data = NULL;
}

const struct dispatch_gate dispatch__gate_proxy = {
    .name = "proxy",
    .ask = proxy_ask,
    .forget = proxy_forget,
    .wait_ms = 2 * PROXY_WAIT_MS, /* it answers by itself before */
    .late = {.verdict = DISPATCH_REFUSE,
             .kind = DISPATCH_PERMANENT,
             .reason = DISPATCH_R_PROXY,
             .text = "no PROXY header came"},
};
