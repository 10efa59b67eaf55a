/*
 * bus_ring.h - bounded queue of messages from one thread to one other thread.
 *
 * Classic single producer, single consumer ring: `tail` is written by the producer only, `head` by the
 * consumer only, each on its own pair of cache lines together with a cached copy of the other side's index,
 * so that the other's line is fetched only when the ring looks full (or empty). Indices run freely and are
 * masked.
 */
#ifndef MS_BUS_RING_H
#define MS_BUS_RING_H

#include <stdatomic.h>

#include "ms/bus.h"

#define BUS_LINE 128 /* two lines: processors fetch them in pairs */

enum bus_ring_type { BUS_RING_CALL, BUS_RING_REPLY, BUS_RING_NOTE };

struct bus_link;

struct bus_ring {
    atomic_uint tail; /* producer */
    uint32_t head_seen;
    char pad1_[BUS_LINE - 8];
    atomic_uint head; /* consumer */
    uint32_t tail_seen;
    char pad2_[BUS_LINE - 8];
    /* Constant after wiring, but for the flag, which is set when a note is lost. */
    void *memory; /* what ms_alloc gave; this struct stands at the next line in it */
    uint32_t size;
    uint32_t bit; /* number among the rings of its consumer */
    enum bus_ring_type type;
    struct bus_link *link; /* the link whose calls it carries or answers */
    bus_event_fn *on_overflow;
    void *overflow_owner;
    atomic_bool overflow;
    char pad3_[BUS_LINE - 56];
    struct bus_msg slots[];
};

/* Producer. false: full, nothing changed. */
static inline bool bus_ring_push(struct bus_ring *r, const struct bus_msg *msg)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

    if (tail - r->head_seen == r->size) {
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
        if (tail - r->head_seen == r->size)
            return false;
    }
    r->slots[tail & (r->size - 1)] = *msg;
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    return true;
}

/* Consumer. false: empty. The slot is free again when this returns: a handler may cause its reuse. */
static inline bool bus_ring_pop(struct bus_ring *r, struct bus_msg *msg_out)
{
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    if (head == r->tail_seen) {
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
        if (head == r->tail_seen)
            return false;
    }
    *msg_out = r->slots[head & (r->size - 1)];
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return true;
}

#endif
