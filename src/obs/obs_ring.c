/*
 * obs_ring.c - bytes from one thread to the log thread.
 *
 * A record is a 16-bit word (14 bits length, 2 bits enum obs_sink) and the line; it may wrap at the end of
 * the buffer. head is stored after the bytes of the record, sequentially consistent rather than release
 * because the writer next looks whether the log thread sleeps (obs_log.c): the store must not pass that load.
 */
#include <string.h>

#include "obs_priv.h"

#define RING_MASK  (OBS_RING_BYTES - 1)
#define SINK_SHIFT 14
#define LEN_MASK   ((1u << SINK_SHIFT) - 1)

_Static_assert(OBS_LINE_MAX <= LEN_MASK, "two bits of the length say where the line goes");
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

bool obs__ring_push(struct obs_ring *ring, unsigned sinks, const uint8_t *line, size_t len)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint8_t prefix[2];

    MS_ASSERT(len > 0 && len <= OBS_LINE_MAX && sinks < 4);
    if (OBS_RING_BYTES - (head - ring->tail_seen) < len + sizeof(prefix)) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (OBS_RING_BYTES - (head - ring->tail_seen) < len + sizeof(prefix))
            return false;
    }
    ms_put_le16(prefix, (uint16_t)(len | sinks << SINK_SHIFT));
    ring_copy_in(ring, head, prefix, sizeof(prefix));
    ring_copy_in(ring, head + (uint32_t)sizeof(prefix), line, len);
    atomic_store(&ring->head, head + (uint32_t)(sizeof(prefix) + len));
    return true;
}

bool obs__ring_is_empty(struct obs_ring *ring)
{
    return atomic_load(&ring->head) == atomic_load_explicit(&ring->tail, memory_order_relaxed);
}

static bool batch_has_room(const struct obs_batch *b, bool wanted, size_t len)
{
    return !wanted || len <= sizeof(b->bytes) - b->used;
}

static void batch_add(struct obs_batch *b, const struct obs_ring *ring, uint32_t pos, size_t len)
{
    ring_copy_out(ring, pos, b->bytes + b->used, len);
    b->used += len;
    b->lines++;
}

uint64_t obs__ring_pop(struct obs_ring *ring, struct obs_batch *log, struct obs_batch *history)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t lines = 0;

    while (tail != head) {
        uint8_t prefix[2];
        unsigned word, sinks;
        size_t len;

        ring_copy_out(ring, tail, prefix, sizeof(prefix));
        word = ms_get_le16(prefix);
        len = word & LEN_MASK;
        sinks = word >> SINK_SHIFT;
        if (!batch_has_room(log, sinks & OBS_SINK_LOG, len) ||
            !batch_has_room(history, sinks & OBS_SINK_HISTORY, len))
            break;
        tail += sizeof(prefix);
        if (sinks & OBS_SINK_LOG)
            batch_add(log, ring, tail, len);
        if (sinks & OBS_SINK_HISTORY)
            batch_add(history, ring, tail, len);
        tail += (uint32_t)len;
        lines++;
    }
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
    return lines;
}
