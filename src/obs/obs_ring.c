/*
 * obs_ring.c - bytes from one thread to the log thread.
 *
 * A record is a 16-bit length and the line; it may wrap at the end of the buffer. head is stored after the
 * bytes of the record, sequentially consistent rather than release because the writer next looks whether the
 * log thread sleeps (obs_log.c): the store must not pass that load.
 */
#include <string.h>

#include "obs_priv.h"

#define RING_MASK (OBS_RING_BYTES - 1)

_Static_assert((OBS_RING_BYTES & RING_MASK) == 0, "positions are masked");
_Static_assert(OBS_RING_BYTES >= 4 * OBS_LINE_MAX, "some lines fit");

static void ring_copy_in(struct obs_ring *ring, uint32_t pos, const uint8_t *from, size_t len)
{
    size_t at = pos & RING_MASK;
    size_t first = MS_MIN(len, OBS_RING_BYTES - at);

    memcpy(ring->bytes + at, from, first);
    memcpy(ring->bytes, from + first, len - first);
}

static void ring_copy_out(const struct obs_ring *ring, uint32_t pos, uint8_t *to, size_t len)
{
    size_t at = pos & RING_MASK;
    size_t first = MS_MIN(len, OBS_RING_BYTES - at);

    memcpy(to, ring->bytes + at, first);
    memcpy(to + first, ring->bytes, len - first);
}

bool obs__ring_push(struct obs_ring *ring, const uint8_t *line, size_t len)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint8_t prefix[2];

    MS_ASSERT(len > 0 && len <= OBS_LINE_MAX);
    if (OBS_RING_BYTES - (head - ring->tail_seen) < len + sizeof(prefix)) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (OBS_RING_BYTES - (head - ring->tail_seen) < len + sizeof(prefix))
            return false;
    }
    ms_put_le16(prefix, (uint16_t)len);
    ring_copy_in(ring, head, prefix, sizeof(prefix));
    ring_copy_in(ring, head + (uint32_t)sizeof(prefix), line, len);
    atomic_store(&ring->head, head + (uint32_t)(sizeof(prefix) + len));
    return true;
}

bool obs__ring_is_empty(struct obs_ring *ring)
{
    return atomic_load(&ring->head) == atomic_load_explicit(&ring->tail, memory_order_relaxed);
}

size_t obs__ring_pop(struct obs_ring *ring, uint8_t *out, size_t out_max, uint64_t *lines)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t used = 0;

    while (tail != head) {
        uint8_t prefix[2];
        size_t len;

        ring_copy_out(ring, tail, prefix, sizeof(prefix));
        len = ms_get_le16(prefix);
        if (len > out_max - used)
            break;
        ring_copy_out(ring, tail + (uint32_t)sizeof(prefix), out + used, len);
        used += len;
        tail += (uint32_t)(sizeof(prefix) + len);
        (*lines)++;
    }
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
    return used;
}
