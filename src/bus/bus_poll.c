/*
 * bus_poll.c - the consuming side: which rings have something, sleeping and waking.
 *
 * A producer pushes, then sets its ring's bit in the consumer's `pending`; if the bit was set already, the
 * consumer is bound to look and nothing more is to do. Otherwise it wakes the consumer if that sleeps. The
 * consumer takes the bits (exchange) before it looks at the rings, so a push after its look sets a bit again.
 * An idle poll reads one word per 64 rings.
 *
 * Sleeping: the consumer sets `sleeping` by exchange, then reads `pending`; the producer changes `pending`,
 * then reads `sleeping`. All four are sequentially consistent, so at least one sees the other: no wake-up is
 * lost, and while the consumer is awake producers make no system call. Only the exchange from 1 to 0 wakes.
 *
 * A loop polls in its wake-up callback and again at the end of that turn, for what the turn's other callbacks
 * had time to let arrive; together at most BUS_DRAIN_MAX messages, then it wakes itself, so that sockets get
 * their turn.
 */
#include "bus_priv.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Thread_local char bus_thread_token;

void bus__check_thread(struct bus_ep *ep)
{
    if (ep->loop) {
        MS_ASSERT(loop_is_home(ep->loop));
        return;
    }
    /* A plain thread owns the endpoint from its first use. */
    uintptr_t self = (uintptr_t)&bus_thread_token;
    uintptr_t owner = atomic_load_explicit(&ep->thread, memory_order_relaxed);
    if (owner == 0)
        atomic_store_explicit(&ep->thread, self, memory_order_relaxed);
    else
        MS_ASSERT(owner == self);
}

/* -- waking */

static void ep_wake(struct bus_ep *ep)
{
    if (!atomic_load(&ep->sleeping) || !atomic_exchange(&ep->sleeping, 0))
        return;
    obs_count(MET_BUS_WAKES, 1);
    if (ep->loop)
        loop_wake(ep->loop);
    else
        syscall(SYS_futex, &ep->sleeping, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void bus__announce(struct bus_ep *consumer, const struct bus_ring *ring)
{
    uint64_t bit = (uint64_t)1 << (ring->bit % 64);

    if (!(atomic_fetch_or(&consumer->pending[ring->bit / 64], bit) & bit))
        ep_wake(consumer);
}

void bus__kick(struct bus_ep *ep)
{
    if (ep->loop)
        loop_wake(ep->loop);
}

void bus_wake(struct bus_ep *ep)
{
    if (ep->loop) {
        loop_wake(ep->loop);
        return;
    }
    atomic_store(&ep->woken, true);
    ep_wake(ep);
}

/* -- draining */

static const struct bus_handler *handler_get(const struct bus_ep *ep, uint32_t kind)
{
    unsigned i = kind * 0x9e3779b1u % BUS_KIND_SLOTS;

    while (ep->handlers[i].kind != kind) {
        MS_ASSERT(ep->handlers[i].kind != 0); /* nobody here handles this kind */
        i = (i + 1) % BUS_KIND_SLOTS;
    }
    return &ep->handlers[i];
}

/* At most budget messages of one ring; *empty_out tells that nothing was left at the last look. */
static unsigned ring_drain(struct bus_ep *ep, struct bus_ring *r, unsigned budget, bool *empty_out)
{
    struct bus_msg msg;
    unsigned n = 0;

    for (; n < budget; n++) {
        if (!bus_ring_pop(r, &msg)) {
            *empty_out = true;
            break;
        }
        /* Those who wait come before the handler, which may want the credit for a call of its own. */
        if (r->type == BUS_RING_REPLY)
            bus__credit(r->link);
        const struct bus_handler *h = handler_get(ep, msg.kind);
        h->fn(h->owner, &msg);
    }
    if (*empty_out && r->type == BUS_RING_NOTE && atomic_load(&r->overflow)) {
        atomic_store(&r->overflow, false); /* before the look that it asks for */
        r->on_overflow(r->overflow_owner);
    }
    return n;
}

/* Takes over the bits that producers set; true when there is something to do. */
static bool ep_collect(struct bus_ep *ep)
{
    uint64_t any = 0;

    for (unsigned w = 0; w < ep->word_count; w++) {
        if (atomic_load(&ep->pending[w]))
            ep->todo[w] |= atomic_exchange(&ep->pending[w], 0);
        any |= ep->todo[w];
    }
    return any != 0 || ep->kicked;
}

static bool ep_has_pending(const struct bus_ep *ep)
{
    uint64_t any = 0;

    for (unsigned w = 0; w < ep->word_count; w++)
        any |= ep->todo[w] | atomic_load(&ep->pending[w]);
    return any != 0 || ep->kicked;
}

/* The first ring to do at or behind `from`, else the first at all; -1 when none. */
static int ep_next_ring(const struct bus_ep *ep, unsigned from)
{
    for (unsigned i = 0; i <= ep->word_count; i++) {
        unsigned w = (from / 64 + i) % ep->word_count;
        uint64_t bits = ep->todo[w];
        if (i == 0)
            bits &= ~(uint64_t)0 << (from % 64);
        if (bits)
            return (int)(w * 64 + (unsigned)__builtin_ctzll(bits));
    }
    return -1;
}

static unsigned ep_drain(struct bus_ep *ep, unsigned budget)
{
    unsigned handled = 0;
    int i;

    MS_ASSERT(!ep->polling); /* not from inside a handler */
    if (!ep_collect(ep))
        return 0;
    ep->polling = true;
    if (ep->kicked)
        bus__run_kicked(ep);
    while (handled < budget && ep->word_count > 0 && (i = ep_next_ring(ep, ep->cursor)) >= 0) {
        bool empty = false;
        handled += ring_drain(ep, ep->rings[i], budget - handled, &empty);
        if (empty)
            ep->todo[i / 64] &= ~((uint64_t)1 << (i % 64));
        ep->cursor = (unsigned)(i + 1) % ep->ring_count;
    }
    ep->polling = false;
    obs_count(MET_BUS_MESSAGES, handled);
    return handled;
}

/* -- loops */

static void on_turn_end(struct loop_hook *hook)
{
    struct bus_ep *ep = MS_CONTAINER_OF(hook, struct bus_ep, hook);

    if (ep->budget > 0)
        ep->budget -= ep_drain(ep, ep->budget);
    if (!ep_has_pending(ep)) {
        atomic_exchange(&ep->sleeping, 1);
        if (!ep_has_pending(ep))
            return;
        atomic_exchange(&ep->sleeping, 0);
    }
    loop_wake(ep->loop);
}

void bus__on_loop_wake(void *owner)
{
    struct bus_ep *ep = owner;

    /* Woken by something else while we sleep: nothing to do. Awake, the turn must end in on_turn_end in any
     * case. */
    if (atomic_load(&ep->sleeping) && !ep_has_pending(ep))
        return;
    atomic_exchange(&ep->sleeping, 0);
    ep->budget = BUS_DRAIN_MAX;
    ep->budget -= ep_drain(ep, ep->budget);
    loop_hook_arm(ep->loop, &ep->hook, on_turn_end);
}

/* -- plain threads */

unsigned bus_poll(struct bus_ep *ep)
{
    MS_ASSERT(!ep->loop);
    bus__check_thread(ep);
    return ep_drain(ep, BUS_DRAIN_MAX);
}

void bus_wait(struct bus_ep *ep, int timeout_ms)
{
    struct timespec wait = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L};

    MS_ASSERT(!ep->loop);
    bus__check_thread(ep);
    if (!ep_has_pending(ep) && !atomic_load(&ep->woken)) {
        atomic_exchange(&ep->sleeping, 1);
        /* The kernel looks at the word again: a wake-up since then makes it return at once. */
        if (!ep_has_pending(ep) && !atomic_load(&ep->woken))
            syscall(SYS_futex, &ep->sleeping, FUTEX_WAIT_PRIVATE, 1, timeout_ms < 0 ? NULL : &wait, NULL, 0);
        atomic_exchange(&ep->sleeping, 0);
    }
    atomic_store(&ep->woken, false);
}
