/*
 * dispatch_live.c - what the control thread knows of each session: from the hand-off until its loop says that
 * it has ended. So counts of addresses are exact, and `dispatcher status` can tell of connections that have
 * closed.
 */
#include <stdio.h>

#include "dispatch_priv.h"

void dispatch__live_begin(struct dispatch_conn *c, const struct dispatch_worker *w)
{
    struct dispatch *d = c->service->dispatch;
    /* There may be very many of them: what nobody will ask for is left out. */
    size_t peer_len = c->service->conf.historical_time_ms ? strlen(c->peer.text) : 0;
    struct dispatch_live *live = ms_alloc(sizeof(*live) + peer_len + 1);

    live->session = c->session;
    live->worker = w->id;
    live->service = c->service;
    live->address = c->address;
    live->network = c->network;
    live->since_ms = loop_now_ms(d->control);
    memcpy(live->peer, c->peer.text, peer_len);
    c->address = c->network = NULL; /* they are the session's from here on */
    c->service->active++;
    map_put_u64(&d->live, live->session, live);
}

static void remember(struct dispatch *d, const struct dispatch_live *live)
{
    if (live->service->conf.historical_time_ms == 0)
        return;
    if (!d->closed)
        d->closed = ms_alloc_array(DISPATCH_CLOSED_MAX, sizeof(*d->closed));
    struct dispatch_closed *c = &d->closed[d->closed_count++ % DISPATCH_CLOSED_MAX];
    *c = (struct dispatch_closed){.service = live->service,
                                  .session = live->session,
                                  .worker = live->worker,
                                  .since_ms = live->since_ms,
                                  .ended_ms = loop_now_ms(d->control)};
    snprintf(c->peer, sizeof(c->peer), "%s", live->peer);
}

void dispatch__live_end(struct dispatch *d, uint64_t session)
{
    struct dispatch_live *live = map_remove_u64(&d->live, session);

    MS_ASSERT(live);
    live->service->active--;
    remember(d, live);
    dispatch__uncount(d, live->address, live->network);
    ms_free(live);
}

void dispatch__uncount(struct dispatch *d, struct dispatch_peer *address, struct dispatch_peer *network)
{
    if (address)
        dispatch__peer_give(&d->peers, address);
    if (network)
        dispatch__peer_give(&d->peers, network);
}

void dispatch__live_forget(struct dispatch *d, const struct dispatch_service *s)
{
    for (size_t i = 0; d->closed && i < DISPATCH_CLOSED_MAX; i++)
        if (d->closed[i].service == s)
            d->closed[i].service = NULL;
}

void dispatch__live_fini(struct dispatch *d)
{
    size_t cursor = 0;
    void *live;

    while (map_next(&d->live, &cursor, NULL, &live))
        ms_free(live);
    map_fini(&d->live);
    ms_free(d->closed);
}
