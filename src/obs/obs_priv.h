/*
 * obs_priv.h - what the files of obs share: lines, rings, the slot of a thread.
 */
#ifndef MS_OBS_PRIV_H
#define MS_OBS_PRIV_H

#include <stdatomic.h>

#include "ms/obs.h"

#define OBS_BATCH_BYTES 65536

/* -- one formatted line; no heap, so that emitting cannot wait in the allocator -- */

struct obs_line {
    size_t len;
    bool cut;    /* something did not fit */
    bool traced; /* has a trace= */
    uint8_t bytes[OBS_LINE_MAX];
};

void obs__line_format(struct obs_line *line, enum obs_format format, uint64_t wall_us, enum obs_event ev,
                      uint64_t session, const struct obs_kv *kv, size_t count);

/* -- ring: one writer, one reader. Positions count bytes since the start and wrap in 32 bits -- */

struct obs_ring {
    _Alignas(64) _Atomic uint32_t head; /* written by the thread */
    uint32_t tail_seen;                 /* the writer's last look at tail */
    _Alignas(64) _Atomic uint32_t tail; /* written by the log thread */
    uint8_t *bytes;                     /* OBS_RING_BYTES, set before the slot becomes active */
};

/* Where a line goes: bits. */
enum obs_sink { OBS_SINK_LOG = 1, OBS_SINK_HISTORY = 2 };

/* Whole lines of several rings, for one write each. */
struct obs_batch {
    size_t used;
    uint64_t lines;
    uint8_t bytes[OBS_BATCH_BYTES];
};

/* false: no room, nothing written. */
bool obs__ring_push(struct obs_ring *ring, unsigned sinks, const uint8_t *line, size_t len);
bool obs__ring_is_empty(struct obs_ring *ring);
/* Appends lines to the batches of their sinks while both have room; gives the lines taken. */
uint64_t obs__ring_pop(struct obs_ring *ring, struct obs_batch *log, struct obs_batch *history);

/* -- obs_history.c: files of the history. The log thread, or the one that starts it -- */
bool obs__history_is_open(void);
void obs__history_write(const uint8_t *lines, size_t len, uint64_t count);
void obs__history_close(void);

/* -- slot: what one thread has. FREE -> ACTIVE by its thread, ACTIVE -> ENDED (lines left) or FREE when the
 * thread ends, ENDED -> FREE when its lines are written -- */

enum obs_slot_state { OBS_SLOT_FREE, OBS_SLOT_ACTIVE, OBS_SLOT_ENDED };

struct obs_slot {
    _Alignas(64) _Atomic uint64_t counters[MET_COUNT]; /* stored by the thread only */
    _Alignas(64) _Atomic uint64_t cells[OBS_CELLS_MAX];
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
/* n more in a cell, n fewer as its complement; the sum over threads, living and ended. */
void obs__cell_add(size_t cell, uint64_t n);
void obs__cells_sum(size_t first, size_t count, uint64_t *sums_out);
/* Lines lost by threads without a slot, by ended threads, or by a failed write. */
void obs__lost_add(uint64_t lines);
/* Takes all that were lost since the last call. */
uint64_t obs__lost_take(void);

#endif
