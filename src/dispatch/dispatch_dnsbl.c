/*
 * dispatch_dnsbl.c - the gate of DNS block lists (RFC 5782): up to five zones a service, all asked at once.
 *
 * A list has the client when it answers with an address of 127.0.0.0/8; 127.255.255.0/24 is how lists say
 * that they do not talk to us, so that is trouble like a server that is silent or fails. Trouble never
 * refuses anybody: it is counted, the client goes on. A zone that was silent for the whole wait is not
 * waited for during DNSBL_REST_MS, so that a dead server costs the wait once, not every client.
 */
#include <stdio.h>

#include "dispatch_priv.h"

#define DNSBL_WAIT_MS 2000
#define DNSBL_REST_MS 10000

struct dnsbl_ask {
    struct dnsbl *of;
    uint64_t request; /* 0: answered, or never asked */
    char zone[DNS_NAME_MAX + 1];
};

/* One client's questions; the connection's gate_data. */
struct dnsbl {
    struct dispatch_conn *conn;
    unsigned waiting;
    struct dnsbl_ask asks[DISPATCH_ZONES_MAX];
};

static bool zone_rests(const struct dispatch_service *s, unsigned i)
{
    return s->zone_rest_until_ms[i] > loop_now_ms(s->dispatch->control);
}

static void trouble(const struct dispatch_conn *c, const char *zone, const char *what)
{
    struct dispatch_service *s = c->service;
    uint64_t suppressed = 0;

    obs_count(MET_DISPATCH_DNSBL_TROUBLE, 1);
    if (obs_limit_pass(&s->zone_limit, loop_now_ms(s->dispatch->control), DNSBL_REST_MS, &suppressed))
        OBS_EVENT(OBS_DISPATCH_DNSBL_TROUBLE, c->session, OBS_C("service", s->name), OBS_C("zone", zone),
                  OBS_C("what", what), OBS_U("more", suppressed));
}

enum dnsbl_says { DNSBL_UNLISTED, DNSBL_LISTED, DNSBL_REFUSES };

static enum dnsbl_says answer_read(const struct dns_answer *answer)
{
    enum dnsbl_says says = DNSBL_UNLISTED;

    for (size_t i = 0; i < answer->count; i++) {
        const uint8_t *a = answer->records[i].data.ptr;
        if (a[0] != 127)
            continue;
        if (a[1] != 255 || a[2] != 255)
            return DNSBL_LISTED;
        says = DNSBL_REFUSES;
    }
    return says;
}

/* Nothing more is asked for this client. */
static void dnsbl_free(struct dispatch_conn *c)
{
    struct dnsbl *b = c->gate_data;

    for (unsigned i = 0; i < DISPATCH_ZONES_MAX; i++)
        if (b->asks[i].request)
            dns_forget(c->service->dispatch->dns, b->asks[i].request);
    ms_free(b);
    c->gate_data = NULL;
}

static void refuse(const struct dispatch_conn *c, const char *zone, struct dispatch_answer *answer)
{
    *answer = (struct dispatch_answer){
        .verdict = DISPATCH_REFUSE, .kind = DISPATCH_PERMANENT, .reason = DISPATCH_R_DNSBL};
    snprintf(answer->text, sizeof(answer->text), "your address %s is on the DNS list %s", c->peer.host, zone);
}

static void on_answer(void *owner, uint64_t request, enum ms_err err, const struct dns_answer *found)
{
    struct dnsbl_ask *ask = owner;
    struct dispatch_conn *c = ask->of->conn;
    struct dispatch_answer answer = {.verdict = DISPATCH_PASS};
    enum dnsbl_says says = err ? DNSBL_UNLISTED : answer_read(found);

    ask->request = 0;
    ask->of->waiting--;
    if (err)
        trouble(c, ask->zone, ms_err_text(err));
    else if (says == DNSBL_REFUSES)
        trouble(c, ask->zone, "the list does not talk to us");
    if (says == DNSBL_LISTED)
        refuse(c, ask->zone, &answer);
    else if (ask->of->waiting > 0)
        return;
    dnsbl_free(c);
    dispatch__door_answer(c, &answer);
}

/* A zone at rest is asked too, by somebody who does not wait for it: its answer will be in the cache. */
static void zone_ask(struct dispatch_conn *c, struct dnsbl *b, unsigned i, const char *zone)
{
    struct dnsbl_ask *ask = &b->asks[i];
    struct dns_client *dns = c->service->dispatch->dns;
    char name[DNS_NAME_MAX + 1];
    enum ms_err err = dns_reverse_name(c->peer.host, zone, name);

    ask->of = b;
    snprintf(ask->zone, sizeof(ask->zone), "%s", zone);
    if (!err)
        err = dns_query(dns, name, DNS_A, on_answer, ask, &ask->request);
    if (err) {
        trouble(c, zone, ms_err_text(err));
        ask->request = 0;
    } else if (zone_rests(c->service, i)) {
        obs_count(MET_DISPATCH_DNSBL_TROUBLE, 1);
        dns_forget(dns, ask->request);
        ask->request = 0;
    } else {
        b->waiting++;
    }
}

static void dnsbl_ask(struct dispatch_conn *c, struct dispatch_answer *answer)
{
    const struct conf_strlist *zones = &c->service->conf.dns_block_lists;

    if (zones->count == 0 || !c->service->dispatch->dns || c->peer.is_unix)
        return;
    struct dnsbl *b = ms_new(struct dnsbl);
    b->conn = c;
    c->gate_data = b;
    for (unsigned i = 0; i < zones->count && i < DISPATCH_ZONES_MAX; i++)
        zone_ask(c, b, i, zones->items[i]);
    if (b->waiting > 0)
        answer->verdict = DISPATCH_LATER;
    else
        dnsbl_free(c);
}

/* The time is over, or the connection ends: who has not answered rests. */
static void dnsbl_forget(struct dispatch_conn *c)
{
    struct dnsbl *b = c->gate_data;

    for (unsigned i = 0; i < DISPATCH_ZONES_MAX; i++) {
        if (!b->asks[i].request)
            continue;
        c->service->zone_rest_until_ms[i] = loop_now_ms(c->service->dispatch->control) + DNSBL_REST_MS;
        trouble(c, b->asks[i].zone, "no answer in time");
    }
    dnsbl_free(c);
}

const struct dispatch_gate dispatch__gate_dnsbl = {.name = "dnsbl",
                                                   .ask = dnsbl_ask,
                                                   .forget = dnsbl_forget,
                                                   .wait_ms = DNSBL_WAIT_MS,
                                                   .late = {.verdict = DISPATCH_PASS}};

void dispatch_set_dns(struct dispatch *d, struct dns_client *dns)
{
    d->dns = dns;
}
