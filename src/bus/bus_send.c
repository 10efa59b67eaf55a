/*
 * bus_send.c - the producing side: calls with credits, replies, notes, waiters.
 *
 * Why a reply always finds room: a link has `slots` credits; a call takes one, and taking the call's one
 * reply out of its ring gives it back. So no ring that answers the link ever holds more than `slots` replies,
 * and the ring of calls never more than `slots` calls.
 */
#include "bus_priv.h"

/* -- calls */

static struct bus_link *link_get(const struct bus_ep *from, const struct bus_ep *to)
{
    struct bus_link *link = from->calls_to[to->index];

    MS_ASSERT(link);
    return link;
}

enum ms_err bus_call(struct bus_ep *from, struct bus_ep *to, struct bus_msg *msg)
{
    struct bus_link *link = link_get(from, to);

    bus__check_thread(from);
    if (link->outstanding == link->slots) {
        obs_count(MET_BUS_CALLS_FULL, 1);
        return MS_EFULL;
    }
    link->outstanding++;
    msg->from = (uint16_t)from->index;
    bool pushed = bus_ring_push(link->calls, msg);
    MS_ASSERT(pushed);
    bus__announce(to, link->calls);
    return MS_OK;
}

unsigned bus_call_room(const struct bus_ep *from, const struct bus_ep *to)
{
    const struct bus_link *link = link_get(from, to);
    return link->slots - link->outstanding;
}

void bus_reply(struct bus_ep *answerer, struct bus_ep *via, unsigned to_index, struct bus_msg *reply)
{
    struct bus_ep *to = bus_ep_get(answerer->bus, to_index);
    const struct bus_link *link = link_get(to, via);

    bus__check_thread(answerer);
    reply->from = (uint16_t)answerer->index;
    for (unsigned i = 0; i < link->answerer_count; i++) {
        if (link->answerers[i].index != answerer->index)
            continue;
        bool pushed = bus_ring_push(link->answerers[i].ring, reply);
        MS_ASSERT(pushed); /* otherwise a call was answered twice */
        bus__announce(to, link->answerers[i].ring);
        return;
    }
    MS_UNREACHABLE(); /* bus_link_reply was forgotten */
}

/* -- notes */

bool bus_note(struct bus_ep *from, struct bus_ep *to, struct bus_msg *msg)
{
    struct bus_ring *r = from->notes_to[to->index];

    bus__check_thread(from);
    MS_ASSERT(r);
    msg->from = (uint16_t)from->index;
    bool pushed = bus_ring_push(r, msg);
    if (!pushed) {
        mbuf_unref_chain(&msg->body);
        atomic_store(&r->overflow, true);
        obs_count(MET_BUS_NOTES_LOST, 1);
    }
    bus__announce(to, r);
    return pushed;
}

/* -- waiting for a credit */

void bus_wait_space(struct bus_ep *from, struct bus_ep *to, struct bus_waiter *waiter)
{
    struct bus_link *link = link_get(from, to);

    bus__check_thread(from);
    MS_ASSERT(waiter->fn && (!waiter->node.next || !list_is_linked(&waiter->node)));
    list_push_back(&link->waiters, &waiter->node);
    if (link->outstanding == link->slots)
        return;
    /* There is room already: perhaps no reply will ever come to tell. */
    from->kicked = true;
    bus__kick(from);
}

void bus_waiter_cancel(struct bus_waiter *waiter)
{
    if (waiter->node.next && list_is_linked(&waiter->node))
        list_remove(&waiter->node);
}

/* Runs those who wait now, in order, while there is room; who registers again meanwhile stands behind them.
 */
static void link_run_waiters(struct bus_link *link)
{
    struct list marker;

    if (list_is_empty(&link->waiters))
        return;
    list_push_back(&link->waiters, &marker);
    while (link->waiters.next != &marker && link->outstanding < link->slots) {
        struct bus_waiter *w = LIST_ENTRY(list_pop_front(&link->waiters), struct bus_waiter, node);
        w->fn(w->owner);
    }
    list_remove(&marker);
}

void bus__credit(struct bus_link *link)
{
    MS_ASSERT(link->outstanding > 0);
    link->outstanding--;
    link_run_waiters(link);
}

void bus__run_kicked(struct bus_ep *ep)
{
    ep->kicked = false;
    LIST_FOREACH(&ep->links, it)
    link_run_waiters(LIST_ENTRY(it, struct bus_link, node));
}
