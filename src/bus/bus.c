/*
 * bus.c - endpoints and wiring: who may talk to whom, with how much outstanding.
 */
#include "bus_priv.h"

#include <stdio.h>

struct bus *bus_create(void)
{
    return ms_new(struct bus);
}

static struct bus_ring *ring_create(struct bus_ep *consumer, unsigned slots, enum bus_ring_type type,
                                    struct bus_link *link)
{
    MS_ASSERT(slots >= 1 && slots <= BUS_SLOTS_MAX && (slots & (slots - 1)) == 0);
    MS_ASSERT(consumer->ring_count < BUS_RINGS_IN_MAX);
    _Static_assert(sizeof(struct bus_ring) % BUS_LINE == 0, "slots begin on a line");

    void *memory = ms_alloc(sizeof(struct bus_ring) + slots * sizeof(struct bus_msg) + BUS_LINE);
    uintptr_t at = ((uintptr_t)memory + BUS_LINE - 1) & ~(uintptr_t)(BUS_LINE - 1);
    struct bus_ring *r = (struct bus_ring *)at;
    r->memory = memory;
    r->size = slots;
    r->type = type;
    r->link = link;
    r->bit = consumer->ring_count++;
    consumer->rings[r->bit] = r;
    consumer->word_count = (consumer->ring_count + 63) / 64;
    return r;
}

static void ring_destroy(struct bus_ring *r)
{
    struct bus_msg msg;

    while (bus_ring_pop(r, &msg))
        mbuf_unref_chain(&msg.body);
    ms_free(r->memory);
}

static void ep_destroy(struct bus_ep *ep)
{
    for (unsigned i = 0; i < ep->ring_count; i++)
        ring_destroy(ep->rings[i]);
    for (unsigned i = 0; i < BUS_ENDPOINTS_MAX; i++)
        ms_free(ep->calls_to[i]);
    ms_free(ep);
}

void bus_destroy(struct bus **bus)
{
    struct bus *b = *bus;

    if (!b)
        return;
    for (unsigned i = 0; i < b->ep_count; i++)
        ep_destroy(b->eps[i]);
    ms_free(b);
    *bus = NULL;
}

struct bus_ep *bus_ep_create(struct bus *bus, const char *name, struct loop *loop_or_null)
{
    MS_ASSERT(bus->ep_count < BUS_ENDPOINTS_MAX);
    MS_ASSERT(!loop_or_null || !bus_ep_of_loop(bus, loop_or_null));
    struct bus_ep *ep = ms_new(struct bus_ep);

    ep->bus = bus;
    ep->index = bus->ep_count;
    snprintf(ep->name, sizeof(ep->name), "%s", name);
    ep->loop = loop_or_null;
    list_init(&ep->links);
    bus->eps[bus->ep_count++] = ep;
    if (ep->loop) {
        atomic_store(&ep->sleeping, 1); /* until the first wake-up there is nothing to poll for */
        loop_on_wake(ep->loop, bus__on_loop_wake, ep);
    }
    return ep;
}

unsigned bus_ep_index(const struct bus_ep *ep)
{
    return ep->index;
}

struct bus_ep *bus_ep_get(const struct bus *bus, unsigned index)
{
    MS_ASSERT(index < bus->ep_count);
    return bus->eps[index];
}

struct bus_ep *bus_ep_of_loop(struct bus *bus, const struct loop *loop)
{
    for (unsigned i = 0; i < bus->ep_count; i++)
        if (bus->eps[i]->loop == loop)
            return bus->eps[i];
    return NULL;
}

void bus_on(struct bus_ep *ep, uint32_t kind, bus_msg_fn *fn, void *owner)
{
    unsigned i = kind * 0x9e3779b1u % BUS_KIND_SLOTS;

    MS_ASSERT(kind != 0 && fn && ep->kind_count < BUS_KINDS_MAX);
    for (; ep->handlers[i].kind; i = (i + 1) % BUS_KIND_SLOTS)
        MS_ASSERT(ep->handlers[i].kind != kind);
    ep->handlers[i] = (struct bus_handler){.kind = kind, .fn = fn, .owner = owner};
    ep->kind_count++;
}

static void link_add_answerer(struct bus_link *link, struct bus_ep *answerer)
{
    MS_ASSERT(link->answerer_count < BUS_ANSWERERS_MAX);
    for (unsigned i = 0; i < link->answerer_count; i++)
        MS_ASSERT(link->answerers[i].index != answerer->index);
    link->answerers[link->answerer_count++] = (struct bus_answerer){
        .index = answerer->index,
        .ring = ring_create(link->from, link->slots, BUS_RING_REPLY, link),
    };
}

void bus_link(struct bus *bus, struct bus_ep *from, struct bus_ep *to, unsigned slots)
{
    MS_ASSERT(from->bus == bus && to->bus == bus && !from->calls_to[to->index]);
    struct bus_link *link = ms_new(struct bus_link);

    link->from = from;
    link->slots = slots;
    list_init(&link->waiters);
    list_push_back(&from->links, &link->node);
    link->calls = ring_create(to, slots, BUS_RING_CALL, link);
    link_add_answerer(link, to);
    from->calls_to[to->index] = link;
}

void bus_link_reply(struct bus *bus, struct bus_ep *caller, struct bus_ep *answerer, struct bus_ep *via)
{
    struct bus_link *link = caller->calls_to[via->index];

    MS_ASSERT(caller->bus == bus && answerer->bus == bus && link);
    link_add_answerer(link, answerer);
}

void bus_note_link(struct bus *bus, struct bus_ep *from, struct bus_ep *to, unsigned slots,
                   bus_event_fn *on_overflow, void *owner)
{
    MS_ASSERT(from->bus == bus && to->bus == bus && !from->notes_to[to->index] && on_overflow);
    struct bus_ring *r = ring_create(to, slots, BUS_RING_NOTE, NULL);

    r->on_overflow = on_overflow;
    r->overflow_owner = owner;
    from->notes_to[to->index] = r;
}
