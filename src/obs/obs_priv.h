/*
 * obs_priv.h - what the files of obs share: lines, rings, the slot of a thread.
 */
#ifndef MS_OBS_PRIV_H
#define MS_OBS_PRIV_H

#include <stdatomic.h>

#include "ms/obs.h"

/* -- one formatted line; no heap, so that emitting cannot wait in the allocator -- */

struct obs_line {
    size_t len;
    bool cut; /* something did not fit */
    uint8_t bytes[OBS_LINE_MAX];
};

void obs__line_format(struct obs_line *line, enum obs_format format, uint64_t wall_us, enum obs_event ev,
                      uint64_t session, const struct obs_kv *kv, size_t count);
const char *obs__level_name(enum obs_level level);
enum obs_level obs__event_level(enum obs_event ev);

/* -- ring: one writer, one reader. Positions count bytes since the start and wrap in 32 bits -- */

struct obs_ring {
    _Alignas(64) _Atomic uint32_t head; /* written by the thread */
    uint32_t tail_seen;                 /* the writer's last look at tail */
    _Alignas(64) _Atomic uint32_t tail; /* written by the log thread */
    uint8_t *bytes;                     /* OBS_RING_BYTES, set before the slot becomes active */
};

/* false: no room, nothing written. */
bool obs__ring_push(struct obs_ring *ring, const uint8_t *line, size_t len);
bool obs__ring_is_empty(struct obs_ring *ring);
/* Appends whole lines to `out` while they fit `out_max`; gives the number of bytes, adds the lines to *lines.
 */
size_t obs__ring_pop(struct obs_ring *ring, uint8_t *out, size_t out_max, uint64_t *lines);

/* -- slot: what one thread has. FREE -> ACTIVE by its thread, ACTIVE -> ENDED (lines left) or FREE when the
 * thread ends, ENDED -> FREE when its lines are written -- */

enum obs_slot_state { OBS_SLOT_FREE, OBS_SLOT_ACTIVE, OBS_SLOT_ENDED };

struct obs_slot {
    _Alignas(64) _Atomic uint64_t counters[MET_COUNT]; /* stored by the thread only */
    _Atomic int state;
    _Atomic int emitting; /* between the look at obs_log's `running` and the end of the push */
    _Atomic uint64_t dropped;
    struct obs_ring ring;
};

/* The calling thread's slot; NULL when OBS_THREADS_MAX threads have one. */
struct obs_slot *obs__slot_get(void);
/* Slots that were ever used, for walks: 0 <= i < obs__slot_count(). */
size_t obs__slot_count(void);
struct obs_slot *obs__slot_at(size_t i);
/* Frees slots of ended threads whose ring is empty. */
void obs__slots_reclaim(void);
/* Lines lost by threads without a slot, by ended threads, or by a failed write. */
void obs__lost_add(uint64_t lines);
/* Takes all that were lost since the last call. */
uint64_t obs__lost_take(void);

#endif
